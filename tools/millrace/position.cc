#include "tools/millrace/position.h"

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "tools/millrace/flag.h"

namespace millrace {
namespace {

absl::StatusOr<SequenceNumber> FirstSince(absl::Time time, const Picture& picture,
                                          LogReader* reader) {
  // Not before the last segment that was begun earlier: one is read instead of all.
  SequenceNumber start = picture.first;
  for (const SegmentInfo& segment : picture.segments) {
    if (!HoldsRecords(segment) || segment.first <= picture.first) continue;
    const absl::StatusOr<absl::Time> begun = TimeOf(segment.first, reader);
    if (!begun.ok()) return begun.status();
    if (*begun >= time) break;
    start = segment.first;
  }
  if (absl::Status status = reader->Seek(start); !status.ok()) return status;
  while (true) {
    const absl::StatusOr<Entry> entry = reader->Next();
    if (absl::IsOutOfRange(entry.status())) return picture.last + 1;
    if (!entry.ok()) return entry.status();
    if (entry->kind == Entry::Kind::kRecord && entry->record.time >= time) {
      return entry->record.sequence;
    }
  }
}

}  // namespace

absl::StatusOr<SequenceNumber> ResolvePosition(const std::string& text, const Picture& picture,
                                               LogReader* reader) {
  if (text == "earliest") return picture.first;
  if (text == "latest") return picture.last + 1;
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) {
    return FirstSince(time, picture, reader);
  }
  const absl::StatusOr<uint64_t> number = ParseNumber(text);
  if (!number.ok()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("POSITION is \"%s\"; it takes a number, `earliest`, `latest`, or a time as "
                        "2026-01-31T12:00:00Z",
                        text));
  }
  if (*number < picture.first || *number > picture.last + 1) {
    return absl::OutOfRangeError(
        absl::StrFormat("POSITION is %d; the log holds records %d to %d, and a cursor may stand at "
                        "%d to %d",
                        *number, picture.first, picture.last, picture.first, picture.last + 1));
  }
  return *number;
}

}  // namespace millrace
