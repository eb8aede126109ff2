#include "bench/compare/report.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/str_format.h"

namespace millrace {
namespace {

constexpr double kAimAtManyProducers = 2.0;
constexpr int kManyProducers = 64;

std::vector<double> Rates(const Row& row) {
  std::vector<double> rates;
  for (const Measurement& round : row.rounds) rates.push_back(round.records_per_second);
  return rates;
}

std::optional<double> SyncRate(const Row& row) {
  std::vector<double> rates;
  for (const Measurement& round : row.rounds) {
    if (round.syncs_per_second) rates.push_back(*round.syncs_per_second);
  }
  if (rates.empty()) return std::nullopt;
  return SpreadOf(rates).median;
}

std::string RatioText(const Row& row, const Row* peer) {
  if (row.role != Row::Role::kMillrace || peer == nullptr) return "-";
  return absl::StrFormat("%.2fx", PairedRatio(row, *peer));
}

void CheckRow(const Scenario& scenario, const Row& row, Row::Role role, const char* peer_name,
              std::vector<std::string>* failures) {
  const Row* peer = FindRow(scenario, role);
  if (peer == nullptr) {
    failures->push_back(absl::StrFormat("%s: %s was not compiled in", scenario.name, peer_name));
    return;
  }
  const bool twice = role == Row::Role::kLevelDb && scenario.producers == kManyProducers;
  const double aim = twice ? kAimAtManyProducers : 1.0;
  const double ratio = PairedRatio(row, *peer);
  if (ratio > aim || (twice && ratio >= aim)) return;
  failures->push_back(absl::StrFormat("%s: %.2f times %s, wanted %s %.0f", scenario.name, ratio,
                                      peer_name, twice ? "at least" : "more than", aim));
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

double PairedRatio(const Row& row, const Row& peer) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(row.rounds.size(), peer.rounds.size()); ++i) {
    const double rate = peer.rounds[i].records_per_second;
    if (rate > 0) ratios.push_back(row.rounds[i].records_per_second / rate);
  }
  return SpreadOf(ratios).median;
}

const Row* FindRow(const Scenario& scenario, Row::Role role) {
  for (const Row& row : scenario.rows) {
    if (row.role == role) return &row;
  }
  return nullptr;
}

std::string WithCommas(double value) {
  std::string digits = absl::StrFormat("%.0f", value);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), 1, ',');
  }
  return digits;
}

std::string FormatNanoseconds(uint64_t nanoseconds) {
  const double ns = static_cast<double>(nanoseconds);
  if (ns < 1e3) return absl::StrFormat("%.0f ns", ns);
  if (ns < 1e6) return absl::StrFormat("%.1f us", ns / 1e3);
  if (ns < 1e9) return absl::StrFormat("%.2f ms", ns / 1e6);
  return absl::StrFormat("%.2f s", ns / 1e9);
}

std::string TableOf(const Scenario& scenario) {
  std::string table = scenario.name + "\n";
  absl::StrAppendFormat(&table, "  %-19s %11s %11s %11s %9s %9s %9s %9s %9s %9s\n", "", "records/s",
                        "lowest", "highest", "p50", "p99", "p99.9", "syncs/s", "LevelDB",
                        "RocksDB");
  const Row* level = FindRow(scenario, Row::Role::kLevelDb);
  const Row* rocks = FindRow(scenario, Row::Role::kRocksDb);
  for (const Row& row : scenario.rows) {
    const Spread rate = SpreadOf(Rates(row));
    const std::optional<double> syncs = SyncRate(row);
    absl::StrAppendFormat(
        &table, "  %-19s %11s %11s %11s %9s %9s %9s %9s %9s %9s\n", row.contestant->name(),
        WithCommas(rate.median), WithCommas(rate.lowest), WithCommas(rate.highest),
        FormatNanoseconds(row.latency.Quantile(0.5)), FormatNanoseconds(row.latency.Quantile(0.99)),
        FormatNanoseconds(row.latency.Quantile(0.999)), syncs ? WithCommas(*syncs) : "-",
        RatioText(row, level), RatioText(row, rocks));
  }
  return table;
}

nlohmann::ordered_json JsonOf(const RoundOptions& options, const std::vector<Scenario>& scenarios) {
  nlohmann::ordered_json document = {{"record_bytes", options.record_bytes},
                                     {"seconds", options.seconds},
                                     {"warm_up_seconds", options.warm_up_seconds},
                                     {"rounds", options.rounds},
                                     {"scenarios", nlohmann::ordered_json::array()}};
  for (const Scenario& scenario : scenarios) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    const Row* level = FindRow(scenario, Row::Role::kLevelDb);
    const Row* rocks = FindRow(scenario, Row::Role::kRocksDb);
    for (const Row& row : scenario.rows) {
      nlohmann::ordered_json entry = {{"name", row.contestant->name()},
                                      {"settings", row.contestant->settings()},
                                      {"records_per_second", Rates(row)},
                                      {"records_per_second_median", SpreadOf(Rates(row)).median},
                                      {"latency_ns",
                                       {{"p50", row.latency.Quantile(0.5)},
                                        {"p99", row.latency.Quantile(0.99)},
                                        {"p99.9", row.latency.Quantile(0.999)},
                                        {"max", row.latency.max()}}}};
      if (std::optional<double> syncs = SyncRate(row)) entry["syncs_per_second"] = *syncs;
      if (row.role == Row::Role::kMillrace) {
        if (level != nullptr) entry["ratio_to_leveldb"] = PairedRatio(row, *level);
        if (rocks != nullptr) entry["ratio_to_rocksdb"] = PairedRatio(row, *rocks);
      }
      rows.push_back(std::move(entry));
    }
    document["scenarios"].push_back(
        {{"name", scenario.name}, {"producers", scenario.producers}, {"rows", std::move(rows)}});
  }
  return document;
}

std::vector<std::string> FailedAims(const std::vector<Scenario>& scenarios) {
  std::vector<std::string> failures;
  for (const Scenario& scenario : scenarios) {
    // The first of Millrace's rows is the one that answers to the peers; others stand beside it.
    const Row* row = FindRow(scenario, Row::Role::kMillrace);
    if (row == nullptr) continue;
    CheckRow(scenario, *row, Row::Role::kLevelDb, "LevelDB", &failures);
    CheckRow(scenario, *row, Row::Role::kRocksDb, "RocksDB", &failures);
  }
  return failures;
}

}  // namespace millrace
