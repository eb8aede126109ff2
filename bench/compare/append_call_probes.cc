// What one call of a buffered append costs its caller while the queue is not full: bursts that fit
// it, with pauses in which the writer catches up. And what copying and hashing the payload costs
// by itself.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/compare/probes.h"
#include "bench/compare/raw_file.h"
#include "bench/compare/ticks.h"
#include "millrace/log.h"
#include "xxhash.h"

namespace millrace {
namespace {

constexpr size_t kSizes[] = {16, 128, 1024, 4096, 16 << 10, 64 << 10};
constexpr uint64_t kCalls = 20'000;
constexpr uint64_t kMostBytes = uint64_t{64} << 20;  // of one size
constexpr uint64_t kBurstRecords = 512;
constexpr uint64_t kBurstBytes = uint64_t{2} << 20;  // an eighth of the queue
constexpr size_t kWarmUpBytes = 1024;
constexpr size_t kRingBytes = size_t{16} << 20;  // as large as the queue

enum class Call : uint8_t { kAppend, kAppendAsync };

absl::Status AppendOnce(Call call, Producer& producer, const std::string& payload) {
  static constexpr AppendOptions kBuffered = {.durability = Durability::kBuffered};
  if (call == Call::kAppend) return producer.Append(payload, kBuffered).status();
  return producer.AppendAsync(payload, kBuffered,
                              [](absl::StatusOr<SequenceNumber> s) { s.IgnoreError(); });
}

absl::Status WaitWritten(const Log& log, SequenceNumber last) {
  const absl::Time deadline = absl::Now() + absl::Minutes(1);
  while (log.last_written() < last) {
    if (absl::Now() > deadline) return absl::DeadlineExceededError("records stay unwritten");
    absl::SleepFor(absl::Microseconds(50));
  }
  return absl::OkStatus();
}

// Appends `calls` records of `bytes` each, of which the first quarter is not counted.
absl::Status TimeCalls(Call call, uint64_t calls, size_t bytes, const Log& log, Producer* producer,
                       LatencyHistogram* latency) {
  const TickClock clock;
  const std::string payload(bytes, 'p');
  const uint64_t burst = std::min(kBurstRecords, kBurstBytes / bytes);
  SequenceNumber last = log.last_written();
  for (uint64_t i = 0; i < calls; ++i) {
    const uint64_t start = TickClock::Now();
    absl::Status status = AppendOnce(call, *producer, payload);
    const uint64_t end = TickClock::Now();
    if (!status.ok()) return status;
    if (i >= calls / 4) latency->Record(clock.Nanoseconds(start, end));
    ++last;
    if (i % burst != burst - 1) continue;
    if (status = WaitWritten(log, last); !status.ok()) return status;
  }
  return WaitWritten(log, last);
}

// Copies payloads to one place after the other, of as much memory as the queue has, and hashes
// them there.
LatencyHistogram TimeCopyAndHash(uint64_t calls, size_t bytes, char* ring) {
  LatencyHistogram latency;
  const TickClock clock;
  const std::string payload(bytes, 'p');
  size_t at = 0;
  volatile uint64_t sink = 0;
  for (uint64_t i = 0; i < calls; ++i) {
    if (at + bytes > kRingBytes) at = 0;
    const uint64_t start = TickClock::Now();
    std::copy(payload.begin(), payload.end(), ring + at);
    sink = sink + XXH3_64bits(ring + at, bytes);
    latency.Record(clock.Nanoseconds(start, TickClock::Now()));
    at += bytes;
  }
  return latency;
}

absl::StatusOr<Figures> MeasureCalls(Call call, const Bench& bench, const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory + "/log");
  if (!log.ok()) return log.status();
  absl::StatusOr<std::unique_ptr<Producer>> producer = (*log)->NewProducer();
  if (!producer.ok()) return producer.status();
  const Block ring = MakeBlock(kRingBytes);
  Figures figures;
  // Memory that is touched for the first time costs a page fault: as much as there may be of it is
  // used before.
  LatencyHistogram unused;
  absl::Status warmed = TimeCalls(call, bench.Scaled(2 * kRingBytes / kWarmUpBytes), kWarmUpBytes,
                                  **log, producer->get(), &unused);
  if (!warmed.ok()) return warmed;
  double smallest = 0, worst = 0;
  for (const size_t bytes : kSizes) {
    const uint64_t calls = std::min(bench.Scaled(kCalls), kMostBytes / bytes);
    LatencyHistogram latency;
    absl::Status status = TimeCalls(call, calls, bytes, **log, producer->get(), &latency);
    if (!status.ok()) return status;
    const LatencyHistogram copy = TimeCopyAndHash(calls, bytes, ring.get());
    figures.AddLatency(absl::StrCat("call_", bytes), latency);
    figures.AddLatency(absl::StrCat("copy_", bytes), copy);
    const auto p50 = static_cast<double>(latency.Quantile(0.5));
    if (smallest == 0) smallest = p50;
    const auto due = smallest + static_cast<double>(copy.Quantile(0.5));
    worst = std::max(worst, due > 0 ? p50 / due : 0);
  }
  figures.values["worst_over_copy"] = worst;
  producer->reset();
  if (absl::Status status = (*log)->Close(); !status.ok()) return status;
  return figures;
}

}  // namespace

void AddAppendCallProbes(Probes* probes) {
  for (const auto& [call, name, title] :
       {std::tuple{Call::kAppend, "call.append", "Append, kBuffered"},
        std::tuple{Call::kAppendAsync, "call.async", "AppendAsync, kBuffered, callback"}}) {
    Probe probe = {.group = "the append call, queue not full", .name = name, .title = title};
    probe.settings = "defaults, one Producer; bursts of at most 512 records and 2 MiB";
    probe.run = [call = call](const Bench& bench, const std::string& directory) {
      return MeasureCalls(call, bench, directory);
    };
    probes->push_back(std::move(probe));
  }
}

}  // namespace millrace
