// Goal: the queue's bounds and its end. Credits never go over the limit, none is lost, a waiter
// gets space, the deadline or the close; whatever was admitted before a close comes out exactly
// once and nothing is admitted after it; short-lived producers leave no memory behind. Method:
// directed cases on one thread, then many threads that race with a close at a random moment.

#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
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

using Queue = CausalQueue<uint64_t>;

Deadline In(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

TEST(CausalQueueLimitsTest, RefusesWhatIsAboveALimit) {
  Queue queue(Limits{.records = 8, .bytes = 100});
  EXPECT_EQ(queue.TryAdmit(8, 60), Admission::kAdmitted);
  EXPECT_EQ(queue.TryAdmit(1, 1), Admission::kFull);
  queue.Return(4, 0);
  EXPECT_EQ(queue.TryAdmit(1, 41), Admission::kFull);
  EXPECT_EQ(queue.TryAdmit(1, 40), Admission::kAdmitted);
  EXPECT_EQ(queue.Depth().records, 5u);
  EXPECT_EQ(queue.Depth().bytes, 100u);
  queue.Return(5, 100);
  EXPECT_TRUE(queue.Idle());
}

TEST(CausalQueueLimitsTest, NeverWaitsForWhatCanNeverFit) {
  Queue queue(Limits{.records = 8, .bytes = 100});
  EXPECT_EQ(queue.Admit(9, 1, kNoDeadline), Admission::kFull);
  EXPECT_EQ(queue.Admit(1, 101, kNoDeadline), Admission::kFull);
  EXPECT_EQ(queue.Admit(1, ~uint64_t{0}, kNoDeadline), Admission::kFull);
  EXPECT_TRUE(queue.Idle());
}

TEST(CausalQueueLimitsTest, OneAppendMayTakeAQuarter) {
  Limits limits{.records = 64, .bytes = 4096};
  EXPECT_EQ(limits.largest_append().records, 16u);
  EXPECT_EQ(limits.largest_append().bytes, 1024u);
  EXPECT_EQ((Limits{.records = 1, .bytes = 1}).largest_append().records, 1u);
}

TEST(CausalQueueLimitsTest, AdmitsMarkersWhileFullAndCountsThem) {
  Queue queue(Limits{.records = 1, .bytes = 1, .per_producer = 2048, .markers = 2});
  ASSERT_EQ(queue.TryAdmit(1, 1), Admission::kAdmitted);
  EXPECT_EQ(queue.AdmitMarker(), Admission::kAdmitted);
  EXPECT_EQ(queue.AdmitMarker(), Admission::kAdmitted);
  EXPECT_EQ(queue.AdmitMarker(), Admission::kFull);
  EXPECT_EQ(queue.Depth().records, 3u);
  queue.Return(1, 1);
  EXPECT_FALSE(queue.Idle());
  EXPECT_EQ(queue.TryAdmit(1, 1), Admission::kAdmitted);
  queue.Return(1, 1);
  queue.Close();
  EXPECT_EQ(queue.AdmitMarker(), Admission::kClosed);
  EXPECT_FALSE(queue.Finished());
  queue.ReturnMarkers(2);
  EXPECT_TRUE(queue.Finished());
}

TEST(CausalQueueLimitsTest, AWaiterGivesUpAtItsDeadline) {
  Queue queue(Limits{.records = 1, .bytes = 1});
  ASSERT_EQ(queue.TryAdmit(1, 1), Admission::kAdmitted);
  Deadline deadline = In(std::chrono::milliseconds(20));
  EXPECT_EQ(queue.Admit(1, 1, deadline), Admission::kTimedOut);
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
  EXPECT_EQ(queue.Admit(1, 1, Deadline::min()), Admission::kTimedOut);
}

TEST(CausalQueueLimitsTest, AConsumerWithNothingToDoWakesAtItsDeadline) {
  Queue queue(Limits{});
  Deadline deadline = In(std::chrono::milliseconds(20));
  EXPECT_FALSE(queue.WaitForWork(deadline));
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
}

TEST(CausalQueueLimitsTest, AProducerAtItsCapHasNoRoomUntilADrain) {
  Queue queue(Limits{.records = 64, .bytes = 64, .per_producer = 8});
  auto producer = queue.MakeProducer();
  uint64_t enqueued = 0;
  while (queue.TryAdmit(producer, 1, 1) == Admission::kAdmitted) {
    ASSERT_TRUE(queue.Enqueue(producer, ++enqueued));
  }
  EXPECT_GE(enqueued, 4u);
  EXPECT_LE(enqueued, 8u);
  EXPECT_FALSE(queue.WaitForRoom(producer, In(std::chrono::milliseconds(1))));
  std::vector<uint64_t> out;
  EXPECT_EQ(queue.Drain(&out), enqueued);
  EXPECT_TRUE(queue.HasRoom(producer));
  EXPECT_EQ(queue.TryAdmit(producer, 1, 1), Admission::kAdmitted);
}

TEST(CausalQueueLimitsTest, TheCapIsLowerWhereProducersAreManyAndNeverBelowItsLeast) {
  Queue queue(Limits{});
  std::vector<uint64_t> out;
  std::vector<Queue::Producer> producers;
  // How many elements the first of so many producers has room for, once it has begun to count.
  const auto room_beside = [&](size_t count, int rounds = 3) {
    while (producers.size() < count) producers.push_back(queue.MakeProducer());
    uint32_t room = 0;
    for (int round = 0; round < rounds; ++round) {
      queue.Drain(&out);
      for (room = 0; queue.HasRoom(producers[0]); ++room) {
        EXPECT_TRUE(queue.Enqueue(producers[0], 1));
      }
    }
    return room;
  };
  for (const int rounds : {1, 3}) {
    const uint32_t alone = room_beside(1, rounds);
    EXPECT_GE(alone, 2048u / 2);
    EXPECT_LE(alone, 2048u);
  }
  const uint32_t beside_32 = room_beside(32);
  EXPECT_GE(beside_32, 1024u / 2);
  EXPECT_LT(beside_32, 1024u);
  const uint32_t beside_1000 = room_beside(1000);
  EXPECT_GE(beside_1000, Limits::kLeastPerProducer / 2);
  EXPECT_LE(beside_1000, Limits::kLeastPerProducer);
}

TEST(CausalQueueLimitsTest, TheCapOutlivesTheProducer) {
  Queue queue(Limits{.records = 64, .bytes = 64, .per_producer = 4});
  uint64_t enqueued = 0;
  for (int i = 0; i < 64; ++i) {
    auto producer = queue.MakeProducer();
    if (!queue.HasRoom(producer)) continue;
    ASSERT_TRUE(queue.Enqueue(producer, ++enqueued));
  }
  EXPECT_LE(enqueued, 4u);
}

TEST(CausalQueueLimitsTest, EmitsInOrderAfterManyFailedEnqueues) {
  // Each failure uses up a stamp: so many of them that ordering by direct places has too few.
  CausalQueue<uint64_t, StdAtomics, FailingBacking> queue(
      Limits{.records = 8, .bytes = 8, .per_producer = 2048, .markers = 0});
  std::vector<uint64_t> out;
  auto first = queue.MakeProducer();
  auto second = queue.MakeProducer();
  for (uint64_t n = 0; n < 4; ++n) {
    for (int i = 0; i < 100; ++i) ASSERT_FALSE(queue.Enqueue(first, kFailingItem));
    ASSERT_TRUE(queue.Enqueue(n % 2 == 0 ? first : second, n));
  }
  EXPECT_EQ(queue.Drain(&out), 4u);
  EXPECT_EQ(out, (std::vector<uint64_t>{0, 1, 2, 3}));
  ASSERT_TRUE(queue.Enqueue(second, 4));
  EXPECT_EQ(queue.Drain(&out), 1u);
  EXPECT_EQ(out.back(), 4u);
}

template <class AnyQueue>
void RaceWithClose(AnyQueue& queue, uint64_t seed) {
  std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
  constexpr int kProducers = 4;
  std::atomic<uint64_t> admitted{0};
  std::atomic<bool> closed{false};
  std::vector<std::thread> producers;
  for (int i = 0; i < kProducers; ++i) {
    producers.emplace_back([&] {
      auto producer = queue.MakeProducer();
      while (true) {
        bool was_closed = closed.load(std::memory_order_acquire);
        Admission admission = queue.Admit(producer, 1, 1, kNoDeadline);
        if (admission != Admission::kAdmitted) {
          ASSERT_EQ(admission, Admission::kClosed);
          break;
        }
        ASSERT_FALSE(was_closed);
        ASSERT_TRUE(queue.Enqueue(producer, admitted.fetch_add(1, std::memory_order_relaxed)));
      }
    });
  }
  std::thread closer([&, pause = random() % 500] {
    std::this_thread::sleep_for(std::chrono::microseconds(pause));
    queue.Close();
    closed.store(true, std::memory_order_release);
  });
  std::vector<uint64_t> out;
  while (!queue.Finished()) {
    queue.WaitForWork(kNoDeadline);
    if (auto count = static_cast<uint32_t>(queue.Drain(&out)); count != 0) {
      queue.Return(count, count);
    }
  }
  closer.join();
  for (std::thread& producer : producers) producer.join();
  ASSERT_EQ(queue.Drain(&out), 0u);
  std::vector<int> times(admitted.load(std::memory_order_relaxed));
  ASSERT_EQ(out.size(), times.size());
  for (uint64_t item : out) ASSERT_EQ(times[item]++, 0);
}

TEST(CausalQueueCloseTest, ResolvesEachAppendOnceWhenTheyRaceWithClose) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Queue queue(Limits{.records = 64, .bytes = 64});
    RaceWithClose(queue, seed);
    if (HasFailure()) return;
  }
}

