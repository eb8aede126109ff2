#include "wal/cursor_time.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "wal/io.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

// When the segment was begun; nullopt if its header cannot be read.
std::optional<int64_t> BegunAt(const CursorContext& context, const SegmentNode& node) {
  std::unique_ptr<File> file;
  if (OpenFile(*context.directory, SegmentName(node.number), OpenMode::kRead, &file) < 0) {
    return std::nullopt;
  }
  for (int copy = 0; copy < 2; ++copy) {
    std::array<char, kSegmentHeaderBytes> bytes;
    SegmentHeader header;
    if (ReadFully(*file, copy * kBlockBytes, bytes) == static_cast<IoResult>(bytes.size()) &&
        DecodeSegmentHeader(bytes, copy, &header) == HeaderStatus::kValid &&
        header.log_id == context.log_id && header.incarnation == node.incarnation) {
      return header.created_ns;
    }
  }
  return std::nullopt;
}

// The segment to read: the first whose successor was begun at `time_ns` or later. By bisection,
// which finds one of them where the clock was set back.
std::shared_ptr<SegmentNode> FindSegment(const CursorContext& context, int64_t time_ns,
                                         SequenceNumber limit) {
  std::vector<std::shared_ptr<SegmentNode>> nodes = {context.FirstSegment()};
  while (nodes.back()->sealed() && nodes.back()->next()->first_sequence <= limit) {
    nodes.push_back(nodes.back()->next());
  }
  size_t low = 0;
  size_t high = nodes.size() - 1;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    size_t looked_at = middle + 1;
    std::optional<int64_t> begun = BegunAt(context, *nodes[looked_at]);
    while (!begun.has_value() && looked_at < high) begun = BegunAt(context, *nodes[++looked_at]);
    if (begun.has_value() && *begun < time_ns) {
      low = looked_at;
    } else {
      high = middle;
    }
  }
  return nodes[low];
}

absl::StatusOr<TimePosition> ReadUpTo(const CursorContext& context,
                                      std::shared_ptr<SegmentNode> segment, int64_t time_ns,
                                      SequenceNumber limit) {
  const SequenceNumber first =
      std::max(segment->first_sequence, context.watermark->first_retained());
  RecordReader reader(*context.directory, context.log_id, std::move(segment), first,
                      context.first_retained());
  while (true) {
    switch (reader.Next(limit)) {
      case RecordReader::Kind::kRecord:
        if (reader.record().time_ns >= time_ns) {
          return TimePosition{reader.record().sequence, reader.position()};
        }
        break;
      case RecordReader::Kind::kLost:
        break;
      case RecordReader::Kind::kError:
        return reader.status();
      case RecordReader::Kind::kAtLimit:
        return TimePosition{limit + 1, reader.position()};
    }
  }
}

}  // namespace

absl::StatusOr<TimePosition> FindTime(const CursorContext& context, absl::Time time) {
  const int64_t time_ns = absl::ToUnixNanos(time);
  while (true) {
    const uint64_t truncations = context.watermark->truncations();
    const SequenceNumber limit = context.watermark->last_durable();
    absl::StatusOr<TimePosition> found =
        ReadUpTo(context, FindSegment(context, time_ns, limit), time_ns, limit);
    // Otherwise records may have been dropped while they were read.
    if (context.watermark->truncations() == truncations) return found;
  }
}

}  // namespace millrace
