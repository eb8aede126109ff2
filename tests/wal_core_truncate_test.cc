// Goal: a truncation drops exactly what follows the number it names, for good, and leaves
// the log as it was when it is refused.
// Method: WalCore over the simulated file system; every number of a log of several segments,
// and every failing call.

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/wal_core_truncate_fixture.h"
#include "wal/format.h"
#include "wal/segment_name.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

class WalCoreTruncateTest : public WalCoreTruncateFixture {};

TEST_F(WalCoreTruncateTest, EveryNumberCanBeTheLastKept) {
  for (SequenceNumber s = 0; s <= 25; ++s) {
    FreshDisk();
    Open();
    CommitUpTo(25);
    ASSERT_GE(core_->counters().rotations, 3u);
    Truncate(s);
    EXPECT_EQ(core_->epoch(), s == 25 ? 1u : 2u);
    EXPECT_EQ(ReadAll(), UpTo(s));
    core_->ReleaseTrimmed();
    Commit("new");
    EXPECT_EQ(ReadAll(), UpTo(s, {"new"})) << s;
    if (s % 2 == 0) {
      ASSERT_TRUE(core_->Close().ok());
    } else {
      Crash();
    }
    options_.recovery_policy = RecoveryPolicy::kStrict;
    Open();
    EXPECT_TRUE(report_.lost.empty()) << s << ": " << report_.ToString();
    EXPECT_EQ(ReadAll(), UpTo(s, {"new"})) << s;
    EXPECT_EQ(core_->next_sequence(), s + 2);
    if (s < 25) {
      EXPECT_EQ(core_->epoch(), 2u);
      EXPECT_EQ(core_->epoch_base(), s);
    }
  }
}

TEST_F(WalCoreTruncateTest, WithNothingToDropItWritesNothing) {
  Open();
  CommitUpTo(3);
  Watch();
  Truncate(3);
  EXPECT_TRUE(calls_.empty());
  EXPECT_EQ(core_->epoch(), 1u);
  // What is only gathered counts.
  ASSERT_TRUE(Add("four", Durability::kDurable).ok());
  ASSERT_TRUE(core_->TruncateAfter(4).ok());
  EXPECT_EQ(core_->last_written(), 4u);
  EXPECT_EQ(core_->epoch(), 1u);
}

TEST_F(WalCoreTruncateTest, DropsWhatIsGatheredAndWhatWaitsForASyncInSeveralSegments) {
  Open();
  CommitUpTo(2);
  while (core_->counters().rotations < 3) {
    ASSERT_TRUE(Add(Payload(core_->next_sequence()), Durability::kWritten).ok());
    ASSERT_TRUE(core_->Write().ok());
  }
  ASSERT_TRUE(Add("gathered", Durability::kDurable).ok());
  ASSERT_GT(core_->last_written(), 10u);
  Truncate(8);
  EXPECT_EQ(core_->unsynced_bytes(), 0u);
  EXPECT_EQ(core_->gathered_bytes(), 0u);
  Crash();
  disk_.CutPower();
  disk_.PowerOn(3);
  Open();
  EXPECT_EQ(ReadAll(), UpTo(8)) << "what is kept is durable, whatever it was before";
}

TEST_F(WalCoreTruncateTest, OutOfRangeIsRefusedAndTheLogGoesOn) {
  Open();
  CommitUpTo(20);
  ASSERT_TRUE(core_->TrimBefore(14).ok());
  core_->ReleaseTrimmed();
  const SequenceNumber first = core_->first_retained();
  ASSERT_GT(first, 2u);
  const absl::Status above = core_->TruncateAfter(21);
  EXPECT_TRUE(absl::IsOutOfRange(above)) << above;
  const absl::Status below = core_->TruncateAfter(first - 2);
  EXPECT_TRUE(absl::IsOutOfRange(below)) << below;
  EXPECT_NE(below.ToString().find("choose one from " + std::to_string(first - 1)),
            std::string::npos)
      << below;
  EXPECT_TRUE(absl::IsOutOfRange(core_->TruncateAfter(~SequenceNumber{0})));
  EXPECT_TRUE(core_->status().ok());
  EXPECT_EQ(core_->epoch(), 1u);
  CommitUpTo(21);
}

