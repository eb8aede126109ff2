#include "bench/compare/goals.h"

#include <iterator>

#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

using Sense = Goal::Sense;

constexpr double kMiB = 1 << 20;
constexpr char kRate[] = "records_per_s";

void AddDurable(std::vector<Goal>* goals) {
  const std::string at64 = "durable, 64 producers, closed loop";
  const FigureName ours = {"durable64.millrace", kRate};
  goals->push_back({at64,
                    "records/s, times LevelDB's",
                    ours,
                    {"durable64.leveldb", kRate},
                    Sense::kAtLeast,
                    4,
                    1.3});
  goals->push_back({at64,
                    "records/s, times go-diskqueue's",
                    ours,
                    {"durable64.diskqueue", kRate},
                    Sense::kAtLeast,
                    100,
                    15});
  goals->push_back({at64,
                    "p50, times LevelDB's",
                    {"durable64.millrace", "append.p50"},
                    {"durable64.leveldb", "append.p50"},
                    Sense::kAtMost,
                    0.3,
                    0.9,
                    Unit::kNanoseconds});
  goals->push_back({at64,
                    "p99.9, times LevelDB's",
                    {"durable64.millrace", "append.p99.9"},
                    {"durable64.leveldb", "append.p99.9"},
                    Sense::kAtMost,
                    1,
                    4,
                    Unit::kNanoseconds});
  goals->push_back({"durable, 8 producers",
                    "records/s, times LevelDB's",
                    {"durable8.millrace", kRate},
                    {"durable8.leveldb", kRate},
                    Sense::kAtLeast,
                    2.5,
                    1});
  goals->push_back({"durable, 1 producer",
                    "records/s, times the raw overwrite loop's",
                    {"durable1.millrace", kRate},
                    {"durable1.raw", kRate},
                    Sense::kAtLeast,
                    0.9,
                    0.3});
  goals->push_back({"durable, 1 producer",
                    "records/s, times LevelDB's",
                    {"durable1.millrace", kRate},
                    {"durable1.leveldb", kRate},
                    Sense::kAtLeast,
                    1.5,
                    0.6});
}

void AddThroughput(std::vector<Goal>* goals) {
  const std::string cached = "to the page cache, 4 producers";
  const FigureName ours = {"cached4.millrace", kRate};
  goals->push_back({cached, "records/s", ours, {}, Sense::kAtLeast, 10e6, 1e6});
  goals->push_back({cached,
                    "records/s, times go-diskqueue's",
                    ours,
                    {"cached4.diskqueue", kRate},
                    Sense::kAtLeast,
                    20,
                    4});
  goals->push_back({cached,
                    "payload, times the raw write of the same bytes",
                    ours,
                    {"cached4.raw", kRate},
                    Sense::kAtLeast,
                    0.6,
                    0.1});
  for (const auto& [probe, name] :
       {std::pair{"call.append", "Append"}, std::pair{"call.async", "AppendAsync"}}) {
    const std::string call = "the append call, queue not full";
    goals->push_back({call,
                      absl::StrCat(name, ", 128 bytes, p50"),
                      {probe, "call_128.p50"},
                      {},
                      Sense::kAtMost,
                      100,
                      1000,
                      Unit::kNanoseconds});
    goals->push_back({call,
                      absl::StrCat(name, ", 128 bytes, p99"),
                      {probe, "call_128.p99"},
                      {},
                      Sense::kAtMost,
                      1000,
                      100e3,
                      Unit::kNanoseconds});
    goals->push_back({call,
                      absl::StrCat(name, ", 16 B..64 KiB, worst over copy and hash"),
                      {probe, "worst_over_copy"},
                      {},
                      Sense::kAtMost,
                      2,
                      10,
                      Unit::kTimes});
  }
  goals->push_back({"streaming durable, 1 KiB records, recycling",
                    "payload, times raw 1 MiB overwrite + fdatasync",
                    {"stream.millrace", "bytes_per_s"},
                    {"stream.raw", "bytes_per_s"},
                    Sense::kAtLeast,
                    0.8,
                    0.1,
                    Unit::kBytesPerSecond});
  for (const int producers : {1, 2, 4, 8, 16, 32}) {
    const std::string name = absl::StrCat("queue", producers);
    goals->push_back({"causal queue alone",
                      "items/s, times bare moodycamel's, " + Counted(producers, "producer"),
                      {name + ".causal", kRate},
                      {name + ".bare", kRate},
                      Sense::kAtLeast,
                      0.6,
                      0.15});
  }
}

void AddReading(std::vector<Goal>* goals) {
  const std::string read = "sequential verified read";
  goals->push_back(
      {read, "records/s, 128 bytes", {"read128.batch", kRate}, {}, Sense::kAtLeast, 20e6, 2e6});
  goals->push_back({read,
                    "records/s, 128 bytes, times go-diskqueue's",
                    {"read128.batch", kRate},
                    {"read128.diskqueue", kRate},
                    Sense::kAtLeast,
                    50,
                    8});
  goals->push_back({read,
                    "passes/s, 1 KiB, times a raw read of the same files",
                    {"read1024.batch", "passes_per_s"},
                    {"read1024.raw", "passes_per_s"},
                    Sense::kAtLeast,
                    0.5,
                    0.08,
                    Unit::kNumber});
  const std::string tail = "tail a live log";
  goals->push_back({tail,
                    "delivered after its sync, p50",
                    {"tail.delivery", "delivery.p50"},
                    {},
                    Sense::kAtMost,
                    50e3,
                    2e6,
                    Unit::kNanoseconds});
  for (const int readers : {1, 4}) {
    goals->push_back({tail,
                      "records/s with " + Counted(readers, "reader") + ", times without",
                      {absl::StrCat("readers", readers), kRate},
                      {"readers0", kRate},
                      Sense::kAtLeast,
                      0.9,
                      0.3});
  }
}

