#ifndef MILLRACE_BENCH_COMPARE_GOALS_H_
#define MILLRACE_BENCH_COMPARE_GOALS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/compare/interval.h"
#include "bench/compare/probe.h"

namespace millrace {

enum class Unit : uint8_t { kPerSecond, kBytesPerSecond, kNanoseconds, kBytes, kNumber, kTimes };

// One line of the table of goals: a figure of ours, by itself or as so many times that of a
// reference.
struct Goal {
  std::string_view work;       // a kind of load; consecutive goals share it
  std::string_view what;       // "records/s, times LevelDB's"
  std::string_view figure;     // of both probes
  std::string_view ours;       // the probe
  std::string_view reference;  // likewise; empty: the goal is about ours by itself
  enum class Sense : uint8_t { kAtLeast, kAtMost } sense = Sense::kAtLeast;
  double goal = 0;
  double loose = 0;  // the same for --loose: holds on a busy machine with a slow disk too
  Unit unit = Unit::kPerSecond;  // of the figure
  // A probe that tells what the machine allows, and what it is; only shown.
  std::string_view beside = "";
  std::string_view beside_is = "";
};

// The thresholds, strict and loose: there are no others.
std::vector<Goal> AllGoals();

enum class Strictness : uint8_t { kStrict, kLoose };

struct Verdict {
  enum class State : uint8_t {
    kMet,
    kWithin,  // the median misses the goal, but the interval reaches it: counts as met
    kMissed,  // the whole interval misses it
    kSkipped,
  } state = State::kSkipped;
  double threshold = 0;
  double ours = 0;          // medians
  double reference = 0;     // 0: there is none
  double beside = 0;        // likewise
  double beside_ratio = 0;  // to the reference; likewise
  Interval interval;        // of the paired ratios, or of `ours`
  std::string reason;       // of a skip
};

Verdict Judge(const Goal& goal, const Results& results, Strictness strictness);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_GOALS_H_
