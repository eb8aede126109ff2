// Goal: recovery tells a torn write from a loss, keeps all it may keep, and says
// exactly what is gone.
// Method: segments made by hand on a simulated disk, with one thing wrong; the
// expected chain, next number and lost ranges. How the end is found is here;
// missing and foreign files are in recovery_chain_test, policies and the promise
// to change nothing in recovery_policy_test.

#include "wal/recovery.h"

#include <errno.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/recovery_fixture.h"

namespace millrace {
namespace {

using Outcome = RecoveryReport::Outcome;

class RecoveryTest : public RecoveryFixture {};

TEST_F(RecoveryTest, AnEmptyDirectoryHoldsNoLog) {
  const RecoveredLog log = Recover();
  EXPECT_FALSE(log.exists);
  EXPECT_EQ(report_.outcome, Outcome::kCreated);
  EXPECT_EQ(log.next_sequence, 1u);
  EXPECT_EQ(log.next_segment, 1u);
}

TEST_F(RecoveryTest, ALogClosedInOrderIsReadByItsFooterAlone) {
  const auto segments = PutThree();
  PutSuperblock(OwnSuperblock());
  const RecoveredLog log = Recover();
  EXPECT_TRUE(log.exists);
  EXPECT_EQ(log.log_id, log_id_);
  EXPECT_EQ(report_.outcome, Outcome::kClean);
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(log.next_sequence, 16u);
  EXPECT_EQ(log.next_segment, 4u);
  EXPECT_EQ(log.mark, 15u);
  EXPECT_EQ(log.predecessor, segments[2].AsPredecessor());
  EXPECT_EQ(report_.last_recovered, 15u);
  // Three pairs of headers and one footer.
  EXPECT_LE(report_.bytes_scanned, 3u * 2 * kSegmentHeaderBytes + 128);
}

TEST_F(RecoveryTest, AScanOfAllFindsTheSame) {
  const auto segments = PutThree();
  const RecoveredLog log = Recover({.scan = Scan::kAll});
  EXPECT_EQ(report_.outcome, Outcome::kClean);
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(log.predecessor, segments[2].AsPredecessor());
}

TEST_F(RecoveryTest, AfterACrashEverythingIntactIsKept) {
  SegmentBuilder segment = Segment(1, 5);
  Put(1, segment.Bytes() + std::string(20'000, '\0'));
  const RecoveredLog log = Recover();
  EXPECT_EQ(report_.outcome, Outcome::kRecovered);
  EXPECT_EQ(Chain(log), "1..5");
  EXPECT_EQ(log.mark, 0u);
  EXPECT_EQ(log.next_sequence, 6u);
  EXPECT_EQ(log.predecessor, segment.AsPredecessor());
  EXPECT_EQ(report_.tail_segment, 0u);
}

TEST_F(RecoveryTest, ATornTailIsCutAndCountedAtEveryByte) {
  const SegmentBuilder segment = Segment(1, 5);
  const std::string bytes = segment.Bytes();
  const uint64_t begin = segment.FrameBegin(5);
  for (uint64_t size = begin + 1; size < begin + kFrameHeaderBytes + 100; ++size) {
    Put(1, bytes.substr(0, size) + std::string(500, '\0'));
    const RecoveredLog log = Recover();
    ASSERT_EQ(Chain(log), "1..4") << size;
    ASSERT_EQ(Lost(), "");
    ASSERT_EQ(log.next_sequence, 5u);
    ASSERT_EQ(log.predecessor.cut, begin);
    ASSERT_EQ(report_.tail_segment, 1u);
    ASSERT_EQ(report_.tail_offset, begin);
    ASSERT_GT(report_.tail_bytes, 0u);
    ASSERT_EQ(report_.tail_records_dropped, 0u);
  }
}

TEST_F(RecoveryTest, AHoleAboveTheMarkCutsAllBehindIt) {
  const SegmentBuilder segment = Segment(1, 5);
  Put(segment);
  Flip(1, segment.FrameBegin(3) + 50);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..2");
  EXPECT_EQ(log.next_sequence, 3u);
  EXPECT_EQ(log.predecessor.cut, segment.FrameBegin(3));
  EXPECT_EQ(report_.tail_records_dropped, 2u);
  EXPECT_EQ(Lost(), "3..5 acknowledgement unknown checksum");
}

TEST_F(RecoveryTest, InTheSameBootAHoleIsALossOfWrittenData) {
  SegmentHeader header = Header(1, 1);
  header.boot_id = disk_.BootId();
  SegmentBuilder segment(header);
  segment.Group(0).Record("1").Record("2").Record("3");
  Put(segment);
  Flip(1, segment.FrameBegin(2) + kFrameHeaderBytes);
  Recover();
  EXPECT_EQ(Lost(), "2..3 written checksum");
  EXPECT_TRUE(absl::IsDataLoss(RecoverStatus({.policy = RecoveryPolicy::kStrict})));
}

TEST_F(RecoveryTest, InTheSameBootALostEndIsALossOfWrittenDataIfRecordsFollowInTheNextSegment) {
  SegmentHeader header = Header(1, 1);
  header.boot_id = disk_.BootId();
  SegmentBuilder first(header);
  first.Group(0).Record("1").Record("2").Record("3");
  header = Header(2, 4, first.AsPredecessor());
  header.boot_id = disk_.BootId();
  header.mark = 0;
  SegmentBuilder second(header);
  second.Group(0).Record("4");
  Put(first);
  Put(second);
  Flip(1, first.FrameBegin(3) + kFrameHeaderBytes);
  Recover();
  EXPECT_EQ(Lost(), "3..4 written checksum");
  EXPECT_TRUE(absl::IsDataLoss(RecoverStatus({.policy = RecoveryPolicy::kStrict})));
}

TEST_F(RecoveryTest, AHoleAtOrBelowTheMarkIsReportedAndTheRestIsKept) {
  SegmentBuilder segment = Segment(1, 5).IdleMark().Group(5).Record("6");
  Put(segment);
  Flip(1, segment.FrameBegin(2) + 50);
  Flip(1, segment.FrameBegin(4) + 50);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..6");
  EXPECT_EQ(log.next_sequence, 7u);
  EXPECT_EQ(log.mark, 5u);
  EXPECT_EQ(Lost(), "2..2 acknowledged checksum, 4..4 acknowledged checksum");
  EXPECT_EQ(report_.lost[0].segment, 1u);
  EXPECT_EQ(report_.lost[0].begin, segment.FrameBegin(2));
  EXPECT_EQ(report_.lost[0].end, segment.FrameBegin(3));
  EXPECT_EQ(report_.tail_records_dropped, 0u);
}

TEST_F(RecoveryTest, AHoleAcrossTheMarkIsALossUpToItAndACutAbove) {
  SegmentBuilder segment = Segment(1, 5);
  segment.Group(/*mark=*/3).Record("6");
  Put(segment);
  for (const size_t frame : {2, 3, 4}) Flip(1, segment.FrameBegin(frame) + 50);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..1");
  EXPECT_EQ(log.next_sequence, 4u);
  EXPECT_EQ(Lost(), "2..3 acknowledged checksum, 4..6 acknowledgement unknown checksum");
  EXPECT_EQ(report_.tail_records_dropped, 2u);
}

TEST_F(RecoveryTest, NumbersBelowTheMarkAreNeverGivenAgain) {
  const SegmentBuilder segment = Segment(1, 5);
  Put(1, segment.Bytes().substr(0, segment.FrameBegin(4)));
  PutSuperblock(OwnSuperblock(/*mark=*/5));
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..3");
  EXPECT_EQ(log.next_sequence, 6u);
  EXPECT_EQ(log.predecessor.last_sequence, 3u);
  EXPECT_EQ(Lost(), "4..5 acknowledged truncated");
  EXPECT_EQ(report_.lost[0].begin, segment.FrameBegin(4));
}

// Each thing that states a mark makes the same missing tail a loss.
TEST_F(RecoveryTest, EverySourceOfTheMarkTellsALossFromATear) {
  const SegmentBuilder segment = Segment(1, 5);
  const std::string torn =
      segment.Bytes().substr(0, segment.FrameBegin(5)) + std::string(200, '\0');
  Put(1, torn);
  Recover();
  EXPECT_EQ(Lost(), "") << "without a mark it is a tear";

  PutCursor("reader", 5);
  Recover();
  EXPECT_EQ(Lost(), "5..5 acknowledged zeroed") << "cursor";
  disk_.DeleteFile("log/reader.cursor");

  PutSuperblock(OwnSuperblock(5));
  Recover();
  EXPECT_EQ(Lost(), "5..5 acknowledged zeroed") << "superblock";
  disk_.DeleteFile("log/LOG");

  SegmentBuilder marked = Segment(1, 5).IdleMark();
  std::string bytes = marked.Bytes();
  bytes.replace(marked.FrameBegin(5), 132, 132, '\0');
  Put(1, bytes);
  Recover();
  EXPECT_EQ(Lost(), "5..5 acknowledged zeroed") << "idle mark";

  bytes = Segment(1, 5).Group(5).Record("6").Bytes();
  bytes.replace(marked.FrameBegin(5), 132, 132, '\0');
  Put(1, bytes);
  Recover();
  EXPECT_EQ(Lost(), "5..5 acknowledged zeroed") << "group";

  Put(1, torn);
  Put(Segment(2, 1, segment.AsPredecessor()));
  Recover({.scan = Scan::kAll});
  EXPECT_EQ(Lost(), "5..5 acknowledged zeroed") << "header of the next segment";
}

TEST_F(RecoveryTest, MarksOfOtherLogsAndEpochsDoNotCount) {
  const SegmentBuilder segment = Segment(1, 5);
  Put(segment);
  Superblock foreign = OwnSuperblock(50);
  foreign.log_id.fill('?');
  PutSuperblock(foreign);
  RecoveredLog log = Recover();
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(log.mark, 0u);
  EXPECT_EQ(log.log_id, log_id_);
  EXPECT_EQ(log.superblock.generation, 2u) << "what is written next must outbid it";

  // The next epoch ended the log at record 3.
  SegmentBuilder long_before = Segment(1, 5).IdleMark();
  Put(long_before);
  SegmentHeader header = Header(2, 4, {1, 1001, 3, segment.FrameBegin(4), 0});
  header.epoch = 2;
  header.mark = 3;
  Put(SegmentBuilder(header).Group(3).Record("the new 4"));
  PutCursor("old", 5, /*epoch=*/1);
  log = Recover({.scan = Scan::kAll});
  EXPECT_EQ(log.epoch, 2u);
  EXPECT_EQ(log.mark, 3u);
  EXPECT_EQ(Chain(log), "1..3 4..4");
  EXPECT_EQ(Lost(), "");
}

// As where an older copy of the segments was put back, or all segments since are lost.
TEST_F(RecoveryTest, CheckpointOfALaterEpochThanAnyHeaderIsEvidenceOfLoss) {
  Put(Segment(1, 5));
  PutCursor("later", 60, /*epoch=*/9);
  const RecoveredLog log = Recover();
  EXPECT_EQ(log.epoch, 9u);
  EXPECT_EQ(log.epoch_base, 5u) << "the next open is told to keep what this one kept";
  EXPECT_EQ(log.mark, 60u);
  EXPECT_EQ(log.next_sequence, 61u);
  EXPECT_EQ(Chain(log), "1..5");
  EXPECT_EQ(Lost(), "6..60 acknowledged truncated");
}

TEST_F(RecoveryTest, ALostTailInAnUnsyncedPredecessorCutsTheSegmentsBehind) {
  SegmentBuilder first = Segment(1, 5);
  SegmentHeader header = Header(2, 6, first.AsPredecessor());
  header.mark = 2;
  SegmentBuilder second(header);
  second.Group(2).Record("6").Record("7");
  Put(1, first.Bytes().substr(0, first.FrameBegin(4)) + std::string(800, '\0'));
  Put(second);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..3");
  EXPECT_EQ(log.next_sequence, 4u);
  EXPECT_EQ(Lost(), "4..7 acknowledgement unknown zeroed");
  EXPECT_EQ(report_.tail_records_dropped, 2u);
  EXPECT_EQ(log.set_aside, std::vector<std::string>{SegmentName(2)});
  EXPECT_EQ(log.next_segment, 3u);
}

TEST_F(RecoveryTest, SegmentsWithoutARecordArePassedOverAndRemovable) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  Put(SegmentBuilder(Header(2, 6, first.AsPredecessor())));
  Put(3, SegmentBuilder(Header(3, 6, first.AsPredecessor())).Footer().Bytes());
  const RecoveredLog log = Recover();
  EXPECT_EQ(report_.outcome, Outcome::kClean);
  EXPECT_EQ(Chain(log), "1..5");
  EXPECT_EQ(log.predecessor, first.AsPredecessor());
  EXPECT_EQ(log.next_sequence, 6u);
  EXPECT_EQ(log.removable, (std::vector<std::string>{SegmentName(2), SegmentName(3)}));
  EXPECT_EQ(log.next_segment, 4u);
}

TEST_F(RecoveryTest, NothingInAFileWhoseSyncFailsIsTrustedAboveTheMark) {
  SegmentBuilder segment = Segment(1, 3);
  segment.Group(/*mark=*/3).Record("4").Record("5");
  Put(segment);
  const std::string name = SegmentName(1);
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = name});
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..3");
  EXPECT_EQ(log.next_sequence, 6u);
  ASSERT_EQ(log.unsynced.size(), 1u);
  EXPECT_EQ(log.unsynced[0].first, 4u);
  EXPECT_EQ(log.unsynced[0].last, 5u);
  EXPECT_EQ(Lost(), "6..5 acknowledgement unknown unreadable");
  EXPECT_EQ(report_.tail_records_dropped, 0u);
  EXPECT_EQ(report_.outcome, Outcome::kRecovered);
}

TEST_F(RecoveryTest, PhantomPagesOfAFailedSyncAreNotBelieved) {
  SegmentBuilder segment = Segment(1, 3);
  Put(segment);
  // Written by a process that died; the disk will not take it.
  const std::string bytes = segment.Record("4").Bytes();
  std::unique_ptr<File> file;
  ASSERT_EQ(directory_->Open(SegmentName(1), OpenMode::kReadWrite, &file), 0);
  const std::string_view all(bytes);
  ASSERT_EQ(file->Write(0, std::span(&all, 1)), static_cast<IoResult>(bytes.size()));
  disk_.AddRule({.op = FileOp::kSync,
                 .action = SimRule::Action::kLosePages,
                 .error = EIO,
                 .name = SegmentName(1)});
  const RecoveredLog log = Recover();
  for (const ChainSegment& kept : log.chain) EXPECT_LE(kept.last_sequence, 3u);
}

TEST_F(RecoveryTest, EveryTruncationOfALogLosesASuffixAndSaysSo) {
  const SegmentBuilder first = Segment(1, 3);
  const SegmentBuilder second = Segment(2, 3, first.AsPredecessor()).IdleMark();
  Put(first);
  const std::string bytes = second.Bytes();
  PutSuperblock(OwnSuperblock(6));
  for (uint64_t size = 0; size < bytes.size(); size += 24) {
    Put(2, bytes.substr(0, size));
    const RecoveredLog log = Recover();
    const SequenceNumber last = log.predecessor.last_sequence;
    ASSERT_EQ(log.next_sequence, 7u) << size;
    ASSERT_EQ(report_.records_lost(), 6 - last) << size << " " << Lost();
    ASSERT_GE(last, 3u);
    if (last < 6) {
      ASSERT_EQ(report_.lost.back().first, last + 1);
      ASSERT_EQ(report_.lost.back().last, 6u);
      ASSERT_EQ(report_.lost.back().acknowledgement, Acknowledgement::kAcknowledged);
    }
  }
}

TEST_F(RecoveryTest, ARecordWhereAFooterWouldStandIsNotReadPastTheEnd) {
  // The file is cut behind the first 104 bytes of an intact, longer frame.
  SegmentBuilder segment = Segment(1, 2).Record(std::string(5000, 'l'));
  Put(1, segment.Bytes().substr(0, segment.FrameBegin(3) + FrameBytes(kFooterBodyBytes)));
  EXPECT_EQ(Chain(Recover()), "1..2");
}

TEST_F(RecoveryTest, RecoveringTwiceFindsTheSame) {
  const auto segments = PutThree();
  Flip(2, segments[1].FrameBegin(3) + 40);
  DestroyHeaders(1);
  Recover({.scan = Scan::kAll});
  const std::string first = report_.ToString();
  Recover({.scan = Scan::kAll});
  EXPECT_EQ(report_.ToString(), first);
}

TEST_F(RecoveryTest, TheReportReadsWell) {
  const auto segments = PutThree();
  Flip(2, segments[1].FrameBegin(3) + 40);
  Recover({.scan = Scan::kAll});
  const std::string text = report_.ToString();
  EXPECT_NE(text.find("outcome         clean"), std::string::npos) << text;
  EXPECT_NE(text.find("records         1..15"), std::string::npos) << text;
  EXPECT_NE(text.find("record 8 (acknowledged): segment 2, bytes 8"), std::string::npos) << text;
  EXPECT_NE(text.find(": checksum"), std::string::npos) << text;
}

}  // namespace
}  // namespace millrace
