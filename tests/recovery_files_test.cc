// Goal: each file in the directory is kept, removed, set aside or left alone for what it holds
// and where it stands, and for nothing else.
// Method: hand-made segments in and beside a chain; names of files that recovery hands out.

#include <errno.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/recovery_fixture.h"
#include "wal/recovery.h"

namespace millrace {
namespace {

using Names = std::vector<std::string>;

class RecoveryFilesTest : public RecoveryFixture {
 protected:
  // Three segments of which `first_retained` is the first record that is not given up.
  std::vector<SegmentBuilder> PutTrimmed(SequenceNumber first_retained) {
    auto segments = PutThree();
    Superblock superblock = OwnSuperblock();
    superblock.first_retained = first_retained;
    PutSuperblock(superblock);
    return segments;
  }
};

TEST_F(RecoveryFilesTest, SegmentOfWhichOneRecordIsRetainedIsKept) {
  const auto segments = PutTrimmed(10);
  RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "6..10 11..15");
  EXPECT_EQ(log.removable, Names{SegmentName(1)});
  EXPECT_EQ(log.below, segments[0].AsPredecessor());
  PutTrimmed(15);
  log = Recover();
  EXPECT_EQ(Chain(log), "11..15");
  EXPECT_EQ(log.removable, (Names{SegmentName(1), SegmentName(2)}));
  EXPECT_EQ(log.below, segments[1].AsPredecessor());
}

TEST_F(RecoveryFilesTest, NewestSegmentMayBeGivenUpAsAWhole) {
  const auto segments = PutTrimmed(16);
  RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "");
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(log.removable, (Names{SegmentName(1), SegmentName(2), SegmentName(3)}));
  EXPECT_EQ(log.predecessor, segments[2].AsPredecessor());
  EXPECT_EQ(log.below, segments[2].AsPredecessor());
  EXPECT_EQ(log.next_sequence, 16u);
  // Nor are numbers given again that were given up before they were written here.
  PutTrimmed(30);
  log = Recover();
  EXPECT_EQ(log.next_sequence, 30u);
  EXPECT_EQ(log.first_retained, 30u);
}

TEST_F(RecoveryFilesTest, WhatWasGivenUpIsNotRead) {
  const auto segments = PutTrimmed(11);
  SegmentBuilder later = Segment(1, 5);
  Put(later.Frame(static_cast<FrameType>(8), 0, 0, "of a newer version"));
  EXPECT_EQ(Chain(Recover()), "11..15");
  EXPECT_EQ(Lost(), "");
}

TEST_F(RecoveryFilesTest, RenamedSegmentIsRemovedIfItsRecordsWereGivenUp) {
  auto segments = PutTrimmed(11);
  Put(8, segments[1].Bytes());
  Put(9, segments[2].Bytes());
  RecoveredLog log = Recover();
  EXPECT_EQ(log.removable, (Names{SegmentName(1), SegmentName(2), SegmentName(8)}));
  EXPECT_EQ(report_.ignored_files, Names{SegmentName(9)});
  // Also where what was given up last is in the chain.
  segments = PutTrimmed(16);
  Put(8, segments[2].Bytes());
  Put(9, Segment(4, 5, segments[2].AsPredecessor()).Bytes());
  log = Recover();
  EXPECT_EQ(log.removable, (Names{SegmentName(1), SegmentName(2), SegmentName(3), SegmentName(8)}));
  EXPECT_EQ(report_.ignored_files, Names{SegmentName(9)});
}

TEST_F(RecoveryFilesTest, EmptyFileInPlaceOfALostSegmentIsLeftAlone) {
  PutThree();
  SegmentHeader prepared = Header(2, 1);
  prepared.state = SegmentState::kPrepared;
  for (const std::string& bytes : {std::string(), SegmentBuilder(prepared).Bytes()}) {
    Put(2, bytes);
    Put(4, bytes.empty() ? bytes
                         : SegmentBuilder([&] {
                             SegmentHeader next = prepared;
                             next.number = 4;
                             return next;
                           }())
                               .Bytes());
    const RecoveredLog log = Recover();
    EXPECT_EQ(Lost(), "6..10 acknowledged zeroed");
    EXPECT_EQ(report_.ignored_files, Names{SegmentName(2)});
    EXPECT_EQ(log.removable, Names{SegmentName(4)}) << "nobody misses anything there";
  }
}