void AddUpkeep(std::vector<Goal>* goals) {
  goals->push_back({"open",
                    "1000 clean segments",
                    {"open.clean", "open_ns"},
                    {},
                    Sense::kAtMost,
                    100e6,
                    2e9,
                    Unit::kNanoseconds});
  goals->push_back({"open",
                    "after a crash, the active segment",
                    {"open.crashed", "bytes_per_s"},
                    {},
                    Sense::kAtLeast,
                    1e9,
                    30e6,
                    Unit::kBytesPerSecond,
                    {"open.raw", "bytes_per_s"}});
  const std::string steady = "steady state";
  goals->push_back({steady,
                    "device writes per sync, times the raw loop's",
                    {"steady.syncs", "writes_per_sync"},
                    {"steady.raw", "writes_per_sync"},
                    Sense::kAtMost,
                    1.15,
                    10,
                    Unit::kNumber});
  goals->push_back({steady,
                    "journal commits per sync",
                    {"steady.syncs", "commits_per_sync"},
                    {},
                    Sense::kAtMost,
                    0.05,
                    2,
                    Unit::kNumber});
  goals->push_back({steady,
                    "p99.99 with rotation, times without",
                    {"steady.rotating", "append.p99.99"},
                    {"steady.calm", "append.p99.99"},
                    Sense::kAtMost,
                    2,
                    50,
                    Unit::kNanoseconds});
  const std::string memory = "memory";
  goals->push_back({memory,
                    "an idle log",
                    {"memory.idle", "memory_bytes"},
                    {},
                    Sense::kAtMost,
                    kMiB,
                    2 * kMiB,
                    Unit::kBytes});
  goals->push_back({memory,
                    "an idle log, on disk",
                    {"memory.idle", "disk_bytes"},
                    {},
                    Sense::kAtMost,
                    kMiB,
                    kMiB,
                    Unit::kBytes});
  goals->push_back({memory,
                    "threads of an idle log, of the four documented",
                    {"memory.idle", "threads"},
                    {},
                    Sense::kAtMost,
                    4,
                    4,
                    Unit::kNumber});
  goals->push_back({memory,
                    "64 producers, of queue + unsynced bytes + 2 MiB",
                    {"memory.busy", "memory_bytes"},
                    {"memory.busy", "bound_bytes"},
                    Sense::kAtMost,
                    1,
                    1.25,
                    Unit::kBytes});
}

// Null, with the reason, if the figure was not measured.
const std::vector<double>* Find(const FigureName& name, const Results& results,
                                std::string* reason) {
  const auto probe = results.find(name.probe);
  if (probe == results.end()) {
    *reason = name.probe + " was not run";
    return nullptr;
  }
  if (!probe->second.skipped.empty()) {
    *reason = probe->second.skipped;
    return nullptr;
  }
  const auto figure = probe->second.values.find(name.figure);
  if (figure != probe->second.values.end() && !figure->second.empty()) return &figure->second;
  *reason = "the system does not tell";
  return nullptr;
}

}  // namespace

std::vector<Goal> AllGoals() {
  std::vector<Goal> goals;
  AddDurable(&goals);
  AddThroughput(&goals);
  AddReading(&goals);
  AddUpkeep(&goals);
  return goals;
}

Verdict Judge(const Goal& goal, const Results& results, Strictness strictness) {
  Verdict verdict;
  verdict.threshold = strictness == Strictness::kLoose ? goal.loose : goal.goal;
  const std::vector<double>* const ours = Find(goal.ours, results, &verdict.reason);
  if (ours == nullptr) return verdict;
  verdict.ours = MedianOf(*ours);
  std::string no_matter;
  if (const auto* beside = Find(goal.beside, results, &no_matter)) {
    verdict.beside = MedianOf(*beside);
  }
  std::vector<double> values = *ours;
  if (!goal.reference.probe.empty()) {
    const std::vector<double>* const reference = Find(goal.reference, results, &verdict.reason);
    if (reference == nullptr) return verdict;
    verdict.reference = MedianOf(*reference);
    values = PairedRatios(*ours, *reference);
    if (values.empty()) {
      verdict.reason = "too short a run: nothing was counted";
      return verdict;
    }
  }
  verdict.interval = MedianInterval(values);
  const auto holds = [&](double value) {
    return goal.sense == Sense::kAtLeast ? value >= verdict.threshold : value <= verdict.threshold;
  };
  if (holds(verdict.interval.median)) {
    verdict.state = Verdict::State::kMet;
  } else if (holds(verdict.interval.low) || holds(verdict.interval.high)) {
    verdict.state = Verdict::State::kWithin;
  } else {
    verdict.state = Verdict::State::kMissed;
  }
  return verdict;
}

}  // namespace millrace
