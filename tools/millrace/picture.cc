#include "tools/millrace/picture.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "tools/millrace/human.h"

namespace millrace {
namespace {

// Whether a program has the log open. Asks without locking: a lock, however short, would be in the
// way of a program that opens the log meanwhile.
bool IsLocked(const std::string& directory) {
  const int fd = open((directory + "/LOCK").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool asked = fcntl(fd, F_OFD_GETLK, &lock) == 0;
  close(fd);
  return asked && lock.l_type != F_UNLCK;
}

}  // namespace

uint64_t Picture::bytes() const {
  uint64_t bytes = 0;
  for (const SegmentInfo& segment : segments) {
    if (HoldsRecords(segment)) bytes += segment.file_bytes;
  }
  return bytes;
}

uint64_t Picture::files() const {
  return static_cast<uint64_t>(std::count_if(segments.begin(), segments.end(), HoldsRecords));
}

std::string_view Picture::state() const {
  if (locked) return "open: a program appends to it";
  return report.outcome == RecoveryReport::Outcome::kClean
             ? "closed in order"
             : "not closed in order: the next open will recover it";
}

std::string_view Picture::tail_name() const { return locked ? "in progress" : "torn tail"; }

uint64_t Picture::LagOf(const CursorInfo& cursor) const {
  const SequenceNumber consumed = std::max(cursor.checkpointed, first - 1);
  return mark > consumed ? mark - consumed : 0;
}

bool HoldsRecords(const SegmentInfo& segment) {
  return segment.last != kNoSequence && segment.first <= segment.last;
}

std::string RecordsOf(const SegmentInfo& segment) {
  if (!HoldsRecords(segment)) return "-";
  return absl::StrFormat("%d..%d", segment.first, segment.last);
}

std::string TailText(const RecoveryReport& report) {
  return absl::StrFormat("%d bytes in segment %d from byte %d on", report.tail_bytes,
                         report.tail_segment, report.tail_offset);
}

absl::StatusOr<std::unique_ptr<LogReader>> OpenReader(const std::string& directory) {
  LogReaderOptions options;
  options.limit = LogReaderOptions::Limit::kReadable;
  return LogReader::Open(directory, options);
}

absl::StatusOr<Picture> LookAt(const std::string& directory, LogReader* reader) {
  Picture picture;
  picture.directory = directory;
  picture.report = reader->recovery();
  picture.locked = IsLocked(directory);
  picture.first = reader->first_retained();
  picture.last = reader->limit();
  picture.mark = reader->mark();
  absl::StatusOr<std::vector<SegmentInfo>> segments = reader->Segments();
  if (!segments.ok()) return segments.status();
  picture.segments = *std::move(segments);
  // What a live writer has trimmed since the reader looked is not missing.
  std::erase_if(picture.segments, [&](const SegmentInfo& segment) {
    return segment.state == SegmentInfo::State::kMissing && segment.last < picture.first;
  });
  absl::StatusOr<std::vector<CursorInfo>> cursors = reader->Cursors();
  if (!cursors.ok()) return cursors.status();
  picture.cursors = *std::move(cursors);
  return picture;
}

absl::StatusOr<absl::Time> TimeOf(SequenceNumber sequence, LogReader* reader) {
  if (absl::Status status = reader->Seek(sequence); !status.ok()) return status;
  while (true) {
    const absl::StatusOr<Entry> entry = reader->Next();
    if (absl::IsOutOfRange(entry.status())) return absl::InfiniteFuture();
    if (!entry.ok()) return entry.status();
    if (entry->kind == Entry::Kind::kRecord) return entry->record.time;
  }
}

std::string SegmentTable(const std::vector<SegmentInfo>& segments) {
  return ShortSegmentTable(segments, segments.size());
}

std::string ShortSegmentTable(const std::vector<SegmentInfo>& segments, size_t at_each_end) {
  Table table({{"segment", Table::Align::kRight},
               {"state"},
               {"records", Table::Align::kRight},
               {"size", Table::Align::kRight},
               {"file"}});
  const auto add = [&](std::span<const SegmentInfo> some) {
    for (const SegmentInfo& segment : some) {
      table.Add({std::to_string(segment.number), std::string(SegmentStateName(segment.state)),
                 RecordsOf(segment), HumanBytes(static_cast<double>(segment.file_bytes)),
                 segment.file_name});
    }
  };
  const std::span<const SegmentInfo> all = segments;
  // Not 2 * at_each_end, which may be too large a number.
  if (at_each_end >= all.size() || all.size() - at_each_end < at_each_end + 2) {
    add(all);
    return table.Text();
  }
  add(all.first(at_each_end));
  const std::span<const SegmentInfo> between =
      all.subspan(at_each_end, all.size() - 2 * at_each_end);
  uint64_t bytes = 0;
  for (const SegmentInfo& segment : between) bytes += segment.file_bytes;
  table.Add({"...", "", absl::StrFormat("%d..%d", between.front().first, between.back().last),
             HumanBytes(static_cast<double>(bytes)),
             absl::StrFormat("... %s more", Counted(between.size(), "segment"))});
  add(all.last(at_each_end));
  return table.Text();
}

std::string CursorTable(const Picture& picture) {
  Table table({{"cursor"},
               {"state"},
               {"consumed up to", Table::Align::kRight},
               {"behind", Table::Align::kRight}});
  for (const CursorInfo& cursor : picture.cursors) {
    const bool valid = cursor.state == CursorInfo::State::kValid;
    table.Add({cursor.name, std::string(CursorFileStateName(cursor.state)),
               valid ? std::to_string(cursor.checkpointed) : "-",
               valid ? std::to_string(picture.LagOf(cursor)) : "-"});
  }
  return table.Text();
}

nlohmann::ordered_json SegmentJson(const SegmentInfo& segment) {
  return {{"number", segment.number},
          {"file", segment.file_name},
          {"state", SegmentStateName(segment.state)},
          {"first", segment.first},
          {"last", segment.last},
          {"frames_end", segment.frames_end},
          {"bytes", segment.file_bytes}};
}

nlohmann::ordered_json CursorJson(const Picture& picture, const CursorInfo& cursor) {
  return {{"name", cursor.name},
          {"state", CursorFileStateName(cursor.state)},
          {"checkpointed", cursor.checkpointed},
          {"epoch", cursor.epoch},
          {"lag_records", picture.LagOf(cursor)}};
}

}  // namespace millrace
