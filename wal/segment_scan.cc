#include "wal/segment_scan.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_reader.h"

namespace millrace {
namespace {

// Damage in more places than this is reported as if the last of them were one:
// the report must not take more memory than the log.
constexpr size_t kMaxHoles = size_t{1} << 16;

constexpr size_t kMostReadBytes = size_t{1} << 20;

// How far a file of which nothing is known is looked through.
uint64_t ScanEnd(File& file) {
  FileInfo info;
  if (file.Stat(&info) < 0) return kMaxScanBytes;
  return std::min(info.size, kMaxScanBytes);
}

// How much of it is read at once: a small file needs little memory.
size_t ReadBytes(uint64_t end) { return std::min<uint64_t>(end, kMostReadBytes); }

void AddMark(const GroupBody& group, SegmentScan* scan) {
  scan->first_retained = std::max(scan->first_retained, group.first_retained);
  for (StatedMark& stated : scan->marks) {
    if (stated.epoch != group.epoch) continue;
    stated.mark = std::max(stated.mark, group.mark);
    return;
  }
  // One segment belongs to one epoch; more are somebody's forgery.
  if (scan->marks.size() < 4) scan->marks.push_back({group.epoch, group.mark});
}

void AddFrame(const SegmentReader::Step& step, SegmentScan* scan) {
  scan->digest = FrameDigest(scan->digest, step.frame.data());
  if (CarriesRecords(step.header.type)) {
    scan->records += step.header.count;
    scan->last_valid = step.header.sequence + step.header.count - 1;
    return;
  }
  switch (step.header.type) {
    case FrameType::kFooter:
      scan->ends_with_footer = true;
      [[fallthrough]];
    case FrameType::kIdleMark:
      AddMark(DecodeGroupBody(step.body().data()), scan);
      break;
    case FrameType::kGroup: {
      const GroupBody group = DecodeGroupBody(step.body().data());
      scan->time_ns = group.time_ns;
      AddMark(group, scan);
      break;
    }
    default:
      break;
  }
}

void AddHole(const LostRange& range, SegmentScan* scan) {
  if (scan->holes.size() < kMaxHoles) {
    scan->holes.push_back({range, scan->digest, scan->records, scan->last_valid});
    return;
  }
  LostRange& last = scan->holes.back().range;
  last.last = range.last;
  last.end = range.end;
}

// Whether the frame at `frame`, of which kLargestMarkBytes are there, is an intact
// one of those that carry marks.
bool IsIntactMark(const char* frame, const LogId& log_id, uint64_t segment_seed, uint64_t offset,
                  FrameHeader* header) {
  if (DecodeFrameHeader(frame, segment_seed, offset, header) != FrameStatus::kValid) return false;
  // By their types, the sizes of these bodies are known; others may go on beyond.
  if (header->type != FrameType::kGroup && header->type != FrameType::kIdleMark &&
      header->type != FrameType::kFooter) {
    return false;
  }
  const std::string_view body(frame + kFrameHeaderBytes, header->body_bytes);
  return header->body_checksum == BodyChecksum(BodySeed(log_id), body);
}

// Cheap: whether a mark's frame naming segment `number` may stand at `frame`.
bool MayBeMark(const char* frame, uint64_t number) {
  uint64_t stated;
  std::memcpy(&stated, frame + kFrameHeaderBytes, sizeof stated);
  if (stated != number) return false;
  uint32_t body_bytes;
  std::memcpy(&body_bytes, frame + 16, sizeof body_bytes);
  return body_bytes == kGroupBodyBytes || body_bytes == kFooterBodyBytes;
}

constexpr size_t kLargestMarkBytes = FrameBytes(kFooterBodyBytes);

std::optional<GroupBody> FindMark(std::span<const char> bytes, uint64_t offset, const LogId& log_id,
                                  uint64_t number) {
  for (size_t i = 0; i + FrameBytes(kGroupBodyBytes) <= bytes.size(); i += kAlignment) {
    const std::span<const char> there = bytes.subspan(i);
    if (!MayBeMark(there.data(), number)) continue;
    // A footer cut short by the end of the file must not be read past it.
    std::array<char, kLargestMarkBytes> copy = {};
    std::memcpy(copy.data(), there.data(), std::min(copy.size(), there.size()));
    const GroupBody group = DecodeGroupBody(copy.data() + kFrameHeaderBytes);
    FrameHeader header;
    const uint64_t seed = SegmentSeed(log_id, number, group.incarnation);
    if (IsIntactMark(copy.data(), log_id, seed, offset + i, &header)) return group;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<SegmentScan> ScanSegment(File& file, const ScanRequest& request) {
  SegmentScan scan;
  SegmentReader reader(&file, request.log_id, request.number, request.incarnation);
  reader.Seek(kFramesOffset, request.first);
  bool first_found = request.first != kNoSequence;
  scan.first = scan.next = std::max<SequenceNumber>(request.first, 1);
  while (!scan.ends_with_footer) {
    const SegmentReader::Step step = reader.Next(request.limit, request.highest);
    if (step.kind == SegmentReader::Kind::kError) {
      return IoErrorAt("read", request.name, reader.offset(), step.error);
    }
    if (step.kind == SegmentReader::Kind::kUnknown) {
      return absl::UnimplementedError(
          absl::StrCat(request.name, " at ", step.offset,
                       " holds a frame of a newer version of Millrace; open it with that one"));
    }
    if (step.kind == SegmentReader::Kind::kEnd) {
      scan.end_cause = step.end_cause;
      scan.end_nonzero_bytes = step.nonzero_bytes;
      break;
    }
    if (step.kind == SegmentReader::Kind::kLost) {
      AddHole(step.lost, &scan);
    } else {
      AddFrame(step, &scan);
      scan.end = reader.offset();
    }
    scan.next = reader.next_sequence();
    if (!first_found)
      scan.first = step.kind == SegmentReader::Kind::kLost ? step.lost.first : step.header.sequence;
    first_found = true;
  }
  scan.bytes_read = reader.bytes_read();
  return scan;
}

std::optional<ClosingFooter> ReadClosingFooter(File& file, const LogId& log_id, uint64_t number,
                                               uint64_t incarnation) {
  FileInfo info;
  if (file.Stat(&info) < 0) return std::nullopt;
  if (info.size < kFramesOffset + kLargestMarkBytes || info.size % kAlignment != 0) {
    return std::nullopt;
  }
  const uint64_t offset = info.size - kLargestMarkBytes;
  std::array<char, kLargestMarkBytes> frame;
  if (ReadFully(file, offset, frame) != static_cast<IoResult>(frame.size())) return std::nullopt;
  FrameHeader header;
  if (!IsIntactMark(frame.data(), log_id, SegmentSeed(log_id, number, incarnation), offset,
                    &header) ||
      header.type != FrameType::kFooter) {
    return std::nullopt;
  }
  ClosingFooter footer;
  footer.body = DecodeFooterBody(frame.data() + kFrameHeaderBytes);
  footer.end = info.size;
  footer.digest = FrameDigest(footer.body.digest, frame.data());
  // Two statements of the same thing; a footer that contradicts itself is none.
  if (footer.body.group.number != number || footer.body.group.incarnation != incarnation ||
      footer.body.last_sequence + 1 != header.sequence ||
      footer.body.first_sequence > header.sequence || footer.body.group.mark >= header.sequence) {
    return std::nullopt;
  }
  return footer;
}

std::optional<GroupBody> FindIdentity(File& file, const LogId& log_id, uint64_t number) {
  const uint64_t end = ScanEnd(file);
  const size_t read_bytes = ReadBytes(end);
  const std::unique_ptr<char[]> buffer(new char[read_bytes]);
  uint64_t offset = kFramesOffset;
  while (offset < end) {
    const IoResult got = ReadFully(file, offset, {buffer.get(), read_bytes});
    if (got >= 0) {
      const std::span<const char> bytes(buffer.get(), static_cast<size_t>(got));
      if (auto group = FindMark(bytes, offset, log_id, number); group.has_value()) return group;
      if (bytes.size() < read_bytes) return std::nullopt;
    }
    // What straddles two reads stands at the beginning of the second. A part that
    // cannot be read is passed over.
    offset += read_bytes - RoundUp(kLargestMarkBytes, kAlignment);
  }
  return std::nullopt;
}

bool HoldsAnything(File& file) {
  const uint64_t end = ScanEnd(file);
  const size_t read_bytes = ReadBytes(end);
  const std::unique_ptr<char[]> buffer(new char[read_bytes]);
  for (uint64_t offset = kFramesOffset; offset < end;) {
    const IoResult got = ReadFully(file, offset, {buffer.get(), read_bytes});
    if (got < 0) return true;
    if (got == 0) return false;
    if (!AllZero({buffer.get(), static_cast<size_t>(got)})) return true;
    offset += got;
  }
  return false;
}

void CutBefore(const Hole& hole, SegmentScan* scan) {
  scan->next = hole.range.first;
  scan->last_valid = hole.last_valid;
  scan->records = hole.records;
  scan->end = hole.range.begin;
  scan->digest = hole.digest;
  scan->end_cause = hole.range.cause;
  scan->ends_with_footer = false;
  scan->holes.resize(&hole - scan->holes.data());
}

}  // namespace millrace
