// Goal: the pool lends each slot to one borrower at a time, hands its contents on, makes no more
// slots than are ever lent at once, and a borrower that stops blocks nobody. Method: directed
// cases, then many threads that check exclusiveness and carry a count in the slots.

#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "queue/slot_pool.h"
#include "tests/queue_relay.h"

namespace millrace {
namespace {

struct Slot {
  uint64_t uses = 0;
  std::atomic<int> borrowers{0};
};

constexpr auto kMake = [] { return Slot{}; };

TEST(SlotPoolTest, LendsTheSlotThatCameBackLast) {
  SlotPool<Slot> pool;
  Slot* first = pool.Acquire(kMake);
  Slot* second = pool.Acquire(kMake);
  ASSERT_NE(first, second);
  first->uses = 7;
  pool.Release(second);
  pool.Release(first);
  EXPECT_EQ(pool.Acquire(kMake), first);
  EXPECT_EQ(first->uses, 7u);
  EXPECT_EQ(pool.Acquire(kMake), second);
  EXPECT_EQ(pool.size(), 2u);
  pool.Release(first);
  pool.Release(second);
}

TEST(SlotPoolTest, ABorrowerThatStopsBlocksNobody) {
  SlotPool<Slot> pool;
  Slot* stopped = pool.Acquire(kMake);
  for (int i = 0; i < 1000; ++i) {
    Slot* slot = pool.Acquire(kMake);
    ASSERT_NE(slot, stopped);
    pool.Release(slot);
  }
  EXPECT_EQ(pool.size(), 2u);
  pool.Release(stopped);
}

TEST(SlotPoolTest, RefusesMoreThanItsMost) {
  SlotPool<Slot> pool;
  std::vector<Slot*> lent;
  for (uint32_t i = 0; i < SlotPool<Slot>::kMostSlots; ++i) lent.push_back(pool.Acquire(kMake));
  for (Slot* slot : lent) ASSERT_NE(slot, nullptr);
  EXPECT_EQ(pool.Acquire(kMake), nullptr);
  pool.Release(lent.back());
  EXPECT_EQ(pool.Acquire(kMake), lent.back());
  for (Slot* slot : lent) pool.Release(slot);
}

TEST(SlotPoolTest, ALargePoolReservesNothingAndFindsEverySlot) {
  using Pool = SlotPool<Slot, StdAtomics, uint32_t{1} << 22>;
  static_assert(sizeof(Pool) < 512);
  constexpr uint64_t kSlots = 10'000;
  Pool pool;
  std::vector<Slot*> lent;
  for (uint64_t i = 0; i < kSlots; ++i) {
    lent.push_back(pool.Acquire(kMake));
    ASSERT_NE(lent.back(), nullptr);
    lent.back()->uses = i;
  }
  for (Slot* slot : lent) pool.Release(slot);
  // Last in, first out: every slot is found again by its number.
  for (uint64_t i = kSlots; i-- > 0;) ASSERT_EQ(pool.Acquire(kMake), lent[i]);
  EXPECT_EQ(pool.size(), kSlots);
  for (Slot* slot : lent) pool.Release(slot);
}

TEST(SlotPoolTest, ForEachVisitsSlotsLentOrNot) {
  SlotPool<Slot> pool;
  std::vector<Slot*> lent;
  for (uint64_t i = 0; i < 1000; ++i) {
    lent.push_back(pool.Acquire(kMake));
    lent.back()->uses = i;
  }
  for (int i = 0; i < 500; ++i) pool.Release(lent[i]);
  uint64_t visits = 0;
  uint64_t sum = 0;
  pool.ForEach([&](const Slot& slot) {
    ++visits;
    sum += slot.uses;
  });
  EXPECT_EQ(visits, 1000u);
  EXPECT_EQ(sum, 999u * 1000 / 2);
  for (int i = 500; i < 1000; ++i) pool.Release(lent[i]);
}

// What happened before the visit is seen; what is being made meanwhile may be.
TEST(SlotPoolTest, ForEachSeesEverySlotThatWasMadeBefore) {
  constexpr uint32_t kSlots = 2000;
  SlotPool<Slot> pool;
  std::atomic<uint32_t> made{0};
  std::thread maker([&] {
    std::vector<Slot*> lent;
    for (uint32_t i = 0; i < kSlots; ++i) {
      lent.push_back(pool.Acquire(kMake));
      lent.back()->borrowers.store(1, std::memory_order_relaxed);
      made.store(i + 1, std::memory_order_release);
    }
    for (Slot* slot : lent) pool.Release(slot);
  });
  for (uint32_t seen = 0; seen < kSlots;) {
    seen = made.load(std::memory_order_acquire);
    uint32_t visited = 0;
    pool.ForEach([&](const Slot& slot) {
      visited += static_cast<uint32_t>(slot.borrowers.load(std::memory_order_relaxed));
    });
    ASSERT_GE(visited, seen);
  }
  maker.join();
}

TEST(SlotPoolTest, SteadyUseAllocatesNothing) {
  constexpr int kBorrowers = 100'000;
  SlotPool<Slot> pool;
  pool.Release(pool.Acquire(kMake));
  std::size_t before = mallinfo2().uordblks;
  for (int i = 0; i < kBorrowers; ++i) pool.Release(pool.Acquire(kMake));
  EXPECT_EQ(mallinfo2().uordblks, before);
  EXPECT_EQ(pool.size(), 1u);
}

TEST(SlotPoolTest, LendsEachSlotToOneThreadAtATime) {
  constexpr int kThreads = 4;
  constexpr uint64_t kEach = kSanitized ? 20'000 : 200'000;
  SlotPool<Slot> pool;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&pool] {
      for (uint64_t n = 0; n < kEach; ++n) {
        // Two at a time now and then, so that heads go away and come back.
        Slot* slot = pool.Acquire(kMake);
        Slot* other = n % 3 == 0 ? pool.Acquire(kMake) : nullptr;
        ASSERT_EQ(slot->borrowers.fetch_add(1, std::memory_order_relaxed), 0);
        ++slot->uses;
        slot->borrowers.fetch_sub(1, std::memory_order_relaxed);
        pool.Release(slot);
        if (other != nullptr) pool.Release(other);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(pool.size(), 2u * kThreads);
  uint64_t uses = 0;
  std::vector<Slot*> slots;
  for (uint32_t i = 0; i < pool.size(); ++i) slots.push_back(pool.Acquire(kMake));
  for (Slot* slot : slots) {
    uses += slot->uses;
    pool.Release(slot);
  }
  EXPECT_EQ(uses, kThreads * kEach);
}

}  // namespace
}  // namespace millrace
