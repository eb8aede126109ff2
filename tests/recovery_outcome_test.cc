// Goal: what an open is told of the log (closed in order or not, the newest segment, epoch, mark
// and the next number) is what the directory says, no more and no less.
// Method: hand-made logs; each statement next to the same log with one thing less.

#include <errno.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/recovery_fixture.h"
#include "wal/recovery.h"

namespace millrace {
namespace {

using Outcome = RecoveryReport::Outcome;

class RecoveryOutcomeTest : public RecoveryFixture {
 protected:
  // Segment `number` with one footer whose mark is `mark`.
  std::string WithFooter(SegmentBuilder segment, SequenceNumber first, SequenceNumber mark) {
    segment.PadToBlock();
    FooterBody footer;
    footer.group = {.number = segment.header().number,
                    .incarnation = segment.header().incarnation,
                    .mark = mark};
    footer.first_sequence = first;
    footer.last_sequence = segment.next() - 1;
    std::string body(kFooterBodyBytes, '\0');
    EncodeFooterBody(footer, body.data());
    return segment.Frame(FrameType::kFooter, 0, 0, body).Bytes();
  }
};

// --- Closed in order? -------------------------------------------------------------

TEST_F(RecoveryOutcomeTest, SuperblockSaysThatALogWasClosedWhereThereIsNoRoomForAFooter) {
  const SegmentBuilder segment = Segment(1, 5);
  Superblock superblock = OwnSuperblock(5);
  superblock.clean = true;
  const auto outcome = [&](const Superblock& said, const std::string& bytes) {
    Put(1, bytes);
    PutSuperblock(said);
    EXPECT_EQ(Chain(Recover()).substr(0, 3), "1..");
    return report_.outcome;
  };
  EXPECT_EQ(outcome(superblock, segment.Bytes()), Outcome::kClean);
  EXPECT_EQ(outcome(superblock, segment.Bytes() + std::string(100, '\0')), Outcome::kClean);
  EXPECT_EQ(outcome(superblock, segment.Bytes() + std::string(100, 'x')), Outcome::kRecovered);
  EXPECT_EQ(outcome(superblock, Segment(1, 4).Bytes()), Outcome::kRecovered);
  EXPECT_EQ(outcome(superblock, Segment(1, 6).Bytes()), Outcome::kRecovered);
  EXPECT_EQ(outcome(OwnSuperblock(5), segment.Bytes()), Outcome::kRecovered);
  Superblock foreign = superblock;
  foreign.log_id.fill('?');
  EXPECT_EQ(outcome(foreign, segment.Bytes()), Outcome::kRecovered);
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = SegmentName(1), .first = 2});
  EXPECT_EQ(outcome(superblock, segment.Bytes()), Outcome::kRecovered);
}

TEST_F(RecoveryOutcomeTest, LossOrCutOutweighsTheFooterOfTheNewestSegment) {
  const auto segments = PutThree();
  PutSuperblock(OwnSuperblock(20));
  EXPECT_EQ(Recover().next_sequence, 21u);
  EXPECT_EQ(Lost(), "16..20 acknowledged missing segment");
  EXPECT_EQ(report_.lost[0].segment, 0u) << "in one that nothing names";
  EXPECT_EQ(report_.outcome, Outcome::kRecovered) << "at the end";

  PutThree();
  PutSuperblock(OwnSuperblock());
  Flip(2, segments[1].FrameBegin(2) + 40);
  Recover({.policy = RecoveryPolicy::kStopAtFirstLoss});
  EXPECT_EQ(report_.outcome, Outcome::kRecovered) << "stopped";

  // Only a footer that vouches for all of its segment stands for what comes before.
  const SegmentBuilder first = Segment(1, 5);
  SegmentHeader header = Header(2, 6, first.AsPredecessor());
  header.mark = 0;
  Put(1, first.Bytes().substr(0, first.FrameBegin(5)));
  Put(2, WithFooter(SegmentBuilder(header).Group(0).Record("6"), 6, 0));
  Remove(3);
  EXPECT_EQ(Chain(Recover()), "1..4");
  EXPECT_EQ(Lost(), "5..6 acknowledgement unknown truncated");
  EXPECT_EQ(report_.outcome, Outcome::kRecovered) << "cut";
}

TEST_F(RecoveryOutcomeTest, FooterThatContradictsTheHeaderClosesNothing) {
  const SegmentBuilder segment = Segment(1, 5);
  Put(1, WithFooter(segment, 1, 5));
  EXPECT_EQ(Chain(Recover()), "1..5");
  EXPECT_EQ(report_.outcome, Outcome::kClean);
  Put(1, WithFooter(segment, 2, 5));
  EXPECT_EQ(Chain(Recover()), "1..5");
  EXPECT_EQ(report_.outcome, Outcome::kRecovered);
}

