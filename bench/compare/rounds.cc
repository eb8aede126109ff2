#include "bench/compare/rounds.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "bench/compare/load.h"

namespace millrace {
namespace {

absl::StatusOr<Measurement> RunContestant(const RoundOptions& options, const Scenario& scenario,
                                          Row* row) {
  const Load load = {.producers = scenario.producers,
                     .record_bytes = options.record_bytes,
                     .seconds = options.seconds,
                     .warm_up_seconds = options.warm_up_seconds,
                     .latency_sample = scenario.latency_sample};
  absl::StatusOr<LoadResult> result = ClosedLoop(load, row->contestant.get());
  if (!result.ok()) return result.status();
  row->latency.Merge(result->latency);
  return Measurement{.records_per_second = result->records_per_second,
                     .syncs_per_second = result->syncs_per_second};
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
