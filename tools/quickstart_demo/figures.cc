#include "tools/quickstart_demo/figures.h"

#include <chrono>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "bench/compare/contestant.h"
#include "tools/quickstart_demo/writer.h"

namespace millrace {
namespace {

using Clock = std::chrono::steady_clock;

// "123.4 us", of one width for all.
std::string Microseconds(uint64_t nanoseconds) {
  return absl::StrFormat("%.1f", static_cast<double>(nanoseconds) / 1e3);
}

// In nanoseconds.
double DurationOf(const SittingFigures& sitting) {
  // relaxed: the process that stored it has ended.
  const int64_t started = sitting.started_ns.load(std::memory_order_relaxed);
  return static_cast<double>(sitting.ended_ns - started);
}

}  // namespace

absl::StatusOr<Figures> MeasureRawLoop(const std::string& directory, uint64_t record_bytes,
                                       double seconds) {
  const std::unique_ptr<Contestant> loop = NewRawLoop();
  if (absl::Status status = loop->Open(directory); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Appender>> appender = loop->NewAppender();
  if (!appender.ok()) return appender.status();
  const std::string record(record_bytes, 'r');
  LatencyHistogram latency;
  const Clock::time_point start = Clock::now();
  double elapsed = 0;
  while (elapsed < seconds) {
    const Clock::time_point before = Clock::now();
    if (absl::Status status = (*appender)->Append(record); !status.ok()) return status;
    const Clock::time_point after = Clock::now();
    latency.Record(static_cast<uint64_t>((after - before) / std::chrono::nanoseconds(1)));
    elapsed = std::chrono::duration<double>(after - start).count();
  }
  Figures figures;
  figures.name = "write + fdatasync";
  figures.records_per_second = static_cast<double>(latency.count()) / elapsed;
  figures.syncs_per_second = figures.records_per_second;
  figures.records_per_sync = 1;
  figures.latency = latency;
  if (absl::Status status = loop->Close(); !status.ok()) return status;
  return figures;
}

Figures FiguresOf(const Workload& workload, uint64_t acknowledged_before_kill, Oracle* oracle) {
  const SittingFigures& before = oracle->sitting(kBeforeKill);
  const SittingFigures& after = oracle->sitting(kAfterKill);
  const uint64_t records =
      acknowledged_before_kill + (workload.records() - after.acknowledged_before);
  const double seconds = (DurationOf(before) + DurationOf(after)) / 1e9;
  const uint64_t syncs = before.syncs + after.syncs;
  Figures figures;
  figures.name = absl::StrFormat("Millrace, %d producers", workload.producers());
  figures.records_per_second = seconds > 0 ? static_cast<double>(records) / seconds : 0;
  figures.syncs_per_second = seconds > 0 ? static_cast<double>(syncs) / seconds : 0;
  figures.records_per_sync =
      syncs > 0 ? static_cast<double>(records) / static_cast<double>(syncs) : 0;
  LatencyHistogram latency;
  for (uint32_t p = 0; p < workload.producers(); ++p) latency.Merge(oracle->latency(p));
  figures.latency = latency;
  return figures;
}

std::string TableOf(const std::vector<Figures>& rows) {
  std::string table =
      absl::StrFormat("   %-24s %10s %9s %13s  %s\n", "", "records/s", "syncs/s", "records/sync",
                      "latency in us: p50      p90      p99    p99.9        max");
  for (const Figures& row : rows) {
    const LatencyHistogram& latency = row.latency;
    absl::StrAppendFormat(&table, "   %-24s %10.0f %9.0f %13.1f %19s %8s %8s %8s %10s\n", row.name,
                          row.records_per_second, row.syncs_per_second, row.records_per_sync,
                          Microseconds(latency.Quantile(0.5)), Microseconds(latency.Quantile(0.9)),
                          Microseconds(latency.Quantile(0.99)),
                          Microseconds(latency.Quantile(0.999)), Microseconds(latency.max()));
  }
  return table;
}

}  // namespace millrace
