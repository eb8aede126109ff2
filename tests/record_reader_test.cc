// Goal: records come back in order, each once, with all that was stored, also beside
// a writer and from the middle.
// Method: segments made by hand in a simulated file system.

#include "wal/record_reader.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/record_reader_fixture.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

TEST_F(RecordReaderTest, ReturnsRecordsUpToTheLimitAndNoFurther) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 5);
  Store(segment);
  RecordReader reader = Reader(Node(segment));
  EXPECT_EQ(ReadAll(reader, 0), "");
  EXPECT_EQ(ReadAll(reader, 3), "1 2 3");
  EXPECT_EQ(ReadAll(reader, 3), "");
  EXPECT_EQ(reader.next_sequence(), 4);
  EXPECT_EQ(ReadAll(reader, 5), "4 5");
}

TEST_F(RecordReaderTest, ReturnsTimeKeyAttributesAndPayload) {
  const Attribute attributes[] = {{"color", "red"}, {"", ""}};
  AppendOptions options;
  options.key = "k";
  options.attributes = attributes;
  SegmentBuilder segment(Header(1, 1));
  segment.At(5'000'000'000).Group(0).Record("with", options).Record("");
  segment.At(6'000'000'000).Group(2).Batch({{"one"}, {"two", options}});
  Store(segment);
  RecordReader reader = Reader(Node(segment));

  ASSERT_EQ(reader.Next(4), RecordReader::Kind::kRecord);
  Record record = ToRecord(reader.record());
  EXPECT_EQ(record.sequence, 1);
  EXPECT_EQ(record.time, absl::FromUnixSeconds(5));
  EXPECT_EQ(record.key, "k");
  ASSERT_EQ(record.attributes.size(), 2);
  EXPECT_EQ(record.attributes[0].name, "color");
  EXPECT_EQ(record.attributes[0].value, "red");
  EXPECT_EQ(record.attributes[1].name, "");
  EXPECT_EQ(record.payload, "with");

  ASSERT_EQ(reader.Next(4), RecordReader::Kind::kRecord);
  record = ToRecord(reader.record());
  EXPECT_FALSE(record.key.has_value());
  EXPECT_TRUE(record.attributes.empty());
  EXPECT_EQ(record.payload, "");

  ASSERT_EQ(reader.Next(4), RecordReader::Kind::kRecord);
  EXPECT_EQ(reader.record().record.payload, "one");
  EXPECT_EQ(ToRecord(reader.record()).time, absl::FromUnixSeconds(6));
  ASSERT_EQ(reader.Next(4), RecordReader::Kind::kRecord);
  record = ToRecord(reader.record());
  EXPECT_EQ(record.sequence, 4);
  EXPECT_EQ(record.key, "k");
  EXPECT_EQ(record.attributes.size(), 2);
  EXPECT_EQ(record.payload, "two");
  EXPECT_EQ(reader.Next(4), RecordReader::Kind::kAtLimit);
}

TEST_F(RecordReaderTest, FollowsTheChainAcrossSegments) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 3);
  SegmentBuilder b(Header(2, 4));
  Fill(b, 6);
  SegmentBuilder c(Header(5, 7));
  Fill(c, 8);
  Store(a), Store(b), Store(c);
  const auto nodes = std::vector{Node(a), Node(b), Node(c)};
  Seal(nodes[0], a, nodes[1]);
  Seal(nodes[1], b, nodes[2]);
  RecordReader reader = Reader(nodes[0]);
  EXPECT_EQ(ReadAll(reader, 5), "1 2 3 4 5");
  EXPECT_EQ(ReadAll(reader, 8), "6 7 8");
}

