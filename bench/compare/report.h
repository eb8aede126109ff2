#ifndef MILLRACE_BENCH_COMPARE_REPORT_H_
#define MILLRACE_BENCH_COMPARE_REPORT_H_

#include <string>
#include <vector>

#include "bench/compare/rounds.h"
#include "nlohmann/json.hpp"

namespace millrace {

struct Spread {
  double median = 0;
  double lowest = 0;
  double highest = 0;
};
// Of an empty list: all zero.
Spread SpreadOf(std::vector<double> values);

// How many times as fast as `peer` the contestant of `row` was: the median of what the two did in
// the same round. 0 if either did not run.
double PairedRatio(const Row& row, const Row& peer);

// The row of `role` in `scenario`, or null.
const Row* FindRow(const Scenario& scenario, Row::Role role);

// "12,345" and "1.23 ms".
std::string WithCommas(double value);
std::string FormatNanoseconds(uint64_t nanoseconds);

std::string TableOf(const Scenario& scenario);
nlohmann::ordered_json JsonOf(const RoundOptions& options, const std::vector<Scenario>& scenarios);

// What keeps Millrace from being ahead of both peers everywhere and at least twice as fast as
// LevelDB with 64 durable producers, one sentence each; empty if nothing does. A peer that did not
// run is a failure: nothing was shown.
std::vector<std::string> FailedAims(const std::vector<Scenario>& scenarios);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_REPORT_H_
