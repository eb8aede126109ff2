#include "bench/compare/rounds.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"

namespace millrace {
namespace {

using Clock = std::chrono::steady_clock;

// One producer of a run: its own appender, counts and record.
struct Lane {
  std::unique_ptr<Appender> appender;
  LatencyHistogram latency;
  uint64_t records = 0;  // appended within the measured time
  absl::Status status;
};

struct Phases {
  Clock::time_point measure_from;
  Clock::time_point end;
};

uint64_t NanosecondsBetween(Clock::time_point from, Clock::time_point to) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count());
}

// Appends one record after the other until the end. The key, big-endian, rises with every record.
void RunLane(const Phases& phases, size_t record_bytes, uint32_t sample, uint64_t lane_number,
             Lane* lane) {
  std::string record(record_bytes, 'r');
  uint64_t sequence = lane_number << 48;
  Clock::time_point now = Clock::now();
  while (now < phases.end) {
    const bool measured = now >= phases.measure_from;
    const Clock::time_point start = now;
    for (uint32_t i = 0; i < sample; ++i) {
      const uint64_t key = __builtin_bswap64(sequence++);
      std::memcpy(record.data(), &key, kKeyBytes);
      lane->status = lane->appender->Append(record);
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

absl::StatusOr<Measurement> RunContestant(const RoundOptions& options, const Scenario& scenario,
                                          Row* row) {
  std::vector<Lane> lanes(static_cast<size_t>(scenario.producers));
  for (Lane& lane : lanes) {
    absl::StatusOr<std::unique_ptr<Appender>> appender = row->contestant->NewAppender();
    if (!appender.ok()) return appender.status();
    lane.appender = *std::move(appender);
  }
  const auto seconds = [](double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  };
  Phases phases;
  // Thread starts lie before the warm-up, which begins for all at once.
  std::barrier start(scenario.producers, [&]() noexcept {
    phases.measure_from = Clock::now() + seconds(options.warm_up_seconds);
    phases.end = phases.measure_from + seconds(options.seconds);
  });
  std::vector<std::thread> threads;
  for (size_t i = 0; i < lanes.size(); ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      RunLane(phases, options.record_bytes, scenario.latency_sample, i, &lanes[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();

  uint64_t records = 0;
  for (Lane& lane : lanes) {
    lane.appender.reset();
    if (!lane.status.ok()) return lane.status;
    records += lane.records;
    row->latency.Merge(lane.latency);
  }
  // What was only accepted has to arrive before the time is taken.
  if (absl::Status status = row->contestant->Drain(); !status.ok()) return status;
  const double elapsed =
      static_cast<double>(NanosecondsBetween(phases.measure_from, Clock::now())) / 1e9;
  Measurement measurement;
  measurement.records_per_second = static_cast<double>(records) / elapsed;
  // The warm-up's syncs were counted along with the rest.
  if (std::optional<uint64_t> syncs = row->contestant->syncs()) {
    measurement.syncs_per_second =
        static_cast<double>(*syncs) / (elapsed + options.warm_up_seconds);
  }
  return measurement;
}

// Writes back what is dirty, so that the next run does not pay for this one.
void SyncFileSystem(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  syncfs(fd);
  close(fd);
}

absl::Status RunFromEmpty(const RoundOptions& options, const Scenario& scenario, Row* row) {
  const std::string directory = options.directory + "/run";
  std::error_code error;
  if (!std::filesystem::create_directory(directory, error)) {
    return absl::UnavailableError("cannot create " + directory + ": " +
                                  (error ? error.message() : "it exists"));
  }
  auto remove = absl::MakeCleanup([&] {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    SyncFileSystem(options.directory);
  });
  if (absl::Status status = row->contestant->Open(directory); !status.ok()) return status;
  absl::StatusOr<Measurement> measurement = RunContestant(options, scenario, row);
  absl::Status closed = row->contestant->Close();
  if (!measurement.ok()) return measurement.status();
  if (!closed.ok()) return closed;
  row->rounds.push_back(*measurement);
  return absl::OkStatus();
}

Row MakeRow(Row::Role role, std::unique_ptr<Contestant> contestant) {
  Row row;
  row.role = role;
  row.contestant = std::move(contestant);
  return row;
}

void AddPeers(Durability durability, Scenario* scenario) {
  if (auto peer = NewLevelDb(durability)) {
    scenario->rows.push_back(MakeRow(Row::Role::kLevelDb, std::move(peer)));
  }
  if (auto peer = NewRocksDb(durability)) {
    scenario->rows.push_back(MakeRow(Row::Role::kRocksDb, std::move(peer)));
  }
}

}  // namespace

std::vector<Scenario> StandardScenarios() {
  std::vector<Scenario> scenarios;
  for (const int producers : {1, 8, 64}) {
    Scenario scenario;
    scenario.name = "durable, " + std::to_string(producers) +
                    (producers == 1 ? " producer" : " producers, each waiting for its record");
    scenario.producers = producers;
    scenario.rows.push_back(MakeRow(Row::Role::kMillrace, NewMillrace(Durability::kDurable)));
    AddPeers(Durability::kDurable, &scenario);
    if (producers == 1) {
      scenario.rows.push_back(MakeRow(Row::Role::kReference, NewRawLoop()));
    }
    scenarios.push_back(std::move(scenario));
  }
  Scenario cached;
  cached.name = "page cache, 4 producers";
  cached.producers = 4;
  cached.latency_sample = 16;
  cached.rows.push_back(MakeRow(Row::Role::kMillrace, NewMillrace(Durability::kBuffered)));
  cached.rows.push_back(MakeRow(Row::Role::kMillrace, NewMillrace(Durability::kWritten)));
  AddPeers(Durability::kWritten, &cached);
  scenarios.push_back(std::move(cached));
  return scenarios;
}

absl::Status RunRound(const RoundOptions& options, int round, Scenario* scenario) {
  const size_t count = scenario->rows.size();
  for (size_t i = 0; i < count; ++i) {
    Row& row = scenario->rows[(i + static_cast<size_t>(round)) % count];
    if (absl::Status status = RunFromEmpty(options, *scenario, &row); !status.ok()) {
      return absl::Status(status.code(), row.contestant->name() + ", " + scenario->name + ": " +
                                             std::string(status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace
