#include "wal/segment_walk.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/segment_reader.h"
#include "wal/segment_scan.h"

namespace millrace {
namespace {

std::string Describe(const SegmentHeader& header) {
  std::string log_id;
  for (const char c : header.log_id) {
    absl::StrAppendFormat(&log_id, "%02x", static_cast<unsigned char>(c));
  }
  std::string text = absl::StrFormat(
      "%s; log %s; segment %d, incarnation %016x; epoch %d; first record %d; mark %d; first "
      "retained %d; capacity %d; boot %016x; created %s",
      header.state == SegmentState::kPrepared ? "prepared" : "active", log_id, header.number,
      header.incarnation, header.epoch, header.first_sequence, header.mark, header.first_retained,
      header.capacity, header.boot_id,
      absl::FormatTime(absl::FromUnixNanos(header.created_ns), absl::UTCTimeZone()));
  const Predecessor& before = header.predecessor;
  if (before.number == 0) return text + "; no predecessor";
  absl::StrAppendFormat(
      &text, "; after segment %d, incarnation %016x, last record %d, cut %d, digest %016x",
      before.number, before.incarnation, before.last_sequence, before.cut, before.digest);
  return text;
}

std::string DescribeHeader(HeaderStatus status, const SegmentHeader& header) {
  switch (status) {
    case HeaderStatus::kValid:
      return Describe(header);
    case HeaderStatus::kZero:
      return "zero: nothing was written here";
    case HeaderStatus::kDamaged:
      return "damaged";
    case HeaderStatus::kNewer:
      return "of a newer version";
  }
  return "";
}

FrameInfo::Kind KindOf(FrameType type) {
  switch (type) {
    case FrameType::kRecord:
      return FrameInfo::Kind::kRecord;
    case FrameType::kBatch:
      return FrameInfo::Kind::kBatch;
    case FrameType::kGroup:
      return FrameInfo::Kind::kGroup;
    case FrameType::kIdleMark:
      return FrameInfo::Kind::kIdleMark;
    case FrameType::kFooter:
      return FrameInfo::Kind::kFooter;
    case FrameType::kPadding:
      return FrameInfo::Kind::kPadding;
  }
  return FrameInfo::Kind::kSkipped;
}

FrameInfo Explain(const SegmentReader::Step& step) {
  FrameInfo info;
  info.kind = KindOf(step.header.type);
  info.offset = step.offset;
  info.bytes = step.frame.size();
  info.sequence = step.header.sequence;
  info.records = step.header.count;
  info.body_bytes = step.header.body_bytes;
  info.type = static_cast<uint8_t>(step.header.type);
  info.flags = step.header.flags;
  std::optional<GroupBody> group;
  if (info.kind == FrameInfo::Kind::kFooter) {
    const FooterBody footer = DecodeFooterBody(step.body().data());
    group = footer.group;
    info.first = footer.first_sequence;
    info.last = footer.last_sequence;
  } else if (info.kind == FrameInfo::Kind::kGroup || info.kind == FrameInfo::Kind::kIdleMark) {
    group = DecodeGroupBody(step.body().data());
  }
  if (group.has_value()) {
    info.group = GroupInfo{group->epoch, absl::FromUnixNanos(group->time_ns), group->mark,
                           group->first_retained};
  }
  return info;
}

// Shows both copies; the first intact one says whose the frames are.
std::optional<SegmentHeader> WalkHeaders(File& file,
                                         absl::FunctionRef<void(const FrameInfo&)> visit) {
  std::optional<SegmentHeader> intact;
  for (int copy = 0; copy < 2; ++copy) {
    FrameInfo info;
    info.kind = FrameInfo::Kind::kHeader;
    info.offset = copy * kBlockBytes;
    info.bytes = kSegmentHeaderBytes;
    std::array<char, kSegmentHeaderBytes> bytes = {};
    const IoResult got = ReadFully(file, info.offset, bytes);
    SegmentHeader header;
    const HeaderStatus status = DecodeSegmentHeader(bytes, copy, &header);
    if (got < 0) {
      info.detail = absl::StrFormat("unreadable: %s", ErrnoName(static_cast<int>(-got)));
    } else {
      info.detail = DescribeHeader(status, header);
      if (status == HeaderStatus::kValid && !intact.has_value()) intact = header;
    }
    visit(info);
  }
  return intact;
}

}  // namespace

absl::Status WalkSegmentFile(File& file, uint64_t number,
                             const std::optional<SegmentIdentity>& assumed,
                             absl::FunctionRef<void(const FrameInfo&)> visit) {
  const std::string name = SegmentName(number);
  FileInfo file_info;
  if (const IoResult error = file.Stat(&file_info); error < 0) return IoError("stat", name, error);
  const std::optional<SegmentHeader> header = WalkHeaders(file, visit);
  if (!header.has_value() && !assumed.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s: neither of its headers is intact, and the log does not name it; "
                        "restore the file from a "
                        "copy",
                        name));
  }
  const SegmentIdentity identity =
      header.has_value()
          ? SegmentIdentity{header->log_id, header->incarnation, header->first_sequence}
          : *assumed;
  SegmentReader reader(&file, identity.log_id, header.has_value() ? header->number : number,
                       identity.incarnation);
  reader.Seek(kFramesOffset, identity.first_sequence);
  const uint64_t limit = std::min(file_info.size, kMaxScanBytes);
  while (true) {
    const SegmentReader::Step step = reader.Next(limit, kMaxSequence);
    FrameInfo info;
    info.offset = step.offset;
    switch (step.kind) {
      case SegmentReader::Kind::kFrame:
        visit(Explain(step));
        continue;
      case SegmentReader::Kind::kLost:
        info.kind = FrameInfo::Kind::kDamaged;
        info.bytes = step.lost.end - step.lost.begin;
        info.sequence = step.lost.first;
        info.records = static_cast<uint32_t>(step.lost.records());
        info.lost = step.lost;
        visit(info);
        continue;
      case SegmentReader::Kind::kUnknown:
        info.kind = FrameInfo::Kind::kUnknown;
        break;
      case SegmentReader::Kind::kEnd:
        info.kind = FrameInfo::Kind::kEnd;
        info.bytes = step.nonzero_bytes;
        info.sequence = reader.next_sequence();
        break;
      case SegmentReader::Kind::kError:
        return IoErrorAt("read", name, step.offset, step.error);
    }
    visit(info);
    return absl::OkStatus();
  }
}

std::string_view FrameKindName(FrameInfo::Kind kind) {
  switch (kind) {
    case FrameInfo::Kind::kHeader:
      return "header";
    case FrameInfo::Kind::kRecord:
      return "record";
    case FrameInfo::Kind::kBatch:
      return "batch";
    case FrameInfo::Kind::kGroup:
      return "group";
    case FrameInfo::Kind::kIdleMark:
      return "idle-mark";
    case FrameInfo::Kind::kFooter:
      return "footer";
    case FrameInfo::Kind::kPadding:
      return "padding";
    case FrameInfo::Kind::kSkipped:
      return "skipped";
    case FrameInfo::Kind::kUnknown:
      return "unknown";
    case FrameInfo::Kind::kDamaged:
      return "damaged";
    case FrameInfo::Kind::kEnd:
      return "end";
  }
  return "";
}

}  // namespace millrace
