// Review A, R2: a producer held between marking the consumer as notified and the system call that
// wakes it must not hold up what others enqueue.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "queue/causal_queue.h"

namespace millrace {
namespace {

struct HoldingAtomics : StdAtomics {
  static inline thread_local bool t_hold = false;
  static inline std::atomic<bool> held{false};
  static inline std::atomic<bool> release{false};
  static void WakeOne(Atomic<uint32_t>& word) {
    if (t_hold) {
      held.store(true);
      held.notify_all();
      release.wait(false);
    }
    StdAtomics::WakeOne(word);
  }
};

TEST(ReviewWake, AProducerHeldBeforeItsFutexCallDelaysNobodyElse) {
  CausalQueue<uint64_t, HoldingAtomics> queue(Limits{});
  std::atomic<uint64_t> received{0};
  std::thread consumer([&] {
    std::vector<uint64_t> out;
    while (!queue.Finished()) {
      queue.WaitForWork(kNoDeadline);
      out.clear();
      const auto count = static_cast<uint32_t>(queue.Drain(&out));
      if (count != 0) queue.Return(count, count);
      received += count;
    }
  });
  auto append = [&queue](auto& producer, uint64_t item) {
    ASSERT_EQ(queue.Admit(producer, 1, 1, kNoDeadline), Admission::kAdmitted);
    ASSERT_TRUE(queue.Enqueue(producer, item));
  };
  std::thread first([&] {
    HoldingAtomics::t_hold = true;
    auto producer = queue.MakeProducer();
    while (!HoldingAtomics::held) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      append(producer, 1);
    }
  });
  HoldingAtomics::held.wait(false);
  const uint64_t before = received;
  auto producer = queue.MakeProducer();
  for (int i = 0; i < 100; ++i) append(producer, 2);
  for (int i = 0; i < 200 && received < before + 100; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_GE(received.load(), before + 100) << "2 s later none of another producer's elements came";
  HoldingAtomics::release = true;
  HoldingAtomics::release.notify_all();
  first.join();
  queue.Close();
  consumer.join();
}

}  // namespace
}  // namespace millrace
