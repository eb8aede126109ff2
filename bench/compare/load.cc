#include "bench/compare/load.h"

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace millrace {
namespace {

using Clock = std::chrono::steady_clock;

// One producer of a run: its own appender, counts and record.
struct Lane {
  Lane(size_t record_bytes, uint64_t number) : record(record_bytes, 'r'), next(number << 48) {}

  // The key, big-endian, rises with every record.
  absl::Status AppendNext() {
    const uint64_t key = __builtin_bswap64(next++);
    std::memcpy(record.data(), &key, kKeyBytes);
    return appender->Append(record);
  }

  std::unique_ptr<Appender> appender;
  std::string record;
  uint64_t next;
  LatencyHistogram latency;
  uint64_t records = 0;  // appended within the measured time
  absl::Status status;
};

struct Phases {
  Clock::time_point measure_from;
  Clock::time_point end;
};

Clock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

uint64_t NanosecondsBetween(Clock::time_point from, Clock::time_point to) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count());
}

// Appends one record after the other until the end.
void RunClosed(const Phases& phases, uint32_t sample, Lane* lane) {
  Clock::time_point now = Clock::now();
  while (now < phases.end) {
    const bool measured = now >= phases.measure_from;
    const Clock::time_point start = now;
    for (uint32_t i = 0; i < sample; ++i) {
      lane->status = lane->AppendNext();
      if (!lane->status.ok()) return;
      if (i == 0) {
        now = Clock::now();
        if (measured) lane->latency.Record(NanosecondsBetween(start, now));
      }
    }
    if (measured) lane->records += sample;
    if (sample > 1) now = Clock::now();
  }
}

// Sleeping is late by some 60 us, so the last of it is spent looking at the clock.
void WaitUntil(Clock::time_point due) {
  constexpr auto kSleepError = std::chrono::microseconds(80);
  const Clock::time_point now = Clock::now();
  if (due - now > kSleepError) std::this_thread::sleep_until(due - kSleepError);
  while (Clock::now() < due) std::this_thread::yield();
}

// Appends the records that are to arrive from `first` on, one in each `interval`.
void RunOpen(const Phases& phases, Clock::duration first, Clock::duration interval, Lane* lane) {
  const Clock::time_point begin = phases.measure_from;
  // From before the measured time, on the same grid.
  Clock::time_point due = begin + first;
  while (due - interval > Clock::now()) due -= interval;
  for (; due < phases.end; due += interval) {
    WaitUntil(due);
    lane->status = lane->AppendNext();
    if (!lane->status.ok()) return;
    if (due < begin) continue;
    lane->latency.Record(NanosecondsBetween(due, Clock::now()));
    ++lane->records;
  }
}

void RunFixed(uint64_t records, uint32_t sample, Lane* lane) {
  for (uint64_t i = 0; i < records; ++i) {
    const bool timed = i % sample == 0;
    const Clock::time_point start = timed ? Clock::now() : Clock::time_point();
    lane->status = lane->AppendNext();
    if (!lane->status.ok()) return;
    if (timed) lane->latency.Record(NanosecondsBetween(start, Clock::now()));
  }
  lane->records += records;
}

absl::StatusOr<std::vector<std::unique_ptr<Lane>>> MakeLanes(const Load& load,
                                                             Contestant* contestant) {
  std::vector<std::unique_ptr<Lane>> lanes;
  for (int i = 0; i < load.producers; ++i) {
    lanes.push_back(std::make_unique<Lane>(load.record_bytes, static_cast<uint64_t>(i)));
    absl::StatusOr<std::unique_ptr<Appender>> appender = contestant->NewAppender();
    if (!appender.ok()) return appender.status();
    lanes.back()->appender = *std::move(appender);
  }
  return lanes;
}

using LaneWork = std::function<void(size_t number, Lane* lane)>;

// Runs `work` for all lanes at once; `begin` is called when all of them stand ready.
void RunLanes(const std::vector<std::unique_ptr<Lane>>& lanes, const std::function<void()>& begin,
              const LaneWork& work) {
  std::barrier start(static_cast<std::ptrdiff_t>(lanes.size()), [&]() noexcept { begin(); });
  std::vector<std::thread> threads;
  for (size_t i = 0; i < lanes.size(); ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      work(i, lanes[i].get());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Ends the lanes, drains, and adds up. `counted_seconds` beyond the measured time were counted by
// the contestant too.
absl::StatusOr<LoadResult> Finish(std::vector<std::unique_ptr<Lane>> lanes,
                                  Clock::time_point measure_from, double counted_seconds,
                                  Contestant* contestant) {
  LoadResult result;
  for (const std::unique_ptr<Lane>& lane : lanes) {
    lane->appender.reset();
    if (!lane->status.ok()) return lane->status;
    result.records += lane->records;
    result.latency.Merge(lane->latency);
  }
  if (absl::Status status = contestant->Drain(); !status.ok()) return status;
  const double elapsed = static_cast<double>(NanosecondsBetween(measure_from, Clock::now())) / 1e9;
  result.records_per_second = static_cast<double>(result.records) / elapsed;
  if (std::optional<uint64_t> syncs = contestant->syncs()) {
    result.syncs_per_second = static_cast<double>(*syncs) / (elapsed + counted_seconds);
  }
  return result;
}

absl::StatusOr<LoadResult> RunTimed(const Load& load, Contestant* contestant,
                                    const std::function<void(const Phases&, size_t, Lane*)>& work) {
  auto lanes = MakeLanes(load, contestant);
  if (!lanes.ok()) return lanes.status();
  Phases phases;
  // Thread starts lie before the warm-up, which begins for all at once.
  const auto begin = [&] {
    phases.measure_from = Clock::now() + Seconds(load.warm_up_seconds);
    phases.end = phases.measure_from + Seconds(load.seconds);
  };
  RunLanes(*lanes, begin, [&](size_t number, Lane* lane) { work(phases, number, lane); });
  return Finish(*std::move(lanes), phases.measure_from, load.warm_up_seconds, contestant);
}

}  // namespace

absl::StatusOr<LoadResult> ClosedLoop(const Load& load, Contestant* contestant) {
  return RunTimed(load, contestant, [&](const Phases& phases, size_t, Lane* lane) {
    RunClosed(phases, load.latency_sample, lane);
  });
}

absl::StatusOr<LoadResult> OpenLoop(const Load& load, double records_per_second,
                                    Contestant* contestant) {
  const Clock::duration apart = Seconds(1 / records_per_second);
  return RunTimed(load, contestant, [&](const Phases& phases, size_t number, Lane* lane) {
    RunOpen(phases, apart * number, apart * load.producers, lane);
  });
}

absl::StatusOr<LoadResult> FixedWork(const Load& load, uint64_t records, Contestant* contestant) {
  auto lanes = MakeLanes(load, contestant);
  if (!lanes.ok()) return lanes.status();
  const uint64_t each = records / static_cast<uint64_t>(load.producers);
  RunLanes(
      *lanes, [] {}, [&](size_t, Lane* lane) { RunFixed(each / 8, load.latency_sample, lane); });
  for (const std::unique_ptr<Lane>& lane : *lanes) {
    if (!lane->status.ok()) return lane->status;
    lane->records = 0;
    lane->latency = {};
  }
  Clock::time_point from;
  RunLanes(
      *lanes, [&] { from = Clock::now(); },
      [&](size_t, Lane* lane) { RunFixed(each, load.latency_sample, lane); });
  return Finish(*std::move(lanes), from, 0, contestant);
}

}  // namespace millrace
