// How much memory and disk a log takes, in a process of its own: what a program keeps that has
// measured other things before would hide it.

#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/compare/child_program.h"
#include "bench/compare/probes.h"
#include "millrace/log.h"

namespace millrace {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr int kIdleLogs = 8;
constexpr int kProducers = 64;
constexpr uint64_t kQueueBytes = 8 * kMiB;
constexpr uint64_t kUnsyncedBytes = 16 * kMiB;
constexpr uint64_t kBoundBytes = kQueueBytes + kUnsyncedBytes + 2 * kMiB;
constexpr char kGroup[] = "memory";

// A field of /proc/self/status in bytes ("VmRSS", "VmHWM") or by itself ("Threads").
uint64_t StatusField(const std::string& name) {
  std::ifstream file("/proc/self/status");
  std::string word;
  while (file >> word) {
    if (word != name + ":") continue;
    uint64_t value = 0;
    std::string unit;
    file >> value;
    return name.rfind("Vm", 0) == 0 ? value * 1024 : value;
  }
  return 0;
}

// From here on VmHWM tells of what comes.
void ForgetPeak() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5";
}

uint64_t DiskBytes(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, error)) {
    struct stat info = {};
    if (lstat(entry.path().c_str(), &info) == 0) bytes += static_cast<uint64_t>(info.st_blocks);
  }
  return bytes * 512;
}

absl::StatusOr<std::unique_ptr<Log>> OpenAndUse(const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory);
  if (!log.ok()) return log.status();
  if (absl::Status status = (*log)->Append("one record").status(); !status.ok()) return status;
  return log;
}

// What each log takes beyond the first, whose opening brought in the code.
absl::StatusOr<nlohmann::json> MeasureIdle(const std::string& directory) {
  std::vector<std::unique_ptr<Log>> logs;
  uint64_t memory = 0, threads = 0;
  for (int i = 0; i <= kIdleLogs; ++i) {
    absl::StatusOr<std::unique_ptr<Log>> log = OpenAndUse(absl::StrCat(directory, "/", i));
    if (!log.ok()) return log.status();
    logs.push_back(*std::move(log));
    // Idle marks are written and threads have come to rest.
    if (i == 0 || i == kIdleLogs) absl::SleepFor(absl::Milliseconds(300));
    if (i == 0) {
      memory = StatusField("VmRSS");
      threads = StatusField("Threads");
    }
  }
  const uint64_t grown = StatusField("VmRSS") - memory;
  const uint64_t more_threads = StatusField("Threads") - threads;
  return nlohmann::json{{"memory_bytes", grown / kIdleLogs},
                        {"disk_bytes", DiskBytes(directory + "/1")},
                        {"threads", static_cast<double>(more_threads) / kIdleLogs}};
}

absl::Status AppendUntil(const std::atomic<bool>& stop, Log* log, size_t record_bytes) {
  absl::StatusOr<std::unique_ptr<Producer>> producer = log->NewProducer();
  if (!producer.ok()) return producer.status();
  const std::string payload(record_bytes, 'm');
  // relaxed: a request to end.
  while (!stop.load(std::memory_order_relaxed)) {
    const absl::Status status =
        (*producer)->Append(payload, {.durability = Durability::kBuffered}).status();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// The peak while 64 producers keep the queue full and as much unsynced as may be. Their threads'
// own stacks are not counted: they have appended before, to another log.
absl::StatusOr<nlohmann::json> MeasureBusy(const std::string& directory) {
  // Code that opening and appending use is not the log's memory, nor are threads' stacks.
  absl::StatusOr<std::unique_ptr<Log>> first = OpenAndUse(directory + "/first");
  if (!first.ok()) return first.status();
  std::atomic<int> ready{0};
  std::atomic<Log*> log{nullptr};
  std::atomic<bool> stop{false};
  std::vector<absl::Status> statuses(kProducers);
  std::vector<std::thread> threads;
  for (int i = 0; i < kProducers; ++i) {
    threads.emplace_back([&, i] {
      statuses[static_cast<size_t>(i)] = (*first)->Append("one record").status();
      // relaxed: a count; release and acquire: hand the log over.
      ready.fetch_add(1, std::memory_order_relaxed);
      log.wait(nullptr, std::memory_order_acquire);
      const size_t record_bytes = i % 2 == 0 ? 128 : 1024;
      statuses[static_cast<size_t>(i)].Update(
          AppendUntil(stop, log.load(std::memory_order_acquire), record_bytes));
    });
  }
  // relaxed: as above.
  while (ready.load(std::memory_order_relaxed) != kProducers) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  if (absl::Status status = (*first)->Close(); !status.ok()) return status;
  malloc_trim(0);
  const uint64_t before = StatusField("VmRSS");
  ForgetPeak();
  Options options;
  options.queue_bytes = kQueueBytes;
  options.unsynced_bytes = kUnsyncedBytes;
  absl::StatusOr<std::unique_ptr<Log>> busy = Log::Open(directory + "/busy", options);
  if (!busy.ok()) return busy.status();
  log.store(busy->get(), std::memory_order_release);
  log.notify_all();
  absl::SleepFor(absl::Milliseconds(700));
  // relaxed: a request to end; join orders the rest.
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  const uint64_t peak = StatusField("VmHWM");
  if (absl::Status status = (*busy)->Close(); !status.ok()) return status;
  return nlohmann::json{{"memory_bytes", peak - std::min(peak, before)},
                        {"of_bound", static_cast<double>(peak - std::min(peak, before)) /
                                         static_cast<double>(kBoundBytes)}};
}

Probe MemoryProbe(const std::string& which, const std::string& title, const std::string& settings) {
  Probe probe = {.group = kGroup, .name = "memory." + which, .title = title};
  probe.settings = settings;
  probe.run = [which](const Bench& bench, const std::string& directory) -> absl::StatusOr<Figures> {
    if (bench.self.empty()) return absl::UnimplementedError("needs a process of its own");
    const absl::StatusOr<nlohmann::json> found =
        RunForJson({bench.self, "--memory=" + which, "--dir=" + directory});
    if (!found.ok()) return found.status();
    Figures figures;
    for (const auto& [name, value] : found->items()) figures.values[name] = value.get<double>();
    return figures;
  };
  return probe;
}

}  // namespace

absl::StatusOr<nlohmann::json> MeasureOwnMemory(const std::string& which,
                                                const std::string& directory) {
  if (which == "idle") return MeasureIdle(directory);
  if (which == "busy") return MeasureBusy(directory);
  return absl::InvalidArgumentError("--memory=" + which + ": expected idle or busy");
}

void AddMemoryProbes(Probes* probes) {
  probes->push_back(MemoryProbe("idle", "an idle log", "defaults, one record; of 8 logs the mean"));
  probes->push_back(MemoryProbe(
      "busy", "64 producers, queue full",
      "queue_bytes 8 MiB, unsynced_bytes 16 MiB; 128-byte and 1 KiB records, buffered"));
}

}  // namespace millrace
