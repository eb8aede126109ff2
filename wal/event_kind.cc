#include "wal/event_kind.h"

#include "wal/check.h"

namespace millrace {
namespace {

// In the order of EventKind.
constexpr EventDescription kEvents[] = {
    {"opened", EventSeverity::kInfo, "outcome, first, last, epoch"},
    {"recovered", EventSeverity::kWarning, "lost_records, tail_bytes"},
    {"records_lost", EventSeverity::kError, "first, last, segment, cause"},
    {"segment_rotated", EventSeverity::kInfo, "segment, first, bytes"},
    {"trimmed", EventSeverity::kInfo, "first_retained, segments"},
    {"truncated", EventSeverity::kWarning, "after, epoch, dropped_records"},
    {"slow_sync", EventSeverity::kWarning, "microseconds, bytes"},
    {"queue_full", EventSeverity::kWarning, "waited, refused, dropped"},
    {"cursor_lagging", EventSeverity::kWarning, "cursor, records, bytes"},
    {"cursor_set_back", EventSeverity::kWarning, "cursor, from, to"},
    {"corruption", EventSeverity::kError, "cursor, first, last, segment, cause"},
    {"checkpoint_failed", EventSeverity::kError, "cursor, error"},
    {"checkpoints_lost", EventSeverity::kWarning, "file, error"},
    {"disk_full", EventSeverity::kError, "error"},
    {"disk_full_over", EventSeverity::kInfo, "milliseconds"},
    {"failed_over", EventSeverity::kWarning, "segment, fresh, first, last, error"},
    {"data_loss_risk", EventSeverity::kError, "first, last, segment"},
    {"log_failed", EventSeverity::kError, "error"},
    {"closed", EventSeverity::kInfo, "last, error"},
    {"events_suppressed", EventSeverity::kWarning, "event, count"},
};
static_assert(sizeof(kEvents) / sizeof(kEvents[0]) == kEventKinds);

}  // namespace

const EventDescription& Describe(EventKind kind) {
  const size_t index = static_cast<size_t>(kind);
  WAL_CHECK_LT(index, kEventKinds);
  return kEvents[index];
}

std::string_view EventSeverityName(EventSeverity severity) {
  switch (severity) {
    case EventSeverity::kInfo:
      return "info";
    case EventSeverity::kWarning:
      return "warning";
    case EventSeverity::kError:
      return "error";
  }
  return "unknown";
}

}  // namespace millrace
