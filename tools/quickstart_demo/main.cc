// The main job of the library, with a SIGKILL in the middle of it and everything checked: see
// tools/quickstart. Exit codes: 0 all checks hold, 1 one failed, 2 it could not be run.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tools/quickstart_demo/checks.h"
#include "tools/quickstart_demo/consumer.h"
#include "tools/quickstart_demo/damage.h"
#include "tools/quickstart_demo/figures.h"
#include "tools/quickstart_demo/oracle.h"
#include "tools/quickstart_demo/processes.h"
#include "tools/quickstart_demo/settings.h"
#include "tools/quickstart_demo/workload.h"
#include "tools/quickstart_demo/writer.h"

namespace millrace {
namespace {

constexpr int kAllHold = 0;
constexpr int kCheckFailed = 1;
constexpr int kCouldNotRun = 2;

constexpr uint64_t kDefaultRecords = 200'000;
constexpr uint64_t kMostRecords = 2'000'000;
constexpr double kRawSeconds = 1;
// What the appending may take on a slow device before it is given less to do.
constexpr double kAppendSeconds = 40;
// How often a kill that missed the middle is tried again.
constexpr int kKillAttempts = 5;

// A count of records on a terminal, rewritten in place.
class Progress {
 public:
  Progress(const Workload& workload, const Oracle& oracle)
      : shown_(isatty(STDOUT_FILENO) != 0), workload_(workload), oracle_(oracle) {}
  ~Progress() {
    if (shown_) std::fputs("\r\033[K", stdout);
    std::fflush(stdout);
  }

  void Show() {
    if (!shown_ || absl::Now() - shown_at_ < absl::Milliseconds(100)) return;
    shown_at_ = absl::Now();
    absl::PrintF("\r   %d of %d records durable", oracle_.total_acknowledged(),
                 workload_.records());
    std::fflush(stdout);
  }

 private:
  const bool shown_;
  const Workload& workload_;
  const Oracle& oracle_;
  absl::Time shown_at_ = absl::InfinitePast();
};

// One run, in a directory of its own.
class Demonstration {
 public:
  Demonstration(Settings settings, Workload workload)
      : settings_(std::move(settings)), workload_(std::move(workload)) {}
  Demonstration(const Demonstration&) = delete;
  Demonstration& operator=(const Demonstration&) = delete;
  ~Demonstration() {
    std::error_code ignored;
    if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  }

  // Appends, kills, recovers, reads; an error if that cannot be done.
  absl::Status Run();
  // Prints what it came to.
  int Conclude();

 private:
  absl::Status MakeDirectory();
  absl::Status MeasureRaw();
  absl::Status AppendAndKill();
  absl::Status AppendOn();
  absl::Status ReadAll();

