#ifndef MILLRACE_BENCH_COMPARE_ROUNDS_H_
#define MILLRACE_BENCH_COMPARE_ROUNDS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/compare/contestant.h"
#include "bench/compare/histogram.h"

namespace millrace {

// What one contestant did in one round.
struct Measurement {
  double records_per_second = 0;
  std::optional<double> syncs_per_second;
};

// One contestant of a scenario and all it did.
struct Row {
  enum class Role : uint8_t { kMillrace, kLevelDb, kRocksDb, kReference };

  Role role = Role::kReference;
  std::unique_ptr<Contestant> contestant;
  std::vector<Measurement> rounds;
  LatencyHistogram latency;  // of single appends, all rounds together
};

// Contestants that do the same work in turns.
struct Scenario {
  std::string name;
  int producers = 1;
  // One append in this many is timed: reading the clock costs as much as a buffered append.
  uint32_t latency_sample = 1;
  std::vector<Row> rows;
};

struct RoundOptions {
  std::string directory;  // exists; each run has a new directory below it
  size_t record_bytes = 128;
  double seconds = 0.8;          // of each measurement
  double warm_up_seconds = 0.2;  // before each, not counted
  int rounds = 5;
};

// The scenarios in which Millrace answers to its peers. Peers that are not compiled in are left
// out.
std::vector<Scenario> StandardScenarios();

// Runs every contestant of `scenario` once, beginning with another one in each round, each from an
// empty directory and after what the one before it left in the page cache has been written.
absl::Status RunRound(const RoundOptions& options, int round, Scenario* scenario);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_ROUNDS_H_
