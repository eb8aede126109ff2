// Goal: of every number up to the limit a reader returns either the record or one
// lost range that names it, whatever was done to the files.
// Method: segments made by hand in a simulated file system, then damaged.

#include <errno.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/record_reader_fixture.h"
#include "wal/record_reader.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

TEST_F(RecordReaderTest, NamesTheDamagedRecordAndReturnsAllOthers) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 5);
  Store(segment);
  disk_.FlipBit(Path(1), segment.FrameBegin(3) + kFrameHeaderBytes, 0);
  RecordReader reader = Reader(Node(segment));
  EXPECT_EQ(ReadAll(reader, 5), "1 2 lost 3..3" + Cause(LossCause::kChecksum) + " 4 5");

  RecordReader again = Reader(Node(segment));
  while (again.Next(5) != RecordReader::Kind::kLost) {
  }
  EXPECT_EQ(again.lost().segment, 1);
  EXPECT_EQ(again.lost().begin, segment.FrameBegin(3));
  EXPECT_EQ(again.lost().end, segment.FrameBegin(4));
}

TEST_F(RecordReaderTest, DamageInABatchNamesTheWholeBatch) {
  SegmentBuilder segment(Header(1, 1));
  segment.Group(0).Record(Payload(1)).Batch({{"x"}, {"y"}, {"z"}}).Record(Payload(5));
  Store(segment);
  disk_.FlipBit(Path(1), segment.FrameBegin(2) + kFrameHeaderBytes + 13, 3);
  RecordReader reader = Reader(Node(segment));
  EXPECT_EQ(ReadAll(reader, 5), "1 lost 2..4" + Cause(LossCause::kChecksum) + " 5");
}

TEST_F(RecordReaderTest, DamageToBookkeepingAloneLosesNothing) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 2);
  segment.IdleMark();
  Fill(segment, 4);
  Store(segment);
  // The idle mark, and the header of the padding before it.
  disk_.FlipBit(Path(1), segment.FrameBegin(3) + 1, 1);
  disk_.FlipBit(Path(1), segment.FrameBegin(4) + 40, 1);
  RecordReader reader = Reader(Node(segment));
  EXPECT_EQ(ReadAll(reader, 4), "1 2 3 4");
}

TEST_F(RecordReaderTest, LossAtTheEndReachesToTheLimit) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 3);
  Store(segment);
  RecordReader reader = Reader(Node(segment));
  EXPECT_EQ(ReadAll(reader, 7), "1 2 3 lost 4..7" + Cause(LossCause::kTruncated));
  EXPECT_EQ(ReadAll(reader, 7), "");
}

TEST_F(RecordReaderTest, LossAtTheEndOfASealedSegmentReachesToItsLastRecord) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 5);
  SegmentBuilder b(Header(2, 6));
  Fill(b, 7);
  std::string bytes = a.Bytes();
  bytes.resize(a.FrameBegin(4));
  Store(a, bytes), Store(b);
  const auto nodes = std::vector{Node(a), Node(b)};
  Seal(nodes[0], a, nodes[1]);
  RecordReader reader = Reader(nodes[0]);
  EXPECT_EQ(ReadAll(reader, 7), "1 2 3 lost 4..5" + Cause(LossCause::kTruncated) + " 6 7");
}

TEST_F(RecordReaderTest, LossBeyondTheLimitIsNamedOnlyWhenTheLimitComesToIt) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 6);
  Store(segment);
  disk_.FlipBit(Path(1), segment.FrameBegin(3), 0);
  disk_.FlipBit(Path(1), segment.FrameBegin(4), 0);
  RecordReader reader = Reader(Node(segment));
  EXPECT_EQ(ReadAll(reader, 3), "1 2 lost 3..3" + Cause(LossCause::kChecksum));
  EXPECT_EQ(ReadAll(reader, 6), "lost 4..4" + Cause(LossCause::kChecksum) + " 5 6");
}

