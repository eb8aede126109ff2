// Goal: what truncations dropped stays dropped, whichever segment is lost.
// Method: EpochBases alone; then logs truncated several times, of which each segment file is
// taken away in turn, with the files of dropped segments put back as if their deletion
// had been lost.

#include "wal/epoch_bases.h"

#include <map>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/reader_lines.h"
#include "tests/wal_core_fixture.h"

namespace millrace {
namespace {

TEST(EpochBasesTest, TellsTheLowestBaseOfAllLaterEpochs) {
  EpochBases bases;
  EXPECT_EQ(bases.HighestOf(1), kMaxSequence);
  bases.Push(2, 100);
  bases.Push(3, 200);
  bases.Push(4, 150);
  EXPECT_EQ(bases.HighestOf(1), 100u);
  EXPECT_EQ(bases.HighestOf(2), 150u);
  EXPECT_EQ(bases.HighestOf(3), 150u);
  EXPECT_EQ(bases.HighestOf(4), kMaxSequence);
  bases.Push(5, 0);
  for (uint64_t epoch = 1; epoch < 5; ++epoch) EXPECT_EQ(bases.HighestOf(epoch), 0u);
  EXPECT_EQ(bases.entries[1].epoch, 0u) << "nothing else says anything any more";
}

TEST(EpochBasesTest, ForgetsTheOldestWhereThereIsNoRoom) {
  EpochBases bases;
  for (uint64_t epoch = 2; epoch <= 8; ++epoch) bases.Push(epoch, 10 * epoch);
  EXPECT_EQ(bases.entries.front(), (EpochBases::Entry{4, 40}));
  EXPECT_EQ(bases.entries.back(), (EpochBases::Entry{8, 80}));
  EXPECT_EQ(bases.HighestOf(1), 40u);
  bases.Push(8, 80);
  EXPECT_EQ(bases.entries.back(), (EpochBases::Entry{8, 80})) << "said twice";
  EXPECT_EQ(bases.entries.front(), (EpochBases::Entry{4, 40}));
}

class EpochBasesLogTest : public WalCoreFixture {
 protected:
  // Keeps a copy of every segment's file that there ever was.
  void Remember() {
    for (const std::string& name : disk_.FileNames(kDirectory)) {
      if (!name.ends_with(".seg")) continue;
      const std::string path = std::string(kDirectory) + "/" + name;
      files_[path] = *disk_.ReadFileBytes(path);
    }
  }

  // Records first..last, which say in which epoch they were written.
  void CommitUpTo(SequenceNumber last) {
    while (core_->last_durable() < last) {
      Commit("epoch " + std::to_string(core_->epoch()) + " record " +
             std::to_string(core_->next_sequence()));
    }
    Remember();
  }

  void TruncateAfter(SequenceNumber last) {
    ASSERT_TRUE(core_->TruncateAfter(last).ok());
    core_->ReleaseTrimmed();
    Remember();
  }

