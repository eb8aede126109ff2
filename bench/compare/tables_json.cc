#include <string>
#include <utility>

#include "bench/compare/tables.h"

namespace millrace {
namespace {

using Json = nlohmann::ordered_json;

Json IntervalJson(const Interval& interval) {
  return {{"median", interval.median},
          {"low", interval.low},
          {"high", interval.high},
          {"confidence", interval.confidence}};
}

// Pairs of a duration in ns that a bucket's values do not exceed, and how many are in it.
Json HistogramJson(const LatencyHistogram& latency) {
  Json buckets = Json::array();
  latency.ForEachBucket([&](uint64_t upper, uint64_t count) { buckets.push_back({upper, count}); });
  return buckets;
}

const char* StateName(Verdict::State state) {
  switch (state) {
    case Verdict::State::kMet:
      return "met";
    case Verdict::State::kWithin:
      return "within_interval";
    case Verdict::State::kMissed:
      return "not_met";
    case Verdict::State::kSkipped:
      return "skipped";
  }
  return "";
}

}  // namespace

Json ProbesJson(const std::vector<Probe>& probes, const Results& results) {
  Json list = Json::array();
  for (const Probe& probe : probes) {
    const auto result = results.find(probe.name);
    if (result == results.end()) continue;
    Json entry = {{"name", probe.name},
                  {"group", probe.group},
                  {"title", probe.title},
                  {"settings", probe.settings}};
    if (!result->second.skipped.empty()) entry["skipped"] = result->second.skipped;
    Json figures = Json::object();
    for (const auto& [name, values] : result->second.values) {
      Json figure = IntervalJson(MedianInterval(values));
      figure["rounds"] = values;
      figures[name] = std::move(figure);
    }
    entry["figures"] = std::move(figures);
    Json latencies = Json::object();
    for (const auto& [name, latency] : result->second.latencies) {
      latencies[name] = HistogramJson(latency);
    }
    entry["latencies_ns"] = std::move(latencies);
    list.push_back(std::move(entry));
  }
  return list;
}

Json GoalsJson(const std::vector<Goal>& goals, const std::vector<Verdict>& verdicts) {
  Json list = Json::array();
  for (size_t i = 0; i < goals.size(); ++i) {
    const Goal& goal = goals[i];
    const Verdict& verdict = verdicts[i];
    Json entry = {{"work", goal.work},
                  {"what", goal.what},
                  {"sense", goal.sense == Goal::Sense::kAtLeast ? "at_least" : "at_most"},
                  {"goal", verdict.threshold},
                  {"verdict", StateName(verdict.state)}};
    if (verdict.state == Verdict::State::kSkipped) {
      entry["reason"] = verdict.reason;
    } else {
      entry["ours"] = verdict.ours;
      if (!goal.reference.empty()) entry["reference"] = verdict.reference;
      if (verdict.beside != 0) {
        entry["beside"] = verdict.beside;
        entry["beside_is"] = goal.beside_is;
      }
      entry["interval"] = IntervalJson(verdict.interval);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace millrace