TEST_F(WalCoreTruncateTest, ABatchIsNotSplit) {
  Open();
  CommitUpTo(2);
  AddBatch(3);
  CommitUpTo(7);
  for (const SequenceNumber s : {3, 4}) {
    const absl::Status status = core_->TruncateAfter(s);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_NE(status.ToString().find("records 3 to 5"), std::string::npos) << status;
    EXPECT_TRUE(core_->status().ok());
    EXPECT_EQ(core_->last_durable(), 7u);
  }
  Truncate(5);
  Truncate(2);
  EXPECT_EQ(ReadAll(), UpTo(2));
}

TEST_F(WalCoreTruncateTest, EverythingCanBeDroppedAfterATrim) {
  Open();
  CommitUpTo(20);
  ASSERT_TRUE(core_->TrimBefore(14).ok());
  const SequenceNumber first = core_->first_retained();
  Truncate(first - 1);
  EXPECT_EQ(core_->first_retained(), first);
  Commit("new");
  EXPECT_EQ(ReadAll(), Payloads{"new"});
  // Killed before the trimmed and dropped files went.
  Crash();
  Open();
  EXPECT_EQ(ReadAll(), Payloads{"new"});
  EXPECT_EQ(report_.first_retained, first);
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
  EXPECT_FALSE(disk_.ReadFileBytes(Path(1)).has_value());
  Truncate(first - 1);
  Crash();
  Open();
  EXPECT_EQ(core_->next_sequence(), first);
}

TEST_F(WalCoreTruncateTest, TruncationsFollowOneAnother) {
  Open();
  CommitUpTo(20);
  Truncate(15);
  Truncate(9);
  Truncate(9);
  EXPECT_EQ(core_->epoch(), 3u);
  CommitUpTo(16);
  Truncate(12);
  EXPECT_EQ(core_->epoch(), 4u);
  EXPECT_EQ(core_->epoch_base(), 12u);
  core_->ReleaseTrimmed();
  Crash();
  Open();
  EXPECT_EQ(ReadAll(), UpTo(12));
  Truncate(0);
  Crash();
  Open();
  EXPECT_EQ(core_->next_sequence(), 1u);
  EXPECT_EQ(core_->epoch(), 5u);
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
}

// The numbers were acknowledged once, under the old epoch: those marks are void.
TEST_F(WalCoreTruncateTest, TornAppendsThatReuseTheNumbersAreNoLoss) {
  Open();
  CommitUpTo(20);
  ASSERT_TRUE(core_->WriteIdleMark().ok());
  Truncate(9);
  ASSERT_TRUE(Add("torn", Durability::kDurable).ok());
  ASSERT_TRUE(core_->Write().ok());
  const uint64_t segment = core_->segments()->Find(10)->number;
  Crash();
  disk_.FlipBit(Path(segment), kFramesOffset + FrameBytes(kGroupBodyBytes) + 33, 1);
  options_.recovery_policy = RecoveryPolicy::kStrict;
  Open();
  EXPECT_EQ(ReadAll(), UpTo(9));
  EXPECT_EQ(core_->next_sequence(), 10u);
  EXPECT_EQ(report_.mark, 9u);
}

TEST_F(WalCoreTruncateTest, TheHeaderIsDurableBeforeAnyFileGoes) {
  Open();
  CommitUpTo(25);
  Watch();
  Truncate(7);
  const uint64_t begun = core_->segments()->Find(8)->number;
  const size_t header = Find("sync " + SegmentName(begun) + "@0");
  ASSERT_LT(header, calls_.size());
  EXPECT_LT(header, Find("write LOG@0") + Find("write LOG@4096"));
  for (const std::string& call : calls_) {
    EXPECT_FALSE(call.starts_with("unlink") || call.starts_with("rename")) << call;
  }
  core_->ReleaseTrimmed();
  EXPECT_FALSE(disk_.ReadFileBytes(Path(3)).has_value());
}

