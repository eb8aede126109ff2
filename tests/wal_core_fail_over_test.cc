// Goal: after one failed write or sync the log goes on in another segment, with every number and
// byte as it was, acknowledges nothing that is not durable there, and never touches the failed
// file again.
// Method: the core over the simulated disk, whose failed syncs drop what they were to write, as
// ext4, xfs and btrfs do, and whose later syncs of the same file return success.

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/wal_core_fixture.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

using Payloads = std::vector<std::string>;

class FailOverTest : public WalCoreFixture {
 protected:
  void FailSync(uint64_t first = 1, std::string name = "*.seg", int error = EIO) {
    disk_.AddRule({.op = FileOp::kSync,
                   .action = SimRule::Action::kLosePages,
                   .error = error,
                   .name = std::move(name),
                   .first = first});
  }
  void FailWrite(uint64_t first = 1) {
    disk_.AddRule({.op = FileOp::kWrite,
                   .action = SimRule::Action::kFail,
                   .error = EIO,
                   .name = "*.seg",
                   .first = first});
  }
  void AddOk(const std::string& body, Durability durability = Durability::kDurable) {
    ASSERT_TRUE(Add(body, durability).ok());
  }
  // Everything that no sync has covered is gone, and the log opened again.
  void PowerCut() {
    disk_.CutPower();
    core_.reset();
    disk_.PowerOn(1);
    Open();
  }
  // The number of the segment that is written to.
  uint64_t Active() const {
    std::shared_ptr<SegmentNode> node = core_->segments()->First();
    while (node->sealed()) node = node->next();
    return node->number;
  }
};

TEST_F(FailOverTest, FailedSyncLosesNothingAndTheFileIsLeftAlone) {
  Open();
  Commit("kept");
  const uint64_t failed = Active();
  FailSync();
  AddOk("second");
  ASSERT_TRUE(core_->Write().ok());
  EXPECT_TRUE(core_->Sync().ok());
  EXPECT_EQ(core_->last_durable(), 2u);
  EXPECT_EQ(core_->counters().fail_overs, 1u);
  EXPECT_NE(Active(), failed);
  Watch();
  Commit("third");
  for (const std::string& call : calls_) {
    EXPECT_EQ(call.find(SegmentName(failed)), std::string::npos) << call;
  }
  const Payloads all = {"kept", "second", "third"};
  EXPECT_EQ(ReadAll(), all);
  PowerCut();
  EXPECT_EQ(ReadAll(), all);
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
}

TEST_F(FailOverTest, FailedWriteLosesNothing) {
  Open();
  Commit("kept");
  FailWrite();
  AddOk("second");
  AddOk("third");
  EXPECT_TRUE(core_->Write().ok());
  // Logged again it is durable as well.
  EXPECT_EQ(core_->last_written(), 3u);
  EXPECT_EQ(core_->last_durable(), 3u);
  const Payloads all = {"kept", "second", "third"};
  EXPECT_EQ(ReadAll(), all);
  PowerCut();
  EXPECT_EQ(ReadAll(), all);
}

TEST_F(FailOverTest, FirstWriteOfASegmentMayFail) {
  Open();
  FillSegments(1);
  FailWrite();
  const SequenceNumber next = core_->next_sequence();
  // In which segment the failing write falls does not matter.
  for (int i = 0; i < 12; ++i) Commit(std::string(900, 'a'));
  EXPECT_EQ(core_->counters().fail_overs, 1u);
  EXPECT_EQ(core_->last_durable(), next + 11);
  const Payloads all = ReadAll();
  EXPECT_EQ(all.size(), next + 11);
  PowerCut();
  EXPECT_EQ(ReadAll(), all);
}

