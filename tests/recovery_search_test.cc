// Goal: where the segment that a header names is lost, recovery says what stands in its place and
// goes on with the highest one below it, as far as that one's records still count.
// Method: hand-made chains with one thing in the way; files that the device refuses; epochs.

#include <errno.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/recovery_fixture.h"
#include "wal/io_status.h"
#include "wal/recovery.h"

namespace millrace {
namespace {

class RecoverySearchTest : public RecoveryFixture {
 protected:
  // Segments 1 to `count`, of one record each.
  std::vector<SegmentBuilder> PutSingles(uint64_t count) {
    std::vector<SegmentBuilder> segments;
    Predecessor predecessor;
    for (uint64_t number = 1; number <= count; ++number) {
      segments.push_back(Segment(number, 1, predecessor));
      predecessor = segments.back().AsPredecessor();
    }
    segments.back().Footer();
    for (const SegmentBuilder& segment : segments) Put(segment);
    return segments;
  }
  // The header can be read, and what stands behind it cannot be opened.
  void RefuseFrames(uint64_t number, int error = EIO) {
    disk_.AddRule({.op = FileOp::kOpen, .error = error, .name = SegmentName(number), .first = 2});
  }
};

TEST_F(RecoverySearchTest, SegmentsOfOneRecordAreFollowed) {
  PutSingles(4);
  for (const Scan scan : {Scan::kUndecided, Scan::kAll}) {
    EXPECT_EQ(Chain(Recover({.scan = scan})), "1..1 2..2 3..3 4..4");
    EXPECT_EQ(Lost(), "");
  }
}

// --- What stands in its place -----------------------------------------------------

TEST_F(RecoverySearchTest, CauseSaysWhatStandsInThePlaceOfALostSegment) {
  const auto segments = PutThree();
  SegmentHeader prepared = Header(2, 1);
  prepared.state = SegmentState::kPrepared;
  const LogId own = log_id_;
  log_id_.fill('x');
  const std::string foreign = Segment(2, 5).Bytes();
  log_id_ = own;
  const std::pair<std::string, const char*> cases[] = {{"", "zeroed"},
                                                       {std::string(9000, '\0'), "zeroed"},
                                                       {SegmentBuilder(prepared).Bytes(), "zeroed"},
                                                       {std::string(9000, 'x'), "checksum"},
                                                       {foreign, "foreign segment"},
                                                       {segments[0].Bytes(), "foreign segment"}};
  for (const auto& [bytes, cause] : cases) {
    Put(2, bytes);
    EXPECT_EQ(Chain(Recover()), "1..5 11..15");
    EXPECT_EQ(Lost(), std::string("6..10 acknowledged ") + cause);
    EXPECT_EQ(report_.lost[0].segment, 2u);
  }
}

TEST_F(RecoverySearchTest, SegmentThatTheDeviceRefusesIsALossOfThatSegmentAlone) {
  PutSingles(6);
  RefuseFrames(5);
  Remove(3);
  EXPECT_EQ(Chain(Recover({.scan = Scan::kAll})), "1..1 2..2 4..4 6..6");
  EXPECT_EQ(Lost(), "3..3 acknowledged missing segment, 5..5 acknowledged unreadable");
  disk_.ClearRules();
  // Other errors pass; a loss would stay.
  RefuseFrames(5, EMFILE);
  EXPECT_FALSE(RecoverStatus({.scan = Scan::kAll}).ok());
}

TEST_F(RecoverySearchTest, SegmentWithoutHeadersThatTheDeviceRefusesIsALossToo) {
  PutThree();
  DestroyHeaders(2);
  disk_.AddRule({.op = FileOp::kOpen, .error = EIO, .name = SegmentName(2), .first = 3});
  EXPECT_EQ(Chain(Recover()), "1..5 11..15");
  EXPECT_EQ(Lost(), "6..10 acknowledged unreadable");
  disk_.ClearRules();
  disk_.AddRule({.op = FileOp::kOpen, .error = EMFILE, .name = SegmentName(2), .first = 3});
  EXPECT_FALSE(RecoverStatus().ok());
}

TEST_F(RecoverySearchTest, ErrorWhileSearchingIsReturned) {
  // The second opening reads the segment; the third, as far as it counts.
  Put(Segment(1, 5));
  Put(Segment(3, 1, {2, 1002, 3, 9000, 0}));
  for (const uint64_t opening : {2, 3}) {
    disk_.AddRule({.op = FileOp::kOpen, .error = EMFILE, .name = SegmentName(1), .first = opening});
    EXPECT_EQ(ErrnoOf(RecoverStatus()), EMFILE) << opening;
    disk_.ClearRules();
  }
  // Behind both headers and where a footer would stand: the first time, and the second.
  for (const uint64_t reading : {4, 7}) {
    disk_.AddRule({.op = FileOp::kRead, .error = EBADF, .name = SegmentName(1), .first = reading});
    EXPECT_EQ(ErrnoOf(RecoverStatus()), EBADF) << reading;
    disk_.ClearRules();
  }
}

// --- What is found instead --------------------------------------------------------

TEST_F(RecoverySearchTest, HoleThatAMarkCoversDoesNotEndWhatIsFound) {
  SegmentBuilder first = Segment(1, 3);
  first.Group(/*mark=*/3).Record("4").Record("5");
  Put(first);
  Put(Segment(3, 2, {2, 1002, 8, 9000, 0}).IdleMark());
  Flip(1, first.FrameBegin(3) + 40);
  EXPECT_EQ(Chain(Recover()), "1..5 9..10");
  EXPECT_EQ(Lost(), "3..3 acknowledged checksum, 6..8 acknowledged missing segment");
  // By one less it is where dead frames may begin.
  Flip(1, first.FrameBegin(3) + 40);
  Flip(1, first.FrameBegin(5) + kFrameHeaderBytes);
  EXPECT_EQ(Chain(Recover()), "1..3 9..10");
  EXPECT_EQ(Lost(), "4..8 acknowledged missing segment");
  // A mark that is lost costs nothing.
  Flip(1, first.FrameBegin(5) + kFrameHeaderBytes);
  Flip(1, first.FrameBegin(4) + 40);
  EXPECT_EQ(Chain(Recover()), "1..5 9..10");
}

// The lost segment may have gone on at the hole: only what it could not have covers it.
TEST_F(RecoverySearchTest, MarkAmongRecordsThatTheSegmentAboveHasGivenCoversNoHole) {
  SegmentBuilder first = Segment(1, 4);
  first.Group(/*mark=*/4).Record("5");
  Put(first);
  Flip(1, first.FrameBegin(2) + 40);
  Put(Segment(3, 1, {2, 1002, 3, 9000, 0}));
  EXPECT_EQ(Chain(Recover()), "1..1 4..4");
}

TEST_F(RecoverySearchTest, RecordsThatTheSegmentAboveHasGivenAreThatSegments) {
  // Segment 2, which ended segment 1 at record 3 and began with 4, is lost; of its numbers
  // segment 3 says that they ended with 3.
  for (const int records : {3, 4, 5}) {
    Put(Segment(1, records).IdleMark());
    Put(Segment(3, 1, {2, 1002, 3, 9000, 0}));
    const RecoveredLog log = Recover();
    EXPECT_EQ(Chain(log), "1..3 4..4") << records;
    EXPECT_EQ(Lost(), records < 5 ? "" : "5..5 acknowledged truncated") << "its marks count";
  }
  // All of one that begins there is dead, its marks too.
  Put(Segment(1, 3));
  Put(Segment(2, 2, {1, 1001, 3, 9000, 0}).IdleMark());
  Put(Segment(4, 1, {3, 7777, 3, 9000, 0}));
  Remove(3);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..3 4..4");
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(log.set_aside, std::vector<std::string>{SegmentName(2)});
}

// Its frames are read, whatever its headers are.
TEST_F(RecoverySearchTest, SegmentUnderForeignHeadersIsOfTheEpochOfItsMarks) {
  std::vector<SegmentBuilder> segments;
  Predecessor predecessor;
  for (uint64_t number = 1; number <= 3; ++number) {
    SegmentHeader header =
        Header(number, predecessor.last_sequence + (number == 3 ? 2 : 1), predecessor);
    header.epoch = 2;
    segments.emplace_back(header);
    segments.back().Group(header.first_sequence - 1).Record("r");
    predecessor = segments.back().AsPredecessor();
    Put(segments.back());
  }
  Put(2,
      Segment(7, 1).Bytes().substr(0, kFramesOffset) + segments[1].Bytes().substr(kFramesOffset));
  EXPECT_EQ(Chain(Recover()), "1..1 2..2 4..4");
  EXPECT_EQ(Lost(), "2..1 acknowledgement unknown checksum, 3..3 acknowledged truncated");
}

TEST_F(RecoverySearchTest, EmptySegmentsAreNotWhatIsFound) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  Put(SegmentBuilder(Header(2, 6, first.AsPredecessor())));
  Put(Segment(4, 2, {3, 1003, 8, 9000, 0}).IdleMark());
  EXPECT_EQ(Chain(Recover()), "1..5 9..10");
  EXPECT_EQ(Lost(), "6..8 acknowledged missing segment");
}

TEST_F(RecoverySearchTest, NewestSegmentOfWhichNothingIsLeftSaysNothing) {
  PutThree();
  // Both headers and the mark that names it: nothing but garbage; then a mark alone.
  Put(4, std::string(9000, 'x'));
  EXPECT_EQ(Chain(Recover()), "1..5 6..10 11..15");
  SegmentHeader header = Header(4, 16);
  Put(SegmentBuilder(header).Group(15));
  DestroyHeaders(4);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_EQ(log.next_segment, 5u);
}

// --- Epochs -----------------------------------------------------------------------

class RecoveryEpochSearchTest : public RecoverySearchTest {
 protected:
  // Epoch 2 began behind record `base` of segments 1..5 and 6..10, with a segment whose headers
  // are lost.
  RecoveredLog RecoverAfter(SequenceNumber base) {
    const SegmentBuilder first = Segment(1, 5);
    const SegmentBuilder second = Segment(2, 5, first.AsPredecessor());
    Put(first);
    Put(second);
    const Predecessor end = base > 5 ? Predecessor{2, 1002, base, second.FrameBegin(base - 4), 0}
                                     : Predecessor{1, 1001, base, first.FrameBegin(base + 1), 0};
    SegmentHeader header = Header(3, base + 1, end);
    header.epoch = 2;
    Put(SegmentBuilder(header).Group(base).Record("new"));
    DestroyHeaders(3);
    Superblock superblock = OwnSuperblock(base);
    superblock.epoch = 2;
    superblock.epoch_base = base;
    PutSuperblock(superblock);
    return Recover();
  }
};

TEST_F(RecoveryEpochSearchTest, OfOlderEpochsRecordsCountUpToTheBase) {
  EXPECT_EQ(Chain(RecoverAfter(10)), "1..5 6..10 11..11");
  EXPECT_EQ(Chain(RecoverAfter(7)), "1..5 6..7 8..8");
  EXPECT_EQ(Chain(RecoverAfter(6)), "1..5 6..6 7..7");
  EXPECT_EQ(report_.records_lost(), 0u);
  EXPECT_EQ(Chain(RecoverAfter(5)), "1..5 6..6") << "none of the second";
  EXPECT_EQ(Chain(RecoverAfter(4)), "1..4 5..5");
  EXPECT_EQ(report_.records_lost(), 0u);
}

TEST_F(RecoveryEpochSearchTest, SegmentThatAnEpochCutOffIsNotTheNewest) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  Put(Segment(2, 5, first.AsPredecessor()).IdleMark());
  Superblock superblock = OwnSuperblock(6);
  superblock.epoch = 2;
  superblock.epoch_base = 5;
  PutSuperblock(superblock);
  EXPECT_EQ(Chain(Recover()), "1..5");
  EXPECT_EQ(Lost(), "6..6 acknowledged truncated");
  superblock.epoch_base = 6;
  PutSuperblock(superblock);
  EXPECT_EQ(Chain(Recover()), "1..5 6..6");
  EXPECT_EQ(Lost(), "");
}

