#include "tools/millrace/trim_plan.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace millrace {
namespace {

std::vector<SegmentInfo> WithRecords(const Picture& picture) {
  std::vector<SegmentInfo> segments;
  for (const SegmentInfo& segment : picture.segments) {
    if (HoldsRecords(segment)) segments.push_back(segment);
  }
  return segments;
}

}  // namespace

absl::StatusOr<TrimPlan> PlanTrim(const Picture& picture, SequenceNumber wanted) {
  if (wanted > picture.last + 1) {
    return absl::OutOfRangeError(absl::StrFormat(
        "cannot trim before %d: the log ends with record %d; at most %d can be given", wanted,
        picture.last, picture.last + 1));
  }
  TrimPlan plan;
  plan.first_to_keep = picture.first;
  for (const SegmentInfo& segment : WithRecords(picture)) {
    if (segment.last >= wanted) {
      plan.first_to_keep = std::max(plan.first_to_keep, segment.first);
      break;
    }
    plan.segments.push_back(segment);
    plan.bytes += segment.file_bytes;
    plan.first_to_keep = segment.last + 1;
  }
  if (plan.segments.empty()) plan.first_to_keep = picture.first;
  plan.records = plan.first_to_keep - picture.first;
  for (const CursorInfo& cursor : picture.cursors) {
    if (cursor.state == CursorInfo::State::kValid && plan.records > 0 &&
        cursor.checkpointed + 1 < plan.first_to_keep) {
      plan.in_the_way.push_back(cursor);
    }
  }
  return plan;
}

SequenceNumber KeepingBytes(const Picture& picture, uint64_t bytes) {
  const std::vector<SegmentInfo> segments = WithRecords(picture);
  SequenceNumber first_to_keep = picture.first;
  uint64_t kept = 0;
  for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
    kept += segment->file_bytes;
    if (kept > bytes && segment != segments.rbegin()) break;
    first_to_keep = segment->first;
  }
  return std::max(first_to_keep, picture.first);
}

absl::StatusOr<SequenceNumber> KeepingSince(const Picture& picture, absl::Time time,
                                            LogReader* reader) {
  SequenceNumber first_to_keep = picture.first;
  // The records of a segment are older than the first one of the next.
  for (const SegmentInfo& segment : WithRecords(picture)) {
    if (segment.first <= picture.first) continue;
    const absl::StatusOr<absl::Time> begun = TimeOf(segment.first, reader);
    if (!begun.ok()) return begun.status();
    if (*begun > time) break;
    first_to_keep = segment.first;
  }
  return first_to_keep;
}

absl::StatusOr<SequenceNumber> KeepingUnconsumed(const Picture& picture) {
  if (picture.cursors.empty()) {
    return absl::InvalidArgumentError(
        "the log has no cursor, so nothing says what was consumed; use --before, --keep-bytes or "
        "--older-than");
  }
  SequenceNumber first_to_keep = picture.last + 1;
  for (const CursorInfo& cursor : picture.cursors) {
    if (cursor.state != CursorInfo::State::kValid) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the checkpoint of cursor %s is %s, so nothing says what it consumed; `millrace cursor "
          "delete --force` removes it",
          cursor.name, CursorFileStateName(cursor.state)));
    }
    first_to_keep = std::min(first_to_keep, cursor.checkpointed + 1);
  }
  return std::max(first_to_keep, picture.first);
}

}  // namespace millrace
