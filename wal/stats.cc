#include "millrace/stats.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "wal/check.h"

namespace millrace {
namespace {

// Values below have a bucket each; every power of two from there on has as many.
constexpr size_t kSteps = 4;
constexpr int kStepBits = 2;

}  // namespace

size_t Histogram::BucketOf(uint64_t value) {
  if (value < kSteps) return value;
  // value has kStepBits + 1 significant bits and `shift` more.
  const int shift = static_cast<int>(std::bit_width(value)) - 1 - kStepBits;
  const size_t step = (value >> shift) - kSteps;
  return kSteps * (static_cast<size_t>(shift) + 1) + step;
}

uint64_t Histogram::HighestOf(size_t bucket) {
  WAL_CHECK_LT(bucket, kBuckets);
  if (bucket < kSteps) return bucket;
  const size_t shift = bucket / kSteps - 1;
  const uint64_t lowest = (kSteps + bucket % kSteps) << shift;
  return lowest + ((uint64_t{1} << shift) - 1);
}

uint64_t Histogram::Percentile(double percent) const {
  if (count == 0) return 0;
  const double share = std::clamp(percent, 0.0, 100.0) / 100;
  // At least one: the lowest percentile is the smallest value, not nothing.
  const double wanted = std::max(1.0, std::ceil(share * static_cast<double>(count)));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += buckets[i];
    if (static_cast<double>(seen) >= wanted) return std::min(HighestOf(i), max);
  }
  return max;
}

}  // namespace millrace
