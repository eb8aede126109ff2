#include "bench/compare/goals.h"

#include <iterator>

namespace millrace {
namespace {

constexpr auto kAtLeast = Goal::Sense::kAtLeast;
constexpr auto kAtMost = Goal::Sense::kAtMost;
constexpr Unit kNs = Unit::kNanoseconds;
constexpr Unit kBytesPerS = Unit::kBytesPerSecond;
constexpr Unit kTimes = Unit::kTimes;
constexpr Unit kPlain = Unit::kNumber;
constexpr Unit kSize = Unit::kBytes;
constexpr double kMiB = 1 << 20;
constexpr Unit kPerS = Unit::kPerSecond;
constexpr char kBareIs[] = "a queue, writes, syncs and wake-ups alone";
constexpr char kRawIs[] = "the raw overwrite loop";
constexpr char kBoundedIs[] = "the same bytes alone, as often synced";
constexpr char kPromisesIs[] = "a queue, writes, and what is promised, alone";
constexpr char kStampIs[] = "moodycamel and a shared counter";
constexpr char kHashIs[] = "reading and hashing alone";
constexpr char kWaitersIs[] = "threads that are woken and read nothing";
constexpr char kRate[] = "records_per_s";
constexpr char kBytes[] = "bytes_per_s";

constexpr char kDurable64[] = "durable, 64 producers, closed loop";
constexpr char kDurable1[] = "durable, 1 producer";
constexpr char kCached[] = "to the page cache, 4 producers";
constexpr char kCall[] = "the append call, queue not full";
constexpr char kQueue[] = "causal queue alone";
constexpr char kRead[] = "sequential verified read";
constexpr char kTail[] = "tail a live log";
constexpr char kSteady[] = "steady state";
constexpr char kMemory[] = "memory";

// work, what,
// figure, ours, reference, sense, goal, loose, unit, beside, beside_is
constexpr Goal kGoals[] = {
    // clang-format off
    {kDurable64, "records/s, times LevelDB's",
     kRate, "durable64.millrace", "durable64.leveldb", kAtLeast, 4, 1.3, kPerS,
     "durable64.bare", kBareIs},
    {kDurable64, "records/s, times go-diskqueue's",
     kRate, "durable64.millrace", "durable64.diskqueue", kAtLeast, 100, 15, kPerS,
     "durable64.bare", kBareIs},
    {kDurable64, "p50, times LevelDB's",
     "append.p50", "durable64.millrace", "durable64.leveldb", kAtMost, 0.3, 0.9, kNs,
     "durable64.bare", kBareIs},
    {kDurable64, "p99.9, times LevelDB's",
     "append.p99.9", "durable64.millrace", "durable64.leveldb", kAtMost, 1, 4, kNs},
    {"durable, 8 producers", "records/s, times LevelDB's",
     kRate, "durable8.millrace", "durable8.leveldb", kAtLeast, 2.5, 1},
    {kDurable1, "records/s, times the raw overwrite loop's",
     kRate, "durable1.millrace", "durable1.raw", kAtLeast, 0.9, 0.3},
    {kDurable1, "records/s, times LevelDB's",
     kRate, "durable1.millrace", "durable1.leveldb", kAtLeast, 1.5, 0.6, kPerS,
     "durable1.raw", kRawIs},

    {kCached, "records/s",
     kRate, "cached4.millrace", "", kAtLeast, 10e6, 1e6, kPerS,
     "cached4.bounded", kBoundedIs},
    {kCached, "records/s, times go-diskqueue's",
     kRate, "cached4.millrace", "cached4.diskqueue", kAtLeast, 20, 4, kPerS,
     "cached4.promises", kPromisesIs},
    {kCached, "payload, times the raw write of the same bytes",
     kRate, "cached4.millrace", "cached4.raw", kAtLeast, 0.6, 0.1},
    {kCall, "Append, 128 bytes, p50",
     "call_128.p50", "call.append", "", kAtMost, 100, 1000, kNs},
    {kCall, "Append, 128 bytes, p99",
     "call_128.p99", "call.append", "", kAtMost, 1000, 100e3, kNs},
    {kCall, "Append, 16 B..64 KiB, worst over copy and hash",
     "worst_over_copy", "call.append", "", kAtMost, 2, 10, kTimes},
    {kCall, "AppendAsync, 128 bytes, p50",
     "call_128.p50", "call.async", "", kAtMost, 100, 1000, kNs},
    {kCall, "AppendAsync, 128 bytes, p99",
     "call_128.p99", "call.async", "", kAtMost, 1000, 100e3, kNs},
    {kCall, "AppendAsync, 16 B..64 KiB, worst over copy and hash",
     "worst_over_copy", "call.async", "", kAtMost, 2, 10, kTimes},
    {"streaming durable, 1 KiB records, recycling", "payload, times raw 1 MiB overwrite + fdatasync",
     kBytes, "stream.millrace", "stream.raw", kAtLeast, 0.8, 0.1, kBytesPerS},
    {kQueue, "items/s, times bare moodycamel's, 1 producer",
     kRate, "queue1.causal", "queue1.bare", kAtLeast, 0.6, 0.1, kPerS,
     "queue1.stamped", kStampIs},
    {kQueue, "items/s, times bare moodycamel's, 2 producers",
     kRate, "queue2.causal", "queue2.bare", kAtLeast, 0.6, 0.1, kPerS,
     "queue2.stamped", kStampIs},
    {kQueue, "items/s, times bare moodycamel's, 4 producers",
     kRate, "queue4.causal", "queue4.bare", kAtLeast, 0.6, 0.1, kPerS,
     "queue4.stamped", kStampIs},
    {kQueue, "items/s, times bare moodycamel's, 8 producers",
     kRate, "queue8.causal", "queue8.bare", kAtLeast, 0.6, 0.1, kPerS,
     "queue8.stamped", kStampIs},
    {kQueue, "items/s, times bare moodycamel's, 16 producers",
     kRate, "queue16.causal", "queue16.bare", kAtLeast, 0.6, 0.1, kPerS,
     "queue16.stamped", kStampIs},
    {kQueue, "items/s, times bare moodycamel's, 32 producers",
     kRate, "queue32.causal", "queue32.bare", kAtLeast, 0.6, 0.1, kPerS,
     "queue32.stamped", kStampIs},

    {kRead, "records/s, 128 bytes",
     kRate, "read128.batch", "", kAtLeast, 20e6, 1e6, kPerS,
     "read128.hashed", kHashIs},
    {kRead, "records/s, 128 bytes, times go-diskqueue's",
     kRate, "read128.batch", "read128.diskqueue", kAtLeast, 50, 2, kPerS,
     "read128.hashed", kHashIs},
    {kRead, "passes/s, 1 KiB, times a raw read of the same files",
     "passes_per_s", "read1024.batch", "read1024.raw", kAtLeast, 0.5, 0.08, kPlain,
     "read1024.hashed", kHashIs},
    {kTail, "delivered after its sync, p50",
     "delivery.p50", "tail.delivery", "", kAtMost, 50e3, 2e6, kNs},
    {kTail, "records/s with 1 reader, times without",
     kRate, "readers1", "readers0", kAtLeast, 0.9, 0.2},
    {kTail, "records/s with 4 readers, times without",
     kRate, "readers4", "readers0", kAtLeast, 0.9, 0.2, kPerS,
     "readers4.waiting", kWaitersIs},

    {"open", "1000 clean segments",
     "open_ns", "open.clean", "", kAtMost, 100e6, 2e9, kNs},
    {"open", "after a crash, the active segment",
     kBytes, "open.crashed", "", kAtLeast, 1e9, 30e6, kBytesPerS,
     "open.raw", "a raw read of the same file"},
    {kSteady, "device writes per sync, times the raw loop's",
     "writes_per_sync", "steady.syncs", "steady.raw", kAtMost, 1.15, 10, kPlain},
    {kSteady, "journal commits per sync",
     "commits_per_sync", "steady.syncs", "", kAtMost, 0.05, 2, kPlain},
    {kSteady, "p99.99 with rotation, times without",
     "append.p99.99", "steady.rotating", "steady.calm", kAtMost, 2, 50, kNs},
    {kMemory, "an idle log",
     "memory_bytes", "memory.idle", "", kAtMost, kMiB, 2 * kMiB, kSize},
    {kMemory, "an idle log, on disk",
     "disk_bytes", "memory.idle", "", kAtMost, kMiB, kMiB, kSize},
    {kMemory, "threads of an idle log, of the four documented",
     "threads", "memory.idle", "", kAtMost, 4, 4, kPlain},
    {kMemory, "64 producers, of queue + unsynced bytes + 2 MiB",
     "of_bound", "memory.busy", "", kAtMost, 1, 2, kTimes},
    // clang-format on
};

// Null, with the reason, if the figure was not measured.
const std::vector<double>* Find(std::string_view name, std::string_view figure_name,
                                const Results& results, std::string* reason) {
  const auto probe = results.find(std::string(name));
  if (probe == results.end()) {
    *reason = std::string(name) + " was not run";
    return nullptr;
  }
  if (!probe->second.skipped.empty()) {
    *reason = probe->second.skipped;
    return nullptr;
  }
  const auto figure = probe->second.values.find(std::string(figure_name));
  if (figure != probe->second.values.end() && !figure->second.empty()) return &figure->second;
  *reason = "the system does not tell";
  return nullptr;
}

}  // namespace

std::vector<Goal> AllGoals() { return {std::begin(kGoals), std::end(kGoals)}; }

Verdict Judge(const Goal& goal, const Results& results, Strictness strictness) {
  Verdict verdict;
  verdict.threshold = strictness == Strictness::kLoose ? goal.loose : goal.goal;
  const std::vector<double>* const ours = Find(goal.ours, goal.figure, results, &verdict.reason);
  if (ours == nullptr) return verdict;
  verdict.ours = MedianOf(*ours);
  std::string no_matter;
  if (const auto* beside = Find(goal.beside, goal.figure, results, &no_matter)) {
    verdict.beside = MedianOf(*beside);
  }
  std::vector<double> values = *ours;
  if (!goal.reference.empty()) {
    const std::vector<double>* const reference =
        Find(goal.reference, goal.figure, results, &verdict.reason);
    if (reference == nullptr) return verdict;
    verdict.reference = MedianOf(*reference);
    if (verdict.beside != 0) {
      const std::vector<double> ratios =
          PairedRatios(*Find(goal.beside, goal.figure, results, &no_matter), *reference);
      if (!ratios.empty()) verdict.beside_ratio = MedianOf(ratios);
    }
    values = PairedRatios(*ours, *reference);
    if (values.empty()) {
      verdict.reason = "too short a run: nothing was counted";
      return verdict;
    }
  }
  verdict.interval = MedianInterval(values);
  const auto holds = [&](double value) {
    return goal.sense == kAtLeast ? value >= verdict.threshold : value <= verdict.threshold;
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