// ext4 with data=journal tells of a failed write at the sync after the next.
TEST_F(FailOverTest, LastAcknowledgedGroupIsLoggedAgain) {
  Open();
  Commit(std::string(5000, 'a'));
  Commit("acknowledged, and in doubt");
  const uint64_t failed = Active();
  FailSync();
  AddOk("third");
  ASSERT_TRUE(core_->Write().ok());
  ASSERT_TRUE(core_->Sync().ok());
  // The group before the last sync has gone after all.
  std::string bytes = *disk_.ReadFileBytes(Path(failed));
  const size_t at = bytes.find("acknowledged, and");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 4, 4, '\0');
  disk_.WriteFileBytes(Path(failed), bytes);
  const Payloads all = {std::string(5000, 'a'), "acknowledged, and in doubt", "third"};
  EXPECT_EQ(ReadAll(), all);
  PowerCut();
  EXPECT_EQ(ReadAll(), all);
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
}

TEST_F(FailOverTest, RecordsThatShareTheLastBlockAreLoggedAgain) {
  Open();
  for (int i = 0; i < 10; ++i) Commit("small " + std::to_string(i));
  const uint64_t failed = Active();
  FailSync();
  Commit("last");
  std::string bytes = *disk_.ReadFileBytes(Path(failed));
  // The block in which the failed write began is lost as a whole.
  const size_t at = bytes.find("small 0") / 4096 * 4096;
  bytes.replace(at, 4096, 4096, '\xff');
  disk_.WriteFileBytes(Path(failed), bytes);
  PowerCut();
  const Payloads all = ReadAll();
  ASSERT_EQ(all.size(), 11u);
  EXPECT_EQ(all.front(), "small 0");
  EXPECT_EQ(all.back(), "last");
}

TEST_F(FailOverTest, WrittenRecordsOfSeveralSegmentsAreLoggedAgain) {
  Open();
  Commit("durable");
  Payloads all = {"durable"};
  const uint64_t rotations = core_->counters().rotations;
  while (core_->counters().rotations < rotations + 3) {
    all.push_back(std::string(700, static_cast<char>('a' + all.size() % 26)));
    AddOk(all.back(), Durability::kWritten);
    ASSERT_TRUE(core_->Write().ok());
  }
  EXPECT_EQ(core_->last_durable(), 1u);
  FailSync();
  ASSERT_TRUE(core_->Sync().ok());
  EXPECT_EQ(core_->counters().fail_overs, 1u);
  EXPECT_EQ(core_->last_durable(), all.size());
  EXPECT_EQ(ReadAll(), all);
  PowerCut();
  EXPECT_EQ(ReadAll(), all);
}