TEST_F(WalCoreTruncateTest, DroppedFilesAreRecycled) {
  Open();
  for (int i = 0; i < 4; ++i) {
    CommitUpTo(20);
    Truncate(5);
    core_->ReleaseTrimmed();
  }
  EXPECT_GT(core_->counters().recycled_segments, 2u);
  Crash();
  Open();
  EXPECT_EQ(ReadAll(), UpTo(5));
}

// The chain is made anew; who holds a node of the old one still pins its files.
TEST_F(WalCoreTruncateTest, DoesNotRecycleWhatAReaderHoldsOfTheOldChain) {
  Open();
  CommitUpTo(20);
  std::shared_ptr<SegmentNode> pin = core_->segments()->First();
  Truncate(18);
  core_->ReleaseTrimmed();
  EXPECT_NE(core_->segments()->First(), pin);
  ASSERT_TRUE(core_->TrimBefore(19).ok());
  core_->ReleaseTrimmed();
  FillSegments(3);
  EXPECT_EQ(core_->counters().recycled_segments, 0u);
  pin.reset();
  FillSegments(3);
  EXPECT_EQ(core_->counters().recycled_segments, 2u);
}

TEST_F(WalCoreTruncateTest, EveryFailedCallDropsAllOrNothing) {
  int failures = 0;
  for (const FileOp op : {FileOp::kWrite, FileOp::kSync, FileOp::kOpen, FileOp::kDirectorySync}) {
    for (uint64_t call = 1;; ++call) {
      FreshDisk();
      Open();
      CommitUpTo(20);
      const int rule = disk_.AddRule(
          {.op = op, .action = SimRule::Action::kFail, .error = EIO, .name = "*", .first = call});
      const absl::Status status = core_->TruncateAfter(8);
      const bool hit = disk_.RuleHits(rule) > 0;
      disk_.ClearRules();
      if (status.ok()) {
        if (!hit) break;
        continue;  // preparing ahead may fail
      }
      ++failures;
      EXPECT_EQ(core_->last_durable(), 20u);
      if (core_->status().ok()) {
        EXPECT_EQ(op, FileOp::kOpen) << "only reading may fail without consequences";
        CommitUpTo(21);
      } else {
        EXPECT_EQ(core_->status(), status);
        EXPECT_EQ(core_->TruncateAfter(8), status);
        EXPECT_EQ(Add("more", Durability::kDurable).status(), status);
      }
      Crash();
      Open();
      const Payloads read = ReadAll();
      EXPECT_TRUE(read == UpTo(8) || read == UpTo(20) || read == UpTo(21))
          << status << ": " << read.size();
      EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
    }
  }
  EXPECT_GE(failures, 4);
}

TEST_F(WalCoreTruncateTest, ACrashBeforeTheSuperblockIsRaisedKeepsTheEpochBase) {
  Open();
  CommitUpTo(20);
  disk_.AddRule({.op = FileOp::kWrite,
                 .action = SimRule::Action::kFail,
                 .error = EIO,
                 .name = "LOG",
                 .count = SimRule::kForever});
  ASSERT_FALSE(core_->TruncateAfter(8).ok());
  disk_.ClearRules();
  EXPECT_EQ(LoadSuperblock().epoch, 1u);
  Crash();
  Open();
  EXPECT_EQ(ReadAll(), UpTo(8));
  EXPECT_EQ(core_->epoch(), 2u);
  EXPECT_EQ(core_->epoch_base(), 8u);
  EXPECT_EQ(LoadSuperblock().epoch, 2u);
  EXPECT_EQ(LoadSuperblock().epoch_base, 8u);
}

}  // namespace
}  // namespace millrace