TEST_F(RecordReaderTest, SeesWhatWasWrittenAfterItHadBufferedTheEnd) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 1);
  // Space is there before records are: what follows is buffered as zeros.
  const std::string slack(8192, '\0');
  Store(segment, segment.Bytes() + slack);
  const std::shared_ptr<SegmentNode> node = Node(segment);
  RecordReader reader = Reader(node);
  EXPECT_EQ(ReadAll(reader, 1), "1");
  for (SequenceNumber last = 2; last < 40; ++last) {
    Fill(segment, last);
    Store(segment, segment.Bytes() + slack);
    EXPECT_EQ(ReadAll(reader, last), absl::StrCat(last));
  }
  Fill(segment, 42);
  SegmentBuilder next(Header(2, 43));
  Fill(next, 44);
  Store(segment), Store(next);
  Seal(node, segment, Node(next));
  EXPECT_EQ(ReadAll(reader, 44), "40 41 42 43 44");
}

TEST_F(RecordReaderTest, StartsInTheMiddle) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 4);
  segment.Batch({{"five"}, {"six"}, {"seven"}});
  Fill(segment, 9);
  Store(segment);
  for (const SequenceNumber start : {3, 5, 6, 7, 8}) {
    RecordReader reader = Reader(Node(segment), start);
    ASSERT_EQ(reader.Next(9), RecordReader::Kind::kRecord);
    EXPECT_EQ(reader.record().sequence, start);
  }
}

TEST_F(RecordReaderTest, BatchMayBeReadInPartsAndLimitMayLieInsideIt) {
  SegmentBuilder segment(Header(1, 1));
  segment.Group(0).Batch({{"one"}, {"two"}, {"three"}}).Record("four");
  Store(segment);
  RecordReader reader = Reader(Node(segment));
  EXPECT_EQ(ReadAll(reader, 2), "1=one 2=two");
  EXPECT_EQ(ReadAll(reader, 2), "");
  EXPECT_EQ(ReadAll(reader, 4), "3=three 4=four");
}

TEST_F(RecordReaderTest, PositionLeadsBackToTheNextRecord) {
  SegmentBuilder segment(Header(1, 1));
  for (SequenceNumber last = 2; last <= 40; last += 2) {
    segment.At(last);
    Fill(segment, last);
  }
  Store(segment);
  RecordReader reader = Reader(Node(segment));
  for (SequenceNumber s = 1; s < 40; ++s) {
    ASSERT_EQ(reader.Next(40), RecordReader::Kind::kRecord);
    const ReadPosition position = reader.position();
    ASSERT_NE(position.segment, 0);
    RecordReader resumed = Reader(Node(segment), s + 1);
    resumed.UseHint(position);
    ASSERT_EQ(resumed.Next(40), RecordReader::Kind::kRecord);
    EXPECT_EQ(resumed.record().sequence, s + 1);
    EXPECT_EQ(resumed.record().record.payload, Payload(s + 1));
    // The group's time is known although reading began in mid-segment.
    EXPECT_EQ(resumed.record().time_ns, static_cast<int64_t>((s + 2) / 2 * 2));
  }
}

TEST_F(RecordReaderTest, UselessHintsAreIgnored) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 5);
  Fill(segment, 9);
  Store(segment);
  const uint64_t incarnation = IncarnationOf(1);
  const uint64_t later_group = segment.FrameBegin(6);
  const ReadPosition hints[] = {
      {1, incarnation, 0, 1},
      {1, incarnation, kFramesOffset + 3, 1},
      {1, incarnation, segment.FrameBegin(1) + 8, 1},
      {1, incarnation, later_group, 1},  // beyond the record that is wanted
      {1, incarnation, segment.offset(), 1},
      {1, incarnation, uint64_t{1} << 62, 1},
      {1, incarnation + 1, segment.FrameBegin(1), 1},
      {2, incarnation, segment.FrameBegin(1), 1},
  };
  for (const ReadPosition& hint : hints) {
    RecordReader reader = Reader(Node(segment), 3);
    reader.UseHint(hint);
    EXPECT_EQ(ReadAll(reader, 9), "3 4 5 6 7 8 9") << hint.segment << ":" << hint.offset;
  }
}

}  // namespace
}  // namespace millrace
