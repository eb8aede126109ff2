// Goal: a call that fails while a log is recovered is an error, or a loss that is
// reported with its numbers; it never makes records vanish in silence, changes nothing
// on the disk, and the next recovery finds all.
// Method: a directory with a file of each kind; every single call of a recovery fails
// once, with errors of a lost place and with errors of everything.

#include <errno.h>

#include <set>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "tests/irregular_directory.h"
#include "tests/recovery_fixture.h"
#include "wal/format.h"
#include "wal/io_status.h"
#include "wal/recovery.h"
#include "wal/segment_name.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

constexpr SequenceNumber kLast = 20;

class RecoveryFaultTest : public RecoveryFixture {
 protected:
  // Records 1..20 in four segments, of which 2 has lost its headers, and files that
  // hold none: prepared, unused, damaged, another's.
  void PutEveryKind() {
    std::vector<SegmentBuilder> segments;
    segments.push_back(Segment(1, 5));
    segments.push_back(Segment(2, 5, segments[0].AsPredecessor()));
    segments.push_back(Segment(3, 5, segments[1].AsPredecessor()));
    segments.push_back(Segment(4, 5, segments[2].AsPredecessor()).IdleMark());
    for (const SegmentBuilder& segment : segments) Put(segment);
    DestroyHeaders(2);
    SegmentHeader prepared = Header(5, 1);
    prepared.state = SegmentState::kPrepared;
    Put(SegmentBuilder(prepared));
    Put(6, std::string(9000, '\0'));
    Put(7, std::string(9000, 'x'));
    SegmentHeader foreign = Header(8, 1);
    foreign.log_id.fill('o');
    Put(SegmentBuilder(foreign).Group(0));
    PutSuperblock(OwnSuperblock(kLast));
    PutCursor("c", 18);
  }

  // All numbers are in the chain or reported as lost.
  void ExpectNothingVanished(const RecoveredLog& log) {
    EXPECT_EQ(log.next_sequence, kLast + 1);
    std::set<SequenceNumber> seen;
    for (const ChainSegment& segment : log.chain) {
      for (auto s = segment.first_sequence; s <= segment.last_sequence; ++s) seen.insert(s);
    }
    for (const UnsyncedRun& run : log.unsynced) {
      for (auto s = run.first; s <= run.last; ++s) seen.insert(s);
    }
    for (const LostRange& range : report_.lost) {
      for (auto s = range.first; s <= range.last; ++s) seen.insert(s);
    }
    EXPECT_EQ(seen.size(), kLast) << report_.ToString();
  }

  // One recovery for each call that one without faults makes.
  void FailEachCall(int error, const RecoveryOptions& options) {
    constexpr FileOp kOps[] = {FileOp::kOpen, FileOp::kRead, FileOp::kStat,
                               FileOp::kList, FileOp::kSync, FileOp::kDropCache};
    for (const FileOp op : kOps) {
      const uint64_t before = disk_.Calls(op);
      ExpectNothingVanished(Recover(options));
      const uint64_t calls = disk_.Calls(op) - before;
      for (const LostRange& range : report_.lost) {
        EXPECT_EQ(range.records(), 0u) << "the headers of 2 alone: " << report_.ToString();
      }
      for (uint64_t call = 1; call <= calls; ++call) {
        SCOPED_TRACE(std::string(FileOpName(op)) + " " + std::to_string(call) + ": " +
                     std::string(ErrnoName(error)));
        const uint64_t hash = disk_.Hash();
        disk_.AddRule({.op = op, .error = error, .first = call});
        const auto log = millrace::Recover(disk_, *directory_, options, &report_);
        disk_.ClearRules();
        if (log.ok()) {
          ExpectNothingVanished(*log);
        } else {
          const bool refused = absl::IsDataLoss(log.status());
          EXPECT_TRUE(refused || ErrnoOf(log.status()) == error) << log.status();
        }
        EXPECT_EQ(disk_.Hash(), hash);
      }
    }
  }
};

TEST_F(RecoveryFaultTest, SalvageLosesNothingInSilenceWhateverCallFails) {
  PutEveryKind();
  for (const int error : {EIO, EMFILE, EACCES, ENOMEM}) FailEachCall(error, {});
}

TEST_F(RecoveryFaultTest, ReadingAllLosesNothingInSilenceWhateverCallFails) {
  PutEveryKind();
  for (const int error : {EIO, EBADF}) {
    FailEachCall(error, {.access = Access::kReadOnly, .scan = Scan::kAll});
  }
}

TEST_F(RecoveryFaultTest, StrictAndStopLoseNothingInSilenceWhateverCallFails) {
  PutEveryKind();
  FailEachCall(EIO, {.policy = RecoveryPolicy::kStrict});
}

TEST_F(RecoveryFaultTest, SegmentOffTheChainThatCannotBeReadIsLeftAlone) {
  const auto segments = PutThree();
  // The fourth names the second as what stood before it: the third is cut off.
  SegmentBuilder last(Header(4, 11, segments[1].AsPredecessor()));
  Put(last.Group(10).Record("x").IdleMark());
  EXPECT_EQ(Recover().set_aside, std::vector<std::string>({SegmentName(3)}));
  // Its header can be read, but its frames cannot: nobody knows what it holds.
  for (const int error : {EIO, EMFILE}) {
    disk_.AddRule({.op = FileOp::kOpen, .error = error, .name = SegmentName(3), .first = 2});
    const RecoveredLog log = Recover();
    EXPECT_EQ(Chain(log), "1..5 6..10 11..11");
    EXPECT_EQ(log.set_aside, std::vector<std::string>({SegmentName(3)}));
    EXPECT_EQ(log.removable, std::vector<std::string>());
    disk_.ClearRules();
  }
}

TEST_F(RecoveryFaultTest, SegmentThatCannotBeOpenedAtAllCountsAsDamaged) {
  PutThree();
  disk_.AddRule(
      {.op = FileOp::kOpen, .error = EIO, .name = SegmentName(3), .count = SimRule::kForever});
  PutSuperblock(OwnSuperblock(15));
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..10");
  EXPECT_EQ(log.next_sequence, 16u);
  EXPECT_EQ(log.next_segment, 4u);
  EXPECT_EQ(log.removable, std::vector<std::string>());
}

TEST_F(RecoveryFaultTest, WhatTurnsOutToBeNoRegularFileIsIgnored) {
  PutThree();
  Put(9, "a device, say");
  IrregularDirectory irregular(*directory_, SegmentName(9));
  const auto log = millrace::Recover(disk_, irregular, {}, &report_);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(report_.ignored_files, std::vector<std::string>({SegmentName(9)}));
  EXPECT_EQ(log->next_segment, 10u);
}

TEST_F(RecoveryFaultTest, SuperblockThatIsNoRegularFileIsRefused) {
  PutThree();
  PutSuperblock(OwnSuperblock(15));
  IrregularDirectory irregular(*directory_, std::string(kSuperblockName));
  const absl::Status refused = millrace::Recover(disk_, irregular, {}, &report_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
}

TEST_F(RecoveryFaultTest, LogThatNothingIdentifiesAnyMoreDrawsANewId) {
  Put(1, std::string(9000, 'x'));
  const RecoveredLog log = Recover();
  EXPECT_TRUE(log.exists);
  EXPECT_NE(log.log_id, LogId());
  EXPECT_EQ(Recover({.access = Access::kReadOnly}).log_id, LogId()) << "nothing is to be made";
}

}  // namespace
}  // namespace millrace
