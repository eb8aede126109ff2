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

TEST(WatermarkTest, StartsAtWhatRecoveryFound) {
  Watermark watermark;
  watermark.Start(/*last=*/7, /*first_retained=*/3);
  EXPECT_EQ(watermark.last_written(), 7u);
  EXPECT_EQ(watermark.last_durable(), 7u);
  EXPECT_EQ(watermark.first_retained(), 3u);
  EXPECT_TRUE(watermark.status().ok());
}

TEST(WatermarkTest, WaitReturnsAtOnceForWhatIsDurable) {
  Watermark watermark;
  watermark.Start(7, 1);
  EXPECT_EQ(watermark.WaitDurable(7, kNoDeadline), Wait::kReached);
  EXPECT_EQ(watermark.WaitDurable(kNoSequence, kNoDeadline), Wait::kReached);
}

TEST(WatermarkTest, WrittenIsNotDurable) {
  Watermark watermark;
  watermark.PublishWritten(5);
  EXPECT_EQ(watermark.WaitDurable(5, DeadlineAfter(absl::Milliseconds(1))), Wait::kTimedOut);
}

TEST(WatermarkTest, WaitTimesOutNoEarlierThanItsDeadline) {
  Watermark watermark;
  const Deadline deadline = DeadlineAfter(absl::Milliseconds(20));
  EXPECT_EQ(watermark.WaitDurable(1, deadline), Wait::kTimedOut);
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
}

TEST(WatermarkTest, CloseEndsWaitsForNumbersThatNeverCome) {
  Watermark watermark;
  std::thread waiter([&] { EXPECT_EQ(watermark.WaitDurable(2, kNoDeadline), Wait::kClosed); });
  watermark.PublishDurable(1);
  watermark.End(absl::CancelledError("log x is closed"));
  waiter.join();
  // What was reached stays reached.
  EXPECT_EQ(watermark.WaitDurable(1, kNoDeadline), Wait::kReached);
  EXPECT_TRUE(absl::IsCancelled(watermark.status()));
}

TEST(WatermarkTest, FailureEndsWaitsWithTheFirstError) {
  Watermark watermark;
  std::thread waiter([&] {
    EXPECT_EQ(watermark.WaitDurable(1, kNoDeadline), Wait::kFailed);
    EXPECT_EQ(watermark.status(), absl::InternalError("sync failed"));
  });
  watermark.End(absl::InternalError("sync failed"));
  watermark.End(absl::CancelledError("too late to count"));
  waiter.join();
  EXPECT_EQ(watermark.status(), absl::InternalError("sync failed"));
}

TEST(WatermarkTest, NoNumberIsMissedByWaiters) {
  constexpr SequenceNumber kNumbers = 20000;
  Watermark watermark;
  std::atomic<SequenceNumber> seen{0};
  std::thread waiter([&] {
    for (SequenceNumber s = 1; s <= kNumbers; ++s) {
      ASSERT_EQ(watermark.WaitDurable(s, kNoDeadline), Wait::kReached);
      ASSERT_GE(watermark.last_durable(), s);
      seen.store(s, std::memory_order_release);
    }
  });
  // Each number is published only after the one before was seen: the waiter is
  // about to sleep, asleep, or in between, at random.
  for (SequenceNumber s = 1; s <= kNumbers; ++s) {
    watermark.PublishDurable(s);
    while (seen.load(std::memory_order_acquire) < s) std::this_thread::yield();
  }
  waiter.join();
}

TEST(WatermarkTest, WhatWasWrittenBeforeIsVisibleAfter) {
  constexpr SequenceNumber kNumbers = 200000;
  Watermark watermark;
  std::vector<SequenceNumber> records(kNumbers + 1);  // plain memory, as a segment list is
  std::thread reader([&] {
    for (SequenceNumber s = 1; s <= kNumbers; s += 7) {
      ASSERT_EQ(watermark.WaitDurable(s, kNoDeadline), Wait::kReached);
      ASSERT_EQ(records[s], s);
    }
  });
  for (SequenceNumber s = 1; s <= kNumbers; ++s) {
    records[s] = s;
    watermark.PublishDurable(s);
  }
  reader.join();
}

}  // namespace
}  // namespace millrace
