#ifndef MILLRACE_WAL_SEGMENT_SUPPLY_THREAD_H_
#define MILLRACE_WAL_SEGMENT_SUPPLY_THREAD_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "queue/atomics.h"
#include "queue/wait_strategy.h"
#include "wal/mutex.h"
#include "wal/segment_supply.h"
#include "wal/thread.h"

namespace millrace {

// Prepares the next segment, and recycles or deletes trimmed ones, in a thread of
// its own, off the writer's path. The thread is started when it is first needed;
// without one (no memory for it) the work is done in the caller's.
//
// Called by one thread at a time: the one that opens the log, then the writer.
class ThreadedSegmentSupply : public SegmentSupply {
 public:
  ~ThreadedSegmentSupply() override;

  void Attach(SegmentFactory* factory) override { factory_ = factory; }
  void Detach() override;
  absl::StatusOr<PreparedSegment> Take(uint64_t file_bytes, Fill fill) override;
  void Expect(uint64_t file_bytes, Fill fill) override;
  void Retire(std::vector<std::shared_ptr<SegmentNode>> nodes) override;

  // How many segments were ready when they were taken. Thread-safe.
  uint64_t ready_segments() const {
    // relaxed: a number to report.
    return ready_segments_.load(std::memory_order_relaxed);
  }
  // Of the files that are prepared or wait to be used again. Thread-safe.
  uint64_t spare_bytes() const {
    // relaxed, both: numbers to report.
    return prepared_bytes_.load(std::memory_order_relaxed) +
           retired_bytes_.load(std::memory_order_relaxed);
  }

 private:
  struct Wish {
    uint64_t file_bytes;
    Fill fill;
  };

  bool StartThread();
  void Run();
  void Serve();
  void CountRetired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);

  SegmentFactory* factory_ = nullptr;
  Thread thread_;
  std::atomic<uint64_t> ready_segments_{0};
  std::atomic<uint64_t> prepared_bytes_{0};
  std::atomic<uint64_t> retired_bytes_{0};

  // Between the two threads.
  Mutex mu_;
  std::optional<Wish> wish_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<SegmentNode>> trimmed_ ABSL_GUARDED_BY(mu_);
  std::optional<PreparedSegment> prepared_ ABSL_GUARDED_BY(mu_);
  std::atomic<bool> stopping_{false};
  // A wish was made and neither met nor given up.
  std::atomic<bool> preparing_{false};
  Waiters<StdAtomics> prepared_waiters_;
  Sleeper<StdAtomics> sleeper_;

  // Held while files are worked on.
  Mutex work_mu_;
  RetiredSegments retired_ ABSL_GUARDED_BY(work_mu_);
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_SUPPLY_THREAD_H_
