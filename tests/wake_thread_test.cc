// Goal: everybody whose append was handed over is woken, once, with its number, and
// the writer never waits for it.
// Method: threads that wait on completions, handed over in rounds.

#include "wal/wake_thread.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/under_sanitizer.h"
#include "wal/completion.h"

namespace millrace {
namespace {

constexpr int kWaiters = 32;
constexpr int kRounds = kUnderSanitizer ? 200 : 5000;

TEST(WakeThreadTest, WakesEveryWaiterOfEveryRound) {
  CompletionGates gates;
  std::vector<std::unique_ptr<Completion>> completions;
  for (int i = 0; i < kWaiters; ++i) completions.push_back(std::make_unique<Completion>());
  std::atomic<int> ready{0};
  std::atomic<int> round{0};
  std::atomic<uint64_t> wrong{0};
  std::vector<std::thread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&, i] {
      for (int r = 1; r <= kRounds; ++r) {
        completions[i]->Begin(&gates);
        ++ready;
        ready.notify_one();
        if (completions[i]->Await() != static_cast<SequenceNumber>(r * kWaiters + i)) ++wrong;
        round.wait(r - 1);
      }
    });
  }
  WakeThread wake(&gates);
  uint64_t inline_rounds = 0;
  std::vector<WakeThread::Finished> finished;
  for (int r = 1; r <= kRounds; ++r) {
    for (int seen = ready; seen < kWaiters; seen = ready) ready.wait(seen);
    ready = 0;
    gates.BeginGroup();
    for (int i = 0; i < kWaiters; ++i) {
      finished.push_back({completions[i].get(), static_cast<SequenceNumber>(r * kWaiters + i)});
    }
    if (!wake.Take(&finished)) {
      // Still at the end of the round before: the writer's own work then.
      ++inline_rounds;
      for (const auto& f : finished) f.completion->Finish(f.sequence);
      finished.clear();
    }
    ASSERT_TRUE(finished.empty());
    round = r;
    round.notify_all();
  }
  for (std::thread& waiter : waiters) waiter.join();
  wake.Stop();
  EXPECT_EQ(wrong, 0u);
  EXPECT_LT(inline_rounds, static_cast<uint64_t>(kRounds));
}

// The moment between a look at what is waited for and the sleep.
TEST(CompletionGatesTest, GateThatOpensBeforeTheSleepIsNotSleptBefore) {
  CompletionGates gates;
  int looks = 0;
  gates.Await(2, [&] {
    if (++looks == 1) gates.Open(CompletionGates::Mask{1} << 2);
    return looks == 2;
  });
  EXPECT_EQ(looks, 2);
}

// How often a waiter looks before it would sleep, where the looks from `done_at` on find it done.
int LooksBeforeSleep(const CompletionGates& gates, int done_at, bool* done) {
  int looks = 0;
  *done = gates.YieldUntil([&] { return ++looks >= done_at; });
  return looks;
}

TEST(CompletionGatesTest, WaiterLooksAgainBeforeItSleepsOnlyInACrowd) {
  CompletionGates gates(/*yields=*/16);
  bool done = false;
  EXPECT_EQ(LooksBeforeSleep(gates, 1, &done), 0);
  EXPECT_FALSE(done);
  gates.Told(CompletionGates::kCrowd - 1);
  EXPECT_EQ(LooksBeforeSleep(gates, 1, &done), 0);
  gates.Told(CompletionGates::kCrowd);
  EXPECT_EQ(LooksBeforeSleep(gates, 3, &done), 3);
  EXPECT_TRUE(done);
  EXPECT_EQ(LooksBeforeSleep(gates, 17, &done), 16);
  EXPECT_FALSE(done);
  gates.Told(1);
  EXPECT_EQ(LooksBeforeSleep(gates, 1, &done), 0);
}

TEST(WakeThreadTest, StopFinishesWhatWasTaken) {
  for (int r = 0; r < 200; ++r) {
    CompletionGates gates;
    Completion completion;
    completion.Begin(&gates);
    std::vector<WakeThread::Finished> finished = {{&completion, 7}};
    WakeThread wake(&gates);
    ASSERT_TRUE(wake.Take(&finished));
    wake.Stop();
    EXPECT_EQ(completion.Await(), 7u);
  }
}

TEST(WakeThreadTest, StopWithoutUseDoesNothing) {
  CompletionGates gates;
  WakeThread wake(&gates);
  wake.Stop();
}

}  // namespace
}  // namespace millrace
