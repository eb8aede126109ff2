#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "bench/compare/machine.h"
#include "bench/compare/report.h"
#include "bench/compare/rounds.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/interrupt.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "bench";

absl::StatusOr<RoundOptions> RoundOptionsOf(const Invocation& invocation) {
  RoundOptions options;
  if (invocation.On("quick")) {
    options.seconds = 0.3;
    options.warm_up_seconds = 0.1;
    options.rounds = 3;
  }
  if (invocation.Given("seconds")) options.seconds = invocation.Real("seconds");
  if (invocation.Given("rounds")) options.rounds = static_cast<int>(invocation.Number("rounds"));
  // Longer ones would fill the peers' memtables, whose flushing is not what is measured.
  if (!(options.seconds >= 0.01 && options.seconds <= 4)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--seconds is %g; it takes 0.01 to 4", options.seconds));
  }
  absl::StatusOr<std::string> directory =
      MakeScratchDirectory(invocation.Text("dir"), "millrace_bench");
  if (!directory.ok()) return directory.status();
  options.directory = *std::move(directory);
  return options;
}

absl::Status RunAll(const RoundOptions& options, std::vector<Scenario>* scenarios) {
  InterruptWatch interrupt;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  for (int round = 0; round < options.rounds; ++round) {
    for (Scenario& scenario : *scenarios) {
      if (interrupt.Wait(absl::ZeroDuration())) return absl::CancelledError("interrupted");
      if (terminal) {
        std::fprintf(stderr, "\r\033[Kround %d of %d: %s", round + 1, options.rounds,
                     scenario.name.c_str());
      }
      absl::Status status = RunRound(options, round, &scenario);
      if (!status.ok()) return status;
    }
  }
  if (terminal) std::fputs("\r\033[K", stderr);
  return absl::OkStatus();
}

std::string Introduction(const RoundOptions& options, const std::vector<Scenario>& scenarios) {
  std::string text = absl::StrFormat(
      "%d-byte records, %d rounds of %g s each after %g s of warm-up, in turns from empty "
      "directories\nin %s; %d processors.  Rates are the median of the rounds; the last two "
      "columns\n"
      "tell how many times as fast as the peer Millrace was, by rounds.\n",
      options.record_bytes, options.rounds, options.seconds, options.warm_up_seconds,
      std::filesystem::path(options.directory).parent_path().string(),
      std::thread::hardware_concurrency());
  std::set<std::string> named;
  for (const Scenario& scenario : scenarios) {
    for (const Row& row : scenario.rows) {
      if (!named.insert(row.contestant->name()).second) continue;
      absl::StrAppendFormat(&text, "  %-19s %s\n", row.contestant->name(),
                            row.contestant->settings());
    }
  }
  for (const auto& [role, peer] :
       {std::pair{Row::Role::kLevelDb, "LevelDB"}, std::pair{Row::Role::kRocksDb, "RocksDB"}}) {
    if (FindRow(scenarios.front(), role) == nullptr) {
      absl::StrAppendFormat(&text, "  %-19s not compiled in: built without Debian's package\n",
                            peer);
    }
  }
  if (IsInMemory(options.directory)) {
    text += "WARNING: this directory is in memory, where nothing is durable; use --dir\n";
  }
  return text + "\n";
}

ExitCode Run(const Invocation& invocation) {
  const absl::StatusOr<RoundOptions> options = RoundOptionsOf(invocation);
  if (!options.ok()) return Fail(kName, options.status());
  const auto remove = absl::MakeCleanup([&] {
    std::error_code ignored;
    std::filesystem::remove_all(options->directory, ignored);
  });
  std::vector<Scenario> scenarios = StandardScenarios();
  const bool json = invocation.On("json");
  Output output;
  if (!json) {
    output.Write(Introduction(*options, scenarios));
    output.Flush();
  }
  if (absl::Status status = RunAll(*options, &scenarios); !status.ok()) return Fail(kName, status);
  const std::vector<std::string> failures =
      invocation.On("check") ? FailedAims(scenarios) : std::vector<std::string>();
  if (json) {
    nlohmann::ordered_json document = JsonOf(*options, scenarios);
    if (invocation.On("check")) document["failed_aims"] = failures;
    output.Write(JsonLine(document));
  } else {
    for (const Scenario& scenario : scenarios) output.Write(TableOf(scenario) + "\n");
  }
  output.Flush();
  for (const std::string& failure : failures) Complain(kName, "FAILED: " + failure);
  return failures.empty() ? ExitCode::kFine : ExitCode::kUsage;
}

}  // namespace

Command BenchCommand() {
  using Kind = Flag::Kind;
  return {
      .name = kName,
      .arguments = "",
      .summary = "compare with LevelDB, RocksDB and a bare write + fdatasync",
      .description =
          "Measures Millrace, the logs of LevelDB and RocksDB, and a loop of write and fdatasync, "
          "in "
          "turns in one directory: durable at 1, 8 and 64 producers, each of which waits for its "
          "record, and to the page cache at 4. Takes about 80 s.",
      .flags = {{.name = "check",
                 .help = "exit with 1 unless Millrace is ahead of both peers everywhere, and at "
                         "least twice as fast as LevelDB with 64 durable producers"},
                {.kind = Kind::kText,
                 .name = "dir",
                 .argument = "DIR",
                 .help = "where; a new directory is made there and removed; without it, in $TMPDIR "
                         "or /tmp"},
                JsonFlag(),
                {.name = "quick", .help = "3 rounds of 0.3 s: about 20 s"},
                {.kind = Kind::kNumber,
                 .name = "rounds",
                 .argument = "N",
                 .help = "how often each measurement is taken; without it, 5",
                 .least = 1,
                 .most = 1000},
                {.kind = Kind::kReal,
                 .name = "seconds",
                 .argument = "S",
                 .help = "of each measurement, 0.01 to 4; without it, 0.8"}},
      .json = {{"record_bytes", "of each record"},
               {"seconds", "of each measurement"},
               {"warm_up_seconds", "before each"},
               {"rounds", "how often each was taken"},
               {"scenarios", "one for each table: its name, and a row for each contestant"},
               {"failed_aims", "of --check: what was missed"}},
      .examples = {{"millrace bench --quick --dir=/var/tmp", "a first look at a disk"}},
      .least_words = 0,
      .most_words = 0,
      .run = Run,
  };
}

}  // namespace millrace
