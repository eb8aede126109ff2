// Goal: a frame whose checksums hold is taken if and only if it makes sense where it stands,
// and of what stands at the end the reader says what it is.
// Method: segments made by hand whose frames contradict themselves, the segment or the limits,
// by one; next to each the one that just does not.

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/segment_reader_fixture.h"
#include "wal/format.h"
#include "wal/segment_reader.h"

namespace millrace {
namespace {

class SegmentReaderContentTest : public SegmentReaderFixture {
 protected:
  // What is met of a mark of `body` and a record behind it.
  std::string WalkMark(FrameType type, const GroupBody& body) {
    std::string bytes(type == FrameType::kFooter ? kFooterBodyBytes : kGroupBodyBytes, '\0');
    EncodeGroupBody(body, bytes.data());
    SegmentBuilder segment(Header(10));
    Read(segment.Frame(type, 0, 0, bytes).Record("10").Bytes(), 10);
    return Walk();
  }

  // What is met of a batch of `count` records with this body, and the record behind it.
  std::string WalkBatch(const std::vector<uint32_t>& index, const std::string& bodies) {
    std::string body(reinterpret_cast<const char*>(index.data()), 4 * index.size());
    SegmentBuilder segment(Header());
    segment.Group(0).Frame(FrameType::kBatch, 0, static_cast<uint16_t>(index.size()),
                           body + bodies);
    Read(segment.Record("4").Bytes());
    return Walk();
  }

  // Up to the end, by a reader to which numbers above `highest` mean nothing.
  std::string WalkUpTo(SequenceNumber highest) {
    std::string walk;
    while ((last_ = reader_->Next(size_, highest)).kind == Kind::kFrame) {
      walk += last_.header.count > 0 ? std::to_string(last_.header.sequence) : "m";
    }
    return walk;
  }
};

TEST_F(SegmentReaderContentTest, IntactFramesThatContradictTheSegmentAreLost) {
  // Checksums hold in all of these.
  SegmentBuilder backwards(Header());
  backwards.Group(0).Record("1").Record("2").SkipTo(1).Record("again").SkipTo(3).Record("3");
  Read(backwards.Bytes());
  EXPECT_EQ(Walk(), "12[3..2]3");
  EXPECT_EQ(lost_.back().cause, LossCause::kInconsistent);

  SegmentBuilder far(Header());
  far.Group(0).Record("1").SkipTo(kMaxSequence).Record("far").SkipTo(3).Record("3");
  Read(far.Bytes());
  EXPECT_EQ(Walk(), "1[2..2]3");

  SegmentBuilder batch(Header());
  batch.Group(0).Record("1").Frame(FrameType::kBatch, 0, 9, "short").Record("11");
  Read(batch.Bytes());
  EXPECT_EQ(Walk(), "1[2..10]11");

  SegmentBuilder extras(Header());
  extras.Group(0).Frame(FrameType::kRecord, kHasExtras, 1, "\xff\xff\xff\xff....").Record("2");
  Read(extras.Bytes());
  EXPECT_EQ(Walk(), "[1..1]2");
  EXPECT_EQ(lost_.back().cause, LossCause::kInconsistent);

  SegmentBuilder mark(Header());
  mark.Group(/*mark=*/5).Record("1");
  Read(mark.Bytes());
  EXPECT_EQ(Walk(), "[1..0]1");
}

TEST_F(SegmentReaderContentTest, HighestBoundsWhatIsTaken) {
  const SegmentBuilder segment = FiveRecords();
  Read(segment.Bytes());
  std::string walk;
  SegmentReader::Step step;
  while ((step = reader_->Next(size_, 3)).kind == Kind::kFrame) {
    if (step.header.count > 0) walk += std::to_string(step.header.sequence);
  }
  EXPECT_EQ(walk, "123");
  EXPECT_EQ(step.kind, Kind::kEnd);
  EXPECT_EQ(step.offset, segment.FrameBegin(4));
}

TEST_F(SegmentReaderContentTest, NumberTooHighForTheBytesBetweenIsNotTaken) {
  SegmentBuilder segment = FiveRecords();
  segment.SkipTo(2000).Record("too far");
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(5) + 40] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "1234");
  EXPECT_GE(reader_->bytes_read(), bytes.size() - kFramesOffset);
}

