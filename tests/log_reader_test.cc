// Goal: a log is read from outside as its owner reads it, beside a live writer or
// after a crash, and nothing in its directory changes by that.
// Method: logs made by hand in a simulated file system, in which every call that
// changes something is counted.

#include "millrace/log_reader.h"

#include <errno.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/golden_log.h"
#include "tests/segment_builder.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

constexpr LogId kLogId = {'t', 'e', 's', 't'};

SegmentHeader Header(uint64_t number, SequenceNumber first) {
  SegmentHeader header;
  header.log_id = kLogId;
  header.number = number;
  header.incarnation = 100 + number;
  header.first_sequence = first;
  header.mark = first - 1;
  header.capacity = 1 << 16;
  return header;
}

std::string Payload(SequenceNumber s) { return absl::StrCat("payload ", s); }

// What a reader returns up to its limit: "1 2 lost 3..4 5".
std::string ReadAll(LogReader& reader) {
  std::string text;
  while (true) {
    const auto entry = reader.Next();
    if (absl::IsOutOfRange(entry.status())) return text;
    if (!text.empty()) text += ' ';
    if (!entry.ok()) return text + std::string(entry.status().message());
    if (entry->kind == Entry::Kind::kLost) {
      absl::StrAppend(&text, "lost ", entry->lost.first, "..", entry->lost.last);
      continue;
    }
    absl::StrAppend(&text, entry->record.sequence);
    if (entry->record.payload != Payload(entry->record.sequence)) text += "(another payload)";
  }
}

class LogReaderTest : public testing::Test {
 protected:
  LogReaderTest() : disk_({.seed = 1}) {
    EXPECT_EQ(disk_.OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0);
  }

  std::unique_ptr<LogReader> Open(LogReaderOptions options = {}) {
    options.file_system = &disk_;
    calls_ = disk_.MutatingCalls();
    auto reader = LogReader::Open("/log", options);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }
  std::unique_ptr<LogReader> OpenReadable() {
    LogReaderOptions options;
    options.limit = LogReaderOptions::Limit::kReadable;
    return Open(options);
  }

  static void Fill(SegmentBuilder& segment, SequenceNumber last) {
    segment.Group(segment.next() - 1);
    while (segment.next() <= last) segment.Record(Payload(segment.next()));
  }

  void Store(const SegmentBuilder& segment) {
    WriteFile(*directory_, SegmentName(segment.header().number), segment.Bytes());
    calls_ = disk_.MutatingCalls();
  }

  void StoreSuperblock(SequenceNumber first_retained, SequenceNumber mark) {
    Superblock superblock;
    superblock.log_id = kLogId;
    superblock.generation = 2;
    superblock.first_retained = first_retained;
    superblock.mark = mark;
    std::string bytes(kBlockBytes + kSlotBytes, '\0');
    EncodeSuperblock(superblock, 0, std::span<char, kSlotBytes>(bytes.data(), kSlotBytes));
    WriteFile(*directory_, "LOG", bytes);
  }

  void ExpectUntouched() { EXPECT_EQ(disk_.MutatingCalls(), calls_); }

  SimFileSystem disk_;
  std::unique_ptr<Directory> directory_;
  uint64_t calls_ = 0;
};

TEST_F(LogReaderTest, DirectoryWithoutALogIsNotFound) {
  LogReaderOptions options;
  options.file_system = &disk_;
  EXPECT_TRUE(absl::IsNotFound(LogReader::Open("/nowhere", options).status()));
  EXPECT_TRUE(absl::IsNotFound(LogReader::Open("/log", options).status()));
  WriteFile(*directory_, "something.else", "x");
  EXPECT_TRUE(absl::IsNotFound(LogReader::Open("/log", options).status()));
}

