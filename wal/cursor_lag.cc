#include "wal/cursor_lag.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>

namespace millrace {
namespace {

// Where the frames end that hold records up to `durable`, as far as known.
uint64_t DurableEnd(const SegmentNode& segment, SequenceNumber durable) {
  const bool whole = segment.sealed() && segment.last_sequence() <= durable;
  return std::max(whole ? segment.end() : segment.durable_end(), kFramesOffset);
}

const SegmentNode* NextOf(const SegmentNode& segment, SequenceNumber durable) {
  if (!segment.sealed() || segment.next()->first_sequence > durable) return nullptr;
  return segment.next().get();
}

// From `offset` in `segment` up to the newest durable record.
uint64_t BytesFrom(const SegmentNode& segment, uint64_t offset, SequenceNumber durable) {
  const uint64_t end = DurableEnd(segment, durable);
  uint64_t bytes = end - std::min(end, offset);
  const SegmentNode* node = NextOf(segment, durable);
  for (; node != nullptr; node = NextOf(*node, durable)) {
    bytes += DurableEnd(*node, durable) - kFramesOffset;
  }
  return bytes;
}

uint64_t RecordsAfter(SequenceNumber consumed, SequenceNumber durable) {
  return durable - std::min(consumed, durable);
}

// What is behind each segment, for many cursors at once.
class BytesBehind {
 public:
  BytesBehind(const SegmentList& segments, SequenceNumber durable) : first_(segments.First()) {
    const SegmentNode* node = first_.get();
    for (; node != nullptr; node = NextOf(*node, durable)) {
      places_.push_back({node->first_sequence, total_});
      total_ += DurableEnd(*node, durable) - kFramesOffset;
    }
  }

  // Of the segments from the one that holds record `s` on.
  uint64_t From(SequenceNumber s) const {
    auto after = std::upper_bound(places_.begin(), places_.end(), s,
                                  [](SequenceNumber at, const Place& p) { return at < p.first; });
    return after == places_.begin() ? total_ : total_ - std::prev(after)->bytes_before;
  }

 private:
  struct Place {
    SequenceNumber first;
    uint64_t bytes_before;
  };
  const std::shared_ptr<const SegmentNode> first_;  // holds on to all
  std::vector<Place> places_;
  uint64_t total_ = 0;
};

// The lag of one who has consumed up to `consumed`, and what it is that comes next: read, to
// learn its time and place.
absl::StatusOr<CursorLag> Measure(const CursorContext& context, SequenceNumber consumed,
                                  SequenceNumber durable, const ReadPosition& from,
                                  absl::Time now) {
  CursorLag lag;
  lag.records = RecordsAfter(consumed, durable);
  if (lag.records == 0) return lag;
  const std::shared_ptr<SegmentNode> segment = context.FindSegment(consumed + 1);
  RecordReader reader(*context.directory, context.log_id, segment, consumed + 1,
                      context.first_retained());
  reader.UseHint(from);
  while (true) {
    switch (reader.Next(durable)) {
      case RecordReader::Kind::kRecord:
        lag.bytes = BytesFrom(reader.segment(), reader.frame_offset(), durable);
        lag.time =
            std::max(now - absl::FromUnixNanos(reader.record().time_ns), absl::ZeroDuration());
        return lag;
      case RecordReader::Kind::kLost:
        break;  // how old it was, nobody knows; the next one is hardly younger
      case RecordReader::Kind::kError:
        return reader.status();
      case RecordReader::Kind::kAtLimit:
        lag.bytes = BytesFrom(*segment, kFramesOffset, durable);
        return lag;
    }
  }
}

}  // namespace

absl::StatusOr<CursorLag> LagBehind(const CursorContext& context, SequenceNumber committed,
                                    const ReadPosition& from, absl::Time now) {
  while (true) {
    const uint64_t truncations = context.watermark->truncations();
    const SequenceNumber durable = context.watermark->last_durable();
    const SequenceNumber consumed = std::max(committed, context.watermark->first_retained() - 1);
    absl::StatusOr<CursorLag> lag = Measure(context, consumed, durable, from, now);
    // Otherwise records may have been dropped while they were read.
    if (context.watermark->truncations() == truncations) return lag;
  }
}

std::vector<CursorStatus> ListCursors(const CursorRegistry& registry, const SegmentList& segments,
                                      const Watermark& watermark) {
  const std::vector<CursorRegistry::Listed> listed = registry.List();
  const SequenceNumber durable = watermark.last_durable();
  const SequenceNumber given_up = watermark.first_retained() - 1;
  const BytesBehind bytes(segments, durable);
  std::vector<CursorStatus> cursors;
  cursors.reserve(listed.size());
  for (const CursorRegistry::Listed& cursor : listed) {
    CursorStatus& status = cursors.emplace_back();
    status.name = cursor.name;
    status.open = cursor.open;
    status.checkpointed = cursor.checkpointed;
    const SequenceNumber consumed = std::max(cursor.checkpointed, given_up);
    status.lag_records = RecordsAfter(consumed, durable);
    if (status.lag_records > 0) status.lag_bytes = bytes.From(consumed + 1);
  }
  return cursors;
}

}  // namespace millrace
