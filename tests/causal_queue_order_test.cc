// Goal: the queue gives elements out in an order that respects happens-before (R1), and per
// producer in the order of enqueueing; and these tests would notice if it did not. Method: a baton
// relay over 2 to 32 threads, through the shipping queue, with small limits, and over the most
// unkind queue underneath. The same relay through the bare moodycamel queue and through a drain
// with one pass only must show violations.

#include <atomic>
#include <cstdint>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "queue/atomics.h"
#include "queue/causal_queue.h"
#include "queue/credits.h"
#include "queue/moodycamel.h"
#include "tests/queue_backings.h"
#include "tests/queue_relay.h"

namespace millrace {
namespace {

template <class Queue>
RelayResult RelayThrough(Queue& queue, int threads, uint64_t hops) {
  return RunRelay(
      threads, hops,
      [&] {
        auto producer = std::make_shared<typename Queue::Producer>(queue.MakeProducer());
        return [&queue, producer](uint64_t number) {
          ASSERT_EQ(queue.Admit(*producer, 1, 8, kNoDeadline), Admission::kAdmitted);
          ASSERT_TRUE(queue.Enqueue(*producer, number));
        };
      },
      [&](std::vector<uint64_t>* out) {
        if (auto count = static_cast<uint32_t>(queue.Drain(out)); count != 0) {
          queue.Return(count, uint64_t{count} * 8);
        } else {
          std::this_thread::yield();
        }
      });
}

class CausalQueueRelayTest : public testing::TestWithParam<int> {};

TEST_P(CausalQueueRelayTest, KeepsTheOrderOfTheBaton) {
  CausalQueue<uint64_t> queue(Limits{});
  RelayResult result = RelayThrough(queue, GetParam(), RelayHops(GetParam()));
  EXPECT_EQ(result.violations, 0u);
  EXPECT_EQ(result.received, RelayHops(GetParam()));
  EXPECT_TRUE(queue.Idle());
}

TEST_P(CausalQueueRelayTest, KeepsTheOrderOfTheBatonWithSmallLimits) {
  CausalQueue<uint64_t> queue(Limits{.records = 4, .bytes = 32, .per_producer = 2});
  uint64_t hops = RelayHops(GetParam()) / 10;
  RelayResult result = RelayThrough(queue, GetParam(), hops);
  EXPECT_EQ(result.violations, 0u);
  EXPECT_EQ(result.received, hops);
}

TEST_P(CausalQueueRelayTest, KeepsTheOrderOfTheBatonOverAnUnkindQueue) {
  CausalQueue<uint64_t, StdAtomics, AdversarialBacking> queue(Limits{});
  uint64_t hops = RelayHops(GetParam()) / 10;
  RelayResult result = RelayThrough(queue, GetParam(), hops);
  EXPECT_EQ(result.violations, 0u);
  EXPECT_EQ(result.received, hops);
}

INSTANTIATE_TEST_SUITE_P(Threads, CausalQueueRelayTest, testing::Values(2, 4, 8, 32));

// Repeats a relay that is expected to fail until it has.
template <class Relay>
uint64_t ViolationsWithin(int tries, Relay relay) {
  uint64_t violations = 0;
  for (int i = 0; i < tries && violations == 0; ++i) violations = relay().violations;
  std::cout << violations << " violations\n";
  return violations;
}

constexpr uint64_t kBareHops = 20'000;

RelayResult RelayThroughBareQueue() {
  moodycamel::ConcurrentQueue<uint64_t> queue;
  return RunRelay(
      4, kBareHops,
      [&] {
        auto token = std::make_shared<moodycamel::ProducerToken>(queue);
        return [&queue, token](uint64_t number) { ASSERT_TRUE(queue.enqueue(*token, number)); };
      },
      [&](std::vector<uint64_t>* out) {
        out->resize(1024);
        out->resize(queue.try_dequeue_bulk(out->begin(), out->size()));
        if (out->empty()) std::this_thread::yield();
      });
}

TEST(BareQueueRelayTest, TheQueueUnderneathAloneBreaksTheOrder) {
  EXPECT_GT(ViolationsWithin(20, RelayThroughBareQueue), 0u);
}

TEST(OnePassRelayTest, ADrainWithOnePassBreaksTheOrder) {
  if (kSanitized) GTEST_SKIP() << "too rare at a sanitizer's speed";
  EXPECT_GT(ViolationsWithin(20,
                             [] {
                               CausalQueue<uint64_t, StdAtomics, OnePassBacking> queue(Limits{});
                               return RelayThrough(queue, 4, RelayHops(4));
                             }),
            0u);
}

// The relay judges the order itself, not what a queue says of it.
TEST(RelayTest, NoticesEveryInversion) {
  std::atomic<uint64_t> enqueued{0};
  RelayResult result = RunRelay(
      2, 100,
      [&] { return [&](uint64_t number) { enqueued.store(number, std::memory_order_release); }; },
      [&](std::vector<uint64_t>* out) {
        if (enqueued.load(std::memory_order_acquire) != 100) return;
        for (uint64_t number = 100; number != 0; --number) out->push_back(number);
      });
  EXPECT_EQ(result.violations, 99u);
}

template <class Queue>
void ExpectEachProducersOrder(Queue& queue, uint64_t producers, uint64_t each) {
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < producers; ++i) {
    threads.emplace_back([&queue, i, each] {
      auto producer = queue.MakeProducer();
      for (uint64_t n = 1; n <= each; ++n) {
        ASSERT_EQ(queue.Admit(producer, 1, 1, kNoDeadline), Admission::kAdmitted);
        ASSERT_TRUE(queue.Enqueue(producer, (i << 32) | n));
      }
    });
  }
  std::vector<uint64_t> next(producers, 1);
  std::vector<uint64_t> out;
  uint64_t received = 0;
  while (received < producers * each) {
    queue.WaitForWork(kNoDeadline);
    out.clear();
    auto count = static_cast<uint32_t>(queue.Drain(&out));
    for (uint64_t item : out) ASSERT_EQ(item & 0xffffffff, next[item >> 32]++);
    received += count;
    if (count != 0) queue.Return(count, count);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(queue.Idle());
}

TEST(CausalQueueOrderTest, KeepsTheOrderOfEachProducer) {
  CausalQueue<uint64_t> queue(Limits{});
  ExpectEachProducersOrder(queue, 8, kSanitized ? 10'000 : 200'000);
}

TEST(CausalQueueOrderTest, KeepsTheOrderOfEachProducerWithSmallLimits) {
  CausalQueue<uint64_t> queue(Limits{.records = 16, .bytes = 16, .per_producer = 4});
  ExpectEachProducersOrder(queue, 8, 5'000);
}

TEST(CausalQueueOrderTest, KeepsTheOrderOfEachProducerOverAnUnkindQueue) {
  CausalQueue<uint64_t, StdAtomics, AdversarialBacking> queue(Limits{});
  ExpectEachProducersOrder(queue, 8, 5'000);
}

}  // namespace
}  // namespace millrace
