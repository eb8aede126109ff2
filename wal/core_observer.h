#ifndef MILLRACE_WAL_CORE_OBSERVER_H_
#define MILLRACE_WAL_CORE_OBSERVER_H_

#include <cstdint>

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

  // `segment` is full; its first record is `first`, and its frames take `bytes`.
  virtual void Rotated(uint64_t segment, SequenceNumber first, uint64_t bytes) = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CORE_OBSERVER_H_