TEST_F(RecordReaderTest, GapBetweenSegmentsIsLost) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 3);
  SegmentBuilder b(Header(2, 6));
  Fill(b, 7);
  SegmentBuilder c(Header(4, 9));
  Fill(c, 9);
  Store(a), Store(b), Store(c);
  const auto nodes = std::vector{Node(a), Node(b), Node(c)};
  Seal(nodes[0], a, nodes[1]);
  Seal(nodes[1], b, nodes[2]);
  RecordReader reader = Reader(nodes[0]);
  EXPECT_EQ(ReadAll(reader, 9), "1 2 3 lost 4..5" + Cause(LossCause::kTruncated) +
                                    " 6 7 lost 8..8" + Cause(LossCause::kMissingSegment) + " 9");
}

TEST_F(RecordReaderTest, MissingFileLosesItsRecordsAlone) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 3);
  SegmentBuilder b(Header(2, 4));
  Fill(b, 6);
  SegmentBuilder c(Header(3, 7));
  Fill(c, 8);
  Store(a), Store(c);
  const auto nodes = std::vector{Node(a), Node(b), Node(c)};
  Seal(nodes[0], a, nodes[1]);
  Seal(nodes[1], b, nodes[2]);
  RecordReader reader = Reader(nodes[0]);
  EXPECT_EQ(ReadAll(reader, 8), "1 2 3 lost 4..6" + Cause(LossCause::kMissingSegment) + " 7 8");
}

TEST_F(RecordReaderTest, FileOfAnotherSegmentOrLogIsForeign) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 3);
  SegmentBuilder b(Header(2, 4));
  Fill(b, 5);
  for (const char* what : {"number", "incarnation", "log"}) {
    SegmentHeader header = Header(1, 1);
    if (what == std::string_view("number")) header.number = 7;
    if (what == std::string_view("incarnation")) header.incarnation = 7;
    if (what == std::string_view("log")) header.log_id[0] = 'T';
    SegmentBuilder foreign(header);
    Fill(foreign, 3);
    WriteFile(*directory_, SegmentName(1), foreign.Bytes());
    Store(b);
    const auto nodes = std::vector{Node(a), Node(b)};
    Seal(nodes[0], a, nodes[1]);
    RecordReader reader = Reader(nodes[0]);
    EXPECT_EQ(ReadAll(reader, 5), "lost 1..3" + Cause(LossCause::kForeignSegment) + " 4 5") << what;
  }
}

// As recovery, which counts such a segment in the chain.
TEST_F(RecordReaderTest, HeaderOfAnotherSegmentLosesNoRecordWhoseFramesAreIntact) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 5);
  SegmentBuilder b(Header(2, 6));
  Fill(b, 7);
  const std::string other = SegmentBuilder(Header(7, 1)).Bytes();
  std::string bytes = a.Bytes().replace(0, kFramesOffset, other, 0, kFramesOffset);
  const auto nodes = std::vector{Node(a), Node(b)};
  Seal(nodes[0], a, nodes[1]);
  WriteFile(*directory_, SegmentName(1), bytes);
  Store(b);
  RecordReader reader = Reader(nodes[0]);
  EXPECT_EQ(ReadAll(reader, 7), "1 2 3 4 5 6 7");
  // With a hole the records on both of its sides are there.
  bytes[a.FrameBegin(2) + 3] ^= 1;
  WriteFile(*directory_, SegmentName(1), bytes);
  RecordReader holed = Reader(nodes[0]);
  EXPECT_EQ(ReadAll(holed, 7), "1 lost 2..2" + Cause(LossCause::kChecksum) + " 3 4 5 6 7");
}

TEST_F(RecordReaderTest, TrimmedRecordsAreToldFromLostOnes) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 3);
  SegmentBuilder b(Header(2, 4));
  Fill(b, 6);
  SegmentBuilder c(Header(3, 7));
  Fill(c, 8);
  Store(c);
  const auto nodes = std::vector{Node(a), Node(b), Node(c)};
  Seal(nodes[0], a, nodes[1]);
  Seal(nodes[1], b, nodes[2]);
  first_retained_ = 7;
  RecordReader reader = Reader(nodes[0], 2);
  EXPECT_EQ(ReadAll(reader, 8), "lost 2..6" + Cause(LossCause::kTrimmed) + " 7 8");
  // A reader that starts where nothing is kept any more.
  RecordReader late = Reader(nodes[2], 5);
  EXPECT_EQ(ReadAll(late, 8), "lost 5..6" + Cause(LossCause::kTrimmed) + " 7 8");
}

