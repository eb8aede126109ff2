#ifndef MILLRACE_KILL_TEST_PARENT_H_
#define MILLRACE_KILL_TEST_PARENT_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "tests/kill_test_check.h"
#include "tests/kill_test_oracle.h"

namespace millrace {

struct KillTestOptions {
  uint64_t seed = 0;
  uint32_t kills = 200;
  enum class Pace : uint8_t {
    kTest,      // lets the log run for up to half a second between two kills
    kCampaign,  // for a few milliseconds: five times as many kills
  } pace = Pace::kTest;
};

// When a process is to be killed.
struct KillPlan {
  enum class Moment : uint8_t {
    kAnytime,  // `delay` after it began to append
    kStopped,  // stopped at one call inside of `window`
    kInside,   // running inside of `window`, `delay` after it was seen there
  };
  Moment moment = Moment::kAnytime;
  KillWindow window = KillWindow::kRotation;
  std::chrono::microseconds delay{0};
};

// What the kills hit, as the oracle shows it after each death.
struct KillTally {
  uint32_t kills = 0;
  uint32_t in_flight = 0;
  uint32_t inside[kKillWindows] = {};
  uint32_t hangs = 0;
  uint64_t checked = 0;  // records read back, over all checks
  OracleVerdict total;   // sums
};

// Kills the process of tests/kill_test_child.h again and again, on one log, and
// checks that log after each time. Has no threads while it makes processes.
class KillParent {
 public:
  KillParent(const KillTestOptions& options, std::string directory);

  // Starts a process, kills it, checks. Returns what is wrong; empty if nothing.
  std::string KillOnce();

  const KillTally& tally() const { return tally_; }
  const KillOracle& oracle() const { return *oracle_; }
  const std::string& log_directory() const { return log_directory_; }
  uint64_t acknowledged() const;  // over all generations
  // One line for a machine to read.
  std::string Summary() const;

 private:
  KillPlan Plan();
  KillPlan Aim(KillWindow window);
  void Forget();
  pid_t Start() const;
  bool Await(pid_t child, const KillPlan& plan);
  template <class Condition>
  bool Poll(pid_t child, std::chrono::milliseconds at_most, Condition condition);
  std::string Classify(int wait_status);
  std::string Check();
  uint64_t Below(uint64_t bound) { return random_() % bound; }

  const KillTestOptions options_;
  const std::string log_directory_;
  const std::string oracle_path_;
  KillOracle* const oracle_;
  std::mt19937_64 random_;
  KillTally tally_;
  std::optional<int> early_status_;  // of a child that ended by itself
  uint64_t recovery_calls_ = 40;     // of the last complete Log::Open
};

}  // namespace millrace

#endif  // MILLRACE_KILL_TEST_PARENT_H_