TEST_F(SegmentReaderContentTest, MarksAgreeWithTheSegmentOrAreLost) {
  for (const FrameType type : {FrameType::kGroup, FrameType::kIdleMark, FrameType::kFooter}) {
    const GroupBody good = {.number = 3, .incarnation = 1234, .mark = 9, .first_retained = 10};
    EXPECT_EQ(WalkMark(type, good), "10");
    GroupBody bad = good;
    bad.number = 4;
    EXPECT_EQ(WalkMark(type, bad), "[10..9]10");
    bad = good;
    bad.incarnation = 1235;
    EXPECT_EQ(WalkMark(type, bad), "[10..9]10");
    bad = good;
    bad.mark = 10;  // a record that comes behind it
    EXPECT_EQ(WalkMark(type, bad), "[10..9]10");
    bad = good;
    bad.first_retained = 11;
    EXPECT_EQ(WalkMark(type, bad), "[10..9]10");
  }
}

TEST_F(SegmentReaderContentTest, BatchesAgreeWithTheirIndexOrAreLost) {
  EXPECT_EQ(WalkBatch({0, 0, 0}, ""), "14") << "records without a byte";
  EXPECT_EQ(WalkBatch({1, 2, 3}, "abbccc"), "14");
  EXPECT_EQ(WalkBatch({7, 0, 0}, "abbccc"), "[1..3]4");
  EXPECT_EQ(WalkBatch({3, 3, 1}, "abbccc"), "[1..3]4");
  EXPECT_EQ(WalkBatch({1, 2, 4}, "abbccc"), "[1..3]4");
  // The index alone is longer than the body.
  SegmentBuilder segment(Header());
  Read(segment.Group(0).Frame(FrameType::kBatch, 0, 3, std::string(11, '\0')).Record("4").Bytes());
  EXPECT_EQ(Walk(), "[1..3]4");
  AppendOptions options;
  options.key = "k";
  std::string extras(ExtrasBytes(options), '\0');
  EncodeExtras(options, extras.data());
  const uint32_t entry = static_cast<uint32_t>(extras.size()) | kBatchEntryHasExtras;
  EXPECT_EQ(WalkBatch({1, entry, 0}, "a" + extras), "14");
  extras[4] = 'x';  // the key's length
  EXPECT_EQ(WalkBatch({1, entry, 0}, "a" + extras), "[1..3]4");
  EXPECT_EQ(lost_.back().cause, LossCause::kInconsistent);
}

TEST_F(SegmentReaderContentTest, BatchIsTakenWholeOrNotAtAll) {
  SegmentBuilder segment(Header());
  segment.Group(0).Record("1").Batch({{"2"}, {"3"}, {"4"}}).Group(1);
  Read(segment.Bytes());
  EXPECT_EQ(WalkUpTo(4), "m12m");
  Read(segment.Bytes());
  EXPECT_EQ(WalkUpTo(3), "m1");
  EXPECT_EQ(last_.offset, segment.FrameBegin(2));
}

TEST_F(SegmentReaderContentTest, MarkBehindTheHighestRecordIsTakenAndNoneThatComesLater) {
  SegmentBuilder segment(Header());
  segment.Group(0).Record("1").Record("2").Group(1).Record("3").Group(1);
  Read(segment.Bytes());
  EXPECT_EQ(WalkUpTo(2), "m12m");
  EXPECT_EQ(last_.end_cause, LossCause::kInconsistent);
  SegmentBuilder later(Header(4));
  later.Group(0);
  Read(later.Bytes(), kNoSequence);
  EXPECT_EQ(WalkUpTo(2), "");
  Read(later.Bytes(), kNoSequence);
  EXPECT_EQ(WalkUpTo(3), "m");
}

