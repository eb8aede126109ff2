#ifndef MILLRACE_RECORD_READER_FIXTURE_H_
#define MILLRACE_RECORD_READER_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"
#include "wal/record_reader.h"
#include "wal/segment_name.h"

namespace millrace {

inline constexpr LogId kLogId = {'t', 'e', 's', 't', ' ', 'l', 'o', 'g'};

inline uint64_t IncarnationOf(uint64_t number) { return 1000 + number; }

inline SegmentHeader Header(uint64_t number, SequenceNumber first) {
  SegmentHeader header;
  header.log_id = kLogId;
  header.number = number;
  header.incarnation = IncarnationOf(number);
  header.first_sequence = first;
  header.capacity = 1 << 20;
  return header;
}

inline std::string Payload(SequenceNumber s) { return absl::StrCat("payload of ", s); }

// Segments made by hand in a simulated file system, and what a reader makes of them.
class RecordReaderTest : public testing::Test {
 protected:
  RecordReaderTest() : disk_({.seed = 1}) {
    EXPECT_EQ(disk_.OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0);
  }

  // A group of records, as many as bring the segment to `last`.
  static void Fill(SegmentBuilder& segment, SequenceNumber last) {
    segment.Group(segment.next() - 1);
    while (segment.next() <= last) segment.Record(Payload(segment.next()));
  }

  std::shared_ptr<SegmentNode> Node(const SegmentBuilder& segment) {
    const SegmentHeader& h = segment.header();
    return std::make_shared<SegmentNode>(h.number, h.incarnation, h.first_sequence);
  }

  void Store(const SegmentBuilder& segment) { Store(segment, segment.Bytes()); }
  void Store(const SegmentBuilder& segment, const std::string& bytes) {
    WriteFile(*directory_, SegmentName(segment.header().number), bytes);
  }
  static void Seal(const std::shared_ptr<SegmentNode>& node, const SegmentBuilder& segment,
                   std::shared_ptr<SegmentNode> next) {
    node->Seal(segment.offset(), segment.next() - 1, std::move(next));
  }

  std::string Path(uint64_t number) const { return "/log/" + SegmentName(number); }

  RecordReader Reader(std::shared_ptr<SegmentNode> node, SequenceNumber next = 1) {
    return RecordReader(*directory_, kLogId, std::move(node), next,
                        [this] { return first_retained_; });
  }

  // Everything up to `limit` in one line: "1 2 lost 3..4 (checksum) 5". A payload
  // that is not that of its number is shown.
  static std::string ReadAll(RecordReader& reader, SequenceNumber limit) {
    std::string text;
    while (true) {
      switch (reader.Next(limit)) {
        case RecordReader::Kind::kRecord: {
          const RecordReader::Entry& entry = reader.record();
          absl::StrAppend(&text, text.empty() ? "" : " ", entry.sequence);
          const std::string payload(entry.record.payload);
          if (payload != Payload(entry.sequence)) absl::StrAppend(&text, "=", payload);
          break;
        }
        case RecordReader::Kind::kLost: {
          const LostRange& lost = reader.lost();
          const std::string cause(LossCauseName(lost.cause));
          absl::StrAppend(&text, text.empty() ? "" : " ", "lost ", lost.first, "..", lost.last,
                          " (", cause, ")");
          break;
        }
        case RecordReader::Kind::kError:
          return text + " error " + std::string(reader.status().message());
        case RecordReader::Kind::kAtLimit:
          return text;
      }
    }
  }

  static std::string Cause(LossCause cause) {
    return absl::StrCat(" (", std::string(LossCauseName(cause)), ")");
  }

  SimFileSystem disk_;
  std::unique_ptr<Directory> directory_;
  SequenceNumber first_retained_ = 1;
};

}  // namespace millrace

#endif  // MILLRACE_RECORD_READER_FIXTURE_H_
