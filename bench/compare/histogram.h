#ifndef MILLRACE_BENCH_COMPARE_HISTOGRAM_H_
#define MILLRACE_BENCH_COMPARE_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace millrace {

// Counts durations in buckets that widen with the value, 32 to each power of two: a quantile is at
// most 3 % above the true one. Up to 18 minutes; longer ones count as that long, and in max() as
// they were.
//
// Plain memory, zero being empty, so that it can stand in memory shared between processes. One
// writer at a time.
class LatencyHistogram {
 public:
  void Record(uint64_t nanoseconds) { RecordMany(nanoseconds, 1); }

  // As Record, `count` times.
  void RecordMany(uint64_t nanoseconds, uint64_t count) {
    if (count == 0) return;
    counts_[BucketOf(nanoseconds)] += count;
    count_ += count;
    max_ = std::max(max_, nanoseconds);
  }

  void Merge(const LatencyHistogram& other) {
    for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }

  // The value in nanoseconds that a share `quantile` of all recorded ones do not exceed; 0 if none
  // were recorded.
  uint64_t Quantile(double quantile) const {
    const double wanted = std::ceil(quantile * static_cast<double>(count_));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return std::min(UpperEdge(i), max_);
    }
    return max_;
  }

  // Calls visit(highest value, count) for each bucket in use, lowest first.
  template <class Visit>
  void ForEachBucket(Visit visit) const {
    for (size_t i = 0; i < kBuckets; ++i) {
      if (counts_[i] != 0) visit(std::min(UpperEdge(i), max_), counts_[i]);
    }
  }

 private:
  static constexpr int kSubBits = 5;
  static constexpr int kMaxShift = 34;
  static constexpr size_t kBuckets = (kMaxShift + 2) << kSubBits;

  static size_t BucketOf(uint64_t value) {
    const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kSubBits - 1);
    if (shift > kMaxShift) return kBuckets - 1;
    return (static_cast<size_t>(shift) << kSubBits) + static_cast<size_t>(value >> shift);
  }

  static uint64_t UpperEdge(size_t bucket) {
    const size_t first_wide = size_t{2} << kSubBits;
    if (bucket < first_wide) return bucket;
    const int shift = static_cast<int>(bucket >> kSubBits) - 1;
    const uint64_t lead = bucket - (static_cast<uint64_t>(shift) << kSubBits);
    return ((lead + 1) << shift) - 1;
  }

  std::array<uint64_t, kBuckets> counts_ = {};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_HISTOGRAM_H_
