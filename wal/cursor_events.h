#ifndef MILLRACE_WAL_CURSOR_EVENTS_H_
#define MILLRACE_WAL_CURSOR_EVENTS_H_

#include <string_view>

#include "absl/status/status.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"

namespace millrace {

// What cursors have to tell the owner of their log. Thread-safe: called from the threads
// that use the cursors, under no lock.
class CursorEvents {
 public:
  virtual ~CursorEvents() = default;
  // The cursor delivered a loss that no trim explains.
  virtual void Lost(std::string_view cursor, const LostRange& lost) = 0;
  // By a truncation: it had been shown, or had committed, records up to `from`.
  virtual void SetBack(std::string_view cursor, SequenceNumber from, SequenceNumber to) = 0;
  virtual void CheckpointFailed(std::string_view cursor, const absl::Status& status) = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_EVENTS_H_