TEST(CausalQueueCloseTest, ResolvesEachAppendOnceOverAnUnkindQueue) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    CausalQueue<uint64_t, StdAtomics, AdversarialBacking> queue(Limits{.records = 64, .bytes = 64});
    RaceWithClose(queue, seed);
    if (HasFailure()) return;
  }
}

TEST(CausalQueueMemoryTest, ShortLivedProducersLeaveNothingBehind) {
  constexpr int kProducers = kSanitized ? 10'000 : 100'000;
  Queue queue(Limits{});
  std::vector<uint64_t> out;
  out.reserve(16);
  auto one = [&](uint64_t item) {
    auto producer = queue.MakeProducer();
    ASSERT_TRUE(producer.valid());
    ASSERT_EQ(queue.Admit(producer, 1, 1, kNoDeadline), Admission::kAdmitted);
    ASSERT_TRUE(queue.Enqueue(producer, item));
    out.clear();
    ASSERT_EQ(queue.Drain(&out), 1u);
    ASSERT_EQ(out[0], item);
    queue.Return(1, 1);
  };
  for (uint64_t i = 0; i < 100; ++i) one(i);
  std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  for (uint64_t i = 0; i < kProducers; ++i) one(i);
  std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
  EXPECT_EQ(before, after);
}

TEST(CausalQueueMemoryTest, ShortLivedThreadsShareFewProducers) {
  constexpr int kThreads = 1'000;
  Queue queue(Limits{});
  std::vector<uint64_t> out;
  auto run = [&](int threads) {
    for (int i = 0; i < threads; i += 4) {
      std::vector<std::thread> group;
      for (int j = 0; j < 4; ++j) {
        group.emplace_back([&queue] {
          auto producer = queue.MakeProducer();
          ASSERT_TRUE(queue.Enqueue(producer, 1));
        });
      }
      for (std::thread& thread : group) thread.join();
      queue.Drain(&out);
    }
  };
  run(kThreads);
  EXPECT_EQ(out.size(), static_cast<std::size_t>(kThreads));
  EXPECT_LE(queue.producers_made(), 4u);
}

std::size_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST(CausalQueueMemoryTest, AnIdleQueueIsSmall) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's shadow counts as resident";
  constexpr std::size_t kQueues = 64;
  std::vector<std::unique_ptr<Queue>> queues;
  std::vector<uint64_t> out;
  std::size_t before = ResidentBytes();
  for (std::size_t i = 0; i < kQueues; ++i) {
    queues.push_back(std::make_unique<Queue>(Limits{}));
    auto producer = queues.back()->MakeProducer();
    ASSERT_TRUE(queues.back()->Enqueue(producer, 1));
    queues.back()->Drain(&out);
  }
  EXPECT_LT((ResidentBytes() - before) / kQueues, std::size_t{64} << 10);
}

}  // namespace
}  // namespace millrace
