#include "tests/kill_test_parent.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace millrace {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A child that does not get where it should in this time hangs.
constexpr milliseconds kPatience{60000};

size_t Index(KillWindow window) { return static_cast<size_t>(window); }

}  // namespace

KillParent::KillParent(const KillTestOptions& options, std::string directory)
    : options_(options),
      log_directory_(directory + "/log"),
      oracle_path_(directory + "/oracle"),
      oracle_(MapKillOracle(oracle_path_)),
      random_(options.seed) {}

KillPlan KillParent::Aim(KillWindow window) {
  KillPlan plan;
  plan.window = window;
  plan.moment = Below(2) == 0 ? KillPlan::Moment::kStopped : KillPlan::Moment::kInside;
  if (plan.moment == KillPlan::Moment::kStopped) {
    // What the other threads do meanwhile differs with the delay.
    plan.delay = microseconds(Below(2000));
    const uint64_t calls = window == KillWindow::kRecovery ? recovery_calls_ : 30;
    oracle_->aim.window.Write(Index(window));
    oracle_->aim.after.Write(Below(2));
    oracle_->aim.call.Write(1 + Below(calls));
  } else if (window == KillWindow::kRecovery) {
    plan.delay = microseconds(Below(1 + oracle_->open_us.Read()));
  } else {
    plan.delay = microseconds(Below(150));
  }
  return plan;
}

KillPlan KillParent::Plan() {
  const uint32_t k = tally_.kills;
  if (k % 20 == 5) return Aim(KillWindow::kRecovery);
  // The making of the log, too; and recoveries of a log that was killed while it
  // recovered.
  if (options_.kills >= 100 && (k < 2 || k % 100 == 6)) return Aim(KillWindow::kRecovery);
  if (k % 10 == 3) return Aim(KillWindow::kRotation);
  if (k % 10 == 7) return Aim(KillWindow::kCheckpoint);
  // Those of the above that came too early or too late are made up for at the end.
  if (k >= options_.kills * 3 / 4 && k % 2 == 0) {
    for (const KillWindow window :
         {KillWindow::kRecovery, KillWindow::kRotation, KillWindow::kCheckpoint}) {
      if (tally_.inside[Index(window)] < options_.kills / 20) return Aim(window);
    }
  }
  KillPlan plan;
  // 0.3 to 40 ms, short ones as likely as long ones, and some that let it run. In a campaign the
  // number of kills counts for more than how far the log comes between two of them.
  const double longest = options_.pace == KillTestOptions::Pace::kCampaign ? 4000 : 40000;
  const double exponent = static_cast<double>(Below(10001)) / 10000;
  plan.delay = microseconds(static_cast<int64_t>(300 * std::pow(longest / 300, exponent)));
  if (options_.pace == KillTestOptions::Pace::kCampaign) {
    if (k % 64 == 2) plan.delay = milliseconds(100);
  } else if (k % 8 == 2) {
    plan.delay = milliseconds(100 + Below(400));
  }
  return plan;
}

// What the notes say of a process that is gone.
void KillParent::Forget() {
  oracle_->phase.Write(static_cast<uint64_t>(KillPhase::kStarting));
  oracle_->stopped.Write(0);
  oracle_->aim.call.Write(0);
  for (size_t w = 0; w < kKillWindows; ++w) {
    oracle_->inside[w].Write(0);
    oracle_->calls[w].Write(0);
  }
  for (KillProducerNotes& notes : oracle_->producers) {
    notes.returned.Write(notes.issued.Read());
    notes.called_back.Write(0);
  }
}

pid_t KillParent::Start() const {
  const std::string words[] = {"kill_test",
                               "--child",
                               log_directory_,
                               oracle_path_,
                               absl::StrCat(options_.seed),
                               absl::StrCat(tally_.kills + 1)};
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t child = -1;
  const int error = posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, argv.data(), environ);
  if (error != 0) {
    std::fprintf(stderr, "kill_test: posix_spawn: error %d\n", error);
    std::abort();
  }
  return child;
}

template <class Condition>
bool KillParent::Poll(pid_t child, milliseconds at_most, Condition condition) {
  const auto deadline = steady_clock::now() + at_most;
  for (uint64_t turn = 0; !condition(); ++turn) {
    if (turn % 16 == 15) {
      int status = 0;
      if (waitpid(child, &status, WNOHANG) == child) {
        early_status_ = status;
        return false;
      }
      if (steady_clock::now() > deadline) return false;
    }
    std::this_thread::sleep_for(microseconds(10));
  }
  return true;
}