TEST_F(LogReaderTest, ReadsALogThatWasClosedInOrder) {
  for (const auto& [name, bytes] : GoldenLog()) WriteFile(*directory_, name, bytes);
  const auto reader = Open();
  EXPECT_EQ(reader->recovery().outcome, RecoveryReport::Outcome::kClean);
  EXPECT_EQ(reader->limit(), 4);
  EXPECT_EQ(reader->mark(), 4);
  auto entry = reader->Next();
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->record.sequence, 1);
  EXPECT_EQ(entry->record.key, "k1");
  ASSERT_EQ(entry->record.attributes.size(), 1);
  EXPECT_EQ(entry->record.attributes[0].name, "color");
  EXPECT_EQ(entry->record.attributes[0].value, "red");
  EXPECT_EQ(entry->record.payload, "hello");
  EXPECT_EQ(entry->record.time, absl::FromUnixSeconds(1'700'000'000));
  const std::string_view payloads[] = {"", "a", "b"};
  for (const std::string_view payload : payloads) {
    entry = reader->Next();
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->record.payload, payload);
  }
  EXPECT_EQ(entry->record.key, "k2");
  EXPECT_TRUE(absl::IsOutOfRange(reader->Next().status()));

  const auto segments = reader->Segments();
  ASSERT_TRUE(segments.ok());
  ASSERT_EQ(segments->size(), 1);
  EXPECT_EQ(segments->front().state, SegmentInfo::State::kClosed);
  EXPECT_EQ(segments->front().first, 1);
  EXPECT_EQ(segments->front().last, 4);
  EXPECT_EQ(segments->front().frames_end, 12392);
  const auto cursors = reader->Cursors();
  ASSERT_TRUE(cursors.ok());
  ASSERT_EQ(cursors->size(), 1);
  EXPECT_EQ(cursors->front().name, "billing");
  EXPECT_EQ(cursors->front().state, CursorInfo::State::kValid);
  EXPECT_EQ(cursors->front().checkpointed, 2);
  ExpectUntouched();
}

TEST_F(LogReaderTest, DurableEndsAtTheMarkAndReadableAtTheLastRecord) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 3);
  Fill(segment, 5);
  Store(segment);
  EXPECT_EQ(ReadAll(*Open()), "1 2 3");
  EXPECT_EQ(ReadAll(*OpenReadable()), "1 2 3 4 5");
  segment.IdleMark();
  Store(segment);
  EXPECT_EQ(ReadAll(*Open()), "1 2 3 4 5");
  ExpectUntouched();
}

TEST_F(LogReaderTest, SeekGoesToARecord) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 30);
  SegmentHeader header = Header(2, 31);
  header.predecessor = a.AsPredecessor();
  SegmentBuilder b(header);
  Fill(b, 40);
  b.IdleMark();
  Store(a), Store(b);
  const auto reader = Open();
  for (const SequenceNumber s : {35, 12, 31, 30, 1}) {
    ASSERT_TRUE(reader->Seek(s).ok());
    EXPECT_EQ(reader->next(), s);
    const auto entry = reader->Next();
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->record.sequence, s);
  }
  ASSERT_TRUE(reader->Seek(41).ok());
  EXPECT_TRUE(absl::IsOutOfRange(reader->Next().status()));
}

TEST_F(LogReaderTest, RefreshSeesNewGroupsMarksAndSegments) {
  SegmentBuilder a(Header(1, 1));
  Store(a);
  const auto reader = Open();
  const auto readable = OpenReadable();
  const auto refresh = [&] {
    ASSERT_TRUE(reader->Refresh().ok());
    ASSERT_TRUE(readable->Refresh().ok());
  };
  EXPECT_EQ(ReadAll(*reader), "");
  Fill(a, 2);
  Store(a);
  EXPECT_EQ(ReadAll(*readable), "");
  refresh();
  EXPECT_EQ(ReadAll(*reader), "");
  EXPECT_EQ(ReadAll(*readable), "1 2");
  Fill(a, 4);
  Store(a);
  refresh();
  EXPECT_EQ(ReadAll(*reader), "1 2");
  EXPECT_EQ(ReadAll(*readable), "3 4");
  a.IdleMark();
  Store(a);
  refresh();
  EXPECT_EQ(ReadAll(*reader), "3 4");
  EXPECT_EQ(ReadAll(*readable), "");

  Fill(a, 6);
  Store(a);
  SegmentHeader header = Header(2, 7);
  header.predecessor = a.AsPredecessor();
  SegmentBuilder b(header);
  Store(b);
  refresh();
  EXPECT_EQ(ReadAll(*readable), "5 6");
  Fill(b, 9);
  Store(b);
  refresh();
  EXPECT_EQ(ReadAll(*reader), "5 6");
  EXPECT_EQ(ReadAll(*readable), "7 8 9");
  b.Footer();
  Store(b);
  refresh();
  EXPECT_EQ(ReadAll(*reader), "7 8 9");
  const auto segments = reader->Segments();
  ASSERT_EQ(segments->size(), 2);
  EXPECT_EQ((*segments)[0].state, SegmentInfo::State::kSealed);
  EXPECT_EQ((*segments)[1].state, SegmentInfo::State::kClosed);
  EXPECT_EQ((*segments)[1].last, 9);
  ExpectUntouched();
}

