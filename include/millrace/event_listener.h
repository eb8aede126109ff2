#ifndef MILLRACE_EVENT_LISTENER_H_
#define MILLRACE_EVENT_LISTENER_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "absl/time/time.h"
#include "millrace/language.h"

namespace millrace {

enum class EventSeverity : uint8_t { kInfo, kWarning, kError };
std::string_view EventSeverityName(EventSeverity severity);

// One fact of an event, as text: {"segment", "12"}.
struct EventField {
  std::string_view name;
  std::string_view value;
};

// Something that happened to a log. The views end with the call that shows them.
// RUNBOOK.md says of each what it means and what to do.
//
//   name               severity  fields
//   opened             info      outcome, first, last, epoch
//   recovered          warning   lost_records, tail_bytes             opening cut or lost some
//   records_lost       error     first, last, segment, cause          a range that opening met
//   segment_rotated    info      segment, first, bytes                it was full; bytes: its own
//   trimmed            info      first_retained, segments
//   truncated          warning   after, epoch, dropped_records
//   slow_sync          warning   microseconds, bytes                  over Options::slow_sync
//   queue_full         warning   waited, refused, dropped             since the last such event
//   cursor_lagging     warning   cursor, records, bytes               behind by its checkpoint
//   cursor_set_back    warning   cursor, from, to                     its records are gone
//   corruption         error     cursor, first, last, segment, cause  a range that a cursor met
//   checkpoint_failed  error     cursor, error
//   checkpoints_lost   warning   file, error                          records come again
//   disk_full          error     error                                records are held
//   disk_full_over     info      milliseconds                         all goes on
//   failed_over        warning   segment, fresh, first, last, error   nothing is lost
//   data_loss_risk     error     first, last, segment                 synced in a failed file
//   log_failed         error     error                                nothing more is accepted
//   closed             info      last, error                          error: empty if none
//   events_suppressed  warning   event, count                         see EventListener
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
// on a thread that appends, reads or writes, and under no lock.
//
//   class ToStderr : public millrace::EventListener {
//     void OnEvent(const millrace::Event& e) override {
//       std::clog << e.name << ": " << e.text << " [" << e.log << "]" << std::endl;
//     }
//   };
//   options.event_listener = std::make_shared<ToStderr>();
//
// A slow listener delays only other events. Of each name ten a second are shown, and of
// those that wait 1024 are kept; `events_suppressed` counts the others, so none goes unsaid.
//
// May use the log, but neither close nor destroy it: Close returns FailedPrecondition
// there. Must not throw. Not called any more once Log::Close has returned. One listener may
// serve several logs; each calls it on a thread of its own.
class EventListener {
 public:
  virtual ~EventListener() = default;
  virtual void OnEvent(const Event& event) = 0;
};

}  // namespace millrace

#endif  // MILLRACE_EVENT_LISTENER_H_
