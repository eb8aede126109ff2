#ifndef MILLRACE_WAL_EVENT_KIND_H_
#define MILLRACE_WAL_EVENT_KIND_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "millrace/event_listener.h"

namespace millrace {

// What can happen to a log. The names and fields that go with them are in event_kind.cc,
// in event_listener.h and in RUNBOOK.md; tests/event_table_test compares them.
enum class EventKind : uint8_t {
  kOpened,
  kRecovered,
  kRecordsLost,
  kSegmentRotated,
  kTrimmed,
  kTruncated,
  kSlowSync,
  kQueueFull,
  kCursorLagging,
  kCursorSetBack,
  kCorruption,
  kCheckpointFailed,
  kCheckpointsLost,
  kDiskFull,
  kDiskFullOver,
  kFailedOver,
  kDataLossRisk,
  kLogFailed,
  kClosed,
  kEventsSuppressed,
};
inline constexpr size_t kEventKinds = static_cast<size_t>(EventKind::kEventsSuppressed) + 1;

struct EventDescription {
  std::string_view name;
  EventSeverity severity;
  std::string_view fields;  // their names, in order, as in the tables: "first, last"
};
const EventDescription& Describe(EventKind kind);

}  // namespace millrace

#endif  // MILLRACE_WAL_EVENT_KIND_H_
