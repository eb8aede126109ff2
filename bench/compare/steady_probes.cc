// The steady state, in which segments are used again: that a sync writes nothing but the data, by
// the kernel's counts of the whole disk, and that changing to the next segment is not felt.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "bench/compare/contestant.h"
#include "bench/compare/disk_counters.h"
#include "bench/compare/probes.h"
#include "bench/compare/raw_device.h"
#include "bench/compare/recycled_log.h"
#include "millrace/log.h"

namespace millrace {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kOftenRotating = kMiB / 2;
constexpr uint64_t kHardlyRotating = 32 * kMiB;
constexpr int kProducers = 8;
constexpr char kSyncs[] = "steady state: what a sync writes";
constexpr char kRotation[] = "steady state: rotation";

// Runs `work`, which returns how many syncs it made, and reports what the disk did for each.
absl::StatusOr<Figures> PerSync(const std::string& directory,
                                const std::function<absl::StatusOr<double>()>& work) {
  const std::optional<DiskCounters> before = ReadDiskCounters(directory);
  if (!before) return absl::UnimplementedError("the kernel does not count this disk's writes");
  const absl::StatusOr<double> syncs = work();
  if (!syncs.ok()) return syncs.status();
  const std::optional<DiskCounters> after = ReadDiskCounters(directory);
  if (!after || *syncs == 0) return absl::UnimplementedError("no counts");
  Figures figures;
  figures.values["writes_per_sync"] = static_cast<double>(after->writes - before->writes) / *syncs;
  figures.values["flushes_per_sync"] =
      static_cast<double>(after->flushes - before->flushes) / *syncs;
  if (before->journal_commits && after->journal_commits) {
    figures.values["commits_per_sync"] =
        static_cast<double>(*after->journal_commits - *before->journal_commits) / *syncs;
  }
  return figures;
}

absl::StatusOr<Figures> MillraceSyncs(const Bench& bench, const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Log>> log = OpenRecycled(directory + "/log", 4 * kMiB);
  if (!log.ok()) return log.status();
  const std::unique_ptr<Contestant> contestant = NewMillraceOver(log->get(), Durability::kDurable);
  Load load = bench.LoadOf(1);
  load.warm_up_seconds = 0;
  absl::StatusOr<Figures> figures = PerSync(directory, [&]() -> absl::StatusOr<double> {
    const uint64_t before = (*log)->stats().syncs;
    const absl::StatusOr<LoadResult> result = ClosedLoop(load, contestant.get());
    if (!result.ok()) return result.status();
    return static_cast<double>((*log)->stats().syncs - before);
  });
  if (!figures.ok()) return figures.status();
  if (absl::Status status = (*log)->Close(); !status.ok()) return status;
  return figures;
}

absl::StatusOr<Figures> RawSyncs(const Bench& bench, const std::string& directory) {
  // The file is written before; that is two writes of 8 MiB, lost among the syncs' thousands.
  const RawWork work = {
      .place = RawWork::Place::kOverwrite, .file_bytes = 4 * kMiB, .seconds = bench.seconds};
  return PerSync(directory, [&]() -> absl::StatusOr<double> {
    const absl::StatusOr<RawResult> result = MeasureRaw(work, directory + "/raw");
    if (!result.ok()) return result.status();
    return static_cast<double>(result->writes);
  });
}

absl::StatusOr<Figures> Rotating(uint64_t segment_bytes, const Bench& bench,
                                 const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Log>> log = OpenRecycled(directory + "/log", segment_bytes);
  if (!log.ok()) return log.status();
  const std::unique_ptr<Contestant> contestant = NewMillraceOver(log->get(), Durability::kDurable);
  const uint64_t before = (*log)->stats().rotations;
  Load load = bench.LoadOf(kProducers);
  load.seconds *= 2;  // p99.99 wants many records
  absl::StatusOr<LoadResult> result;
  {
    const Trimmer trimmer(log->get());
    result = ClosedLoop(load, contestant.get());
  }
  if (!result.ok()) return result.status();
  Figures figures;
  figures.AddLoad(*result);
  figures.values["rotations"] = static_cast<double>((*log)->stats().rotations - before);
  if (absl::Status status = (*log)->Close(); !status.ok()) return status;
  return figures;
}

}  // namespace

void AddSteadyProbes(Probes* probes) {
  probes->push_back({kSyncs, "steady.syncs", "Millrace",
                     "1 durable producer, recycled segments of 4 MiB", MillraceSyncs});
  probes->push_back(
      {kSyncs, "steady.raw", "raw 4 KiB overwrite + fdatasync", "one file of 4 MiB", RawSyncs});
  const auto rotating = [](uint64_t segment_bytes) {
    return [segment_bytes](const Bench& bench, const std::string& directory) {
      return Rotating(segment_bytes, bench, directory);
    };
  };
  probes->push_back({kRotation, "steady.rotating", "recycled segments of 512 KiB",
                     "8 durable producers; trimmed as it goes", rotating(kOftenRotating)});
  probes->push_back({kRotation, "steady.calm", "recycled segments of 32 MiB",
                     "8 durable producers; no rotation while it is measured",
                     rotating(kHardlyRotating)});
}

}  // namespace millrace
