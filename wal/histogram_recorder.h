#ifndef MILLRACE_WAL_HISTOGRAM_RECORDER_H_
#define MILLRACE_WAL_HISTOGRAM_RECORDER_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "millrace/stats.h"

namespace millrace {

// How many threads may record into one recorder at a time.
enum class RecorderWriters : uint8_t {
  kOne,   // plain loads and stores
  kMany,  // atomic additions
};

// Gathers a Histogram that any thread may read meanwhile. Two kilobytes.
//
// Snapshot() is thread-safe; so is Record() of kMany.
template <RecorderWriters writers>
class HistogramRecorder {
 public:
  void Record(uint64_t value) {
    RaiseMax(value);
    Add(sum_, value, std::memory_order_relaxed);
    // release: who counts the value finds it in max_ and sum_; pairs with acquire in Snapshot().
    Add(buckets_[Histogram::BucketOf(value)], 1, std::memory_order_release);
  }

  // What was recorded so far. `sum` and `max` are of all that `count` counts, and perhaps of
  // values that were recorded during the call.
  Histogram Snapshot() const {
    Histogram histogram;
    for (size_t i = 0; i < Histogram::kBuckets; ++i) {
      // acquire: pairs with release in Record().
      histogram.buckets[i] = buckets_[i].load(std::memory_order_acquire);
      histogram.count += histogram.buckets[i];
    }
    // relaxed, both: the loads above are before them.
    histogram.sum = sum_.load(std::memory_order_relaxed);
    histogram.max = max_.load(std::memory_order_relaxed);
    return histogram;
  }

 private:
  static void Add(std::atomic<uint64_t>& to, uint64_t value, std::memory_order order) {
    if constexpr (writers == RecorderWriters::kOne) {
      // relaxed: no other thread writes it. The store has the caller's order.
      to.store(to.load(std::memory_order_relaxed) + value, order);
    } else {
      // The caller's order: it knows what the addition publishes.
      to.fetch_add(value, order);
    }
  }

  void RaiseMax(uint64_t value) {
    // relaxed, all: the addition to the bucket publishes it.
    uint64_t seen = max_.load(std::memory_order_relaxed);
    if constexpr (writers == RecorderWriters::kOne) {
      // relaxed: as above.
      if (value > seen) max_.store(value, std::memory_order_relaxed);
    } else {
      // relaxed: as above.
      while (value > seen && !max_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
      }
    }
  }

  std::atomic<uint64_t> sum_{0};
  std::atomic<uint64_t> max_{0};
  std::array<std::atomic<uint64_t>, Histogram::kBuckets> buckets_{};
};

}  // namespace millrace

#endif  // MILLRACE_WAL_HISTOGRAM_RECORDER_H_
