#include "bench/compare/tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace millrace {
namespace {

// Three digits that count: "1.23", "12.3", "123".
std::string ThreeDigits(double value) {
  if (value == 0) return "0";
  const double size = std::abs(value);
  return absl::StrFormat("%.*f", size < 9.995 ? 2 : size < 99.95 ? 1 : 0, value);
}

std::string Scaled(double value, double step, const std::array<const char*, 5>& units) {
  size_t unit = 0;
  while (unit + 1 < units.size() && std::abs(value) >= step * 0.9995) {
    value /= step;
    ++unit;
  }
  return ThreeDigits(value) + units[unit];
}

const double* MedianIn(const std::map<std::string, double>& medians, const std::string& name) {
  const auto found = medians.find(name);
  return found == medians.end() ? nullptr : &found->second;
}

std::string Cell(const std::map<std::string, double>& medians, const std::string& name, Unit unit) {
  const double* const value = MedianIn(medians, name);
  return value == nullptr ? "" : FormatFigure(*value, unit);
}

// The figure that a probe's line begins with: a rate if it has one.
struct Lead {
  const char* figure;
  Unit unit;
};
constexpr Lead kLeads[] = {
    {"records_per_s", Unit::kPerSecond},    {"writes_per_s", Unit::kPerSecond},
    {"bytes_per_s", Unit::kBytesPerSecond}, {"open_ns", Unit::kNanoseconds},
    {"trim_ns", Unit::kNanoseconds},        {"writes_per_sync", Unit::kNumber},
    {"memory_bytes", Unit::kBytes}};

std::string LeadText(const ProbeResult& result) {
  for (const auto& [figure, unit] : kLeads) {
    const auto found = result.values.find(figure);
    if (found == result.values.end()) continue;
    const Interval interval = MedianInterval(found->second);
    return absl::StrFormat("%11s %11s %11s", FormatFigure(interval.median, unit),
                           FormatFigure(interval.low, unit), FormatFigure(interval.high, unit));
  }
  return std::string(35, ' ');
}

std::string ProbeLine(const Probe& probe, const ProbeResult& result) {
  if (!result.skipped.empty()) {
    return absl::StrFormat("  %-38s skipped: %s\n", probe.title, result.skipped);
  }
  std::map<std::string, double> medians;
  for (const auto& [name, values] : result.values) medians[name] = MedianOf(values);
  std::string latency;
  // The one that the line is about: the others are in JSON.
  for (const char* name : {"append", "write", "call_128"}) {
    if (MedianIn(medians, std::string(name) + ".p50") == nullptr) continue;
    for (const char* quantile : {".p50", ".p99", ".p99.9", ".p99.99"}) {
      absl::StrAppendFormat(&latency, " %9s",
                            Cell(medians, std::string(name) + quantile, Unit::kNanoseconds));
    }
    break;
  }
  std::string line = absl::StrFormat("  %-38s %s%s", probe.title, LeadText(result), latency);
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

// One line for each title, or for a group in which all have the same; what was told is not
// repeated.
std::string SettingsTable(const std::vector<Probe>& probes, const Results& results) {
  std::map<std::string, std::set<std::string>> of_group;
  for (const Probe& probe : probes) of_group[probe.group].insert(probe.settings);
  std::string table;
  std::set<std::pair<std::string, std::string>> told;
  for (const Probe& probe : probes) {
    if (results.count(probe.name) == 0 || probe.settings.empty()) continue;
    const std::string& whose = of_group[probe.group].size() == 1 ? probe.group : probe.title;
    if (!told.insert({whose, probe.settings}).second) continue;
    absl::StrAppendFormat(&table, "  %-38s %s\n", whose, probe.settings);
  }
  return table;
}

const char* StateText(Verdict::State state) {
  switch (state) {
    case Verdict::State::kMet:
      return "met";
    case Verdict::State::kWithin:
      return "met, just";
    case Verdict::State::kMissed:
      return "NOT MET";
    case Verdict::State::kSkipped:
      return "skipped";
  }
  return "";
}

std::string GoalLine(const Goal& goal, const Verdict& verdict) {
  const bool is_ratio = !goal.reference.empty();
  const Unit unit = is_ratio ? Unit::kTimes : goal.unit;
  const std::string aim = absl::StrCat(goal.sense == Goal::Sense::kAtLeast ? ">= " : "<= ",
                                       FormatFigure(verdict.threshold, unit));
  if (verdict.state == Verdict::State::kSkipped) {
    return absl::StrFormat("  %-53s %54s %11s  skipped: %s\n", goal.what, "", aim, verdict.reason);
  }
  const std::string interval = absl::StrFormat("%s .. %s", FormatFigure(verdict.interval.low, unit),
                                               FormatFigure(verdict.interval.high, unit));
  std::string reference;
  if (is_ratio) reference = FormatFigure(verdict.reference, goal.unit);
  std::string line = absl::StrFormat("  %-53s %10s %11s %9s %21s %11s  %s\n", goal.what,
                                     FormatFigure(verdict.ours, goal.unit), reference,
                                     is_ratio ? FormatFigure(verdict.interval.median, unit) : "",
                                     interval, aim, StateText(verdict.state));
  if (verdict.beside != 0) {
    const std::string is = "(" + std::string(goal.beside_is) + ")";
    const std::string ratio =
        verdict.beside_ratio == 0 ? "" : FormatFigure(verdict.beside_ratio, unit);
    absl::StrAppend(&line, absl::StrFormat("    %-51s %10s %11s %9s\n", is,
                                           FormatFigure(verdict.beside, goal.unit), "", ratio));
  }
  return line;
}

}  // namespace

std::string FormatFigure(double value, Unit unit) {
  switch (unit) {
    case Unit::kPerSecond:
      return Scaled(value, 1000, {"/s", " k/s", " M/s", " G/s", " T/s"});
    case Unit::kBytesPerSecond:
      return Scaled(value, 1000, {" B/s", " kB/s", " MB/s", " GB/s", " TB/s"});
    case Unit::kNanoseconds:
      return value < 1e9 ? Scaled(value, 1000, {" ns", " us", " ms", " s", " s"})
                         : ThreeDigits(value / 1e9) + " s";
    case Unit::kBytes:
      return Scaled(value, 1024, {" B", " KiB", " MiB", " GiB", " TiB"});
    case Unit::kNumber:
      return ThreeDigits(value);
    case Unit::kTimes:
      return ThreeDigits(value) + "x";
  }
  return "";
}

std::string MeasurementTable(const std::vector<Probe>& probes, const Results& results) {
  std::string table = absl::StrFormat("%-40s %11s %11s %11s %9s %9s %9s %9s\n", "What was measured",
                                      "median", "low", "high", "p50", "p99", "p99.9", "p99.99");
  std::string group;
  for (const Probe& probe : probes) {
    const auto result = results.find(probe.name);
    if (result == results.end()) continue;
    if (probe.group != group) {
      group = probe.group;
      absl::StrAppend(&table, "\n", group, "\n");
    }
    absl::StrAppend(&table, ProbeLine(probe, result->second));
  }
  absl::StrAppend(&table, "\nSettings\n", SettingsTable(probes, results));
  return table;
}

std::string GoalTable(const std::vector<Goal>& goals, const std::vector<Verdict>& verdicts) {
  std::string table = absl::StrFormat("%-55s %10s %11s %9s %21s %11s\n", "Goals", "Millrace",
                                      "reference", "ratio", "95 % interval", "goal");
  std::string work;
  size_t met = 0, missed = 0, skipped = 0;
  for (size_t i = 0; i < goals.size(); ++i) {
    if (goals[i].work != work) {
      work = goals[i].work;
      absl::StrAppend(&table, work, "\n");
    }
    absl::StrAppend(&table, GoalLine(goals[i], verdicts[i]));
    skipped += verdicts[i].state == Verdict::State::kSkipped ? 1 : 0;
    missed += verdicts[i].state == Verdict::State::kMissed ? 1 : 0;
  }
  met = goals.size() - missed - skipped;
  absl::StrAppendFormat(&table, "%d goals: %d met, %d not met, %d skipped\n", goals.size(), met,
                        missed, skipped);
  return table;
}

bool NoneMissed(const std::vector<Verdict>& verdicts) {
  return std::none_of(verdicts.begin(), verdicts.end(), [](const Verdict& verdict) {
    return verdict.state == Verdict::State::kMissed;
  });
}

}  // namespace millrace
