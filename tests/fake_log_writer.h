#ifndef MILLRACE_FAKE_LOG_WRITER_H_
#define MILLRACE_FAKE_LOG_WRITER_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/segment_builder.h"
#include "wal/segment_list.h"
#include "wal/segment_name.h"
#include "wal/watermark.h"

namespace millrace {

inline constexpr LogId kLogId = {'t', 'e', 's', 't'};

inline SegmentHeader Header(uint64_t number, SequenceNumber first) {
  SegmentHeader header;
  header.log_id = kLogId;
  header.number = number;
  header.incarnation = 100 + number;
  header.first_sequence = first;
  header.capacity = 1 << 20;
  return header;
}

inline std::string Payload(SequenceNumber s) { return absl::StrCat("payload ", s); }

// Plays the log's writer: segments of a fixed number of records, in groups.
class FakeWriter {
 public:
  explicit FakeWriter(Directory& directory)
      : directory_(directory), segment_(Header(1, 1)), node_(NodeOf(segment_)) {
    segments = std::make_shared<SegmentList>(node_);
    watermark->Start(0, 1, 1);
    Store();
  }

  // Writes one group up to `last` and publishes it.
  void AppendTo(SequenceNumber last) {
    if (segment_.next() - segment_.header().first_sequence >= kRecordsPerSegment) Rotate();
    segment_.Group(segment_.next() - 1);
    while (segment_.next() <= last) segment_.Record(Payload(segment_.next()));
    Store();
    watermark->PublishWritten(last);
    watermark->PublishDurable(last);
  }

  // Gives up all segments but the last, and says so before their files go.
  void TrimAll() {
    const auto dropped = segments->DropBefore(node_->first_sequence);
    watermark->PublishFirstRetained(node_->first_sequence);
    for (const auto& node : dropped) {
      EXPECT_EQ(directory_.Unlink(SegmentName(node->number)), 0);
    }
  }

  static constexpr SequenceNumber kRecordsPerSegment = 20;

  std::shared_ptr<SegmentList> segments;
  std::shared_ptr<Watermark> watermark = std::make_shared<Watermark>();

 private:
  static std::shared_ptr<SegmentNode> NodeOf(const SegmentBuilder& segment) {
    const SegmentHeader& h = segment.header();
    return std::make_shared<SegmentNode>(h.number, h.incarnation, h.first_sequence);
  }

  // As a live writer does: only what is new is written.
  void Store() {
    const std::string bytes = segment_.Bytes();
    std::unique_ptr<File> file;
    ASSERT_EQ(directory_.Open(SegmentName(node_->number), OpenMode::kCreate, &file), 0);
    const std::string_view piece = std::string_view(bytes).substr(stored_);
    ASSERT_EQ(file->Write(stored_, std::span(&piece, 1)), static_cast<IoResult>(piece.size()));
    stored_ = bytes.size();
  }

  void Rotate() {
    SegmentBuilder next(Header(node_->number + 1, segment_.next()));
    const std::shared_ptr<SegmentNode> next_node = NodeOf(next);
    node_->Seal(segment_.offset(), segment_.next() - 1, next_node);
    node_ = next_node;
    segment_ = next;
    stored_ = 0;
  }

  Directory& directory_;
  SegmentBuilder segment_;
  std::shared_ptr<SegmentNode> node_;
  uint64_t stored_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_FAKE_LOG_WRITER_H_
