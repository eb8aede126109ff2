// Records to the page cache, without a sync.

#include <cstdint>
#include <string>

#include "bench/compare/contestant.h"
#include "bench/compare/contestant_probe.h"
#include "bench/compare/probes.h"
#include "bench/compare/raw_device.h"

namespace millrace {
namespace {

constexpr int kProducers = 4;
constexpr size_t kRecordBytes = 128;
constexpr uint64_t kRecords = 3'000'000;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr char kGroup[] = "page cache, 4 producers";

absl::StatusOr<LoadResult> AllRecords(const Bench& bench, Contestant* contestant) {
  Load load = bench.LoadOf(kProducers, kRecordBytes);
  load.latency_sample = 16;
  return FixedWork(load, bench.Scaled(kRecords), contestant);
}

absl::StatusOr<LoadResult> SomeTime(const Bench& bench, Contestant* contestant) {
  Load load = bench.LoadOf(kProducers, kRecordBytes);
  load.latency_sample = 16;
  return ClosedLoop(load, contestant);
}

// As many records as the bytes that were written have room for.
absl::StatusOr<Figures> MeasureRecords(const RawWork& work, uint64_t record_bytes,
                                       const std::string& directory) {
  absl::StatusOr<RawResult> result = MeasureRaw(work, directory + "/raw");
  if (!result.ok()) return result.status();
  Figures figures;
  const double bytes_per_s = static_cast<double>(result->bytes) / result->seconds;
  figures.values["bytes_per_s"] = bytes_per_s;
  figures.values["records_per_s"] = bytes_per_s / static_cast<double>(record_bytes);
  return figures;
}

// The bytes that a log writes, with a header of 32 for each record, and its bound on what may not
// be durable.
Probe BoundedWrite() {
  Probe probe = {.group = kGroup, .name = "cached4.bounded", .title = "raw write, bounded"};
  probe.settings =
      "one thread: as many bytes as the log writes, in writes of 1 MiB, new file, allocated; "
      "write-back begins at once, a sync every 64 MiB";
  probe.run = [](const Bench& bench, const std::string& directory) -> absl::StatusOr<Figures> {
    constexpr uint64_t kFrameBytes = kRecordBytes + 32;
    const uint64_t bytes = bench.Scaled(kRecords) * kFrameBytes;
    const RawWork work = {.place = RawWork::Place::kAllocated,
                          .way = RawWork::Way::kCached,
                          .block_bytes = kMiB,
                          .unsynced_bytes = 64 * kMiB,
                          .file_bytes = bytes + bytes / 8 + kMiB,
                          .total_bytes = bytes + kMiB};
    return MeasureRecords(work, kFrameBytes, directory);
  };
  return probe;
}

Probe RawWrite() {
  Probe probe = {.group = kGroup, .name = "cached4.raw", .title = "raw write of the same bytes"};
  probe.settings = "one thread: as many bytes as the payloads have, in writes of 1 MiB, new file";
  probe.run = [](const Bench& bench, const std::string& directory) -> absl::StatusOr<Figures> {
    const RawWork work = {.place = RawWork::Place::kAppend,
                          .way = RawWork::Way::kCached,
                          .block_bytes = kMiB,
                          .total_bytes = bench.Scaled(kRecords) * kRecordBytes + kMiB};
    return MeasureRecords(work, kRecordBytes, directory);
  };
  return probe;
}

}  // namespace

void AddPageCacheProbes(Probes* probes) {
  const auto buffered = [] { return NewMillrace(Durability::kBuffered); };
  const auto written = [] { return NewMillrace(Durability::kWritten); };
  const auto level = [] { return NewLevelDb(Durability::kWritten); };
  const auto rocks = [] { return NewRocksDb(Durability::kWritten); };
  probes->push_back(
      ContestantProbe(kGroup, "cached4.millrace", "Millrace, buffered", buffered, AllRecords));
  const auto bare = [] { return NewBareLog({.durability = Durability::kBuffered}); };
  probes->push_back(ContestantProbe(kGroup, "cached4.bare", "bare group write", bare, AllRecords));
  const auto promises = [] {
    return NewBareLog({.durability = Durability::kBuffered, .promises = true});
  };
  probes->push_back(ContestantProbe(kGroup, "cached4.promises", "bare group write with promises",
                                    promises, AllRecords));
  probes->push_back(BoundedWrite());
  probes->push_back(RawWrite());
  probes->push_back(
      DiskqueueProbe(kGroup, "cached4.diskqueue", {.producers = kProducers, .sync_every = 0}));
  probes->push_back(
      ContestantProbe(kGroup, "cached4.written", "Millrace, written", written, SomeTime));
  probes->push_back(ContestantProbe(kGroup, "cached4.leveldb", "LevelDB", level, SomeTime));
  probes->push_back(ContestantProbe(kGroup, "cached4.rocksdb", "RocksDB", rocks, SomeTime));
}

}  // namespace millrace
