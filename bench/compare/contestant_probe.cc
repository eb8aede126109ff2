#include "bench/compare/contestant_probe.h"

#include <utility>

#include "absl/status/status.h"

namespace millrace {

Probe ContestantProbe(const std::string& group, const std::string& name, const std::string& title,
                      MakeContestant make, RunLoad run) {
  Probe probe = {.group = group, .name = name, .title = title};
  if (const std::unique_ptr<Contestant> one = make()) probe.settings = one->settings();
  probe.run = [title, make = std::move(make), run = std::move(run)](
                  const Bench& bench, const std::string& directory) -> absl::StatusOr<Figures> {
    const std::unique_ptr<Contestant> contestant = make();
    if (contestant == nullptr) {
      return absl::UnimplementedError(title + " was not compiled in: its package is missing");
    }
    if (absl::Status status = contestant->Open(directory); !status.ok()) return status;
    absl::StatusOr<LoadResult> result = run(bench, contestant.get());
    const absl::Status closed = contestant->Close();
    if (!result.ok()) return result.status();
    if (!closed.ok()) return closed;
    Figures figures;
    figures.AddLoad(*result);
    return figures;
  };
  return probe;
}

Probe DiskqueueProbe(const std::string& group, const std::string& name, const DiskqueueWork& work) {
  Probe probe = {.group = group, .name = name, .title = "go-diskqueue"};
  probe.settings = "v1.1.0, 64 MiB per file, ";
  probe.settings += work.sync_every == 0
                        ? "no fsync"
                        : "fsync of data and metadata after each record (after its Put returned)";
  probe.run = [work](const Bench& bench, const std::string& directory) -> absl::StatusOr<Figures> {
    DiskqueueWork ours = work;
    ours.records = bench.Scaled(work.records);
    absl::StatusOr<LoadResult> result = RunDiskqueue(bench, ours, directory);
    if (!result.ok()) return result.status();
    Figures figures;
    figures.AddLoad(*result);
    return figures;
  };
  return probe;
}

}  // namespace millrace
