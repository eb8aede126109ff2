// Goal: each gap in the numbers is a loss, a cut or nothing by where the mark is, what stands
// behind it and which boot wrote it; and its range, place and cause are named exactly.
// Method: hand-made segments with one gap, and the same with the mark, or the gap, off by one.

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "millrace/testing/forwarding_file_system.h"
#include "tests/recovery_fixture.h"
#include "wal/recovery.h"

namespace millrace {
namespace {

using Outcome = RecoveryReport::Outcome;

class RecoveryGapTest : public RecoveryFixture {
 protected:
  // Records 1..5 and a group of mark `mark`, as written in this boot or in another one.
  SegmentBuilder Five(SequenceNumber mark, uint64_t boot_id = kOtherBoot) {
    SegmentHeader header = Header(1, 1);
    header.boot_id = boot_id;
    SegmentBuilder segment(header);
    segment.Group(0);
    for (int i = 1; i <= 5; ++i) segment.Record(std::to_string(i));
    segment.Group(mark);
    return segment;
  }
  // With the given records destroyed, which are frames 1 to 5.
  void PutWithout(const SegmentBuilder& segment, std::initializer_list<size_t> records) {
    Put(segment);
    for (const size_t record : records) {
      Flip(segment.header().number, segment.FrameBegin(record) + kFrameHeaderBytes);
    }
  }
  void ExpectPlace(const LostRange& lost, uint64_t segment, uint64_t begin, uint64_t end) {
    EXPECT_EQ(lost.segment, segment);
    EXPECT_EQ(lost.begin, begin);
    EXPECT_EQ(lost.end, end);
  }
};

// --- The mark ---------------------------------------------------------------------

TEST_F(RecoveryGapTest, MarkDividesAGapIntoLossAndCut) {
  const struct {
    SequenceNumber mark;
    const char* chain;
    const char* lost;
  } cases[] = {
      {2, "1..2", "3..5 acknowledgement unknown checksum"},
      {3, "1..2", "3..3 acknowledged checksum, 4..5 acknowledgement unknown checksum"},
      {4, "1..5", "3..4 acknowledged checksum"},
      {5, "1..5", "3..4 acknowledged checksum"},
  };
  for (const auto& c : cases) {
    PutWithout(Five(c.mark), {3, 4});
    EXPECT_EQ(Chain(Recover()), c.chain) << c.mark;
    EXPECT_EQ(Lost(), c.lost) << c.mark;
  }
}

TEST_F(RecoveryGapTest, CutIsCountedInRecordsAndBytes) {
  const SegmentBuilder segment = Five(0);
  Put(1, segment.Bytes() + "tail");
  Flip(1, segment.FrameBegin(3) + kFrameHeaderBytes);
  const RecoveredLog log = Recover();
  EXPECT_EQ(log.next_sequence, 3u);
  EXPECT_EQ(report_.tail_segment, 1u);
  EXPECT_EQ(report_.tail_offset, segment.FrameBegin(3));
  EXPECT_EQ(report_.tail_records_dropped, 2u);
  EXPECT_EQ(report_.tail_bytes, segment.offset() - segment.FrameBegin(3) + 4);
  EXPECT_EQ(report_.last_recovered, 2u);
  ASSERT_EQ(report_.lost.size(), 1u);
  ExpectPlace(report_.lost[0], 1, segment.FrameBegin(3), segment.FrameBegin(4));
}

// --- This boot --------------------------------------------------------------------

TEST_F(RecoveryGapTest, InTheSameBootWhatIsGoneAboveTheMarkHadBeenWritten) {
  PutWithout(Five(3, disk_.BootId()), {3, 4});
  Recover();
  EXPECT_EQ(Lost(), "3..3 acknowledged checksum, 4..5 written checksum");
  PutWithout(Five(2, disk_.BootId()), {3, 4});
  EXPECT_TRUE(absl::IsDataLoss(RecoverStatus({.policy = RecoveryPolicy::kStrict})));
  EXPECT_EQ(Lost(), "3..4 written checksum");
  PutWithout(Five(3), {3, 4});
  EXPECT_TRUE(absl::IsDataLoss(RecoverStatus({.policy = RecoveryPolicy::kStrict})));
  EXPECT_EQ(Lost(), "3..3 acknowledged checksum, 4..4 acknowledgement unknown checksum");
}

TEST_F(RecoveryGapTest, DamageBehindWhichNoRecordStandsIsATearInAnyBoot) {
  for (const uint64_t boot : {kOtherBoot, disk_.BootId()}) {
    // A mark follows, and a segment that was begun.
    const SegmentBuilder first = Five(0, boot);
    PutWithout(first, {5});
    EXPECT_EQ(Chain(Recover({.policy = RecoveryPolicy::kStrict})), "1..4");
    EXPECT_EQ(Lost(), "");
    SegmentHeader header = Header(2, 6, first.AsPredecessor());
    header.mark = 4;
    header.boot_id = boot;
    Put(SegmentBuilder(header));
    EXPECT_EQ(Chain(Recover({.policy = RecoveryPolicy::kStrict})), "1..4");
    EXPECT_EQ(Lost(), "");
    EXPECT_EQ(report_.tail_offset, first.FrameBegin(5));
    // Where the file just ends there, the same.
    Put(1, first.Bytes().substr(0, first.FrameBegin(5)));
    EXPECT_EQ(Chain(Recover({.policy = RecoveryPolicy::kStrict})), "1..4");
    EXPECT_EQ(Lost(), "");
    Remove(2);
  }
}

TEST_F(RecoveryGapTest, InTheSameBootALostSegmentWasWritten) {
  Put(Segment(1, 5));
  SegmentHeader header = Header(3, 11, {2, 1002, 10, 9000, 0});
  header.mark = 5;
  for (const uint64_t boot : {kOtherBoot, disk_.BootId()}) {
    header.boot_id = boot;
    Put(SegmentBuilder(header).Group(5).Record("11"));
    EXPECT_EQ(Chain(Recover()), "1..5");
    EXPECT_EQ(Lost(), boot == kOtherBoot ? "6..11 acknowledgement unknown missing segment"
                                         : "6..11 written missing segment");
    ExpectPlace(report_.lost[0], 2, 0, 0);
    EXPECT_EQ(report_.tail_records_dropped, 1u);
  }
}

TEST_F(RecoveryGapTest, LostFileIsNoTornWriteThoughNothingFollows) {
  Put(Segment(1, 5));
  SegmentHeader header = Header(3, 11, {2, 1002, 10, 9000, 0});
  header.mark = 5;
  for (const uint64_t boot : {kOtherBoot, disk_.BootId()}) {
    header.boot_id = boot;
    Put(SegmentBuilder(header));
    EXPECT_EQ(Chain(Recover()), "1..5");
    EXPECT_EQ(Lost(), boot == kOtherBoot ? "6..10 acknowledgement unknown missing segment"
                                         : "6..10 written missing segment");
    EXPECT_EQ(report_.tail_records_dropped, 0u);
    EXPECT_EQ(report_.tail_segment, 2u);
    const absl::Status strict = RecoverStatus({.policy = RecoveryPolicy::kStrict});
    EXPECT_EQ(absl::IsDataLoss(strict), boot == disk_.BootId()) << strict;
    // One that was prepared under that number may be there: the write of its header was torn.
    SegmentHeader prepared = Header(2, 6);
    prepared.state = SegmentState::kPrepared;
    Put(SegmentBuilder(prepared));
    EXPECT_EQ(Chain(Recover({.policy = RecoveryPolicy::kStrict})), "1..5");
    EXPECT_EQ(Lost(), "");
    Remove(2);
  }
}

TEST_F(RecoveryGapTest, UnreadableBytesAreNoTornWriteThoughNothingFollows) {
  SegmentBuilder first(Header(1, 1));
  first.Group(0);
  for (int i = 1; i <= 5; ++i) first.Record(std::string(2 * kBlockBytes, 'a'));
  Put(first);
  SegmentHeader header = Header(2, 6, first.AsPredecessor());
  header.mark = 3;
  Put(SegmentBuilder(header));
  ForwardingFileSystem broken(&disk_, [&first](const FileCall& call) {
    const bool hit = call.op == FileOp::kRead && call.name == SegmentName(1) &&
                     call.offset + call.bytes > first.FrameBegin(4) + kBlockBytes;
    return hit ? std::optional<IoResult>(-EIO) : std::nullopt;
  });
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(broken.OpenDirectory("log", DirectoryMode::kMustExist, &directory), 0);
  const auto log = millrace::Recover(broken, *directory, {}, &report_);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(Chain(*log), "1..3");
  EXPECT_EQ(Lost(), "4..5 acknowledgement unknown unreadable");
}

// --- What was given up ------------------------------------------------------------

TEST_F(RecoveryGapTest, WhatWasGivenUpIsNotLost) {
  const SegmentBuilder segment = Five(5);
  PutWithout(segment, {2, 3, 4});
  Flip(1, segment.FrameBegin(0) + kFrameHeaderBytes);
  Superblock superblock = OwnSuperblock();
  superblock.first_retained = 4;
  PutSuperblock(superblock);
  Recover();
  EXPECT_EQ(Lost(), "4..4 acknowledged checksum");
  // Damage to a mark, below what is retained, does not bring anything back.
  Put(segment);
  for (const size_t frame : {0, 2}) Flip(1, segment.FrameBegin(frame) + kFrameHeaderBytes);
  Recover();
  EXPECT_EQ(Lost(), "");
}

TEST_F(RecoveryGapTest, LostBookkeepingIsNotedWhereAllIsLookedAt) {
  const SegmentBuilder segment = Five(5);
  PutWithout(segment, {0});
  Recover();
  EXPECT_EQ(Lost(), "");
  Recover({.scan = Scan::kAll});
  EXPECT_EQ(Lost(), "1..0 acknowledgement unknown checksum");
}

// --- Between segments -------------------------------------------------------------

TEST_F(RecoveryGapTest, LostHeadersAreNotedBeforeTheSegmentsRecords) {
  PutThree();
  DestroyHeaders(2);
  Recover();
  EXPECT_EQ(Lost(), "6..5 acknowledgement unknown checksum");
  ExpectPlace(report_.lost[0], 2, 0, kFramesOffset);
}

TEST_F(RecoveryGapTest, DamagedFrontOfASegmentWithoutHeadersIsNamedThere) {
  const auto segments = PutThree();
  DestroyHeaders(2);
  for (const size_t frame : {0, 1, 2}) Flip(2, segments[1].FrameBegin(frame) + 3);
  Recover();
  EXPECT_EQ(Lost(), "6..7 acknowledged checksum, 8..7 acknowledgement unknown checksum");
  ExpectPlace(report_.lost[0], 2, kFramesOffset, segments[1].FrameBegin(3));
  // Damage further behind is not the front.
  Put(segments[1]);
  DestroyHeaders(2);
  Flip(2, segments[1].FrameBegin(3) + 40);
  Recover({.scan = Scan::kAll});
  EXPECT_EQ(Lost(), "6..5 acknowledgement unknown checksum, 8..8 acknowledged checksum");
}

TEST_F(RecoveryGapTest, WhatStoodBeforeASegmentWithoutHeadersIsMissing) {
  PutThree();
  DestroyHeaders(3);
  Remove(2);
  EXPECT_EQ(Chain(Recover()), "1..5 11..15");
  EXPECT_EQ(Lost(), "6..10 acknowledged missing segment, 11..10 acknowledgement unknown checksum");
  ExpectPlace(report_.lost[0], 0, 0, 0);
}

TEST_F(RecoveryGapTest, GapThatANewEpochDeclaresIsKnown) {
  SegmentHeader header = Header(1, 4);
  header.mark = 2;
  Put(SegmentBuilder(header).Group(3).Record("4").Footer());
  Recover();
  EXPECT_EQ(Lost(), "1..3 acknowledged truncated") << "nothing is said";
  header.epoch = 2;
  Put(SegmentBuilder(header).Group(3).Record("4").Footer());
  for (const RecoveryPolicy policy : {RecoveryPolicy::kSalvage, RecoveryPolicy::kStrict}) {
    Recover({.policy = policy});
    EXPECT_EQ(Lost(), "1..2 acknowledged set aside, 3..3 acknowledgement unknown set aside");
    ExpectPlace(report_.lost[0], 0, 0, 0);
  }
}

TEST_F(RecoveryGapTest, RunsSetAsideAreNamedWhereTheyStand) {
  const auto segments = PutThree();
  for (const size_t record : {2, 4}) Flip(2, segments[1].FrameBegin(record) + 40);
  const RecoveredLog log = Recover({.policy = RecoveryPolicy::kStopAtFirstLoss});
  EXPECT_EQ(log.next_sequence, 16u);
  EXPECT_EQ(Lost(),
            "7..7 acknowledged checksum, 8..8 acknowledged set aside, 9..9 acknowledged checksum, "
            "10..10 acknowledged set aside, 11..15 acknowledged set aside");
  ExpectPlace(report_.lost[1], 2, segments[1].FrameBegin(3), segments[1].FrameBegin(4));
  ExpectPlace(report_.lost[3], 2, segments[1].FrameBegin(5), segments[1].offset());
  ExpectPlace(report_.lost[4], 3, kFramesOffset, segments[2].offset());
  EXPECT_EQ(report_.tail_records_dropped, 0u);
  EXPECT_EQ(report_.tail_bytes, 0u);
  EXPECT_EQ(report_.last_recovered, 6u);
}

// Above the mark, too: no number is given twice.
TEST_F(RecoveryGapTest, NumbersBehindAStopAreUsedUp) {
  PutWithout(Five(2), {2});
  const RecoveredLog log = Recover({.policy = RecoveryPolicy::kStopAtFirstLoss});
  EXPECT_EQ(Chain(log), "1..1");
  EXPECT_EQ(log.mark, 2u);
  EXPECT_EQ(log.next_sequence, 6u);
  EXPECT_EQ(Lost(), "2..2 acknowledged checksum, 3..5 acknowledgement unknown set aside");
  PutWithout(Five(3), {3, 4});
  EXPECT_EQ(Recover({.policy = RecoveryPolicy::kStopAtFirstLoss}).next_sequence, 6u);
  EXPECT_EQ(Lost(),
            "3..3 acknowledged checksum, 4..4 acknowledgement unknown checksum, "
            "5..5 acknowledgement unknown set aside");
}

// --- The end ----------------------------------------------------------------------

TEST_F(RecoveryGapTest, EndBelowTheMarkIsNamedUpToTheEndOfTheFile) {
  const SegmentBuilder segment = Five(0);
  const uint64_t end = segment.FrameBegin(4);
  PutSuperblock(OwnSuperblock(5));
  Put(1, segment.Bytes().substr(0, end));
  Recover();
  EXPECT_EQ(Lost(), "4..5 acknowledged truncated");
  ExpectPlace(report_.lost[0], 1, end, end);
  Put(1, segment.Bytes().substr(0, end) + std::string(500, '\0'));
  Recover();
  EXPECT_EQ(Lost(), "4..5 acknowledged zeroed");
  ExpectPlace(report_.lost[0], 1, end, end + 500);
  EXPECT_EQ(report_.outcome, Outcome::kRecovered);
}

TEST_F(RecoveryGapTest, EndThatTheMarkReachesBeyondIsInTheSegmentThatWasBegunLast) {
  Put(Segment(1, 5));
  Superblock superblock = OwnSuperblock(7);
  superblock.begun_segment = 2;
  PutSuperblock(superblock);
  Recover();
  EXPECT_EQ(Lost(), "6..7 acknowledged missing segment");
  ExpectPlace(report_.lost[0], 2, 0, 0);
  Put(2, std::string(9000, 'x'));
  Recover();
  EXPECT_EQ(Lost(), "6..7 acknowledged checksum");
  ExpectPlace(report_.lost[0], 2, 0, 0);
}

TEST_F(RecoveryGapTest, TornTailIsCountedInBytesThatAreNotZero) {
  const SegmentBuilder segment = Five(0);
  Put(1, segment.Bytes() + std::string("a\0b\0c", 5) + std::string(100, '\0'));
  Recover();
  EXPECT_EQ(report_.tail_segment, 1u);
  EXPECT_EQ(report_.tail_offset, segment.offset());
  EXPECT_EQ(report_.tail_bytes, 3u);
  EXPECT_EQ(report_.tail_records_dropped, 0u);
  Put(segment);
  Recover();
  EXPECT_EQ(report_.tail_segment, 0u);
  EXPECT_EQ(report_.tail_offset, 0u);
}

}  // namespace
}  // namespace millrace
