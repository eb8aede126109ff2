#ifndef MILLRACE_WAL_APPEND_COUNTERS_H_
#define MILLRACE_WAL_APPEND_COUNTERS_H_

#include <atomic>
#include <cstdint>

namespace millrace {

// A count that one thread at a time writes and any reads. Costs that thread a load and a
// store.
class OwnedCounter {
 public:
  // Whoever wrote before has handed the counter over to the caller.
  void Add(uint64_t n) {
    // relaxed: nobody else writes it.
    const uint64_t value = value_.load(std::memory_order_relaxed);
    // release: who sees the new count sees what was counted; pairs with acquire in value().
    value_.store(value + n, std::memory_order_release);
  }
  // Takes back what was added for something that then did not happen.
  void Subtract(uint64_t n) { Add(uint64_t{0} - n); }

  uint64_t value() const {
    // acquire: pairs with release in Add().
    return value_.load(std::memory_order_acquire);
  }

 private:
  std::atomic<uint64_t> value_{0};
};

// What the appends through one producer slot came to, in the thread that made them.
//
// A record is counted in `accepted` before the writer can meet it, and in the writer's counts
// before anybody hears of its end. So who reads the writer's counts first and then these finds
// accepted >= acknowledged + failed, at every moment.
struct ProducerCounters {
  OwnedCounter accepted;
  OwnedCounter waited_appends;
  OwnedCounter refused_records;
  OwnedCounter dropped_records;
};

// Sums over all slots.
struct AdmissionCounts {
  uint64_t waited_appends = 0;
  uint64_t refused_records = 0;
  uint64_t dropped_records = 0;
};

// How the records ended that the writer met.
struct OutcomeCounters {
  OwnedCounter acknowledged;
  OwnedCounter failed;  // without those that were withdrawn
};

}  // namespace millrace

#endif  // MILLRACE_WAL_APPEND_COUNTERS_H_
