#ifndef MILLRACE_WAL_CORE_METER_H_
#define MILLRACE_WAL_CORE_METER_H_

#include <chrono>
#include <cstdint>

#include "absl/time/time.h"
#include "millrace/sequence.h"
#include "queue/atomics.h"
#include "wal/core_observer.h"
#include "wal/log_events.h"
#include "wal/stats_recorder.h"
#include "wal/sync_reason.h"

namespace millrace {

// Measures what a WalCore does, into the log's stats and events.
//
// Used by one thread at a time: the one that opens the log, then the writer.
class CoreMeter : public CoreObserver {
 public:
  using SteadyClock = Deadline (*)();

  // `stats` and `events` outlive this. A sync over `slow_sync` is an event. Tests give a clock
  // of their own.
  CoreMeter(StatsRecorder* stats, LogEvents* events, absl::Duration slow_sync,
            SteadyClock clock = &std::chrono::steady_clock::now)
      : stats_(stats), events_(events), slow_sync_(slow_sync), clock_(clock) {}

  void WriteBegins() override { began_ = clock_(); }
  void WriteEnded(uint64_t records, uint64_t bytes) override;
  void SyncBegins() override { began_ = clock_(); }
  void SyncEnded(SyncReason reason, uint64_t bytes) override;
  void FailedOver(const FailOverReport& report) override { events_->FailedOver(report); }
  void Rotated(uint64_t segment, SequenceNumber first, uint64_t bytes) override;

  // True once after each rotation: the moment to look at how far cursors are behind.
  bool TakeRotated();

 private:
  uint64_t NanosecondsSinceBegin() const;

  StatsRecorder* const stats_;
  LogEvents* const events_;
  const absl::Duration slow_sync_;
  const SteadyClock clock_;
  Deadline began_;
  bool rotated_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CORE_METER_H_