  const Settings settings_;
  Workload workload_;
  std::mt19937_64 random_{std::random_device{}()};
  std::string directory_;
  std::string log_;
  std::unique_ptr<Oracle> oracle_;
  Figures raw_;
  KillPicture picture_;
  Tally billing_when_killed_;
};

double Between(std::mt19937_64* random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(*random);
}

absl::Status Demonstration::MakeDirectory() {
  directory_ = settings_.base + "/millrace_quickstart.XXXXXX";
  if (mkdtemp(directory_.data()) == nullptr) {
    directory_.clear();
    return absl::UnavailableError("cannot create a directory in " + settings_.base);
  }
  return absl::OkStatus();
}

absl::Status Demonstration::MeasureRaw() {
  // Divided once already, for the average size of a tagged record.
  workload_.Divide(settings_.producers, kDefaultRecords);
  const uint64_t record_bytes = workload_.average_bytes();
  absl::StatusOr<Figures> raw = MeasureRawLoop(directory_, record_bytes, kRawSeconds);
  if (!raw.ok()) return raw.status();
  raw_ = *std::move(raw);
  uint64_t records = settings_.records;
  if (records == 0) {
    records = std::clamp(workload_.lines(), kDefaultRecords, kMostRecords);
    // Each producer waits for its record: with every sync go about as many records as there are
    // producers.
    const auto fitting = static_cast<uint64_t>(raw_.syncs_per_second * kAppendSeconds *
                                               static_cast<double>(settings_.producers) / 2);
    records = std::max(std::min(records, fitting), uint64_t{100} * settings_.producers);
  }
  workload_.Divide(settings_.producers, records);
  absl::PrintF("   input      %s: %d lines, taken as %d records of %d bytes on average\n",
               workload_.source(), workload_.lines(), workload_.records(), record_bytes);
  absl::PrintF("   directory  %s\n", directory_);
  return absl::OkStatus();
}

absl::Status Demonstration::AppendAndKill() {
  absl::PrintF("\n1. %d producers append at once, each waiting until its record is durable\n",
               workload_.producers());
  for (int attempt = 0; attempt < kKillAttempts; ++attempt) {
    const std::string name = directory_ + "/" + std::to_string(attempt);
    log_ = name + ".log";
    absl::StatusOr<std::unique_ptr<Oracle>> oracle = Oracle::Create(name + ".oracle", workload_);
    if (!oracle.ok()) return oracle.status();
    oracle_ = *std::move(oracle);
    const auto target = static_cast<uint64_t>(Between(&random_, 0.25, 0.70) *
                                              static_cast<double>(workload_.records()));
    ChildProcess writer([&] { return AppendAll(log_, workload_, oracle_.get()); });
    {
      Progress progress(workload_, *oracle_);
      while (!writer.HasEnded() && oracle_->total_acknowledged() < target) {
        absl::SleepFor(absl::Microseconds(100));
        progress.Show();
      }
    }
    writer.Kill();
    const Ending ending = writer.Wait([] {});
    oracle_->sitting(kBeforeKill).ended_ns = SteadyNanoseconds();
    if (ending.kind == Ending::Kind::kFailed) {
      return absl::UnavailableError("the writing process failed: " + ending.description);
    }
    picture_ = PictureOf(workload_, *oracle_);
    if (KilledInTheMiddle(workload_, picture_)) break;
    absl::PrintF("   the kill missed the middle; once more, from the beginning\n");
  }
  absl::PrintF("   killed with SIGKILL: %d of %d records acknowledged, %d appends in flight\n",
               picture_.total_acknowledged(), workload_.records(),
               picture_.total_issued() - picture_.total_acknowledged());
  return absl::OkStatus();
}

absl::Status Demonstration::AppendOn() {
  absl::PrintF("\n2. another process opens the log and goes on to the end from what is in it\n");
  ChildProcess writer([&] { return AppendRest(log_, workload_, oracle_.get()); });
  Progress progress(workload_, *oracle_);
  const Ending ending = writer.Wait([&] {
    // relaxed: only whether it is set.
    if (oracle_->sitting(kAfterKill).started_ns.load(std::memory_order_relaxed) != 0) {
      progress.Show();
    }
  });
  if (ending.kind != Ending::Kind::kFine) {
    return absl::UnavailableError("the second writing process: " + ending.description);
  }
  return absl::OkStatus();
}

absl::Status Demonstration::ReadAll() {
  absl::PrintF("   all %d records are durable\n", oracle_->total_acknowledged());
  if (settings_.sabotage == Sabotage::kDamageLog) {
    std::string victim;
    workload_.Make({0, workload_.per_producer() / 2}, &victim);
    if (absl::Status status = DamageRecord(log_, victim); !status.ok()) return status;
  }
  absl::PrintF("\n3. two named consumers read everything\n");
  const double stop = Between(&random_, 0.3, 0.7);
  ChildProcess first(
      [&] { return ConsumeAndDie(log_, workload_, stop, settings_.sabotage, oracle_.get()); });
  if (const Ending ending = first.Wait([] {}); ending.kind != Ending::Kind::kKilled) {
    return absl::UnavailableError("the reading process: " + ending.description);
  }
  billing_when_killed_ = oracle_->tally(1);
  absl::PrintF("   audit: %d records in one sitting\n", oracle_->tally(0).records);
  absl::PrintF("   billing: %d records, then its process was killed with SIGKILL\n",
               billing_when_killed_.records);
  ChildProcess second([&] { return ConsumeRest(log_, workload_, oracle_.get()); });
  if (const Ending ending = second.Wait([] {}); ending.kind != Ending::Kind::kFine) {
    return absl::UnavailableError("the second reading process: " + ending.description);
  }
  absl::PrintF("   billing: %d records more after the restart\n",
               oracle_->tally(1).records - billing_when_killed_.records);
  return absl::OkStatus();
}

absl::Status Demonstration::Run() {
  if (absl::Status status = MakeDirectory(); !status.ok()) return status;
  absl::PrintF("Millrace quickstart\n");
  if (absl::Status status = MeasureRaw(); !status.ok()) return status;
  if (absl::Status status = AppendAndKill(); !status.ok()) return status;
  if (absl::Status status = AppendOn(); !status.ok()) return status;
  return ReadAll();
}

int Demonstration::Conclude() {
  absl::PrintF("\n4. how fast, beside a loop that writes and syncs each record by itself\n");
  absl::PrintF("%s",
               TableOf({FiguresOf(workload_, picture_.total_acknowledged(), oracle_.get()), raw_}));
  absl::PrintF("\n5. checks\n");
  int failed = 0;
  for (const Check& check : AllChecks(workload_, picture_, billing_when_killed_, oracle_.get())) {
    const bool ok = check.result == Check::Result::kOk;
    if (!ok) ++failed;
    absl::PrintF("   %-7s %-72s  %s\n", ok ? "ok" : "FAILED", check.promise, check.evidence);
  }
  if (failed == 0) {
    absl::PrintF("\nAll checks hold.\n");
  } else {
    absl::PrintF("\n%d checks FAILED.\n", failed);
  }
  return failed == 0 ? kAllHold : kCheckFailed;
}

int Main(int argc, char** argv) {
  absl::StatusOr<Settings> settings = ParseSettings(argc, argv);
  if (!settings.ok()) {
    absl::FPrintF(stderr, "quickstart: %s\n", settings.status().message());
    return kCouldNotRun;
  }
  absl::StatusOr<Workload> workload = Workload::Load(settings->input);
  if (!workload.ok()) {
    absl::FPrintF(stderr, "quickstart: %s\n", workload.status().message());
    return kCouldNotRun;
  }
  Demonstration demonstration(*std::move(settings), *std::move(workload));
  if (absl::Status status = demonstration.Run(); !status.ok()) {
    absl::FPrintF(stderr, "quickstart: %s\n", status.message());
    return kCouldNotRun;
  }
  return demonstration.Conclude();
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