// --- Marks in the frames ----------------------------------------------------------

TEST_F(RecoverySearchTest, FooterBehindACutIsDead) {
  const SegmentBuilder first = Segment(1, 5).Footer();
  Put(first);
  Put(SegmentBuilder(Header(2, 4, {1, 1001, 3, first.FrameBegin(4), 0})).Group(3).Record("4"));
  for (const Scan scan : {Scan::kUndecided, Scan::kAll}) {
    const RecoveredLog log = Recover({.scan = scan});
    EXPECT_EQ(Chain(log), "1..3 4..4");
    EXPECT_EQ(log.mark, 3u);
    EXPECT_EQ(log.next_sequence, 5u);
  }
}

TEST_F(RecoverySearchTest, TrimThatOnlyFramesTellOfCounts) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  for (const bool closed : {false, true}) {
    SegmentHeader header = Header(2, 6, first.AsPredecessor());
    const std::string before = SegmentBuilder(header).Bytes();
    header.first_retained = 6;
    SegmentBuilder second(header);
    second.Group(5).Record("6");
    if (closed) second.Footer();
    std::string bytes = second.Bytes();
    Put(2, bytes.replace(0, kFramesOffset, before.substr(0, kFramesOffset)));
    const RecoveredLog log = Recover();
    EXPECT_EQ(Chain(log), "6..6");
    EXPECT_EQ(log.first_retained, 6u);
    EXPECT_EQ(log.removable, std::vector<std::string>{SegmentName(1)});
  }
}

TEST_F(RecoverySearchTest, LargeSegmentIsReadToItsCapacity) {
  SegmentBuilder segment(Header(1, 1));
  segment.Group(0);
  SequenceNumber last = 0;
  while (segment.offset() < segment.header().capacity) {
    segment.Record(std::string(1000, 'x'));
    ++last;
  }
  Put(segment);
  EXPECT_EQ(Recover().next_sequence, last + 1);
  // Behind it, a footer and what fills up to it; no more.
  Put(1, segment.Bytes() + std::string(64'000, 'x'));
  Recover();
  EXPECT_GT(report_.tail_bytes, 4096u);
  EXPECT_LT(report_.tail_bytes, 16'000u);
}

}  // namespace
}  // namespace millrace
