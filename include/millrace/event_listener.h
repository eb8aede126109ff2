#ifndef MILLRACE_EVENT_LISTENER_H_
#define MILLRACE_EVENT_LISTENER_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "absl/time/time.h"

namespace millrace {

enum class EventSeverity : uint8_t { kInfo, kWarning, kError };
std::string_view EventSeverityName(EventSeverity severity);

// One fact of an event, as text: {"segment", "12"}.
struct EventField {
  std::string_view name;
  std::string_view value;
};

// Something that happened to a log. The views end with the call that shows them.
//
//   name               severity  fields
//   opened             info      outcome, first, last, epoch
//   recovered          warning   lost_records, tail_bytes (an open that had to cut or lost
//   something) records_lost       error     first, last, segment, cause (one for each range that
//   opening met) segment_rotated    info      segment, first, bytes trimmed            info
//   first_retained, segments truncated          warning   after, epoch, dropped_records slow_sync
//   warning   microseconds, bytes queue_full         warning   waited, refused, dropped (since the
//   last such event) cursor_lagging     warning   cursor, records, bytes corruption         error
//   cursor, first, last, segment, cause (met by a cursor) checkpoint_failed  error     cursor,
//   error log_failed         error     error (nothing more is accepted) closed             info
//   last, error events_suppressed  warning   event, count (more than ten of one name in a second)
//
// A name, and the meaning of its fields, never changes; names and fields may be added.
struct Event {
  EventSeverity severity = EventSeverity::kInfo;
  std::string_view name;
  std::string_view log;   // its directory
  std::string_view text;  // one line for a person, without the log and a line end
  std::span<const EventField> fields;
  absl::Time time;
};

// Gets the events of a log, to log or to count them. Set in Options. Calls come one at a
// time, in the order in which things happened, on the log's thread "millrace-events": never
// on a thread that appends, reads or writes, and under no lock. A slow listener delays
// only other events; of those that wait, 1024 are kept and the rest are counted.
//
// May use the log, but neither close nor destroy it: Close returns FailedPrecondition
// there. Must not throw. Not called any more once Log::Close has returned.
class EventListener {
 public:
  virtual ~EventListener() = default;
  virtual void OnEvent(const Event& event) = 0;
};

}  // namespace millrace

#endif  // MILLRACE_EVENT_LISTENER_H_