TEST_F(RecoveryOutcomeTest, ClosedLogThatWillNotSyncIsReadAndNotBelieved) {
  Put(Segment(1, 5).Footer());
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = SegmentName(1)});
  EXPECT_EQ(Chain(Recover()), "1..5");
  EXPECT_EQ(report_.outcome, Outcome::kRecovered);
  EXPECT_EQ(Lost(), "6..5 acknowledgement unknown unreadable");
  disk_.ClearRules();
  // All that there is, is at or below the mark: nothing is in doubt.
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = SegmentName(1)});
  EXPECT_EQ(Chain(Recover({.policy = RecoveryPolicy::kStrict})), "1..5");
}

// --- The newest segment -----------------------------------------------------------

TEST_F(RecoveryOutcomeTest, SegmentWithoutARecordIsTheNewestIfItGoesOnFromTheChain) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  EXPECT_FALSE(Recover().newest.has_value()) << "the last of the chain is";
  Put(SegmentBuilder(Header(2, 6, first.AsPredecessor())));
  const RecoveredLog log = Recover();
  ASSERT_TRUE(log.newest.has_value());
  EXPECT_EQ(log.newest->number, 2u);
  EXPECT_EQ(log.newest->incarnation, 1002u);
  EXPECT_EQ(log.newest->first_sequence, 6u);
  EXPECT_EQ(log.newest->last_sequence, 5u);
  EXPECT_EQ(log.newest->end, kFramesOffset);
  EXPECT_EQ(log.newest->file_bytes, kFramesOffset);
  ASSERT_EQ(log.chain.size(), 1u);
  EXPECT_EQ(log.chain[0].number, 1u);
  EXPECT_EQ(log.chain[0].incarnation, 1001u);
  EXPECT_EQ(log.chain[0].end, first.offset());
  EXPECT_EQ(log.chain[0].digest, first.AsPredecessor().digest);
  EXPECT_EQ(log.chain[0].file_bytes, first.offset());
}

TEST_F(RecoveryOutcomeTest, SoleSegmentWithoutARecordIsNothingCut) {
  Put(SegmentBuilder(Header(1, 1)));
  const RecoveredLog log = Recover();
  EXPECT_EQ(log.newest->last_sequence, 0u);
  EXPECT_EQ(log.next_sequence, 1u);
  EXPECT_EQ(report_.tail_segment, 0u);
  EXPECT_EQ(report_.last_recovered, kNoSequence);
}

TEST_F(RecoveryOutcomeTest, WhatIsCutOffOrBehindALossIsNotTheNewest) {
  // Cut inside the last segment, and before it; stopped.
  const SegmentBuilder one = Segment(1, 5);
  Put(one);
  Flip(1, one.FrameBegin(3) + 50);
  EXPECT_FALSE(Recover().newest.has_value());

  SegmentHeader header = Header(2, 6, one.AsPredecessor());
  for (const SequenceNumber mark : {2, 3}) {
    header.mark = mark;
    Put(1, one.Bytes().substr(0, one.FrameBegin(4)));
    Put(SegmentBuilder(header).Group(mark).Record("6"));
    const RecoveredLog log = Recover();
    EXPECT_EQ(Chain(log), "1..3");
    // None that is there, so that readers do not go on in segment 1.
    ASSERT_TRUE(log.newest.has_value()) << mark;
    EXPECT_EQ(log.newest->incarnation, 0u) << mark;
    EXPECT_EQ(log.newest->first_sequence, 4u) << mark;
    EXPECT_EQ(log.newest->last_sequence, 3u) << mark;
  }

  const auto segments = PutThree();
  Flip(2, segments[1].FrameBegin(2) + 40);
  EXPECT_FALSE(Recover({.policy = RecoveryPolicy::kStopAtFirstLoss}).newest.has_value());
}

// What is kept ends below the mark: something has to keep a reader from going on in its file.
TEST_F(RecoveryOutcomeTest, SegmentBehindACutStaysTheNewestWhereNumbersUpToTheMarkAreLost) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  SegmentBuilder third(Header(3, 11, {2, 1002, 10, 9000, 0}));
  third.Group(10).Record("11").Record("12");
  Put(third);
  Flip(3, third.FrameBegin(1) + kFrameHeaderBytes);
  RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5");
  EXPECT_EQ(log.next_sequence, 11u);
  ASSERT_TRUE(log.newest.has_value());
  EXPECT_EQ(log.newest->number, 3u);
  EXPECT_EQ(log.newest->incarnation, 1003u);
  EXPECT_EQ(log.newest->first_sequence, 11u);

  // Of what the mark does not reach nothing is left: not that segment, but one behind it.
  SegmentHeader header = third.header();
  header.mark = 8;
  SegmentBuilder fewer(header);
  Put(fewer.Group(8).Record("11"));
  log = Recover();
  EXPECT_EQ(Chain(log), "1..5");
  EXPECT_EQ(log.next_sequence, 9u);
  ASSERT_TRUE(log.newest.has_value());
  EXPECT_EQ(log.newest->number, 3u);
  EXPECT_EQ(log.newest->incarnation, 0u);
  EXPECT_EQ(log.newest->first_sequence, 6u);
  EXPECT_EQ(log.newest->last_sequence, 5u);
  EXPECT_EQ(log.newest->end, kFramesOffset);
}

