#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "tests/kill_test_check.h"
#include "tests/kill_test_child.h"
#include "tests/kill_test_oracle.h"
#include "tests/kill_test_parent.h"
#include "tests/temp_directory.h"

// Goal: what a log has acknowledged outlives the process, whenever that dies.
// Method: a process with eight producers, a cursor and a trimmer is killed with
// SIGKILL at random moments, and at chosen ones: inside a rotation, a checkpoint,
// a recovery. What each of its threads was told stands in a mapped file outside of
// the log. After each kill the log is read from outside, then opened by the next
// process, and both must agree with that file; then it goes on on the same log.
// `--seed=N` or MILLRACE_SEED repeats the choices, not the threads' timing;
// `--kills=N` or MILLRACE_KILLS goes on for longer, from 1000 kills on at a faster pace.

namespace millrace {
namespace {

#if defined(__has_feature)
#define MILLRACE_HAS_FEATURE(x) __has_feature(x)
#else
#define MILLRACE_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    MILLRACE_HAS_FEATURE(address_sanitizer) || MILLRACE_HAS_FEATURE(thread_sanitizer)
constexpr uint32_t kKills = 20;
#else
constexpr uint32_t kKills = 200;
#endif

constexpr uint32_t kCampaignKills = 1000;

KillTestOptions test_options;

// The last recovery, by this process, and then none: the log is closed in order.
void CheckAfterLastKill(const KillParent& parent) {
  {
    const absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(parent.log_directory());
    ASSERT_TRUE(log.ok()) << log.status();
    const RecoveryReport& report = (*log)->recovery();
    EXPECT_EQ(report.outcome, RecoveryReport::Outcome::kRecovered);
    EXPECT_TRUE(report.lost.empty()) << report.ToString();
    EXPECT_EQ(report.next_sequence, report.last_recovered + 1);
    const absl::StatusOr<std::unique_ptr<Cursor>> cursor = (*log)->OpenCursor("reader");
    ASSERT_TRUE(cursor.ok()) << cursor.status();
    EXPECT_GE((*cursor)->committed(), parent.oracle().checkpointed.Read());
    EXPECT_LE((*cursor)->committed(), parent.oracle().commit_asked.Read());
    EXPECT_EQ((*log)->Close(), absl::OkStatus());
  }
  const KillCheck check = CheckLog(parent.log_directory(), parent.oracle(), test_options.seed);
  EXPECT_TRUE(check.verdict.ok()) << check.verdict.ToString();
  const absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(parent.log_directory());
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ((*log)->recovery().outcome, RecoveryReport::Outcome::kClean);
  EXPECT_EQ((*log)->recovery().next_sequence, check.last + 1);
}

TEST(KillTest, KeepsWhatWasAcknowledgedThroughEveryKill) {
  const TempDirectory directory;
  KillParent parent(test_options, directory.path());
  std::printf("seed %llu\n", static_cast<unsigned long long>(test_options.seed));
  std::string problem;
  // Of few kills chance may leave too few with appends in flight: then some more.
  const auto enough = [&] {
    const KillTally& tally = parent.tally();
    return tally.kills >= test_options.kills &&
           (tally.in_flight * 10 >= tally.kills * 9 || tally.kills >= 3 * test_options.kills);
  };
  while (problem.empty() && !enough()) problem = parent.KillOnce();
  EXPECT_EQ(problem, "");

  const KillOracle& oracle = parent.oracle();
  const KillTally& tally = parent.tally();
  std::printf("records checked %llu, segments recycled %llu, trimmed before %llu, delivered %llu\n",
              static_cast<unsigned long long>(tally.checked),
              static_cast<unsigned long long>(oracle.recycled.Read()),
              static_cast<unsigned long long>(oracle.trimmed.Read()),
              static_cast<unsigned long long>(oracle.delivered.Read()));
  std::printf("%s\n", parent.Summary().c_str());
  if (!problem.empty()) return;
  CheckAfterLastKill(parent);

  // Without these the kills would have proved less than they say.
  EXPECT_GE(tally.in_flight * 10, tally.kills * 9);
  for (const KillWindow window :
       {KillWindow::kRecovery, KillWindow::kRotation, KillWindow::kCheckpoint}) {
    EXPECT_GE(tally.inside[static_cast<size_t>(window)], tally.kills / 20)
        << "window " << static_cast<int>(window);
  }
  EXPECT_GT(parent.acknowledged(), 0u);
  EXPECT_GT(oracle.recycled.Read(), 0u);
  EXPECT_GT(oracle.trimmed.Read(), 1u);
  EXPECT_GT(oracle.checkpointed.Read(), 0u);
}

uint64_t NumberFrom(const char* text) { return std::strtoull(text, nullptr, 10); }

// From the environment, then from the command line.
void ReadOptions(int argc, char** argv) {
  test_options.seed =
      static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  test_options.kills = kKills;
  if (const char* seed = std::getenv("MILLRACE_SEED")) test_options.seed = NumberFrom(seed);
  if (const char* kills = std::getenv("MILLRACE_KILLS")) {
    test_options.kills = static_cast<uint32_t>(NumberFrom(kills));
  }
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--seed=")) test_options.seed = NumberFrom(argv[i] + 7);
    if (word.starts_with("--kills=")) {
      test_options.kills = static_cast<uint32_t>(NumberFrom(argv[i] + 8));
    }
  }
  if (test_options.kills >= kCampaignKills) test_options.pace = KillTestOptions::Pace::kCampaign;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  using millrace::NumberFrom;
  // As KillParent::Start calls it.
  if (argc == 6 && std::string_view(argv[1]) == "--child") {
    millrace::KillChildArguments arguments;
    arguments.directory = argv[2];
    arguments.oracle = argv[3];
    arguments.seed = NumberFrom(argv[4]);
    arguments.generation = static_cast<uint32_t>(NumberFrom(argv[5]));
    millrace::RunKillChild(arguments);
  }
  testing::InitGoogleTest(&argc, argv);
  millrace::ReadOptions(argc, argv);
  return RUN_ALL_TESTS();
}
