// Goal: whoever sleeps is woken by work, by news or by the clock, and by nothing else.
// Method: each reason alone; then many rounds in which the news comes at any moment.

#include <atomic>
#include <chrono>
#include <thread>

#include "gtest/gtest.h"
#include "queue/atomics.h"
#include "queue/wait_strategy.h"

namespace millrace {
namespace {

Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::milliseconds(5); }

constexpr auto kNothing = [] { return false; };

TEST(SleeperTest, DoesNotSleepIfThereIsWork) {
  Sleeper<StdAtomics> sleeper;
  EXPECT_TRUE(sleeper.Sleep([] { return true; }, kNoDeadline));
}

TEST(SleeperTest, SleepsUntilItsDeadline) {
  Sleeper<StdAtomics> sleeper;
  const Deadline deadline = Soon();
  EXPECT_FALSE(sleeper.Sleep(kNothing, deadline));
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
}

TEST(SleeperTest, ADeadlineInThePastDoesNotSleep) {
  Sleeper<StdAtomics> sleeper;
  EXPECT_FALSE(sleeper.Sleep(kNothing, Deadline::min()));
  EXPECT_FALSE(sleeper.Sleep(kNothing, Deadline()));
}

TEST(SleeperTest, NewsBeforeItSleepsIsNotLostAndCountsOnce) {
  Sleeper<StdAtomics> sleeper;
  sleeper.Notify();
  sleeper.Notify();
  EXPECT_TRUE(sleeper.Sleep(kNothing, kNoDeadline));
  EXPECT_FALSE(sleeper.Sleep(kNothing, Soon()));
}

TEST(SleeperTest, NewsDuringItsSearchIsNotLost) {
  Sleeper<StdAtomics> sleeper;
  const auto notify_and_find_nothing = [&] {
    sleeper.Notify();
    return false;
  };
  EXPECT_TRUE(sleeper.Sleep(notify_and_find_nothing, kNoDeadline));
  const auto wake_and_find_nothing = [&] {
    sleeper.WakeIfAsleep();
    return false;
  };
  EXPECT_TRUE(sleeper.Sleep(wake_and_find_nothing, kNoDeadline));
}

TEST(SleeperTest, AnAwakeOneNeedsNoWaking) {
  Sleeper<StdAtomics> sleeper;
  sleeper.WakeIfAsleep();
  EXPECT_FALSE(sleeper.Sleep(kNothing, Soon()));
}

TEST(SleeperTest, NoWorkIsMissedWheneverItComes) {
  constexpr int kRounds = 2000;
  Sleeper<StdAtomics> sleeper;
  std::atomic<int> work{0};
  std::thread worker([&] {
    for (int i = 0; i < kRounds; ++i) {
      // relaxed: the fences of the sleeper order it.
      while (work.load(std::memory_order_relaxed) != i) std::this_thread::yield();
      work.store(-1 - i, std::memory_order_relaxed);
      sleeper.WakeIfAsleep();
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    // relaxed: as above.
    const auto done = [&] { return work.load(std::memory_order_relaxed) == -1 - i; };
    while (!done()) EXPECT_TRUE(sleeper.Sleep(done, kNoDeadline));
    work.store(i + 1, std::memory_order_relaxed);
  }
  worker.join();
}

TEST(WaitersTest, DoNotWaitForWhatHolds) {
  Waiters<StdAtomics> waiters;
  EXPECT_TRUE(waiters.Await([] { return true; }, Deadline::min()));
  waiters.Notify();
}

TEST(WaitersTest, GiveUpAtTheirDeadlineAfterALastLook) {
  Waiters<StdAtomics> waiters;
  const Deadline deadline = Soon();
  EXPECT_FALSE(waiters.Await(kNothing, deadline));
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
  int looks = 0;
  const auto on_the_last_look = [&] { return ++looks > StdAtomics::kSpins + 1; };
  EXPECT_TRUE(waiters.Await(on_the_last_look, Deadline::min()));
}

TEST(WaitersTest, AllAreToldOfTheChangeTheyWaitFor) {
  Waiters<StdAtomics> waiters;
  std::atomic<int> value{0};
  std::thread first([&] {
    // relaxed: the fences of the waiters order it.
    EXPECT_TRUE(
        waiters.Await([&] { return value.load(std::memory_order_relaxed) >= 1; }, kNoDeadline));
  });
  std::thread second([&] {
    // relaxed: as above.
    EXPECT_TRUE(
        waiters.Await([&] { return value.load(std::memory_order_relaxed) >= 2; }, kNoDeadline));
  });
  for (int i = 1; i <= 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    value.store(i, std::memory_order_relaxed);
    waiters.Notify();
  }
  first.join();
  second.join();
}

}  // namespace
}  // namespace millrace