// Beside a chain that does not go through it.
TEST_F(RecoveryFilesTest, SegmentCutOffIsSetAsideForWhateverItHolds) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  Put(Segment(3, 2, first.AsPredecessor()).IdleMark());
  const SegmentBuilder empty(Header(2, 6, first.AsPredecessor()));
  SegmentBuilder hole(Header(2, 6, first.AsPredecessor()));
  hole.Group(5).Group(5);
  std::string damaged = hole.Bytes();
  damaged[kFramesOffset + kFrameHeaderBytes] ^= 1;
  const std::string record = SegmentBuilder(empty).Record("6").Bytes();
  for (const std::string& bytes : {record, damaged, empty.Bytes() + "x"}) {
    Put(2, bytes);
    const RecoveredLog log = Recover();
    EXPECT_EQ(Chain(log), "1..5 6..7");
    EXPECT_EQ(log.set_aside, Names{SegmentName(2)});
    EXPECT_EQ(log.removable, Names());
  }
  Put(empty);
  const RecoveredLog log = Recover();
  EXPECT_EQ(log.removable, Names{SegmentName(2)}) << "begun, and nothing written";
  EXPECT_EQ(log.set_aside, Names());
}

// A capacity that is not to be believed bounds nothing: what stands there is found.
TEST_F(RecoveryFilesTest, SegmentCutOffIsReadToItsEnd) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  Put(Segment(3, 2, first.AsPredecessor()).IdleMark());
  for (const uint64_t capacity : {uint64_t{0}, uint64_t{1} << 40}) {
    SegmentHeader header = Header(2, 6, first.AsPredecessor());
    header.capacity = capacity;
    Put(2, SegmentBuilder(header).Bytes() + std::string(8000, '\0') + "x");
    EXPECT_EQ(Recover().set_aside, Names{SegmentName(2)}) << capacity;
  }
}

TEST_F(RecoveryFilesTest, SegmentCutOffThatNoCallOpensIsSetAside) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  Put(Segment(2, 2, first.AsPredecessor()));
  Put(Segment(3, 2, first.AsPredecessor()).IdleMark());
  // The error of a call, and not that of a newer version.
  for (const int error : {ENOSYS, EACCES}) {
    disk_.AddRule({.op = FileOp::kOpen, .error = error, .name = SegmentName(2), .first = 2});
    EXPECT_EQ(Recover().set_aside, Names{SegmentName(2)});
    disk_.ClearRules();
  }
}

TEST_F(RecoveryFilesTest, AllBehindTheFirstLossIsSetAside) {
  const auto segments = PutThree();
  Flip(2, segments[1].FrameBegin(2) + 40);
  const SegmentBuilder empty(Header(4, 16, segments[2].AsPredecessor()));
  for (const SegmentBuilder& newest : {empty, SegmentBuilder(empty).Footer()}) {
    Put(newest);
    const RecoveredLog log = Recover({.policy = RecoveryPolicy::kStopAtFirstLoss});
    EXPECT_EQ(Chain(log), "1..5 6..6");
    EXPECT_EQ(log.set_aside, (Names{SegmentName(3), SegmentName(4)}));
    EXPECT_EQ(log.removable, Names());
  }
}

TEST_F(RecoveryFilesTest, EmptySegmentBehindATornOneIsRemoved) {
  const SegmentBuilder first = Segment(1, 5);
  SegmentHeader header = Header(2, 6, first.AsPredecessor());
  header.mark = 3;
  Put(1, first.Bytes().substr(0, first.FrameBegin(5)));
  Put(SegmentBuilder(header));
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..4");
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(log.removable, Names{SegmentName(2)});
  EXPECT_EQ(log.set_aside, Names());
}

TEST_F(RecoveryFilesTest, NamesThatAreIgnoredAreInOrder) {
  PutThree();
  WriteFile(*directory_, "notes.txt", "hello");
  Put(7, std::string(9000, 'x'));
  Recover();
  EXPECT_EQ(report_.ignored_files, (Names{SegmentName(7), "notes.txt"}));
}

TEST_F(RecoveryFilesTest, HighestNumberButOneIsFollowedByTheHighest) {
  PutThree();
  Put(kMaxSegmentNumber - 1, std::string(100, 'x'));
  EXPECT_EQ(Recover().next_segment, kMaxSegmentNumber);
}

}  // namespace
}  // namespace millrace
