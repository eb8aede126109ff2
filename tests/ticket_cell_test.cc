// Goal: holder and writer agree on what became of an append, and whoever lets go last returns the
// cell, once.
// Method: the directed orders of their steps; then two threads that take them at random, many
// times.

#include "wal/ticket_cell.h"

#include <atomic>
#include <chrono>
#include <random>
#include <set>
#include <thread>

#include "gtest/gtest.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

class TicketCellTest : public testing::Test {
 protected:
  TicketCell* NewCell() {
    TicketCell* cell = pool_.Acquire([this] { return TicketCell(&pool_); });
    cell->Begin(1);
    return cell;
  }
  // True if the pool has `cell` back, and lends it once.
  bool IsBack(TicketCell* cell) {
    TicketCell* next = NewCell();
    TicketCell* other = NewCell();
    const bool back = next == cell && other != cell;
    pool_.Release(other);
    pool_.Release(next);
    return back;
  }

  TicketPool pool_;
};

TEST_F(TicketCellTest, WriterLetsGoFirst) {
  TicketCell* cell = NewCell();
  EXPECT_FALSE(cell->Done());
  EXPECT_TRUE(cell->Claim());
  EXPECT_FALSE(cell->Done());
  EXPECT_FALSE(cell->Withdraw());
  cell->Finish(7);
  EXPECT_TRUE(cell->Done());
  EXPECT_TRUE(cell->Await(kNoDeadline));
  EXPECT_EQ(cell->outcome(), TicketCell::Outcome::kFinished);
  EXPECT_EQ(cell->sequence(), 7u);
  EXPECT_FALSE(cell->Withdraw());
  EXPECT_FALSE(IsBack(cell));
  cell->Drop();
  EXPECT_TRUE(IsBack(cell));
}

TEST_F(TicketCellTest, HolderLetsGoFirst) {
  TicketCell* cell = NewCell();
  cell->Drop();
  EXPECT_FALSE(IsBack(cell));
  EXPECT_TRUE(cell->Claim());
  EXPECT_TRUE(cell->Claim());
  cell->Finish(7);
  EXPECT_TRUE(IsBack(cell));
}

TEST_F(TicketCellTest, WithdrawnCellIsNotClaimed) {
  TicketCell* cell = NewCell();
  EXPECT_TRUE(cell->Withdraw());
  EXPECT_FALSE(cell->Withdraw());
  EXPECT_TRUE(cell->Done());
  EXPECT_FALSE(cell->Claim());
  cell->Finish(kNoSequence);
  EXPECT_EQ(cell->outcome(), TicketCell::Outcome::kWithdrawn);
  EXPECT_FALSE(IsBack(cell));
  cell->Drop();
  EXPECT_TRUE(IsBack(cell));
}

TEST_F(TicketCellTest, DroppedAppendNeedsNoWriter) {
  TicketCell* cell = NewCell();
  cell->ResolveDropped();
  EXPECT_TRUE(cell->Await(kNoDeadline));
  EXPECT_EQ(cell->outcome(), TicketCell::Outcome::kDropped);
  EXPECT_FALSE(cell->Withdraw());
  cell->Drop();
  EXPECT_TRUE(IsBack(cell));
  cell = NewCell();
  EXPECT_TRUE(cell->Claim());
  cell->Finish(1);
  EXPECT_EQ(cell->outcome(), TicketCell::Outcome::kFinished);
  cell->Drop();
}

TEST_F(TicketCellTest, AwaitEndsAtItsDeadlineAndMayBeRepeated) {
  TicketCell* cell = NewCell();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(cell->Await(std::chrono::steady_clock::now() + std::chrono::milliseconds(2)));
  }
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(cell->Claim());
    cell->Finish(3);
  });
  EXPECT_TRUE(cell->Await(kNoDeadline));
  EXPECT_EQ(cell->sequence(), 3u);
  cell->Drop();
  writer.join();
}

TEST_F(TicketCellTest, BothSidesAgreeWhateverTheirOrder) {
  constexpr uint64_t kRounds = kUnderSanitizer ? 10000 : 50000;
  std::atomic<TicketCell*> handed{nullptr};
  std::atomic<bool> end{false};
  std::atomic<uint64_t> claimed{0};
  std::thread writer([&] {
    std::mt19937_64 random(1);
    uint64_t number = 0;
    while (true) {
      // acquire: shows what the holder began; pairs with the release of the hand-over.
      TicketCell* cell = handed.exchange(nullptr, std::memory_order_acquire);
      if (cell == nullptr) {
        if (end) return;
        std::this_thread::yield();
        continue;
      }
      const bool mine = cell->Claim();
      if (random() % 4 == 0) std::this_thread::yield();
      claimed += mine;
      cell->Finish(mine ? ++number : kNoSequence);
    }
  });
  std::mt19937_64 random(2);
  uint64_t withdrawn = 0;
  std::set<SequenceNumber> numbers;
  for (uint64_t i = 0; i < kRounds; ++i) {
    TicketCell* cell = NewCell();
    TicketCell* free = nullptr;
    while (!handed.compare_exchange_weak(free, cell, std::memory_order_release)) {
      free = nullptr;
      std::this_thread::yield();
    }
    switch (random() % 4) {
      case 0:
        if (cell->Withdraw()) ++withdrawn;
        break;
      case 1:
        cell->Await(std::chrono::steady_clock::now());
        if (cell->Withdraw()) ++withdrawn;
        break;
      case 2:
        ASSERT_TRUE(cell->Await(kNoDeadline));
        ASSERT_EQ(cell->outcome(), TicketCell::Outcome::kFinished);
        ASSERT_TRUE(numbers.insert(cell->sequence()).second);
        break;
      default:
        break;
    }
    cell->Drop();
  }
  end = true;
  writer.join();
  EXPECT_EQ(claimed + withdrawn, kRounds);
  EXPECT_GT(withdrawn, 0u);
  // None is lost: at most one at each side, and one in between.
  EXPECT_LE(pool_.size(), 3u);
}

}  // namespace
}  // namespace millrace
