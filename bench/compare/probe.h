#ifndef MILLRACE_BENCH_COMPARE_PROBE_H_
#define MILLRACE_BENCH_COMPARE_PROBE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/compare/histogram.h"
#include "bench/compare/load.h"

namespace millrace {

// How much is measured, and where.
struct Bench {
  // Each probe gets an empty directory of its own below it, `fixtures` what many share.
  std::string directory;
  double seconds = 0.4;          // of each measurement that is bounded by time
  double warm_up_seconds = 0.1;  // before it, not counted
  // Factor for each measurement that is bounded by work: 1 is what --quick does.
  double work = 1;
  std::string diskqueue = {};  // the program of bench/compare/diskqueue; empty: there is none
  std::string self = {};       // this program, to measure in a process of its own

  // The load of a probe bounded by time.
  Load LoadOf(int producers, size_t record_bytes = 128) const {
    return {.producers = producers,
            .record_bytes = record_bytes,
            .seconds = seconds,
            .warm_up_seconds = warm_up_seconds};
  }
  // `count` of --quick, as much as is asked for, at least 1.
  uint64_t Scaled(uint64_t count) const {
    return std::max<uint64_t>(1, static_cast<uint64_t>(static_cast<double>(count) * work));
  }
  // A directory that stays until the program ends. `build` fills it when it is first asked for.
  absl::StatusOr<std::string> Fixture(
      const std::string& name, const std::function<absl::Status(const std::string&)>& build) const;
};

// What one probe found in one round.
struct Figures {
  std::map<std::string, double> values;
  std::map<std::string, LatencyHistogram> latencies;

  // Keeps `latency` as `name`, and its percentiles as <name>.p50 and so on, in ns.
  void AddLatency(const std::string& name, const LatencyHistogram& latency);
  // records_per_s, syncs_per_s, and the latency as "append", what of it there is.
  void AddLoad(const LoadResult& load);
};

// One thing to measure. Those of one group do comparable work and run one after the other, in an
// order that rotates from round to round.
struct Probe {
  std::string group = {};     // "durable, 64 producers"
  std::string name = {};      // "durable64.millrace", the key in JSON
  std::string title = {};     // "Millrace"
  std::string settings = {};  // what differs from the defaults of what is measured
  // In `directory`, which is empty and removed afterwards. An Unimplemented error says that it
  // cannot be measured here: that is a skip, not a failure.
  std::function<absl::StatusOr<Figures>(const Bench& bench, const std::string& directory)> run = {};
  // Measured in this many rounds at most, where a figure hardly varies or is dear; 0: in all.
  int most_rounds = 0;
};

// All rounds of one probe.
struct ProbeResult {
  std::map<std::string, std::vector<double>> values;
  std::map<std::string, LatencyHistogram> latencies;  // all rounds together
  std::string skipped;                                // why, if it was
};
using Results = std::map<std::string, ProbeResult>;  // by the name of the probe

// Runs `probe` once and adds what it found.
absl::Status RunProbe(const Bench& bench, const Probe& probe, ProbeResult* result);

// "1 producer", "8 producers".
std::string Counted(int count, const std::string& what);

// The probes of one round, in its order.
std::vector<const Probe*> OrderOfRound(const std::vector<Probe>& probes, int round);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_PROBE_H_
