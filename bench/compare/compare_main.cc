// Measures what the device allows, Millrace, and the logs that a user could pick instead, in turns
// in one directory, and holds the figures against the goals. tools/bench builds and runs it.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/compare/goals.h"
#include "bench/compare/machine.h"
#include "bench/compare/probes.h"
#include "bench/compare/tables.h"

ABSL_FLAG(std::string, dir, "", "where to measure; a new directory is made there; else $TMPDIR");
ABSL_FLAG(bool, quick, false, "the goals only, under 5 minutes");
ABSL_FLAG(bool, smoke, false, "everything once and as short as can be: the figures mean nothing");
ABSL_FLAG(bool, loose, false, "thresholds that hold on a busy machine too");
ABSL_FLAG(int, rounds, 0, "how often each is measured; 0: as the mode says");
ABSL_FLAG(double, seconds, 0, "of each measurement bounded by time; 0: as the mode says");
ABSL_FLAG(std::string, only, "", "probes whose name begins with one of these, comma-separated");
ABSL_FLAG(std::string, json, "", "write all figures to this file");
ABSL_FLAG(std::string, diskqueue, "", "the program of bench/compare/diskqueue");
ABSL_FLAG(bool, list, false, "show the names of the probes");
ABSL_FLAG(std::string, memory, "", "for this program itself: idle or busy");

namespace millrace {
namespace {

constexpr int kExitMissed = 1;
constexpr int kExitFailed = 3;

// How thoroughly the modes measure.
struct Mode {
  const char* name;
  double seconds;
  double warm_up_seconds;
  double work;
  int rounds;
  int sweep_rounds;  // 0: no sweeps
};
constexpr Mode kFull = {"full", 1.0, 0.2, 2, 9, 3};
constexpr Mode kQuick = {"quick", 0.4, 0.1, 1, 7, 0};
constexpr Mode kSmoke = {"smoke", 0.02, 0.01, 0.004, 1, 1};

Mode ModeOf() {
  Mode mode = kFull;
  if (absl::GetFlag(FLAGS_quick)) mode = kQuick;
  if (absl::GetFlag(FLAGS_smoke)) mode = kSmoke;
  if (absl::GetFlag(FLAGS_rounds) > 0) {
    mode.rounds = absl::GetFlag(FLAGS_rounds);
    mode.sweep_rounds = std::min(mode.sweep_rounds, mode.rounds);
  }
  if (absl::GetFlag(FLAGS_seconds) > 0) mode.seconds = absl::GetFlag(FLAGS_seconds);
  return mode;
}

// Those whose names begin with one of the comma-separated prefixes of --only.
std::vector<Probe> Chosen(std::vector<Probe> probes) {
  const std::string only = absl::GetFlag(FLAGS_only);
  if (only.empty()) return probes;
  std::erase_if(probes, [&](const Probe& probe) {
    for (size_t begin = 0; begin <= only.size();) {
      const size_t end = std::min(only.find(',', begin), only.size());
      const std::string prefix = only.substr(begin, end - begin);
      if (!prefix.empty() && probe.name.rfind(prefix, 0) == 0) return false;
      begin = end + 1;
    }
    return true;
  });
  return probes;
}

// "[ 42 %  1:23] round 3 of 7: durable, 64 producers: LevelDB", on a terminal in place of the one
// before, elsewhere once for each round.
class Progress {
 public:
  explicit Progress(size_t steps) : steps_(steps) {}

  void Step(int round, int rounds, const Probe& probe) {
    const int percent = static_cast<int>(100 * done_++ / std::max<size_t>(1, steps_));
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin_)
            .count();
    std::string text = absl::StrFormat("[%3d %%  %d:%02d] round %d of %d", percent, seconds / 60,
                                       seconds % 60, round + 1, rounds);
    if (terminal_) {
      absl::StrAppend(&text, ": ", probe.group, ": ", probe.title);
      std::fprintf(stderr, "\r\033[K%s", text.c_str());
    } else if (round != told_) {
      told_ = round;
      std::fprintf(stderr, "%s\n", text.c_str());
    }
  }

  void End() {
    if (terminal_) std::fputs("\r\033[K", stderr);
    told_ = -1;
  }