TEST_F(RecoveryOutcomeTest, SegmentsOfAnEpochThatAreAllLostAreTheNewest) {
  Put(Segment(1, 5));
  PutCursor("later", 60, /*epoch=*/9);
  const RecoveredLog log = Recover();
  ASSERT_TRUE(log.newest.has_value());
  EXPECT_EQ(log.newest->number, 1u);
  EXPECT_EQ(log.newest->incarnation, 0u);
  EXPECT_EQ(log.newest->first_sequence, 6u);
  EXPECT_EQ(log.newest->last_sequence, 5u);
  EXPECT_EQ(log.newest->end, kFramesOffset);
}

// --- Epoch, marks, numbers --------------------------------------------------------

TEST_F(RecoveryOutcomeTest, EpochThatNothingTellsOfBeganBehindWhatIsKeptOfOlderOnes) {
  PutCursor("later", 60, /*epoch=*/9);
  EXPECT_EQ(Recover().epoch_base, 0u) << "nothing is";
  // Until that is stated, no mark of theirs counts.
  PutCursor("later", 0, /*epoch=*/9);
  Put(Segment(1, 5).IdleMark());
  EXPECT_EQ(Recover().mark, 0u);
  disk_.DeleteFile("log/later.cursor");

  const auto segments = PutThree();
  SegmentHeader header = Header(4, 16, segments[2].AsPredecessor());
  header.epoch = 2;
  Put(SegmentBuilder(header).Group(15).Record("16").Record("17"));
  DestroyHeaders(4);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15 16..17");
  EXPECT_EQ(log.epoch, 2u);
  EXPECT_EQ(log.epoch_base, 15u);
  EpochBases bases;
  bases.Push(2, 15);
  EXPECT_EQ(log.epoch_bases, bases);
  // What headers say of older ones is handed on.
  bases = EpochBases();
  bases.Push(2, 7);
  bases.Push(3, 15);
  header.epoch = 3;
  header.epoch_bases = bases;
  Put(SegmentBuilder(header).Group(15).Record("16"));
  EXPECT_EQ(Recover().epoch_bases, bases);
}

TEST_F(RecoveryOutcomeTest, FirstEpochHasNoBase) {
  PutThree();
  const RecoveredLog log = Recover();
  EXPECT_EQ(log.epoch, 1u);
  EXPECT_EQ(log.epoch_base, 0u);
  EXPECT_EQ(log.epoch_bases, EpochBases());
  EXPECT_FALSE(log.starts_new_epoch);
}

TEST_F(RecoveryOutcomeTest, ReportSaysWhatTheLogIs) {
  const auto segments = PutThree();
  Superblock superblock = OwnSuperblock();
  superblock.first_retained = 8;
  superblock.epoch = 3;
  superblock.epoch_base = 15;
  PutSuperblock(superblock);
  const RecoveredLog log = Recover();
  EXPECT_EQ(report_.first_retained, 8u);
  EXPECT_EQ(report_.next_sequence, 16u);
  EXPECT_EQ(report_.mark, 15u);
  EXPECT_EQ(report_.epoch, 3u);
  EXPECT_EQ(report_.segments, 2u);
  EXPECT_EQ(report_.last_recovered, 15u);
  EXPECT_EQ(log.superblock.first_retained, 8u);
}

TEST_F(RecoveryOutcomeTest, ReportCountsTheBytesThatWereRead) {
  const auto segments = PutThree();
  constexpr uint64_t kHeaders = 3 * 2 * kSegmentHeaderBytes;
  Recover();
  EXPECT_EQ(report_.bytes_scanned, kHeaders + FrameBytes(kFooterBodyBytes));
  Recover({.scan = Scan::kAll});
  uint64_t frames = 0;
  for (const SegmentBuilder& segment : segments) frames += segment.offset() - kFramesOffset;
  EXPECT_EQ(report_.bytes_scanned, kHeaders + frames + FrameBytes(kFooterBodyBytes));
  // Twice where it would not sync: once as far as the mark goes. What stands there is counted.
  SegmentBuilder open = Segment(1, 3);
  open.Group(3).Record("4");
  for (const uint64_t number : {2, 3}) Remove(number);
  Put(open);
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = SegmentName(1)});
  Recover();
  EXPECT_EQ(report_.bytes_scanned,
            2 * kSegmentHeaderBytes + 2 * (open.offset() - kFramesOffset) + FrameBytes(1));
}

}  // namespace
}  // namespace millrace