// Numbers run ahead of bytes where the smallest records are lost.
TEST_F(SegmentReaderContentTest, LargeBatchOfEmptyRecordsIsCountedByWhatFollowsIt) {
  SegmentBuilder segment(Header());
  const std::vector<SegmentBuilder::Batched> empty(1000);
  segment.Group(0).Batch(empty).Record("1001");
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(1) + kFrameHeaderBytes] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "[1..1000]1001");
}

TEST_F(SegmentReaderContentTest, FirstRecordIsFoundBehindDamageThoughItsNumberWasUnknown) {
  std::string bytes = FiveRecords().Bytes();
  bytes[kFramesOffset + kFrameHeaderBytes] ^= 1;
  Read(bytes, kNoSequence);
  EXPECT_EQ(Walk(), "[1..0]12345");
}

TEST_F(SegmentReaderContentTest, WhatIsInsideADamagedRecordIsNotTakenForAFrame) {
  // A valid frame for just the place at which it stands in the payload.
  SegmentBuilder inner(Header());
  inner.Group(0).Record("1");
  inner.Frame(FrameType::kPadding, 0, 0, "");
  const std::string frame = inner.Record("inside").Bytes().substr(inner.FrameBegin(3));
  SegmentBuilder segment(Header());
  segment.Group(0).Record("1").Record(frame + "!").Record("3");
  ASSERT_EQ(segment.FrameBegin(2) + kFrameHeaderBytes, inner.FrameBegin(3));
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(2) + kFrameHeaderBytes + frame.size()] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "1[2..2]3");
  EXPECT_EQ(bodies_.back(), "3");
  // It is looked for where the frame's own length cannot be known.
  bytes[segment.FrameBegin(2)] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "1[2..1]2[3..2]3");
}

TEST_F(SegmentReaderContentTest, NewerFrameBehindDamageIsNamedWhereItStands) {
  SegmentBuilder segment = FiveRecords();
  segment.Frame(static_cast<FrameType>(9), 0, 0, "needed").Record("6");
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(5) + kFrameHeaderBytes] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "1234");
  EXPECT_EQ(last_.kind, Kind::kUnknown);
  EXPECT_EQ(last_.offset, segment.FrameBegin(6));
}

// --- The end ----------------------------------------------------------------------

TEST_F(SegmentReaderContentTest, FrameThatIsAHeaderAloneIsReadAtTheVeryEnd) {
  SegmentBuilder segment = FiveRecords();
  segment.Frame(FrameType::kPadding, 0, 0, "");
  Read(segment.Bytes());
  EXPECT_EQ(Walk(), "12345");
  EXPECT_EQ(last_.offset, segment.offset());
  // And found there behind damage.
  SegmentBuilder empty = FiveRecords();
  empty.Record("");
  std::string bytes = empty.Bytes();
  bytes[empty.FrameBegin(5) + kFrameHeaderBytes] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "1234[5..5]6");
}

TEST_F(SegmentReaderContentTest, WhatReachesBeyondTheLimitIsNoFrame) {
  const SegmentBuilder segment = FiveRecords();
  Read(segment.Bytes());
  size_ = segment.FrameBegin(5) - 8;  // inside the last but one
  EXPECT_EQ(Walk(), "123");
  EXPECT_EQ(last_.offset, segment.FrameBegin(4));
  EXPECT_EQ(last_.end_cause, LossCause::kInconsistent);
  EXPECT_GT(last_.nonzero_bytes, 100u);
  EXPECT_LE(last_.nonzero_bytes, size_ - last_.offset);
}

TEST_F(SegmentReaderContentTest, PlaceTooSmallForAFrameIsTheEndInOrder) {
  const SegmentBuilder segment = FiveRecords();
  for (const uint64_t room : {0, 8, 24}) {
    Read(segment.Bytes() + std::string(room, '\0'));
    EXPECT_EQ(Walk(), "12345");
    EXPECT_EQ(last_.end_cause, LossCause::kZeroed) << room;
    size_ += kFrameHeaderBytes;
    EXPECT_EQ(Walk(), "");
    EXPECT_EQ(last_.end_cause, LossCause::kTruncated) << "the file ends before the limit";
  }
}

}  // namespace
}  // namespace millrace
