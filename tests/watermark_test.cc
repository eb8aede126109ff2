// Goal: readers learn how far the log is durable, promptly, and how it ended;
// nothing published is ever missed by a thread that waits for it.
// Method: the states one by one, then a publisher against waiters that each wait
// for the very next number, so that a lost wake-up hangs the test.

#include "wal/watermark.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "wal/deadline.h"

namespace millrace {
namespace {

using Wait = Watermark::Wait;

class WatermarkTest : public testing::Test {
 protected:
  // Not on the stack: with detect_stack_use_after_return GCC's AddressSanitizer
  // keeps no alignment of 64 there.
  Watermark watermark_;
};

TEST_F(WatermarkTest, StartsAtWhatRecoveryFound) {
  watermark_.Start(/*last=*/7, /*first_retained=*/3, /*epoch=*/1);
  EXPECT_EQ(watermark_.last_written(), 7u);
  EXPECT_EQ(watermark_.last_durable(), 7u);
  EXPECT_EQ(watermark_.first_retained(), 3u);
  EXPECT_TRUE(watermark_.status().ok());
}

TEST_F(WatermarkTest, WaitReturnsAtOnceForWhatIsDurable) {
  watermark_.Start(7, 1, 1);
  EXPECT_EQ(watermark_.WaitDurable(7, kNoDeadline), Wait::kReached);
  EXPECT_EQ(watermark_.WaitDurable(kNoSequence, kNoDeadline), Wait::kReached);
}

TEST_F(WatermarkTest, WrittenIsNotDurable) {
  watermark_.PublishWritten(5);
  EXPECT_EQ(watermark_.WaitDurable(5, DeadlineAfter(absl::Milliseconds(1))), Wait::kTimedOut);
}

TEST_F(WatermarkTest, WaitTimesOutNoEarlierThanItsDeadline) {
  const Deadline deadline = DeadlineAfter(absl::Milliseconds(20));
  EXPECT_EQ(watermark_.WaitDurable(1, deadline), Wait::kTimedOut);
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
}

TEST_F(WatermarkTest, CloseEndsWaitsForNumbersThatNeverCome) {
  std::thread waiter([&] { EXPECT_EQ(watermark_.WaitDurable(2, kNoDeadline), Wait::kClosed); });
  watermark_.PublishDurable(1);
  watermark_.End(absl::CancelledError("log x is closed"));
  waiter.join();
  // What was reached stays reached.
  EXPECT_EQ(watermark_.WaitDurable(1, kNoDeadline), Wait::kReached);
  EXPECT_TRUE(absl::IsCancelled(watermark_.status()));
}

TEST_F(WatermarkTest, FailureEndsWaitsWithTheFirstError) {
  std::thread waiter([&] {
    EXPECT_EQ(watermark_.WaitDurable(1, kNoDeadline), Wait::kFailed);
    EXPECT_EQ(watermark_.status(), absl::InternalError("sync failed"));
  });
  watermark_.End(absl::InternalError("sync failed"));
  watermark_.End(absl::CancelledError("too late to count"));
  waiter.join();
  EXPECT_EQ(watermark_.status(), absl::InternalError("sync failed"));
}

TEST_F(WatermarkTest, NoNumberIsMissedByWaiters) {
  constexpr SequenceNumber kNumbers = 20000;
  std::atomic<SequenceNumber> seen{0};
  std::thread waiter([&] {
    for (SequenceNumber s = 1; s <= kNumbers; ++s) {
      ASSERT_EQ(watermark_.WaitDurable(s, kNoDeadline), Wait::kReached);
      ASSERT_GE(watermark_.last_durable(), s);
      seen.store(s, std::memory_order_release);
    }
  });
  // Each number is published only after the one before was seen: the waiter is
  // about to sleep, asleep, or in between, at random.
  for (SequenceNumber s = 1; s <= kNumbers; ++s) {
    watermark_.PublishDurable(s);
    while (seen.load(std::memory_order_acquire) < s) std::this_thread::yield();
  }
  waiter.join();
}

TEST_F(WatermarkTest, WhatWasWrittenBeforeIsVisibleAfter) {
  constexpr SequenceNumber kNumbers = 200000;
  std::vector<SequenceNumber> records(kNumbers + 1);  // plain memory, as a segment list is
  std::thread reader([&] {
    for (SequenceNumber s = 1; s <= kNumbers; s += 7) {
      ASSERT_EQ(watermark_.WaitDurable(s, kNoDeadline), Wait::kReached);
      ASSERT_EQ(records[s], s);
    }
  });
  for (SequenceNumber s = 1; s <= kNumbers; ++s) {
    records[s] = s;
    watermark_.PublishDurable(s);
  }
  reader.join();
}

TEST_F(WatermarkTest, TruncationIsSeenWholeOrNotAtAll) {
  constexpr SequenceNumber kRounds = 20000;
  watermark_.Start(2, 1, 1);
  std::thread reader([&] {
    uint64_t seen = 0;
    while (seen < kRounds) {
      const uint64_t count = watermark_.truncations();
      const SequenceNumber durable = watermark_.last_durable();
      // In round n the log was cut after n and goes on to n + 2 before the next.
      if (watermark_.truncations() == count) {
        ASSERT_GE(durable, count == 0 ? 2 : count);
        ASSERT_LE(durable, count + 2);
      }
      const Watermark::Truncations news = watermark_.TruncationsSince(seen);
      ASSERT_GE(news.count, count);
      ASSERT_EQ(news.epoch, 1 + news.count);
      ASSERT_EQ(news.lowest, news.count == seen ? kMaxSequence : seen + 1);
      seen = news.count;
    }
  });
  for (SequenceNumber n = 1; n <= kRounds; ++n) {
    watermark_.PublishTruncation(n, n + 1);
    watermark_.PublishDurable(n + 2);
  }
  reader.join();
}

}  // namespace
}  // namespace millrace
