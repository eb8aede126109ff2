#ifndef MILLRACE_BENCH_COMPARE_CONTESTANT_PROBE_H_
#define MILLRACE_BENCH_COMPARE_CONTESTANT_PROBE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "bench/compare/child_program.h"
#include "bench/compare/contestant.h"
#include "bench/compare/load.h"
#include "bench/compare/probe.h"

namespace millrace {

using MakeContestant = std::function<std::unique_ptr<Contestant>()>;
using RunLoad = std::function<absl::StatusOr<LoadResult>(const Bench&, Contestant*)>;

// Opens a contestant in the probe's directory, runs the load, closes it. Where the contestant is
// not compiled in (null) the probe is skipped and says so, `title` being its name.
Probe ContestantProbe(const std::string& group, const std::string& name, const std::string& title,
                      MakeContestant make, RunLoad run);

// go-diskqueue at the same work.
Probe DiskqueueProbe(const std::string& group, const std::string& name, const DiskqueueWork& work);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_CONTESTANT_PROBE_H_
