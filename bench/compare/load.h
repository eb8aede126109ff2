#ifndef MILLRACE_BENCH_COMPARE_LOAD_H_
#define MILLRACE_BENCH_COMPARE_LOAD_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "bench/compare/contestant.h"
#include "bench/compare/histogram.h"

namespace millrace {

// Work for a contestant: `producers` threads, each with an appender of its own.
struct Load {
  int producers = 1;
  size_t record_bytes = 128;     // kKeyBytes or more
  double seconds = 0.8;          // that are measured
  double warm_up_seconds = 0.2;  // before, not counted
  // One append in this many is timed: reading the clock costs as much as a buffered append.
  uint32_t latency_sample = 1;
};

struct LoadResult {
  uint64_t records = 0;  // within the measured time
  double records_per_second = 0;
  std::optional<double> syncs_per_second;
  LatencyHistogram latency;  // of single appends
};

// Each producer appends its next record as soon as the one before has returned. The time of what
// was only accepted ends when it has left the process's memory (Contestant::Drain).
absl::StatusOr<LoadResult> ClosedLoop(const Load& load, Contestant* contestant);

// As ClosedLoop, but `records` in all, of which an eighth more come before as warm-up.
absl::StatusOr<LoadResult> FixedWork(const Load& load, uint64_t records, Contestant* contestant);

// Records arrive at `records_per_second`, evenly, whether or not the one before has returned; a
// producer that is late appends at once. The latency of a record counts from when it was
// to arrive, so that a stall is felt by all records that come during it (no coordinated
// omission).
absl::StatusOr<LoadResult> OpenLoop(const Load& load, double records_per_second,
                                    Contestant* contestant);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_LOAD_H_
