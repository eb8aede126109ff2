#ifndef MILLRACE_WAL_LOG_EVENTS_H_
#define MILLRACE_WAL_LOG_EVENTS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/core_observer.h"
#include "wal/event_dispatcher.h"

namespace millrace {

// What happens to a log, one function for each event of event_listener.h, so that the text and
// the fields of all stand in one place. A text names what, the value, and, where something is
// to be done, what.
//
// Thread-safe. Without a listener each does nothing.
class LogEvents {
 public:
  // `to` outlives this.
  explicit LogEvents(EventDispatcher* to) : to_(to) {}

  // False: nobody listens.
  bool enabled() const { return to_->enabled(); }

  // Also `recovered` and `records_lost`, where the report has cause for them.
  void Opened(const RecoveryReport& report);
  // `segment` was full with `bytes`; its first record is `first`.
  void SegmentRotated(uint64_t segment, SequenceNumber first, uint64_t bytes);
  void Trimmed(SequenceNumber first_retained, uint64_t segments);
  void Truncated(SequenceNumber after, uint64_t epoch, uint64_t dropped_records);
  // A sync of `bytes` took `took`, longer than `bound`.
  void SlowSync(absl::Duration took, uint64_t bytes, absl::Duration bound);
  // Since the last time that this was said.
  void QueueFull(uint64_t waited, uint64_t refused, uint64_t dropped);
  // `bound`: Options::lagging_cursor_bytes.
  void CursorLagging(std::string_view cursor, uint64_t records, uint64_t bytes, uint64_t bound);
  void CursorSetBack(std::string_view cursor, SequenceNumber from, SequenceNumber to);
  void Corruption(std::string_view cursor, const LostRange& lost);
  void CheckpointFailed(std::string_view cursor, const absl::Status& error);
  // Checkpoints in `file` cannot be used.
  void CheckpointsLost(std::string_view file, const absl::Status& error);
  void DiskFull(const absl::Status& error);
  // It lasted for `duration`.
  void DiskFullOver(absl::Duration duration);
  // Also `data_loss_risk`, where the report has cause for it.
  void FailedOver(const CoreObserver::FailOverReport& report);
  void LogFailed(const absl::Status& error);
  void Closed(SequenceNumber last, const absl::Status& error);

 private:
  EventDispatcher* const to_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_LOG_EVENTS_H_
