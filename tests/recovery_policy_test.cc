// Goal: each policy does what it says, and what promises to change nothing changes
// nothing.
// Method: hand-made logs with a known loss, recovered under every policy; the
// simulated disk's hash before and after; counters of every mutating call.

#include <errno.h>

#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "tests/recovery_fixture.h"
#include "wal/recovery.h"
#define XXH_INLINE_ALL
#include "xxhash.h"

namespace millrace {
namespace {

using Names = std::vector<std::string>;

class RecoveryPolicyTest : public RecoveryFixture {
 protected:
  // Three segments, of which record 7 is destroyed.
  std::vector<SegmentBuilder> PutDamaged() {
    auto segments = PutThree();
    Flip(2, segments[1].FrameBegin(2) + 40);
    return segments;
  }

  // The bytes of a header of a version that does not exist yet.
  std::string OfNewerVersion(std::string bytes) {
    for (int copy = 0; copy < 2; ++copy) {
      char* p = bytes.data() + copy * kBlockBytes;
      const uint32_t version = kFormatVersion + 1;
      std::memcpy(p + 16, &version, sizeof version);
      const uint64_t sum = XXH3_64bits_withSeed(p + 8, 248, 0x6d696c6c73656700 + copy);
      std::memcpy(p, &sum, sizeof sum);
    }
    return bytes;
  }
};

TEST_F(RecoveryPolicyTest, SalvageReadsOnlyWhatIsUndecided) {
  PutDamaged();
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_EQ(Lost(), "") << "met by whoever reads it";
  Recover({.scan = Scan::kAll});
  EXPECT_EQ(Lost(), "7..7 acknowledged checksum");
}

TEST_F(RecoveryPolicyTest, StrictRefusesAndChangesNothing) {
  PutDamaged();
  const uint64_t before = disk_.Hash();
  const absl::Status status = RecoverStatus({.policy = RecoveryPolicy::kStrict});
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_NE(status.ToString().find("record 7 (acknowledged): segment 2"), std::string::npos)
      << status.ToString();
  EXPECT_EQ(disk_.Hash(), before);
  EXPECT_EQ(Lost(), "7..7 acknowledged checksum");
}

TEST_F(RecoveryPolicyTest, StrictOpensAWholeLogAndOneWithATornTail) {
  const auto segments = PutThree();
  EXPECT_EQ(Chain(Recover({.policy = RecoveryPolicy::kStrict})), "1..5 6..10 11..15");
  const std::string bytes = segments[2].Bytes();
  Put(3, bytes.substr(0, segments[2].FrameBegin(5) + 60));
  EXPECT_EQ(Chain(Recover({.policy = RecoveryPolicy::kStrict})), "1..5 6..10 11..14");
}

TEST_F(RecoveryPolicyTest, StrictRefusesEveryKindOfMissingSegment) {
  for (const uint64_t number : {1, 2}) {
    PutThree();
    Remove(number);
    EXPECT_TRUE(absl::IsDataLoss(RecoverStatus({.policy = RecoveryPolicy::kStrict}))) << number;
  }
  PutThree();
  PutSuperblock(OwnSuperblock(15));
  Remove(3);
  EXPECT_TRUE(absl::IsDataLoss(RecoverStatus({.policy = RecoveryPolicy::kStrict})));
}

TEST_F(RecoveryPolicyTest, StopKeepsThePrefixAndSetsTheRestAside) {
  const auto segments = PutDamaged();
  const RecoveredLog log = Recover({.policy = RecoveryPolicy::kStopAtFirstLoss});
  EXPECT_EQ(Chain(log), "1..5 6..6");
  EXPECT_TRUE(log.starts_new_epoch);
  EXPECT_EQ(log.predecessor.number, 2u);
  EXPECT_EQ(log.predecessor.last_sequence, 6u);
  EXPECT_EQ(log.predecessor.cut, segments[1].FrameBegin(2));
  EXPECT_EQ(log.set_aside, Names{SegmentName(3)});
  EXPECT_EQ(log.removable, Names());
  EXPECT_EQ(log.next_sequence, 16u) << "no number is given twice";
  EXPECT_EQ(Lost(),
            "7..7 acknowledged checksum, 8..10 acknowledged set aside, "
            "11..15 acknowledged set aside");
  EXPECT_EQ(report_.last_recovered, 6u);
}

TEST_F(RecoveryPolicyTest, StopAtAMissingSegmentKeepsWhatComesBefore) {
  PutThree();
  Remove(2);
  const RecoveredLog log = Recover({.policy = RecoveryPolicy::kStopAtFirstLoss});
  EXPECT_EQ(Chain(log), "1..5");
  EXPECT_EQ(log.set_aside, Names{SegmentName(3)});
  EXPECT_EQ(Lost(), "6..10 acknowledged missing segment, 11..15 acknowledged set aside");
}

TEST_F(RecoveryPolicyTest, StopWithoutALossIsAnOrdinaryOpen) {
  PutThree();
  const RecoveredLog log = Recover({.policy = RecoveryPolicy::kStopAtFirstLoss});
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_FALSE(log.starts_new_epoch);
  EXPECT_EQ(log.set_aside, Names());
}

TEST_F(RecoveryPolicyTest, AStopIsNotALossForTheNextOpen) {
  // As the next epoch's first header states it after StopKeepsThePrefix.
  const auto segments = PutDamaged();
  SegmentHeader header = Header(4, 16, {2, 1002, 6, segments[1].FrameBegin(2), 0});
  header.epoch = 2;
  Put(SegmentBuilder(header).Group(15).Record("16").Footer());
  for (const RecoveryPolicy policy :
       {RecoveryPolicy::kSalvage, RecoveryPolicy::kStrict, RecoveryPolicy::kStopAtFirstLoss}) {
    const RecoveredLog log = Recover({.policy = policy});
    EXPECT_EQ(Chain(log), "1..5 6..6 16..16");
    EXPECT_FALSE(log.starts_new_epoch);
    EXPECT_EQ(log.epoch, 2u);
    EXPECT_EQ(Lost(), "7..15 acknowledged set aside");
    EXPECT_EQ(log.set_aside, Names{SegmentName(3)}) << "a crash came before the renaming";
  }
}

// Of the numbers that a stop leaves out only some had been acknowledged, and no later mark
// makes it more.
TEST_F(RecoveryPolicyTest, AStopDoesNotMakeNumbersAcknowledged) {
  const auto segments = PutDamaged();
  SegmentHeader header = Header(4, 16, {2, 1002, 6, segments[1].FrameBegin(2), 0});
  header.epoch = 2;
  header.mark = 12;
  Put(SegmentBuilder(header));
  for (const RecoveryPolicy policy :
       {RecoveryPolicy::kSalvage, RecoveryPolicy::kStrict, RecoveryPolicy::kStopAtFirstLoss}) {
    const RecoveredLog empty = Recover({.policy = policy});
    EXPECT_EQ(Lost(), "7..12 acknowledged set aside, 13..15 acknowledgement unknown set aside");
    EXPECT_EQ(empty.next_sequence, 16u) << "no number is given twice";
  }
  header.mark = 3;
  Put(SegmentBuilder(header).Group(15).Record("16").IdleMark());
  for (const RecoveryPolicy policy :
       {RecoveryPolicy::kSalvage, RecoveryPolicy::kStrict, RecoveryPolicy::kStopAtFirstLoss}) {
    const RecoveredLog log = Recover({.policy = policy});
    EXPECT_EQ(Chain(log), "1..5 6..6 16..16");
    EXPECT_EQ(log.mark, 16u);
    EXPECT_EQ(Lost(), "7..15 acknowledgement unknown set aside");
    EXPECT_EQ(log.epoch_base, 6u) << "the superblock does not tell; the header does";
  }
}

TEST_F(RecoveryPolicyTest, ANewerVersionIsRefusedBeforeAnythingIsTouched) {
  const auto segments = PutThree();
  Put(9, OfNewerVersion(SegmentBuilder(Header(9, 16)).Bytes()));
  const uint64_t before = disk_.Hash();
  const uint64_t syncs = disk_.Calls(FileOp::kSync);
  EXPECT_TRUE(absl::IsUnimplemented(RecoverStatus()));
  EXPECT_EQ(disk_.Hash(), before);
  EXPECT_EQ(disk_.Calls(FileOp::kSync), syncs);

  Remove(9);
  SegmentBuilder later = Segment(3, 2, segments[1].AsPredecessor());
  later.Frame(static_cast<FrameType>(8), 0, 0, "of a newer version");
  Put(later);
  EXPECT_TRUE(absl::IsUnimplemented(RecoverStatus()));

  // Nor where the log does not go through that segment any more.
  Put(Segment(4, 2, segments[1].AsPredecessor()));
  EXPECT_TRUE(absl::IsUnimplemented(RecoverStatus()));
}

TEST_F(RecoveryPolicyTest, ReadOnlyMakesNoCallThatChangesOrSyncs) {
  const auto segments = PutDamaged();
  DestroyHeaders(1);
  Put(3, segments[2].Bytes().substr(0, segments[2].FrameBegin(5) + 60));
  Put(4, std::string(9000, 'x'));
  Put(5, "");
  PutSuperblock(OwnSuperblock(12));
  PutCursor("c", 13);
  uint64_t disturbing = 0;
  disk_.SetHook([&](const FileCall& call) {
    switch (call.op) {
      case FileOp::kOpen:
      case FileOp::kRead:
      case FileOp::kStat:
      case FileOp::kList:
        return SimVerdict::kProceed;
      default:
        ++disturbing;
        return SimVerdict::kProceed;
    }
  });
  const uint64_t before = disk_.Hash();
  const uint64_t mutations = disk_.MutatingCalls();
  for (const Scan scan : {Scan::kUndecided, Scan::kAll}) {
    const RecoveredLog log = Recover({.access = Access::kReadOnly, .scan = scan});
    EXPECT_EQ(Chain(log), "1..5 6..10 11..14");
  }
  EXPECT_EQ(disturbing, 0u);
  EXPECT_EQ(disk_.MutatingCalls(), mutations);
  EXPECT_EQ(disk_.Hash(), before);
  disk_.SetHook(nullptr);
}

TEST_F(RecoveryPolicyTest, ReadWriteSyncsWhatIsUndecidedBeforeReadingIt) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  Put(Segment(2, 3, first.AsPredecessor()));
  const std::string active = SegmentName(2);
  uint64_t synced = 0;
  uint64_t dropped = 0;
  uint64_t frames_read_before = 0;
  disk_.SetHook([&](const FileCall& call) {
    EXPECT_FALSE(call.name == SegmentName(1) && call.op == FileOp::kSync) << "proven durable";
    if (call.name == active && call.op == FileOp::kSync) ++synced;
    if (call.name == active && call.op == FileOp::kDropCache) dropped += synced;
    if (call.name == active && call.op == FileOp::kRead && call.offset >= kFramesOffset) {
      if (dropped == 0) ++frames_read_before;
    }
    return SimVerdict::kProceed;
  });
  EXPECT_EQ(Chain(Recover()), "1..5 6..8");
  EXPECT_EQ(synced, 1u);
  EXPECT_EQ(dropped, 1u);
  EXPECT_EQ(frames_read_before, 0u);
  disk_.SetHook(nullptr);
}

TEST_F(RecoveryPolicyTest, WhatPreventsReadingIsAnErrorNotALoss) {
  PutThree();
  for (const int error : {EMFILE, EACCES, ENOMEM}) {
    disk_.AddRule({.op = FileOp::kOpen, .error = error, .name = SegmentName(2)});
    const absl::Status status = RecoverStatus();
    EXPECT_FALSE(status.ok()) << error;
    EXPECT_FALSE(absl::IsDataLoss(status)) << status.ToString();
    disk_.ClearRules();
  }
  EXPECT_EQ(Chain(Recover()), "1..5 6..10 11..15");
}

}  // namespace
}  // namespace millrace
