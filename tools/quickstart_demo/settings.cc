#include "tools/quickstart_demo/settings.h"

#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"

ABSL_FLAG(std::string, dir, "", "where the run's directory is made (default: $TMPDIR or /tmp)");
ABSL_FLAG(uint32_t, producers, 8, "threads that append at once");
ABSL_FLAG(
    uint64_t, records, 0,
    "records in all (default: 200 thousand, or all lines of the input if those are more; fewer "
    "on a slow device)");
ABSL_FLAG(
    std::string, sabotage, "none",
    "for the test of the checks: drop, repeat, alter, swap or invent a record on its way to a "
    "consumer, or damage one on disk");

namespace millrace {
namespace {

constexpr uint32_t kMostProducers = 256;
constexpr uint64_t kMostRecords = 20'000'000;

absl::StatusOr<Sabotage> ParseSabotage(const std::string& word) {
  constexpr std::pair<std::string_view, Sabotage> kWords[] = {
      {"none", Sabotage::kNone},           {"drop", Sabotage::kDropRecord},
      {"repeat", Sabotage::kRepeatRecord}, {"alter", Sabotage::kAlterRecord},
      {"swap", Sabotage::kSwapRecords},    {"invent", Sabotage::kInventRecord},
      {"damage", Sabotage::kDamageLog}};
  for (const auto& [name, sabotage] : kWords) {
    if (word == name) return sabotage;
  }
  return absl::InvalidArgumentError(
      "--sabotage is \"" + word + "\"; it takes none, drop, repeat, alter, swap, invent or damage");
}

}  // namespace

absl::StatusOr<Settings> ParseSettings(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "[FLAGS] [FILE]\n\nAppends the lines of FILE (- for standard input; the package manager's "
      "log "
      "by default) to a new\nlog from several threads at once, kills that process in the middle, "
      "goes on after recovery,\nreads everything back and checks it.");
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  if (words.size() > 2) return absl::InvalidArgumentError("it takes one FILE");
  Settings settings;
  if (words.size() == 2) settings.input = words[1];
  settings.base = absl::GetFlag(FLAGS_dir);
  if (settings.base.empty()) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before there is a second thread.
    const char* temporary = std::getenv("TMPDIR");
    settings.base = temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
  }
  settings.producers = absl::GetFlag(FLAGS_producers);
  if (settings.producers < 2 || settings.producers > kMostProducers) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--producers is %d; it takes 2 to %d", settings.producers, kMostProducers));
  }
  settings.records = absl::GetFlag(FLAGS_records);
  const uint64_t fewest = uint64_t{100} * settings.producers;
  if (settings.records != 0 && (settings.records < fewest || settings.records > kMostRecords)) {
    return absl::InvalidArgumentError(absl::StrFormat("--records is %d; it takes %d to %d",
                                                      settings.records, fewest, kMostRecords));
  }
  absl::StatusOr<Sabotage> sabotage = ParseSabotage(absl::GetFlag(FLAGS_sabotage));
  if (!sabotage.ok()) return sabotage.status();
  settings.sabotage = *sabotage;
  return settings;
}

}  // namespace millrace
