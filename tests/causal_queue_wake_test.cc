// Goal: no wake-up is lost: not the consumer's, not a waiter's for space, not a control event's.
// Method: handshakes in which each side waits for the other, so that one lost wake-up stops the
// test (and its time limit reports it); with random pauses, to meet all stages of falling asleep.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "queue/atomics.h"
#include "queue/causal_queue.h"
#include "queue/credits.h"
#include "tests/queue_backings.h"
#include "tests/queue_relay.h"

namespace millrace {
namespace {

// Without the spinning that would hide most sleeps.
struct SleepyAtomics : StdAtomics {
  static constexpr int kSpins = 0;
};

constexpr uint64_t kHandshakes = kSanitized ? 20'000 : 300'000;

template <class Queue>
void Handshake(Queue& queue, int producers, uint64_t handshakes) {
  std::vector<std::thread> threads;
  for (int i = 0; i < producers; ++i) {
    threads.emplace_back([&queue, i, each = handshakes / static_cast<uint64_t>(producers)] {
      std::mt19937 random(static_cast<std::mt19937::result_type>(i));
      auto producer = queue.MakeProducer();
      for (uint64_t n = 0; n < each; ++n) {
        ASSERT_EQ(queue.Admit(producer, 1, 1, kNoDeadline), Admission::kAdmitted);
        for (auto pause = random() % 64; pause != 0; --pause) StdAtomics::Relax();
        ASSERT_TRUE(queue.Enqueue(producer, n));
      }
    });
  }
  std::vector<uint64_t> out;
  uint64_t received = 0;
  while (received < handshakes) {
    ASSERT_TRUE(queue.WaitForWork(kNoDeadline));
    out.clear();
    if (auto count = static_cast<uint32_t>(queue.Drain(&out)); count != 0) {
      received += count;
      queue.Return(count, count);
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(received, handshakes);
}

TEST(CausalQueueWakeTest, LosesNoWakeUpBetweenOneProducerAndTheConsumer) {
  // One record fits: the producer waits for the consumer and the consumer for the producer.
  CausalQueue<uint64_t, SleepyAtomics> queue(Limits{.records = 1, .bytes = 1});
  Handshake(queue, 1, kHandshakes);
}

TEST(CausalQueueWakeTest, LosesNoWakeUpAmongProducersThatWaitForSpace) {
  CausalQueue<uint64_t, SleepyAtomics> queue(Limits{.records = 2, .bytes = 2});
  Handshake(queue, 4, kHandshakes);
}

TEST(CausalQueueWakeTest, LosesNoWakeUpWithSpinning) {
  CausalQueue<uint64_t> queue(Limits{.records = 2, .bytes = 2});
  Handshake(queue, 2, kHandshakes);
}

TEST(CausalQueueWakeTest, LosesNoWakeUpOfAnIdleConsumer) {
  CausalQueue<uint64_t, SleepyAtomics> queue(Limits{});
  Handshake(queue, 2, kHandshakes);
}

TEST(CausalQueueWakeTest, LosesNoWakeUpOfAProducerThatWaitsForRoom) {
  CausalQueue<uint64_t, SleepyAtomics> queue(
      Limits{.records = 1000, .bytes = 1000, .per_producer = 2});
  Handshake(queue, 2, kHandshakes / 4);
}

// Counts how often the consumer sleeps for a short while only, to look again.
struct CountingAtomics : SleepyAtomics {
  static bool WaitAtMost(Atomic<uint32_t>& word, uint32_t expected,
                         std::chrono::microseconds longest, Deadline deadline) {
    ++short_sleeps;
    return SleepyAtomics::WaitAtMost(word, expected, longest, deadline);
  }
  static inline int short_sleeps = 0;
};

TEST(CausalQueueWakeTest, LooksAgainOnlyWhileAnElementIsOnItsWay) {
  CausalQueue<uint64_t, CountingAtomics, FailingBacking> queue(Limits{});
  auto producer = queue.MakeProducer();
  std::vector<uint64_t> out;
  const auto sleep_for_a_while = [&] {
    return queue.WaitForWork(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
  };
  EXPECT_FALSE(sleep_for_a_while());
  for (uint64_t n = 0; n < 100; ++n) {
    ASSERT_TRUE(queue.Enqueue(producer, n));
    ASSERT_TRUE(sleep_for_a_while());
    ASSERT_EQ(queue.Drain(&out), 1u);
  }
  EXPECT_FALSE(sleep_for_a_while());
  // Its stamp is never used. It tells the consumer that it is not on its way.
  ASSERT_FALSE(queue.Enqueue(producer, kFailingItem));
  EXPECT_TRUE(sleep_for_a_while());
  EXPECT_FALSE(sleep_for_a_while());
  EXPECT_EQ(CountingAtomics::short_sleeps, 0);
}

TEST(CausalQueueWakeTest, LosesNoControlEvent) {
  CausalQueue<uint64_t, SleepyAtomics> queue(Limits{});
  std::atomic<uint64_t> asked{0};
  std::atomic<uint64_t> answered{0};
  constexpr uint64_t kEvents = kHandshakes / 4;
  std::thread controller([&] {
    for (uint64_t n = 1; n <= kEvents; ++n) {
      asked.store(n, std::memory_order_relaxed);
      queue.WakeConsumer();
      while (answered.load(std::memory_order_acquire) != n) {
        answered.wait(n - 1, std::memory_order_acquire);
      }
    }
  });
  uint64_t seen = 0;
  while (seen < kEvents) {
    queue.WaitForWork(kNoDeadline);
    uint64_t now = asked.load(std::memory_order_relaxed);
    if (now == seen) continue;
    seen = now;
    answered.store(seen, std::memory_order_release);
    answered.notify_all();
  }
  controller.join();
  EXPECT_EQ(seen, kEvents);
}

TEST(CausalQueueWakeTest, CloseEndsEveryWait) {
  for (int round = 0; round < 200; ++round) {
    CausalQueue<uint64_t, SleepyAtomics> queue(Limits{.records = 1, .bytes = 1});
    ASSERT_EQ(queue.TryAdmit(1, 1), Admission::kAdmitted);
    std::vector<std::thread> waiters;
    for (int i = 0; i < 3; ++i) {
      waiters.emplace_back([&] { EXPECT_EQ(queue.Admit(1, 1, kNoDeadline), Admission::kClosed); });
    }
    std::thread consumer([&] {
      while (!queue.Finished()) queue.WaitForWork(kNoDeadline);
    });
    queue.Close();
    for (std::thread& waiter : waiters) waiter.join();
    queue.Return(1, 1);
    consumer.join();
  }
}

}  // namespace
}  // namespace millrace