TEST_F(FailOverTest, BatchesStayWholeAndTimesStay) {
  Open();
  core_->SetTime(1'000);
  AddOk("first", Durability::kWritten);
  ASSERT_TRUE(core_->Write().ok());
  core_->SetTime(2'000);
  AddOk("second", Durability::kWritten);
  ASSERT_TRUE(core_->Write().ok());
  FailSync();
  core_->SetTime(3'000);
  ASSERT_TRUE(core_->Sync().ok());
  RecordReader reader(core_->directory(), core_->log_id(), core_->segments()->Find(1), 1,
                      [] { return 1; });
  ASSERT_EQ(reader.Next(2), RecordReader::Kind::kRecord);
  EXPECT_EQ(reader.record().time_ns, 1'000);
  ASSERT_EQ(reader.Next(2), RecordReader::Kind::kRecord);
  EXPECT_EQ(reader.record().time_ns, 2'000);
}

TEST_F(FailOverTest, ReaderGoesOnWhereTheRecordsAre) {
  Open();
  for (int i = 0; i < 5; ++i) Commit("record " + std::to_string(i));
  RecordReader reader(core_->directory(), core_->log_id(), core_->segments()->Find(1), 1,
                      [] { return 1; });
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(reader.Next(core_->last_durable()), RecordReader::Kind::kRecord);
  }
  FailSync();
  Commit("after");
  Payloads rest;
  while (reader.Next(core_->last_durable()) == RecordReader::Kind::kRecord) {
    rest.emplace_back(reader.record().record.payload);
  }
  EXPECT_EQ(rest, (Payloads{"record 3", "record 4", "after"}));
}

TEST_F(FailOverTest, SecondFailureIsMendedAsWell) {
  Open();
  Payloads all;
  for (int i = 0; i < 6; ++i) {
    FailSync();
    all.push_back("record " + std::to_string(i));
    Commit(all.back());
    disk_.ClearRules();
  }
  EXPECT_EQ(core_->counters().fail_overs, 6u);
  EXPECT_EQ(ReadAll(), all);
  PowerCut();
  EXPECT_EQ(ReadAll(), all);
}

TEST_F(FailOverTest, FailureOfTheFreshSegmentIsFinalWithTheFirstError) {
  Open();
  Commit("kept");
  disk_.AddRule({.op = FileOp::kSync,
                 .action = SimRule::Action::kLosePages,
                 .error = EIO,
                 .name = "*.seg",
                 .count = SimRule::kForever});
  AddOk("lost");
  ASSERT_TRUE(core_->Write().ok());
  const absl::Status failed = core_->Sync();
  EXPECT_EQ(ErrnoOf(failed), EIO);
  EXPECT_NE(failed.message().find("and going on in another segment"), absl::string_view::npos);
  EXPECT_EQ(core_->last_durable(), 1u);
  const uint64_t calls = disk_.MutatingCalls();
  disk_.ClearRules();
  EXPECT_EQ(core_->Sync(), failed);
  EXPECT_EQ(Add("more", Durability::kDurable).status(), failed);
  EXPECT_EQ(core_->Write(), failed);
  EXPECT_EQ(core_->WriteIdleMark(), failed);
  EXPECT_EQ(core_->TrimBefore(1), failed);
  EXPECT_EQ(core_->Close(), failed);
  EXPECT_EQ(disk_.Calls(FileOp::kWrite) > 0 && disk_.MutatingCalls() == calls, true)
      << disk_.Describe();
  PowerCut();
  EXPECT_EQ(ReadAll().front(), "kept");
}

// Of the idle mark, of the mark that a trim writes, of the footer.
TEST_F(FailOverTest, FailureInBookkeepingIsMended) {
  Open();
  Commit("first");
  FailSync();
  ASSERT_TRUE(core_->WriteIdleMark().ok());
  EXPECT_EQ(core_->counters().fail_overs, 1u);
  EXPECT_TRUE(core_->NeedsIdleMark());
  ASSERT_TRUE(core_->WriteIdleMark().ok());
  EXPECT_FALSE(core_->NeedsIdleMark());
  FillSegments(3);
  disk_.ClearRules();
  FailSync();
  ASSERT_TRUE(core_->TrimBefore(core_->last_durable()).ok());
  EXPECT_EQ(core_->counters().fail_overs, 2u);
  core_->ReleaseTrimmed();
  disk_.ClearRules();
  FailSync();
  const Payloads all = ReadAll();
  ASSERT_TRUE(core_->Close().ok());
  Open();
  EXPECT_EQ(report_.outcome, RecoveryReport::Outcome::kClean);
  EXPECT_EQ(ReadAll(), all);
}

TEST_F(FailOverTest, FailedFileIsNeverUsedAgain) {
  Open();
  Commit("first");
  const uint64_t failed = Active();
  FailSync();
  Commit(std::string(3000, 'x'));
  Watch();
  FillSegments(2);
  ASSERT_TRUE(core_->TrimBefore(core_->last_durable()).ok());
  core_->ReleaseTrimmed();
  FillSegments(3);
  for (const std::string& call : calls_) {
    if (call.find(SegmentName(failed)) == std::string::npos) continue;
    EXPECT_TRUE(call.starts_with("unlink")) << call;
  }
  EXPECT_FALSE(disk_.ReadFileBytes(Path(failed)).has_value());
}

TEST_F(FailOverTest, TruncationAfterItCutsWhereItShould) {
  Open();
  Commit("one");
  FailSync();
  Commit("two");
  Commit("three");
  ASSERT_TRUE(core_->TruncateAfter(1).ok());
  core_->ReleaseTrimmed();
  EXPECT_EQ(ReadAll(), Payloads{"one"});
  Commit("other");
  PowerCut();
  EXPECT_EQ(ReadAll(), (Payloads{"one", "other"}));
}

}  // namespace
}  // namespace millrace