  std::map<std::string, std::string> files_;
};

TEST_F(EpochBasesLogTest, DroppedRecordsAreNotReadInPlaceOfALostSegment) {
  Open();
  CommitUpTo(10);
  TruncateAfter(5);
  CommitUpTo(9);
  TruncateAfter(7);
  CommitUpTo(12);
  ASSERT_EQ(core_->epoch(), 3u);
  const std::string newest = Path(core_->segments()->Find(12)->number);
  ASSERT_TRUE(core_->Close().ok());
  const std::vector<std::string> expected = {
      "epoch 1 record 1", "epoch 1 record 2",  "epoch 1 record 3",  "epoch 1 record 4",
      "epoch 1 record 5", "epoch 2 record 6",  "epoch 2 record 7",  "epoch 3 record 8",
      "epoch 3 record 9", "epoch 3 record 10", "epoch 3 record 11", "epoch 3 record 12"};
  for (const auto& [path, bytes] : files_) {
    if (!disk_.ReadFileBytes(path).has_value()) disk_.WriteFileBytes(path, bytes);
  }
  for (const auto& [path, bytes] : files_) {
    for (const bool superblock : {true, false}) {
      SCOPED_TRACE(path + (superblock ? "" : " and LOG"));
      // Of an epoch that neither a segment nor the superblock knows any more nothing tells.
      if (!superblock && path == newest) continue;
      const std::unique_ptr<SimFileSystem> disk = disk_.Clone();
      disk->DeleteFile(path);
      if (!superblock) disk->DeleteFile(std::string(kDirectory) + "/LOG");
      std::unique_ptr<Directory> directory;
      ASSERT_EQ(disk->OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory), 0);
      InlineSegmentSupply supply;
      auto core = WalCore::Open(*disk, std::move(directory), options_, &supply, 0, &report_);
      ASSERT_TRUE(core.ok()) << core.status();
      core_ = std::move(*core);
      SequenceNumber next = 1;
      for (const std::string& body : ReadAll()) {
        if (body.starts_with("lost ")) {
          next = std::stoull(body.substr(body.find("..") + 2)) + 1;
          continue;
        }
        ASSERT_LE(next, expected.size());
        EXPECT_EQ(body, expected[next - 1]);
        ++next;
      }
      core_.reset();
    }
  }
}

// What was dropped is no beginning to look for what was kept.
TEST_F(EpochBasesLogTest, DroppedSegmentThatLostItsHeadersHidesNothing) {
  Open();
  std::vector<std::string> kept;
  for (int i = 1; i <= 12; ++i) {
    const std::string body = std::to_string(i) + std::string(2500, 'b');
    if (i <= 5) kept.push_back(body);
    Commit(body);
  }
  Remember();
  const std::string dropped = Path(core_->segments()->Find(12)->number);
  TruncateAfter(5);
  Commit("of epoch 2");
  const std::string newest = Path(core_->segments()->Find(6)->number);
  Crash();
  std::string bytes = files_[dropped];
  for (const size_t copy : {0, 1}) bytes.replace(copy * kBlockBytes, kBlockBytes, kBlockBytes, 0);
  disk_.WriteFileBytes(dropped, bytes);
  disk_.DeleteFile(newest);
  Open();
  std::vector<std::string> read = ReadAll();
  ASSERT_GE(read.size(), kept.size()) << report_.ToString();
  read.resize(kept.size());
  EXPECT_EQ(read, kept) << report_.ToString();
}

// Neither a header nor the superblock tells where the epoch began: then what recovery keeps of the
// older one says it to the openings that follow.
TEST_F(EpochBasesLogTest, OpeningStatesWhereAnEpochBeganThatNothingElseTells) {
  Open();
  CommitUpTo(10);
  TruncateAfter(5);
  CommitUpTo(9);
  const std::vector<std::string> expected = ReadAll();
  const std::string newest = Path(core_->segments()->Find(9)->number);
  Crash();
  std::string bytes = *disk_.ReadFileBytes(newest);
  for (const size_t copy : {0, 1}) bytes[copy * kBlockBytes + 100] ^= 1;
  disk_.WriteFileBytes(newest, bytes);
  disk_.DeleteFile(std::string(kDirectory) + "/LOG");
  for (int opening = 0; opening < 3; ++opening) {
    SCOPED_TRACE(opening);
    Open();
    EXPECT_EQ(core_->epoch(), 2u);
    EXPECT_EQ(core_->epoch_base(), 5u);
    EXPECT_EQ(ReadAll(), expected) << report_.ToString();
    EXPECT_EQ(report_.records_lost(), 0u) << report_.ToString();
    ASSERT_TRUE(core_->Close().ok());
  }
}

// Every header of the epoch is lost, and the superblock; a cursor was moved in it.
TEST_F(EpochBasesLogTest, CursorAloneKnowsTheEpochAndWhatItCommittedIsNamed) {
  Open();
  std::vector<std::string> expected;
  do {
    expected.push_back(std::to_string(expected.size()) + std::string(2500, 'b'));
    Commit(expected.back());
  } while (core_->segments()->Find(expected.size()) == core_->segments()->Find(1));
  expected.pop_back();  // it is in the second segment, which the truncation drops as a whole
  const SequenceNumber base = expected.size();
  TruncateAfter(base);
  CommitUpTo(base + 5);
  const CursorSlot cursor = {.log_id = core_->log_id(),
                             .generation = 1,
                             .epoch = core_->epoch(),
                             .committed = base + 3,
                             .name = "audit"};
  std::string slots(2 * kBlockBytes, '\0');
  EncodeCursorSlot(cursor, 1, std::span<char, kSlotBytes>(&slots[kBlockBytes], kSlotBytes));
  const std::string first = Path(core_->segments()->Find(1)->number);
  Crash();
  disk_.WriteFileBytes(std::string(kDirectory) + "/audit.cursor", slots);
  for (const auto& [path, bytes] : files_) {
    if (path != first) disk_.DeleteFile(path);
  }
  disk_.DeleteFile(std::string(kDirectory) + "/LOG");
  Open();
  EXPECT_EQ(core_->epoch(), 2u);
  EXPECT_EQ(core_->epoch_base(), base);
  EXPECT_EQ(core_->next_sequence(), base + 4);
  EXPECT_EQ(report_.records_lost(), 3u) << report_.ToString();
  expected.push_back("lost " + std::to_string(base + 1) + ".." + std::to_string(base + 3));
  Commit("goes on");
  expected.push_back("goes on");
  EXPECT_EQ(ReadAll(), expected) << report_.ToString();
}

// The segments of the live epoch are lost, and of the one before it what was kept is damaged:
// what the file goes on with is still what the truncation dropped.
TEST_F(EpochBasesLogTest, ReaderDoesNotGoOnToDroppedRecordsWhereNoneOfTheKeptIsIntact) {
  Open();
  CommitUpTo(10);
  const std::string first = Path(core_->segments()->Find(1)->number);
  TruncateAfter(3);
  CommitUpTo(8);
  const std::string newest = Path(core_->segments()->Find(8)->number);
  ASSERT_TRUE(core_->Close().ok());
  // Records 4 and up are where they were.
  std::string bytes = files_[first];
  const size_t dropped = bytes.find("epoch 1 record 4");
  ASSERT_NE(dropped, std::string::npos);
  const size_t kept = dropped - kFrameHeaderBytes - kFramesOffset;
  bytes.replace(kFramesOffset, kept, kept, 0);
  disk_.WriteFileBytes(first, bytes);
  disk_.DeleteFile(newest);
  std::vector<std::string> expected;
  for (int i = 1; i <= 8; ++i) expected.push_back(std::to_string(i) + " lost");
  EXPECT_EQ(ReaderLines(&disk_, kDirectory), expected);
}

}  // namespace
}  // namespace millrace