TEST_F(LogReaderTest, HalfWrittenGroupIsSeenWhenItIsWhole) {
  SegmentBuilder segment(Header(1, 1));
  Fill(segment, 2);
  Store(segment);
  const auto reader = OpenReadable();
  EXPECT_EQ(ReadAll(*reader), "1 2");
  const uint64_t before = segment.offset();
  Fill(segment, 4);
  segment.IdleMark();
  const std::string whole = segment.Bytes();
  for (uint64_t part = before; part < whole.size(); part += 24) {
    std::string bytes = whole.substr(0, part);
    bytes.resize(whole.size());
    WriteFile(*directory_, SegmentName(1), bytes);
    ASSERT_TRUE(reader->Refresh().ok());
    const std::string read = ReadAll(*reader);
    EXPECT_EQ(read.find("lost"), std::string::npos) << read;
  }
  WriteFile(*directory_, SegmentName(1), whole);
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(reader->mark(), 4);
  ReadAll(*reader);
  EXPECT_EQ(reader->next(), 5);
}

TEST_F(LogReaderTest, RefreshSeesALargeRecord) {
  SegmentHeader header = Header(1, 1);
  header.capacity = 4 << 20;
  SegmentBuilder segment(header);
  Fill(segment, 1);
  Store(segment);
  const auto reader = OpenReadable();
  EXPECT_EQ(ReadAll(*reader), "1");
  segment.Group(1).Record(std::string(3 << 20, 'x'));
  Fill(segment, 3);
  Store(segment);
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(ReadAll(*reader), "2(another payload) 3");
}

TEST_F(LogReaderTest, NamesWhatIsLost) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 5);
  SegmentHeader header = Header(2, 6);
  header.predecessor = a.AsPredecessor();
  SegmentBuilder b(header);
  Fill(b, 8);
  b.Footer();
  Store(a), Store(b);
  disk_.FlipBit("/log/" + SegmentName(1), a.FrameBegin(2) + 33, 0);
  LogReaderOptions options;
  options.scan = LogReaderOptions::Scan::kAll;
  const auto reader = Open(options);
  ASSERT_EQ(reader->recovery().lost.size(), 1);
  EXPECT_EQ(reader->recovery().lost[0].first, 2);
  EXPECT_EQ(ReadAll(*reader), "1 lost 2..2 3 4 5 6 7 8");
  // Not looked for, and met all the same.
  const auto quick = Open();
  EXPECT_TRUE(quick->recovery().lost.empty());
  EXPECT_EQ(ReadAll(*quick), "1 lost 2..2 3 4 5 6 7 8");

  disk_.DeleteFile("/log/" + SegmentName(1));
  const auto without = Open();
  EXPECT_EQ(ReadAll(*without), "lost 1..5 6 7 8");
}

// What recovery cuts off for want of the successor, no reader goes on to, though the newest segment
// holds no whole record.
TEST_F(LogReaderTest, WhatIsCutBeforeALostSegmentIsNotReadUnderATornOne) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 5);
  SegmentHeader header = Header(2, 6);
  header.predecessor = a.AsPredecessor();
  SegmentBuilder b(header);
  Fill(b, 8);
  header = Header(3, 9);
  header.predecessor = b.AsPredecessor();
  header.mark = 8;
  SegmentBuilder c(header);
  Fill(c, 10);
  Store(a), Store(c);
  disk_.FlipBit("/log/" + SegmentName(1), a.FrameBegin(3) + 33, 0);
  disk_.FlipBit("/log/" + SegmentName(3), c.FrameBegin(1) + 33, 0);
  const auto reader = OpenReadable();
  EXPECT_EQ(ReadAll(*reader), "1 2 lost 3..8");
  ASSERT_GE(reader->recovery().lost.size(), 1u);
  EXPECT_EQ(reader->recovery().lost[0].first, 3u);
  EXPECT_EQ(reader->recovery().lost[0].last, 8u);
}

