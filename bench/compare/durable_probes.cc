// Durable appends: each producer waits until its record is synced.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/compare/contestant.h"
#include "bench/compare/contestant_probe.h"
#include "bench/compare/probes.h"
#include "bench/compare/raw_device.h"

namespace millrace {
namespace {

// Well below what LevelDB does with as many producers, so that latency is not that of a backlog.
constexpr double kOpenLoopRate = 10'000;

RunLoad Closed(int producers) {
  return [producers](const Bench& bench, Contestant* contestant) {
    return ClosedLoop(bench.LoadOf(producers), contestant);
  };
}

RunLoad Open(int producers) {
  return [producers](const Bench& bench, Contestant* contestant) {
    return OpenLoop(bench.LoadOf(producers), kOpenLoopRate, contestant);
  };
}

Probe RawOverwrite(const std::string& group, const std::string& name) {
  Probe probe = {.group = group, .name = name, .title = "raw 4 KiB overwrite"};
  probe.settings = "one thread: pwrite of written blocks, fdatasync";
  probe.run = [](const Bench& bench, const std::string& directory) -> absl::StatusOr<Figures> {
    const RawWork work = {.place = RawWork::Place::kOverwrite, .seconds = bench.seconds};
    absl::StatusOr<RawResult> result = MeasureRaw(work, directory + "/raw");
    if (!result.ok()) return result.status();
    Figures figures;
    figures.values["records_per_s"] = static_cast<double>(result->writes) / result->seconds;
    figures.AddLatency("append", result->latency);
    return figures;
  };
  return probe;
}

void AddPeers(const std::string& group, const std::string& name, const RunLoad& run,
              Probes* probes) {
  const auto millrace = [] { return NewMillrace(Durability::kDurable); };
  const auto level = [] { return NewLevelDb(Durability::kDurable); };
  const auto rocks = [] { return NewRocksDb(Durability::kDurable); };
  probes->push_back(ContestantProbe(group, name + ".millrace", "Millrace", millrace, run));
  probes->push_back(ContestantProbe(group, name + ".leveldb", "LevelDB", level, run));
  probes->push_back(ContestantProbe(group, name + ".rocksdb", "RocksDB", rocks, run));
}

}  // namespace

void AddDurableProbes(Probes* probes) {
  for (const int producers : {64, 8, 1}) {
    const std::string group = "durable, " + Counted(producers, "producer");
    const std::string name = absl::StrCat("durable", producers);
    AddPeers(group, name, Closed(producers), probes);
    probes->push_back(DiskqueueProbe(group, name + ".diskqueue", {.producers = producers}));
    const auto bare = [] { return NewBareLog({}); };
    probes->push_back(
        ContestantProbe(group, name + ".bare", "bare group commit", bare, Closed(producers)));
    probes->push_back(RawOverwrite(group, name + ".raw"));
  }
  AddPeers(absl::StrCat("durable, 64 producers, ", kOpenLoopRate, " records/s arrive"), "open64",
           Open(64), probes);
}

}  // namespace millrace