TEST_F(RecordReaderTest, FileDeletedWhileOpenIsReadToItsEnd) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 3);
  SegmentBuilder b(Header(2, 4));
  Fill(b, 5);
  Store(a), Store(b);
  const auto nodes = std::vector{Node(a), Node(b)};
  Seal(nodes[0], a, nodes[1]);
  RecordReader reader = Reader(nodes[0]);
  ASSERT_EQ(reader.Next(5), RecordReader::Kind::kRecord);
  ASSERT_EQ(directory_->Unlink(SegmentName(1)), 0);
  first_retained_ = 4;
  EXPECT_EQ(ReadAll(reader, 5), "2 3 4 5");
}

TEST_F(RecordReaderTest, FileTakenForAnotherUseWhileReadIsTrimmedNotDamaged) {
  SegmentBuilder a(Header(1, 1));
  a.Group(0).Record(Payload(1)).Record(std::string(2 << 20, 'x')).Record(Payload(3));
  SegmentBuilder b(Header(2, 4));
  Fill(b, 5);
  Store(a), Store(b);
  const auto nodes = std::vector{Node(a), Node(b)};
  Seal(nodes[0], a, nodes[1]);
  RecordReader reader = Reader(nodes[0]);
  ASSERT_EQ(reader.Next(5), RecordReader::Kind::kRecord);
  // By another process: what is open here becomes segment 3.
  ASSERT_EQ(directory_->Rename(SegmentName(1), SegmentName(3)), 0);
  SegmentBuilder recycled(Header(3, 6));
  Fill(recycled, 9);
  WriteFile(*directory_, SegmentName(3), recycled.Bytes());
  first_retained_ = 4;
  EXPECT_EQ(ReadAll(reader, 5), "lost 2..3" + Cause(LossCause::kTrimmed) + " 4 5");
}

TEST_F(RecordReaderTest, LosingBothHeadersCostsNoRecord) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 3);
  std::string bytes = segment.Bytes();
  bytes.replace(0, kFramesOffset, kFramesOffset, '\xff');
  Store(segment, bytes);
  RecordReader reader = Reader(Node(segment));
  EXPECT_EQ(ReadAll(reader, 3), "1 2 3");
}

TEST_F(RecordReaderTest, WantOfFileDescriptorsIsAnErrorThatPasses) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 2);
  Store(segment);
  disk_.AddRule({.op = FileOp::kOpen, .error = EMFILE});
  RecordReader reader = Reader(Node(segment));
  ASSERT_EQ(reader.Next(2), RecordReader::Kind::kError);
  EXPECT_TRUE(absl::IsResourceExhausted(reader.status())) << reader.status();
  EXPECT_EQ(ReadAll(reader, 2), "1 2");
}

TEST_F(RecordReaderTest, UnreadableFileIsALossNotAnError) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 3);
  SegmentBuilder b(Header(2, 4));
  Fill(b, 5);
  Store(a), Store(b);
  const auto nodes = std::vector{Node(a), Node(b)};
  Seal(nodes[0], a, nodes[1]);
  disk_.AddRule(
      {.op = FileOp::kRead, .error = EIO, .name = SegmentName(1), .count = SimRule::kForever});
  RecordReader reader = Reader(nodes[0]);
  EXPECT_EQ(ReadAll(reader, 5), "lost 1..3" + Cause(LossCause::kUnreadable) + " 4 5");
}

TEST_F(RecordReaderTest, FrameOfANewerVersionIsAnErrorNotALoss) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 1);
  segment.Frame(static_cast<FrameType>(0x90), 0, 0, "may be skipped").Record(Payload(2));
  segment.Frame(static_cast<FrameType>(0x20), 0, 0, "may not").Record(Payload(3));
  Store(segment);
  RecordReader reader = Reader(Node(segment));
  for (SequenceNumber s = 1; s <= 2; ++s) {
    ASSERT_EQ(reader.Next(3), RecordReader::Kind::kRecord);
    EXPECT_EQ(reader.record().sequence, s);
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(reader.Next(3), RecordReader::Kind::kError);
    EXPECT_TRUE(absl::IsUnimplemented(reader.status())) << reader.status();
  }
}

}  // namespace
}  // namespace millrace