TEST_F(LogReaderTest, FileThatIsGoneWasTrimmedIfTheSuperblockSaysSo) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 5);
  SegmentHeader header = Header(2, 6);
  header.predecessor = a.AsPredecessor();
  SegmentBuilder b(header);
  Fill(b, 8);
  header = Header(3, 9);
  header.predecessor = b.AsPredecessor();
  SegmentBuilder c(header);
  Fill(c, 9);
  c.IdleMark();
  Store(a), Store(b), Store(c);
  const auto reader = Open();
  ASSERT_TRUE(reader->Next().ok());
  // By a live writer, and nobody has refreshed since.
  StoreSuperblock(9, 9);
  disk_.DeleteFile("/log/" + SegmentName(1));
  disk_.DeleteFile("/log/" + SegmentName(2));
  for (SequenceNumber s = 2; s <= 5; ++s) EXPECT_EQ((*reader->Next()).record.sequence, s);
  const auto entry = reader->Next();
  ASSERT_TRUE(entry.ok()) << entry.status();
  ASSERT_EQ(entry->kind, Entry::Kind::kLost);
  EXPECT_EQ(entry->lost.cause, LossCause::kTrimmed);
  EXPECT_EQ(entry->lost.first, 6);
  EXPECT_EQ(entry->lost.last, 8);
  EXPECT_EQ(ReadAll(*reader), "9");
}

TEST_F(LogReaderTest, AllThatCameAfterMayBeTrimmedAlready) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 2);
  a.IdleMark();
  Store(a);
  const auto reader = Open();
  EXPECT_EQ(ReadAll(*reader), "1 2");
  // Segments 1 to 8 were filled and given up; 9 is begun and holds nothing yet.
  SegmentHeader header = Header(9, 50);
  header.first_retained = 50;
  header.predecessor = {8, 108, 49, 8400, 1};
  Store(SegmentBuilder(header));
  StoreSuperblock(50, 49);
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(reader->limit(), 49);
  const auto entry = reader->Next();
  ASSERT_TRUE(entry.ok()) << entry.status();
  ASSERT_EQ(entry->kind, Entry::Kind::kLost);
  EXPECT_EQ(entry->lost.cause, LossCause::kTrimmed) << entry->lost.ToString();
  EXPECT_EQ(entry->lost.first, 3);
  EXPECT_EQ(entry->lost.last, 49);
  EXPECT_EQ(ReadAll(*reader), "");
}

TEST_F(LogReaderTest, WalkShowsEveryFrame) {
  for (const auto& [name, bytes] : GoldenLog()) WriteFile(*directory_, name, bytes);
  const auto reader = Open();
  const auto walk = [&] {
    std::string kinds;
    const absl::Status status = reader->WalkSegment(1, [&](const FrameInfo& frame) {
      absl::StrAppend(&kinds, std::string(FrameKindName(frame.kind)), "@", frame.offset, "+",
                      frame.bytes, " ");
      if (frame.kind == FrameInfo::Kind::kFooter) {
        EXPECT_EQ(frame.first, 1);
        EXPECT_EQ(frame.last, 4);
        ASSERT_TRUE(frame.group.has_value());
        EXPECT_EQ(frame.group->mark, 4);
      }
    });
    EXPECT_TRUE(status.ok()) << status;
    return kinds;
  };
  const std::string headers = "header@0+256 header@4096+256 ";
  const std::string rest = "record@8336+32 batch@8368+56 padding@8424+3864 footer@12288+104 ";
  EXPECT_EQ(walk(), headers + "group@8192+80 record@8272+64 " + rest + "end@12392+0 ");
  disk_.FlipBit("/log/" + SegmentName(1), 8272, 0);
  EXPECT_EQ(walk(), headers + "group@8192+80 damaged@8272+64 " + rest + "end@12392+0 ");
  for (const uint64_t number : {uint64_t{0}, uint64_t{7}, kMaxSegmentNumber + 1}) {
    EXPECT_TRUE(absl::IsNotFound(reader->WalkSegment(number, [](const FrameInfo&) {})));
  }
  ExpectUntouched();
}

TEST_F(LogReaderTest, WantOfFileDescriptorsIsAnErrorThatPasses) {
  SegmentBuilder a(Header(1, 1));
  Fill(a, 2);
  a.IdleMark();
  Store(a);
  const auto reader = Open();
  disk_.AddRule({.op = FileOp::kOpen, .error = EMFILE, .count = 3});
  while (reader->Next().status().code() == absl::StatusCode::kResourceExhausted) {
  }
  EXPECT_EQ(reader->next(), 2);
  EXPECT_EQ(ReadAll(*reader), "2");
}

}  // namespace
}  // namespace millrace
