#ifndef MILLRACE_WAL_CORE_OBSERVER_H_
#define MILLRACE_WAL_CORE_OBSERVER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "millrace/sequence.h"
#include "wal/sync_reason.h"

namespace millrace {

// Told by a WalCore what it does, in the thread that does it: so the core can be measured and
// has no clock. The calls that end something follow those that begin it, unless it failed.
class CoreObserver {
 public:
  CoreObserver() = default;
  CoreObserver(const CoreObserver&) = delete;
  CoreObserver& operator=(const CoreObserver&) = delete;
  virtual ~CoreObserver() = default;

  // Around a write of a group that carries records.
  virtual void WriteBegins() = 0;
  virtual void WriteEnded(uint64_t records, uint64_t bytes) = 0;

  // Around one sync of segment data, of `bytes` that were written since the one before.
  virtual void SyncBegins() = 0;
  virtual void SyncEnded(SyncReason reason, uint64_t bytes) = 0;

  // A write or sync of `segment` failed with `error`; the records from `first` to `last`
  // (< first: none) were logged again in `fresh`, and are durable. Those from `risk_first` to
  // `risk_last` (likewise) had been acknowledged from that file, by an older sync, and were
  // not.
  struct FailOverReport {
    uint64_t segment = 0;
    uint64_t fresh = 0;
    SequenceNumber first = 0;
    SequenceNumber last = 0;
    SequenceNumber risk_first = 0;
    SequenceNumber risk_last = 0;
    absl::Status error;
  };
  virtual void FailedOver(const FailOverReport& report) = 0;

  // `segment` is full; its first record is `first`, and its frames take `bytes`.
  virtual void Rotated(uint64_t segment, SequenceNumber first, uint64_t bytes) = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CORE_OBSERVER_H_
