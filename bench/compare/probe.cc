#include "bench/compare/probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"

namespace millrace {
namespace {

// Writes back what is dirty, so that the next probe does not pay for this one.
void SyncFileSystem(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  syncfs(fd);
  close(fd);
}

absl::Status MakeDirectory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError("cannot create " + directory + ": " + error.message());
}

}  // namespace

absl::StatusOr<std::string> Bench::Fixture(
    const std::string& name, const std::function<absl::Status(const std::string&)>& build) const {
  std::string path = directory + "/fixtures/" + name;
  if (std::filesystem::exists(path)) return path;
  const std::string unfinished = path + ".unfinished";
  if (absl::Status status = MakeDirectory(unfinished); !status.ok()) return status;
  if (absl::Status status = build(unfinished); !status.ok()) return status;
  std::error_code error;
  std::filesystem::rename(unfinished, path, error);
  if (error) return absl::UnavailableError("cannot rename " + unfinished + ": " + error.message());
  SyncFileSystem(directory);
  return path;
}

void Figures::AddLatency(const std::string& name, const LatencyHistogram& latency) {
  latencies[name].Merge(latency);
  constexpr std::pair<const char*, double> kQuantiles[] = {
      {".p50", 0.5}, {".p99", 0.99}, {".p99.9", 0.999}, {".p99.99", 0.9999}};
  for (const auto& [suffix, quantile] : kQuantiles) {
    values[name + suffix] = static_cast<double>(latency.Quantile(quantile));
  }
  values[name + ".max"] = static_cast<double>(latency.max());
}

void Figures::AddLoad(const LoadResult& load) {
  values["records_per_s"] = load.records_per_second;
  if (load.syncs_per_second) values["syncs_per_s"] = *load.syncs_per_second;
  if (load.latency.count() > 0) AddLatency("append", load.latency);
}

absl::Status RunProbe(const Bench& bench, const Probe& probe, ProbeResult* result) {
  const std::string directory = bench.directory + "/run";
  if (absl::Status status = MakeDirectory(directory); !status.ok()) return status;
  auto remove = absl::MakeCleanup([&] {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    SyncFileSystem(bench.directory);
  });
  absl::StatusOr<Figures> figures = probe.run(bench, directory);
  if (absl::IsUnimplemented(figures.status())) {
    result->skipped = std::string(figures.status().message());
    return absl::OkStatus();
  }
  if (!figures.ok()) {
    return absl::Status(figures.status().code(), probe.group + ": " + probe.title + ": " +
                                                     std::string(figures.status().message()));
  }
  for (const auto& [name, value] : figures->values) result->values[name].push_back(value);
  for (const auto& [name, latency] : figures->latencies) result->latencies[name].Merge(latency);
  return absl::OkStatus();
}

std::string Counted(int count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::vector<const Probe*> OrderOfRound(const std::vector<Probe>& probes, int round) {
  std::vector<const Probe*> order;
  for (size_t begin = 0; begin < probes.size();) {
    size_t end = begin;
    while (end < probes.size() && probes[end].group == probes[begin].group) ++end;
    for (size_t i = 0; i < end - begin; ++i) {
      const size_t turn = (i + static_cast<size_t>(round)) % (end - begin);
      const Probe& probe = probes[begin + turn];
      if (probe.most_rounds == 0 || round < probe.most_rounds) order.push_back(&probe);
    }
    begin = end;
  }
  return order;
}

}  // namespace millrace
