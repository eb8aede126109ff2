#ifndef MILLRACE_FAKE_LOG_WRITER_H_
#define MILLRACE_FAKE_LOG_WRITER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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

  // The wall clock from now on.
  void SetTime(int64_t time_ns) {
    time_ns_ = time_ns;
    segment_.At(time_ns);
  }

  // Writes one group up to `last` and publishes it.
  void AppendTo(SequenceNumber last) {
    Write(last);
    Publish(last);
  }
  // The two halves of it.
  void Write(SequenceNumber last) {
    if (segment_.next() - segment_.header().first_sequence >= kRecordsPerSegment) Rotate();
    segment_.Group(segment_.next() - 1);
    while (segment_.next() <= last) {
      segment_.Record(PayloadNow(segment_.next()), options);
      ends_[segment_.next() - 1] = segment_.offset();
    }
    Store();
  }
  void Publish(SequenceNumber last) {
    node_->PublishDurableEnd(segment_.offset());
    watermark->PublishWritten(last);
    watermark->PublishDurable(last);
  }

  // What a record appended now holds: those of before a truncation differ.
  std::string PayloadNow(SequenceNumber s) const { return Payload(s) + suffix_; }

  // Gives up all segments but the last, and says so before their files go.
  void TrimAll() { TrimBefore(node_->first_sequence); }
  void TrimBefore(SequenceNumber first_to_keep) {
    const auto dropped = segments->DropBefore(first_to_keep);
    watermark->PublishFirstRetained(segments->First()->first_sequence);
    for (const auto& node : dropped) Delete(*node);
  }

  // Log::TruncateAfter, in its two halves: a new chain, which readers find once it is published.
  void TruncateAfter(SequenceNumber last) {
    const auto dropped = Cut(last);
    PublishCut(last);
    for (const auto& node : dropped) Delete(*node);
  }
  // The nodes that are kept are made anew: the old chain stays as it was. Returns the others.
  std::vector<std::shared_ptr<SegmentNode>> Cut(SequenceNumber last) {
    std::vector<Node> kept;
    std::vector<Node> dropped;
    for (Node node = segments->First(); node != nullptr; node = node->next()) {
      (node->first_sequence <= last ? kept : dropped).push_back(node);
      if (!node->sealed()) break;
    }
    Begin(last + 1);
    suffix_ += "'";
    Store();
    Node next = node_;
    for (size_t i = kept.size(); i-- > 0;) {
      const SegmentNode& old = *kept[i];
      auto node = std::make_shared<SegmentNode>(old.number, old.incarnation, old.first_sequence);
      const SequenceNumber highest = next->first_sequence - 1;
      node->Seal(ends_[highest], highest, next);
      next = node;
    }
    segments->Replace(next);
    return dropped;
  }
  void PublishCut(SequenceNumber last) { watermark->PublishTruncation(last, ++epoch_); }

  static constexpr SequenceNumber kRecordsPerSegment = 20;

  std::shared_ptr<SegmentList> segments;
  std::shared_ptr<Watermark> watermark = std::make_shared<Watermark>();
  AppendOptions options;  // key and attributes of records to come

 private:
  using Node = std::shared_ptr<SegmentNode>;

  static Node NodeOf(const SegmentBuilder& segment) {
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

  void Begin(SequenceNumber first) {
    SegmentHeader header = Header(node_->number + 1, first);
    header.created_ns = time_ns_;
    segment_ = SegmentBuilder(header);
    segment_.At(time_ns_);
    node_ = NodeOf(segment_);
    stored_ = 0;
  }

  void Rotate() {
    const Node old = node_;
    const uint64_t end = segment_.offset();
    const SequenceNumber next = segment_.next();
    Begin(next);
    old->Seal(end, next - 1, node_);
  }

  void Delete(const SegmentNode& node) {
    EXPECT_EQ(directory_.Unlink(SegmentName(node.number)), 0);
  }

  Directory& directory_;
  SegmentBuilder segment_;
  Node node_;
  uint64_t stored_ = 0;
  int64_t time_ns_ = 1'000'000'000;
  uint64_t epoch_ = 1;
  std::string suffix_;
  std::map<SequenceNumber, uint64_t> ends_;  // of each record's frame
};

}  // namespace millrace

#endif  // MILLRACE_FAKE_LOG_WRITER_H_
