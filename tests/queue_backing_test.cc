// Goal: what the causal queue relies on in the queue underneath, and how it is kept
// from being used in any other way.
// Method: producers count what they have enqueued, outside of the queue; what was
// counted before a scan began must have come out by its end.

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "queue/atomics.h"
#include "queue/backing.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

struct Item {
  uint32_t producer;
  uint32_t index;
};
using Queue = MoodycamelBacking<Item, StdAtomics>;

template <class Q>
concept EnqueuesWithoutToken = requires(Q queue, Item item) {
  queue.Enqueue(item);
};
static_assert(!EnqueuesWithoutToken<Queue>, "implicit production must stay out of reach");

constexpr uint32_t kProducers = 4;
constexpr uint32_t kItems = kUnderSanitizer ? 20'000 : 500'000;

TEST(MoodycamelBackingTest, AScanFindsAllThatWasEnqueuedBeforeIt) {
  Queue queue;
  std::array<std::atomic<uint32_t>, kProducers> enqueued{};
  std::vector<std::thread> producers;
  for (uint32_t p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      Queue::Token token = queue.MakeToken();
      for (uint32_t i = 0; i < kItems; ++i) {
        ASSERT_TRUE(queue.Enqueue(token, Item{p, i}));
        // release: the enqueue happened before whoever sees the count.
        enqueued[p].store(i + 1, std::memory_order_release);
      }
    });
  }
  std::array<uint32_t, kProducers> found{};
  std::vector<Item> out(kProducers * kItems + 1);
  uint64_t total = 0;
  uint64_t missed = 0;
  while (total < uint64_t{kProducers} * kItems) {
    std::array<uint32_t, kProducers> before{};
    for (uint32_t p = 0; p < kProducers; ++p) {
      // acquire: pairs with the release above.
      before[p] = enqueued[p].load(std::memory_order_acquire);
    }
    const size_t count = queue.Scan(out.data(), out.size());
    ASSERT_LT(count, out.size()) << "a walk that was cut short";
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(out[i].index, found[out[i].producer]++) << "a producer's order broken";
    }
    for (uint32_t p = 0; p < kProducers; ++p) missed += found[p] < before[p];
    total += count;
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_EQ(missed, 0u);
  EXPECT_EQ(queue.Scan(out.data(), out.size()), 0u);
}

TEST(MoodycamelBackingTest, AScanTakesNoMoreThanItsMost) {
  Queue queue;
  Queue::Token token = queue.MakeToken();
  for (uint32_t i = 0; i < 100; ++i) ASSERT_TRUE(queue.Enqueue(token, Item{0, i}));
  std::vector<Item> out(100);
  EXPECT_EQ(queue.Scan(out.data(), 60), 60u);
  EXPECT_EQ(queue.Scan(out.data(), 100), 40u);
}

// With a second one a walk can miss what is present, in silence.
TEST(MoodycamelBackingDeathTest, ASecondThreadThatScansIsCaughtInDebugBuilds) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEBUG_DEATH(
      {
        Queue queue;
        Item item;
        queue.Scan(&item, 1);
        std::thread([&] { queue.Scan(&item, 1); }).join();
      },
      "a second thread dequeues");
}

}  // namespace
}  // namespace millrace