 private:
  const size_t steps_;
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  size_t done_ = 0;
  int told_ = -1;
};

size_t StepsOf(const std::vector<Probe>& probes, int rounds) {
  size_t steps = 0;
  for (int round = 0; round < rounds; ++round) steps += OrderOfRound(probes, round).size();
  return steps;
}

absl::Status RunRounds(const Bench& bench, const std::vector<Probe>& probes, int rounds,
                       Progress* progress, Results* results) {
  for (int round = 0; round < rounds; ++round) {
    for (const Probe* probe : OrderOfRound(probes, round)) {
      progress->Step(round, rounds, *probe);
      ProbeResult& result = (*results)[probe->name];
      if (!result.skipped.empty()) continue;
      if (absl::Status status = RunProbe(bench, *probe, &result); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "compare: %s\n", std::string(status.message()).c_str());
  return kExitFailed;
}

int WriteJson(const std::string& path, const nlohmann::ordered_json& document) {
  std::ofstream file(path, std::ios::trunc);
  file << document.dump(1) << "\n";
  file.close();
  return file.good() ? 0 : Fail(absl::UnavailableError("cannot write " + path));
}

std::string Introduction(const Mode& mode, const nlohmann::ordered_json& machine) {
  std::string text;
  for (const auto& [name, value] : machine.items()) {
    absl::StrAppendFormat(&text, "%-12s %s\n", name,
                          value.is_string() ? value.get<std::string>() : value.dump());
  }
  absl::StrAppendFormat(
      &text,
      "%-12s %s: %d rounds in turns, each probe from an empty directory, the order rotating;\n"
      "%-12s %g s each after %g s of warm-up, or the same work.  Ratios are paired by round; the\n"
      "%-12s interval is that of the median by order statistics (%.1f %%).\n\n",
      "method", mode.name, mode.rounds, "", mode.seconds, mode.warm_up_seconds, "",
      100 * MedianInterval(std::vector<double>(static_cast<size_t>(mode.rounds))).confidence);
  return text;
}

// Runs all and prints; returns the exit code.
int Compare(const Mode& mode, const std::string& directory) {
  Bench bench = {.directory = directory,
                 .seconds = mode.seconds,
                 .warm_up_seconds = mode.warm_up_seconds,
                 .work = mode.work,
                 .diskqueue = absl::GetFlag(FLAGS_diskqueue)};
  std::error_code ignored;
  bench.self = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  const std::vector<Probe> probes = Chosen(GoalProbes());
  const std::vector<Probe> sweeps =
      mode.sweep_rounds == 0 ? std::vector<Probe>() : Chosen(SweepProbes());
  const nlohmann::ordered_json machine = MachineJson(directory);
  std::fputs(Introduction(mode, machine).c_str(), stdout);
  std::fflush(stdout);

  Results results;
  Progress progress(StepsOf(probes, mode.rounds) + StepsOf(sweeps, mode.sweep_rounds));
  absl::Status status = RunRounds(bench, probes, mode.rounds, &progress, &results);
  if (status.ok()) status = RunRounds(bench, sweeps, mode.sweep_rounds, &progress, &results);
  progress.End();
  if (!status.ok()) return Fail(status);

  const Strictness strictness =
      absl::GetFlag(FLAGS_loose) ? Strictness::kLoose : Strictness::kStrict;
  std::vector<Goal> goals = AllGoals();
  // With --only: of what was run.
  std::erase_if(goals,
                [&](const Goal& goal) { return results.count(std::string(goal.ours)) == 0; });
  std::vector<Verdict> verdicts;
  for (const Goal& goal : goals) verdicts.push_back(Judge(goal, results, strictness));
  std::fputs((MeasurementTable(probes, results) + "\n").c_str(), stdout);
  if (!sweeps.empty()) std::fputs((MeasurementTable(sweeps, results) + "\n").c_str(), stdout);
  if (!goals.empty()) std::fputs(GoalTable(goals, verdicts).c_str(), stdout);
  if (const std::string path = absl::GetFlag(FLAGS_json); !path.empty()) {
    const nlohmann::ordered_json document = {
        {"machine", machine},
        {"mode", mode.name},
        {"rounds", mode.rounds},
        {"seconds", mode.seconds},
        {"warm_up_seconds", mode.warm_up_seconds},
        {"thresholds", absl::GetFlag(FLAGS_loose) ? "loose" : "strict"},
        {"goals", GoalsJson(goals, verdicts)},
        {"probes", ProbesJson(probes, results)},
        {"sweeps", ProbesJson(sweeps, results)}};
    if (const int failed = WriteJson(path, document); failed != 0) return failed;
  }
  if (absl::GetFlag(FLAGS_smoke)) return 0;  // that it ran is all that it shows
  return NoneMissed(verdicts) ? 0 : kExitMissed;
}

int Main() {
  if (const std::string which = absl::GetFlag(FLAGS_memory); !which.empty()) {
    const auto found = MeasureOwnMemory(which, absl::GetFlag(FLAGS_dir));
    if (!found.ok()) return Fail(found.status());
    std::printf("%s\n", found->dump().c_str());
    return 0;
  }
  if (absl::GetFlag(FLAGS_list)) {
    for (const std::vector<Probe>& probes : {Chosen(GoalProbes()), Chosen(SweepProbes())}) {
      for (const Probe& probe : probes) {
        std::printf("%-28s %s: %s\n", probe.name.c_str(), probe.group.c_str(), probe.title.c_str());
      }
    }
    return 0;
  }
  const absl::StatusOr<std::string> directory =
      MakeScratchDirectory(absl::GetFlag(FLAGS_dir), "millrace_compare");
  if (!directory.ok()) return Fail(directory.status());
  const auto remove = absl::MakeCleanup([&] {
    std::error_code ignored;
    std::filesystem::remove_all(*directory, ignored);
  });
  return Compare(ModeOf(), *directory);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "measures Millrace, its peers and the raw device in turns, against the goals");
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  if (words.size() > 1) {
    std::fprintf(stderr, "compare: unexpected word '%s'\n", words[1]);
    return millrace::kExitFailed;
  }
  return millrace::Main();
}
