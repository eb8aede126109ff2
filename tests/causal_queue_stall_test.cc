// Goal: a producer that stops anywhere inside Enqueue delays no one else's elements (R2), and what
// it was about to enqueue comes out once it goes on. Method: the atomics policy has a hook at each
// step; one producer is held there while ten thousand elements of two others come out through a
// consumer that sleeps whenever it finds nothing.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "queue/atomics.h"
#include "queue/backing.h"
#include "queue/causal_queue.h"
#include "queue/credits.h"
#include "tests/queue_backings.h"

namespace millrace {
namespace {

constexpr uint64_t kHeldItem = 1'000'000;
constexpr uint64_t kOthersItems = 10'000;

// Holds the one thread that asked for it at one step.
struct HoldingAtomics : StdAtomics {
  static void Step(EnqueueStep step) {
    if (!t_may_be_held || step != held_step) return;
    is_held.store(true, std::memory_order_release);
    is_held.notify_all();
    release.wait(false, std::memory_order_acquire);
  }

  static void Arm(EnqueueStep step) {
    held_step = step;
    is_held.store(false, std::memory_order_relaxed);
    release.store(false, std::memory_order_relaxed);
  }

  static inline thread_local bool t_may_be_held = false;
  static inline EnqueueStep held_step;
  static inline std::atomic<bool> is_held{false};
  static inline std::atomic<bool> release{false};
};

template <template <class, class> class Backing>
void HoldAProducerAt(EnqueueStep step) {
  CausalQueue<uint64_t, HoldingAtomics, Backing> queue(Limits{});
  HoldingAtomics::Arm(step);
  std::atomic<uint64_t> received{0};
  std::atomic<uint64_t> received_held{0};
  std::atomic<uint64_t> sent_held{0};
  std::thread consumer([&] {
    std::vector<uint64_t> out;
    while (!queue.Finished()) {
      queue.WaitForWork(kNoDeadline);
      out.clear();
      auto count = static_cast<uint32_t>(queue.Drain(&out));
      const auto held = static_cast<uint64_t>(std::count(out.begin(), out.end(), kHeldItem));
      received_held.fetch_add(held, std::memory_order_release);
      if (count != 0) queue.Return(count, count);
      received.fetch_add(count - held, std::memory_order_release);
      received.notify_all();
    }
  });
  auto append = [&queue](auto& producer, uint64_t item) {
    ASSERT_EQ(queue.Admit(producer, 1, 1, kNoDeadline), Admission::kAdmitted);
    ASSERT_TRUE(queue.Enqueue(producer, item));
  };
  std::thread held([&] {
    auto producer = queue.MakeProducer();
    HoldingAtomics::t_may_be_held = true;
    // Before a wake-up is reached only if the consumer sleeps: it does after a while of silence.
    while (!HoldingAtomics::is_held.load(std::memory_order_acquire)) {
      append(producer, kHeldItem);
      sent_held.fetch_add(1, std::memory_order_release);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  HoldingAtomics::is_held.wait(false, std::memory_order_acquire);
  uint64_t before = received.load(std::memory_order_acquire);
  std::vector<std::thread> others;
  for (int i = 0; i < 2; ++i) {
    others.emplace_back([&] {
      auto producer = queue.MakeProducer();
      for (uint64_t n = 0; n < kOthersItems / 2; ++n) append(producer, n);
    });
  }
  for (std::thread& other : others) other.join();
  // The held producer is held still. That all others' elements come out is the test.
  for (uint64_t now = before; now < before + kOthersItems;) {
    received.wait(now, std::memory_order_acquire);
    now = received.load(std::memory_order_acquire);
  }
  ASSERT_TRUE(HoldingAtomics::is_held.load(std::memory_order_acquire));
  HoldingAtomics::release.store(true, std::memory_order_release);
  HoldingAtomics::release.notify_all();
  held.join();
  // Nobody else comes who would wake the consumer.
  const Deadline late = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto all_came = [&] {
    return received_held.load(std::memory_order_acquire) ==
           sent_held.load(std::memory_order_acquire);
  };
  while (!all_came() && std::chrono::steady_clock::now() < late) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(all_came()) << "before the queue is closed";
  queue.Close();
  consumer.join();
  EXPECT_TRUE(all_came());
  EXPECT_TRUE(queue.Idle());
}

class HeldProducerTest : public testing::TestWithParam<EnqueueStep> {};

TEST_P(HeldProducerTest, DelaysNobodyElse) { HoldAProducerAt<MoodycamelBacking>(GetParam()); }

TEST_P(HeldProducerTest, DelaysNobodyElseOverAnUnkindQueue) {
  HoldAProducerAt<AdversarialBacking>(GetParam());
}

std::string StepName(const testing::TestParamInfo<EnqueueStep>& info) {
  switch (info.param) {
    case EnqueueStep::kBeforeStamp:
      return "BeforeStamp";
    case EnqueueStep::kAfterStamp:
      return "AfterStamp";
    case EnqueueStep::kAfterEnqueue:
      return "AfterEnqueue";
    case EnqueueStep::kBeforeWake:
      return "BeforeWake";
    case EnqueueStep::kAfterNotify:
      return "AfterNotify";
  }
  return "Unknown";
}

TEST(HeldProducerDeadlineTest, AConsumerThatLooksAgainKeepsItsDeadlineAndFindsWhatComes) {
  CausalQueue<uint64_t, HoldingAtomics> queue(Limits{});
  HoldingAtomics::Arm(EnqueueStep::kAfterStamp);
  std::thread held([&] {
    auto producer = queue.MakeProducer();
    HoldingAtomics::t_may_be_held = true;
    ASSERT_TRUE(queue.Enqueue(producer, kHeldItem));
  });
  HoldingAtomics::is_held.wait(false, std::memory_order_acquire);
  for (const int milliseconds : {0, 1, 20}) {
    const Deadline deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    EXPECT_FALSE(queue.WaitForWork(deadline));
    EXPECT_GE(std::chrono::steady_clock::now(), deadline);
  }
  EXPECT_FALSE(queue.WaitForWork(Deadline::min()));
  std::thread releaser([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    HoldingAtomics::release.store(true, std::memory_order_release);
    HoldingAtomics::release.notify_all();
  });
  EXPECT_TRUE(queue.WaitForWork(kNoDeadline));
  std::vector<uint64_t> out;
  EXPECT_EQ(queue.Drain(&out), 1u);
  releaser.join();
  held.join();
}

INSTANTIATE_TEST_SUITE_P(Steps, HeldProducerTest,
                         testing::Values(EnqueueStep::kBeforeStamp, EnqueueStep::kAfterStamp,
                                         EnqueueStep::kAfterEnqueue, EnqueueStep::kBeforeWake,
                                         EnqueueStep::kAfterNotify),
                         StepName);

}  // namespace
}  // namespace millrace
