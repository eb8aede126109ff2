// Goal: reading begins exactly at the record that was asked for, whichever it is, and
// whatever byte of the file a reader is told to begin at.
// Method: LevelDB's readers are given byte offsets; ours are given numbers, with an offset
// as a hint that may be wrong. Every number, and for every record every byte offset, is
// tried.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/record_reader_fixture.h"
#include "wal/format.h"
#include "wal/record_reader.h"

namespace millrace {
namespace {

class LevelDbSeekTest : public RecordReaderTest {
 protected:
  // Records 1..6 in the shape of LevelDB's: two small ones, one of several blocks, one of many, one
  // that fills its block up to less than a header, one more.
  SegmentBuilder Six() {
    SegmentBuilder segment(Header(1, 1));
    segment.Group(0).Record("1").Record("2").Record(std::string(9'000, '3'));
    segment.Group(3).Record(std::string(20'000, '4'));
    const uint64_t to_block_end = RoundUp(segment.offset() + 256, kBlockBytes) - segment.offset();
    segment.Record(std::string(to_block_end - FrameBytes(0) - 8, '5'));
    segment.PadToBlock().Group(5).Record("6");
    Store(segment);
    return segment;
  }
  // Six records behind a reader's first: "4 5 6".
  static std::string Numbers(RecordReader& reader) {
    std::string text;
    RecordReader::Kind kind;
    while ((kind = reader.Next(6)) == RecordReader::Kind::kRecord) {
      const RecordReader::Entry& entry = reader.record();
      absl::StrAppend(&text, text.empty() ? "" : " ", entry.sequence);
      EXPECT_EQ(entry.record.payload[0], '0' + static_cast<char>(entry.sequence));
    }
    EXPECT_EQ(kind, RecordReader::Kind::kAtLimit);
    return text;
  }
  static std::string From(SequenceNumber first) {
    std::string text;
    for (SequenceNumber s = first; s <= 6; ++s) absl::StrAppend(&text, s == first ? "" : " ", s);
    return text;
  }
};

// LevelDB log_test: ReadStart, ReadSecondStart, ReadThirdStart, ReadFourthStart.
TEST_F(LevelDbSeekTest, EveryRecordIsFoundByItsNumber) {
  const SegmentBuilder segment = Six();
  for (SequenceNumber s = 1; s <= 6; ++s) {
    RecordReader reader = Reader(Node(segment), s);
    EXPECT_EQ(Numbers(reader), From(s));
  }
}

// LevelDB log_test: ReadSecondOneOff, ReadSecondTenThousand, ReadThirdOneOff, ReadFourthOneOff,
// ReadFourthFirstBlockTrailer, ReadFourthMiddleBlock, ReadFourthLastBlock,
// ReadInitialOffsetIntoBlockPadding.
TEST_F(LevelDbSeekTest, AnyByteOffsetLeadsToTheRecordThatWasAskedFor) {
  const SegmentBuilder segment = Six();
  const uint64_t size = segment.Bytes().size();
  uint64_t tried = 0;
  for (SequenceNumber s = 1; s <= 6; ++s) {
    // Every byte near the frames' boundaries, every place where a frame could stand elsewhere.
    for (uint64_t offset = 0; offset < size + 64; offset += offset % 512 < 64 ? 1 : 8) {
      RecordReader reader = Reader(Node(segment), s);
      reader.UseHint({.segment = 1,
                      .incarnation = IncarnationOf(1),
                      .offset = offset,
                      .sequence = 1 + offset % 6});
      ASSERT_EQ(reader.Next(6), RecordReader::Kind::kRecord) << offset;
      ASSERT_EQ(reader.record().sequence, s) << offset;
      ++tried;
    }
  }
  EXPECT_GT(tried, 30'000u);
}

// LevelDB log_test: ReadFourthMiddleBlock, with what is behind it.
TEST_F(LevelDbSeekTest, AHintInsideARecordHidesNothingBehindIt) {
  const SegmentBuilder segment = Six();
  for (size_t frame = 0; frame < 9; ++frame) {
    for (const uint64_t into : {0, 1, 7, 8, 31, 32, 33}) {
      for (SequenceNumber s = 1; s <= 6; ++s) {
        RecordReader reader = Reader(Node(segment), s);
        reader.UseHint({.segment = 1,
                        .incarnation = IncarnationOf(1),
                        .offset = segment.FrameBegin(frame) + into,
                        .sequence = s});
        ASSERT_EQ(Numbers(reader), From(s)) << frame << " + " << into;
      }
    }
  }
}

// LevelDB log_test: SkipIntoMultiRecord.
TEST_F(LevelDbSeekTest, ASeekIntoABatchBeginsInsideIt) {
  SegmentBuilder segment(Header(1, 1));
  segment.Group(0).Record(Payload(1));
  const std::vector<std::string> payloads = {Payload(2), Payload(3), Payload(4), Payload(5)};
  std::vector<SegmentBuilder::Batched> batch;
  for (const std::string& payload : payloads) batch.push_back({payload});
  segment.Batch(batch).Record(Payload(6));
  Store(segment);
  for (SequenceNumber s = 1; s <= 6; ++s) {
    RecordReader reader = Reader(Node(segment), s);
    EXPECT_EQ(ReadAll(reader, 6), From(s));
  }
}

// --- The end, through the public cursor -------------------------------------------------

class LevelDbCursorSeekTest : public testing::Test {
 protected:
  LevelDbCursorSeekTest() {
    options_.file_system = &disk_;
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
    options_.idle_mark_delay = absl::Hours(1);
    log_ = Log::Open("log", options_).value();
    for (SequenceNumber s = 1; s <= kLast; ++s) {
      EXPECT_TRUE(log_->Append(Payload(s) + std::string(s * 37, 'x')).ok());
    }
  }
  static constexpr SequenceNumber kLast = 40;

  SimFileSystem disk_{SimOptions{}};
  Options options_;
  std::unique_ptr<Log> log_;
};

// LevelDB log_test: ReadStart, ReadSecondStart.
TEST_F(LevelDbCursorSeekTest, EveryNumberIsSoughtFromEveryOther) {
  auto cursor = log_->OpenCursor("c").value();
  for (SequenceNumber from = 1; from <= kLast; ++from) {
    for (SequenceNumber to = 1; to <= kLast; ++to) {
      ASSERT_TRUE(cursor->Seek(from).ok());
      ASSERT_EQ(cursor->Next()->record.sequence, from);
      ASSERT_TRUE(cursor->Seek(to).ok());
      const Entry entry = cursor->Next().value();
      ASSERT_EQ(entry.record.sequence, to);
      ASSERT_EQ(entry.record.payload, Payload(to) + std::string(to * 37, 'x'));
    }
  }
}

// LevelDB log_test: ReadEnd.
TEST_F(LevelDbCursorSeekTest, AtTheEndThereIsNothingYet) {
  auto cursor = log_->OpenCursor("c").value();
  ASSERT_TRUE(cursor->Seek(kLast + 1).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(cursor->Next(absl::ZeroDuration()).status()));
  ASSERT_TRUE(log_->Append("more").ok());
  EXPECT_EQ(cursor->Next()->record.payload, "more");
}

// LevelDB log_test: ReadPastEnd.
TEST_F(LevelDbCursorSeekTest, BeyondTheEndIsRefusedAndMovesNothing) {
  auto cursor = log_->OpenCursor("c").value();
  ASSERT_TRUE(cursor->Seek(7).ok());
  for (const SequenceNumber s : {kLast + 2, kLast + 1000, kMaxSequence, ~SequenceNumber{0}}) {
    EXPECT_TRUE(absl::IsOutOfRange(cursor->Seek(s))) << s;
    EXPECT_TRUE(absl::IsOutOfRange(log_->OpenCursor("new", {.start = CursorStart::At(s)}).status()))
        << s;
  }
  EXPECT_EQ(cursor->Next()->record.sequence, 7u);
}

}  // namespace
}  // namespace millrace
