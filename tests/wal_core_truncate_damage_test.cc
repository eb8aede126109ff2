// Goal: dropped records stay dropped for every reader, whatever becomes of what says that
// there was a truncation; and what is kept is not lost with it.
// Method: WalCore over the simulated file system, with damage after a truncation.

#include <string>

#include "gtest/gtest.h"
#include "millrace/log_reader.h"
#include "tests/wal_core_truncate_fixture.h"
#include "wal/format.h"

namespace millrace {
namespace {

class WalCoreTruncateDamageTest : public WalCoreTruncateFixture {};

// With the header gone, the superblock still says where the old epoch ends.
TEST_F(WalCoreTruncateDamageTest, DroppedRecordsStayDroppedWhenTheHeaderOrItsFileIsLost) {
  for (const bool written : {false, true}) {
    for (const bool deleted : {false, true}) {
      FreshDisk();
      Open();
      CommitUpTo(20);
      Truncate(8);
      const uint64_t begun = core_->segments()->Find(9)->number;
      if (written) Commit("new");
      Crash();
      if (deleted) {
        disk_.DeleteFile(Path(begun));
      } else {
        DestroyHeaders(begun);
      }
      Open();
      EXPECT_EQ(ReadAll(), UpTo(8, written && !deleted ? Payloads{"new"} : Payloads{}))
          << report_.ToString();
      EXPECT_EQ(core_->epoch(), 2u);
      EXPECT_EQ(core_->epoch_base(), 8u);
    }
  }
}

TEST_F(WalCoreTruncateDamageTest, LosingTheSuperblockLosesNothing) {
  Open();
  CommitUpTo(20);
  Truncate(8);
  Commit("new");
  Crash();
  disk_.DeleteFile(std::string(kDirectory) + "/LOG");
  Open();
  EXPECT_EQ(ReadAll(), UpTo(8, {"new"}));
  EXPECT_EQ(core_->epoch_base(), 8u);
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
}

// Another process's reader hears of it, and gives what was written anew.
TEST_F(WalCoreTruncateDamageTest, AReaderOfTheDirectoryFollows) {
  Open();
  CommitUpTo(20);
  LogReaderOptions options;
  options.file_system = &disk_;
  auto reader = LogReader::Open(kDirectory, options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto drain = [&reader] {
    Payloads payloads;
    for (auto entry = (*reader)->Next(); entry.ok(); entry = (*reader)->Next()) {
      payloads.emplace_back(entry->record.payload);
    }
    return payloads;
  };
  EXPECT_EQ(drain().size(), 19u) << "the last is not known to be durable";
  Truncate(8);
  core_->ReleaseTrimmed();
  ASSERT_TRUE((*reader)->Refresh().ok());
  EXPECT_EQ((*reader)->limit(), 8u);
  EXPECT_EQ((*reader)->next(), 9u);
  Commit("new");
  ASSERT_TRUE(core_->WriteIdleMark().ok());
  ASSERT_TRUE((*reader)->Refresh().ok());
  EXPECT_EQ(drain(), Payloads{"new"});
}

// Of which only the last one's base is to be found.
TEST_F(WalCoreTruncateDamageTest, AReaderOfTheDirectoryFollowsSeveralTruncationsAtOnce) {
  Open();
  CommitUpTo(20);
  LogReaderOptions options;
  options.file_system = &disk_;
  auto reader = LogReader::Open(kDirectory, options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  while ((*reader)->Next().ok()) {
  }
  EXPECT_EQ((*reader)->next(), 20u);
  Truncate(8);
  core_->ReleaseTrimmed();
  for (int i = 0; i < 6; ++i) Commit("new");
  Truncate(12);
  core_->ReleaseTrimmed();
  Commit("newer");
  ASSERT_TRUE(core_->WriteIdleMark().ok());
  ASSERT_TRUE((*reader)->Refresh().ok());
  Payloads payloads;
  for (auto entry = (*reader)->Next(); entry.ok(); entry = (*reader)->Next()) {
    payloads.emplace_back(entry->record.payload);
  }
  EXPECT_EQ(payloads, Payloads({"new", "new", "new", "new", "newer"}));
}

// Not even where the number is claimed durable, the record that got it is lost, and the one
// that had it before stands right behind the cut.
TEST_F(WalCoreTruncateDamageTest, AReaderOfTheDirectoryDoesNotReadBehindTheCut) {
  Open();
  CommitUpTo(5);
  Truncate(2);
  LogReaderOptions options;
  options.file_system = &disk_;
  options.limit = LogReaderOptions::Limit::kReadable;
  auto reader = LogReader::Open(kDirectory, options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->limit(), 2u);
  Commit("new");
  ASSERT_TRUE(core_->WriteIdleMark().ok());
  const uint64_t begun = core_->segments()->Find(3)->number;
  Crash();
  std::string bytes = *disk_.ReadFileBytes(Path(begun));
  bytes.replace(kFramesOffset, 2000, 2000, '\xaa');
  disk_.WriteFileBytes(Path(begun), bytes);
  reader = LogReader::Open(kDirectory, options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  Payloads payloads;
  for (auto entry = (*reader)->Next(); entry.ok(); entry = (*reader)->Next()) {
    payloads.emplace_back(entry->kind == Entry::Kind::kLost ? "lost" : entry->record.payload);
  }
  EXPECT_EQ(payloads, UpTo(2, {"lost"}));
}

// Damage to the last record kept: it is lost, not dropped, and if it can be read another
// time it is there.
TEST_F(WalCoreTruncateDamageTest, ADamagedRecordThatIsKeptStaysPartOfTheLog) {
  Open();
  CommitUpTo(20);
  // Each is a group of its own.
  const uint64_t step = FrameBytes(kGroupBodyBytes) + FrameBytes(Payload(3).size());
  const uint64_t at = kFramesOffset + 3 * step - 8;
  disk_.FlipBit(Path(1), at, 4);
  Truncate(3);
  Commit("new");
  ASSERT_TRUE(core_->Close().ok());
  Open();
  EXPECT_EQ(ReadAll(), UpTo(2, {"lost 3..3", "new"}));
  ASSERT_TRUE(core_->Close().ok());
  disk_.FlipBit(Path(1), at, 4);
  Open();
  EXPECT_EQ(ReadAll(), UpTo(3, {"new"}));
}

}  // namespace
}  // namespace millrace