// Returns at the moment to kill; false if the child hangs or has ended.
bool KillParent::Await(pid_t child, const KillPlan& plan) {
  const auto recovering = [this] {
    return oracle_->phase.Read() >= static_cast<uint64_t>(KillPhase::kRecovering);
  };
  const auto stopped = [this] { return oracle_->stopped.Read() == 1; };
  const auto appending = [this] { return AppendsInFlight(*oracle_) > 0; };
  const bool recovery =
      plan.moment != KillPlan::Moment::kAnytime && plan.window == KillWindow::kRecovery;
  if (recovery && plan.moment == KillPlan::Moment::kStopped) {
    if (!Poll(child, kPatience, [&] { return stopped() || appending(); })) return false;
  } else if (recovery) {
    if (!Poll(child, kPatience, recovering)) return false;
  } else {
    if (!Poll(child, kPatience, appending)) return false;
    // Some windows are rare on a slow machine: the kill then comes outside of them.
    if (plan.moment == KillPlan::Moment::kStopped) Poll(child, milliseconds(2000), stopped);
    if (plan.moment == KillPlan::Moment::kInside) {
      std::this_thread::sleep_for(microseconds(300 + Below(10000)));
      const KillNote& inside = oracle_->inside[Index(plan.window)];
      Poll(child, milliseconds(2000), [&inside] { return inside.Read() > 0; });
    }
  }
  std::this_thread::sleep_for(plan.delay);
  return !early_status_.has_value();
}

std::string KillParent::Classify(int wait_status) {
  if (!WIFSIGNALED(wait_status) || WTERMSIG(wait_status) != SIGKILL) {
    return absl::StrFormat("generation %u ended by itself, wait status %d: see its message above",
                           tally_.kills + 1, wait_status);
  }
  ++tally_.kills;
  if (AppendsInFlight(*oracle_) > 0) ++tally_.in_flight;
  if (oracle_->inside[Index(KillWindow::kRecovery)].Read() > 0) {
    ++tally_.inside[Index(KillWindow::kRecovery)];
    return "";
  }
  recovery_calls_ = std::max<uint64_t>(1, oracle_->calls[Index(KillWindow::kRecovery)].Read());
  for (const KillWindow window : {KillWindow::kRotation, KillWindow::kCheckpoint}) {
    if (oracle_->inside[Index(window)].Read() > 0) ++tally_.inside[Index(window)];
  }
  return "";
}

std::string KillParent::Check() {
  const KillCheck check = CheckLog(log_directory_, *oracle_, options_.seed);
  tally_.checked += check.verdict.records;
  tally_.total.lost_acknowledged += check.verdict.lost_acknowledged;
  tally_.total.invented += check.verdict.invented;
  tally_.total.duplicated += check.verdict.duplicated;
  tally_.total.reordered += check.verdict.reordered;
  tally_.total.gaps += check.verdict.gaps;
  if (check.verdict.ok()) return "";
  return absl::StrFormat("after kill %u: %s", tally_.kills, check.verdict.ToString());
}

std::string KillParent::KillOnce() {
  Forget();
  const KillPlan plan = Plan();
  const pid_t child = Start();
  const bool there = Await(child, plan);
  int status = 0;
  if (early_status_.has_value()) {
    status = *early_status_;
  } else {
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
  }
  std::string problem = Classify(status);
  if (problem.empty() && !there) {
    problem =
        absl::StrFormat("generation %u hung in phase %u", tally_.kills, oracle_->phase.Read());
    ++tally_.hangs;
  }
  return problem.empty() ? Check() : problem;
}

uint64_t KillParent::acknowledged() const {
  uint64_t acknowledged = 0;
  for (const ProducerHistory& history : Histories(*oracle_)) {
    for (uint64_t i = 0; i < history.issued; ++i) {
      if (history.acknowledged[i] != kNoSequence) ++acknowledged;
    }
  }
  return acknowledged;
}

std::string KillParent::Summary() const {
  // What is lost and was acknowledged is lost in silence: a report of it counts among the gaps.
  return absl::StrFormat(
      "RELIABILITY target=kill_test seed=%u states=%u acked=%u lost_acked=%u invented=%u "
      "reordered=%u silent=%u hangs=%u in_flight=%u rotation=%u checkpoint=%u recovery=%u",
      options_.seed, tally_.kills, acknowledged(), tally_.total.lost_acknowledged,
      tally_.total.invented, tally_.total.reordered + tally_.total.duplicated + tally_.total.gaps,
      tally_.total.lost_acknowledged, tally_.hangs, tally_.in_flight,
      tally_.inside[Index(KillWindow::kRotation)], tally_.inside[Index(KillWindow::kCheckpoint)],
      tally_.inside[Index(KillWindow::kRecovery)]);
}

}  // namespace millrace
