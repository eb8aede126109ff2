#ifndef MILLRACE_BENCH_COMPARE_TABLES_H_
#define MILLRACE_BENCH_COMPARE_TABLES_H_

#include <string>
#include <vector>

#include "bench/compare/goals.h"
#include "bench/compare/probe.h"
#include "nlohmann/json.hpp"

namespace millrace {

// "12.3 M/s", "1.61 GB/s", "85 ns", "1.2 MiB", "4.31x".
std::string FormatFigure(double value, Unit unit);

// Every probe: rate with its interval and latencies where it has them, by groups, and its
// settings.
std::string MeasurementTable(const std::vector<Probe>& probes, const Results& results);

// The goals with their verdicts; ends with a line that counts them.
std::string GoalTable(const std::vector<Goal>& goals, const std::vector<Verdict>& verdicts);

// Whether none was missed.
bool NoneMissed(const std::vector<Verdict>& verdicts);

nlohmann::ordered_json ProbesJson(const std::vector<Probe>& probes, const Results& results);
nlohmann::ordered_json GoalsJson(const std::vector<Goal>& goals,
                                 const std::vector<Verdict>& verdicts);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_TABLES_H_
