#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/log_model_content.h"
#include "tests/log_model_fault.h"
#include "tests/log_model_run.h"
#include "tests/model_faults.h"
#include "tests/under_sanitizer.h"

// Goal: whatever is called in whatever order, through crashes and reopenings, a log does what its
// headers say, and a wrong log is told from a right one.
// Method: random operations on a log over a simulated disk and on a plain model of it, side by
// side; every result is compared. Runs of some hundred operations, each on a disk of its own,
// follow from the seed and the run's number, but for the timing of the log's threads. Then the
// same with a deliberate fault in the log or in the disk, which must make a difference.
// `--operations=N --seed=S --first_run=R`, or MILLRACE_OPERATIONS, MILLRACE_SEED and
// MILLRACE_FIRST_RUN, go on for longer or repeat a run.

namespace millrace {
namespace {

struct Settings {
  uint64_t operations = kUnderSanitizer ? 30'000 : 200'000;
  uint64_t seed = 1;
  uint64_t first_run = 0;
};
Settings settings;

constexpr uint64_t kMostOperationsOfARun = 4000;
// In which each deliberate fault must be found.
constexpr uint64_t kOperationsToFindAFault = 100'000;

ModelChoices ChoicesOf(uint64_t run) {
  return ModelChoices(ModelRandom(settings.seed * 1'000'003 + run).Next());
}

struct Outcome {
  std::string difference;  // empty: none
  uint64_t operations = 0;
  ModelRun::Tally tally;
};

// Performs runs until `operations` are done or one differs.
Outcome PerformRuns(uint64_t operations, ModelFault& fault, std::atomic<uint64_t>& next_run,
                    std::atomic<bool>& stop) {
  Outcome outcome;
  // relaxed, both: a counter, and a hint to end soon.
  while (outcome.operations < operations && !stop.load(std::memory_order_relaxed)) {
    const uint64_t number = next_run.fetch_add(1, std::memory_order_relaxed);
    ModelChoices choices = ChoicesOf(number);
    const uint64_t length = 1 + choices.Below(kMostOperationsOfARun);
    ModelRun run(choices, &fault);
    const std::optional<std::string> difference =
        run.Run(std::min(length, operations - outcome.operations));
    outcome.operations += run.performed();
    outcome.tally.Add(run.tally);
    if (!difference.has_value()) continue;
    outcome.difference = "repeat with --operations=4000 --seed=" + std::to_string(settings.seed) +
                         " --first_run=" + std::to_string(number) + "\nseed " +
                         std::to_string(settings.seed) + ", run " + std::to_string(number) + ", " +
                         *difference;
    // relaxed: as above.
    stop.store(true, std::memory_order_relaxed);
  }
  return outcome;
}

TEST(LogModelTest, LogAgreesWithModelThroughCrashesAndReopenings) {
  // A blocking call waits for the log's writer: a second run fills the time.
  constexpr uint64_t kThreads = 3;
  std::atomic<uint64_t> next_run{settings.first_run};
  std::atomic<bool> stop{false};
  std::vector<Outcome> outcomes(kThreads);
  std::vector<std::thread> threads;
  for (Outcome& outcome : outcomes) {
    threads.emplace_back([&] {
      ModelFault none;
      outcome = PerformRuns(settings.operations / kThreads, none, next_run, stop);
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t operations = 0;
  uint64_t differences = 0;
  ModelRun::Tally tally;
  for (const Outcome& outcome : outcomes) {
    operations += outcome.operations;
    tally.Add(outcome.tally);
    if (outcome.difference.empty()) continue;
    ++differences;
    ADD_FAILURE() << outcome.difference;
  }
  std::printf("seed %llu: %llu operations in %llu runs, %llu differences\n",
              static_cast<unsigned long long>(settings.seed),
              static_cast<unsigned long long>(operations),
              // relaxed: the threads are joined.
              static_cast<unsigned long long>(next_run.load(std::memory_order_relaxed) -
                                              settings.first_run),
              static_cast<unsigned long long>(differences));
  std::printf("%s\n", tally.ToString().c_str());
  // Without these the operations would have shown less than they seem to.
  if (differences == 0) {
    EXPECT_EQ(tally.Missing(), "");
  }
}

class ModelFindsFaultTest : public testing::TestWithParam<size_t> {};

TEST_P(ModelFindsFaultTest, WithinSoManyOperations) {
  const NamedModelFault& named = ModelFaults()[GetParam()];
  const std::unique_ptr<ModelFault> fault = named.make();
  std::atomic<uint64_t> next_run{0};
  std::atomic<bool> stop{false};
  const Outcome outcome = PerformRuns(kOperationsToFindAFault, *fault, next_run, stop);
  EXPECT_NE(outcome.difference, "");
  std::printf("%s: found after %llu operations\n%s", std::string(named.name).c_str(),
              static_cast<unsigned long long>(outcome.operations),
              outcome.difference.substr(0, outcome.difference.find("the last operations")).c_str());
}

INSTANTIATE_TEST_SUITE_P(ModelFindsFault, ModelFindsFaultTest,
                         testing::Range<size_t>(0, ModelFaults().size()),
                         [](const testing::TestParamInfo<size_t>& info) {
                           return std::string(ModelFaults()[info.param].name);
                         });

void Set(uint64_t* setting, const char* text) {
  if (text != nullptr) *setting = std::strtoull(text, nullptr, 0);
}

void SetFrom(std::string_view argument) {
  const auto set = [&](std::string_view flag, uint64_t* setting) {
    if (argument.starts_with(flag)) Set(setting, std::string(argument.substr(flag.size())).c_str());
  };
  set("--operations=", &settings.operations);
  set("--seed=", &settings.seed);
  set("--first_run=", &settings.first_run);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  millrace::Set(&millrace::settings.operations, std::getenv("MILLRACE_OPERATIONS"));
  millrace::Set(&millrace::settings.seed, std::getenv("MILLRACE_SEED"));
  millrace::Set(&millrace::settings.first_run, std::getenv("MILLRACE_FIRST_RUN"));
  for (int i = 1; i < argc; ++i) millrace::SetFrom(argv[i]);
  return RUN_ALL_TESTS();
}
