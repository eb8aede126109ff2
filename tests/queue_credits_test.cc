// Goal: no more is ever in flight than the limits say, exactly that much can be, and once closed a
// count of zero is final.
// Method: every limit at its edge; waits that end in each possible way.

#include <chrono>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "queue/atomics.h"
#include "queue/credits.h"

namespace millrace {
namespace {

using TestCredits = Credits<StdAtomics>;
using Left = TestCredits::Left;

constexpr Limits kSmall = {.records = 4, .bytes = 100, .markers = 2};

Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::milliseconds(5); }

TEST(CreditsTest, ExactlyTheLimitFits) {
  TestCredits credits(kSmall);
  EXPECT_EQ(credits.TryTake(4, 100), Admission::kAdmitted);
  EXPECT_EQ(credits.TryTake(1, 0), Admission::kFull);
  EXPECT_EQ(credits.TryTake(0, 1), Admission::kFull);
  EXPECT_EQ(credits.Depth().records, 4);
  EXPECT_EQ(credits.Depth().bytes, 100);
  EXPECT_EQ(credits.Return(1, 1), Left::kSome);
  EXPECT_EQ(credits.TryTake(1, 2), Admission::kFull);
  EXPECT_EQ(credits.TryTake(1, 1), Admission::kAdmitted);
}

TEST(CreditsTest, MarkersGoBeyondTheRecordsByTheirOwnLimit) {
  TestCredits credits(kSmall);
  EXPECT_EQ(credits.most_elements(), 6);
  ASSERT_EQ(credits.TryTake(4, 0), Admission::kAdmitted);
  EXPECT_EQ(credits.TryTakeMarker(), Admission::kAdmitted);
  EXPECT_EQ(credits.TryTakeMarker(1), Admission::kFull);
  EXPECT_EQ(credits.TryTakeMarker(~uint32_t{0}), Admission::kFull);
  EXPECT_EQ(credits.TryTakeMarker(), Admission::kAdmitted);
  EXPECT_EQ(credits.TryTakeMarker(), Admission::kFull);
  EXPECT_EQ(credits.Depth().records, 6);
}

TEST(CreditsTest, MarkersTakeNothingFromTheRecords) {
  TestCredits credits(kSmall);
  ASSERT_EQ(credits.TryTakeMarker(), Admission::kAdmitted);
  ASSERT_EQ(credits.TryTakeMarker(), Admission::kAdmitted);
  EXPECT_EQ(credits.TryTake(4, 100), Admission::kAdmitted);
  EXPECT_EQ(credits.Return(4, 100), Left::kSome);
  EXPECT_FALSE(credits.Idle());
  EXPECT_EQ(credits.ReturnMarkers(2), Left::kSome);
  EXPECT_TRUE(credits.Idle());
}

TEST(CreditsTest, BothRecordsAndMarkersMustBeBackBeforeItIsFinished) {
  for (const bool records_first : {true, false}) {
    TestCredits credits(kSmall);
    ASSERT_EQ(credits.TryTake(1, 1), Admission::kAdmitted);
    ASSERT_EQ(credits.TryTakeMarker(), Admission::kAdmitted);
    credits.Close();
    EXPECT_EQ(records_first ? credits.Return(1, 1) : credits.ReturnMarkers(1),
              Left::kNoneAndClosed);
    EXPECT_FALSE(credits.Finished());
    EXPECT_EQ(records_first ? credits.ReturnMarkers(1) : credits.Return(1, 1),
              Left::kNoneAndClosed);
    EXPECT_TRUE(credits.Finished());
  }
}

TEST(CreditsTest, LimitsBeyondWhatTheWordHoldsAreLowered) {
  constexpr uint32_t kAll = ~uint32_t{0};
  TestCredits credits({.records = kAll, .bytes = ~uint64_t{0}, .markers = kAll});
  EXPECT_EQ(credits.most_elements(), Limits::kMostRecords + Limits::kMostMarkers);
  EXPECT_EQ(credits.TryTake(Limits::kMostRecords, Limits::kMostBytes), Admission::kAdmitted);
  EXPECT_EQ(credits.TryTake(1, 0), Admission::kFull);
  EXPECT_EQ(credits.TryTake(0, 1), Admission::kFull);
  EXPECT_FALSE(credits.Closed());
  EXPECT_EQ(credits.Depth().records, Limits::kMostRecords);
  EXPECT_EQ(credits.Depth().bytes, Limits::kMostBytes);

  TestCredits least({.records = 0, .bytes = 0, .markers = 0});
  EXPECT_EQ(least.TryTake(1, 1), Admission::kAdmitted);
}

TEST(CreditsTest, TheLargestAppendIsAQuarterButNeverNothing) {
  EXPECT_EQ((Limits{.records = 4000, .bytes = 800}.largest_append().records), 1000);
  EXPECT_EQ((Limits{.records = 4000, .bytes = 800}.largest_append().bytes), 200);
  EXPECT_EQ((Limits{.records = 3, .bytes = 3}.largest_append().records), 1);
  EXPECT_EQ((Limits{.records = 3, .bytes = 3}.largest_append().bytes), 1);
}

TEST(CreditsTest, WhatCanNeverFitIsRefusedAtOnce) {
  TestCredits credits(kSmall);
  EXPECT_EQ(credits.Take(5, 0, kNoDeadline), Admission::kFull);
  EXPECT_EQ(credits.Take(1, 101, kNoDeadline), Admission::kFull);
}

TEST(CreditsTest, AWaitForSpaceEndsAtItsDeadline) {
  TestCredits credits(kSmall);
  ASSERT_EQ(credits.TryTake(4, 0), Admission::kAdmitted);
  const Deadline deadline = Soon();
  EXPECT_EQ(credits.Take(1, 0, deadline), Admission::kTimedOut);
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
  EXPECT_EQ(credits.Depth().records, 4);
  // A deadline that passed, even before the clock began, still takes what is there.
  EXPECT_EQ(credits.Take(1, 0, Deadline::min()), Admission::kTimedOut);
  credits.Return(1, 0);
  EXPECT_EQ(credits.Take(1, 0, Deadline::min()), Admission::kAdmitted);
}

TEST(CreditsTest, AWaitForSpaceEndsWhenSpaceComesBack) {
  TestCredits credits(kSmall);
  ASSERT_EQ(credits.TryTake(4, 100), Admission::kAdmitted);
  std::thread giver([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    credits.Return(1, 50);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    credits.Return(1, 50);
  });
  EXPECT_EQ(credits.Take(2, 60, kNoDeadline), Admission::kAdmitted);
  giver.join();
}

TEST(CreditsTest, ClosingEndsEveryWaitAndAdmission) {
  TestCredits credits(kSmall);
  ASSERT_EQ(credits.TryTake(4, 0), Admission::kAdmitted);
  std::vector<std::thread> waiting;
  std::vector<Admission> results(4, Admission::kAdmitted);
  for (Admission& result : results) {
    waiting.emplace_back([&] { result = credits.Take(1, 0, kNoDeadline); });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  credits.Close();
  for (std::thread& thread : waiting) thread.join();
  for (const Admission result : results) EXPECT_EQ(result, Admission::kClosed);
  EXPECT_EQ(credits.TryTake(1, 0), Admission::kClosed);
  EXPECT_EQ(credits.TryTakeMarker(), Admission::kClosed);
  EXPECT_TRUE(credits.Closed());
}

TEST(CreditsTest, NothingInFlightIsFinalOnlyWhenClosed) {
  TestCredits credits(kSmall);
  EXPECT_TRUE(credits.Idle());
  EXPECT_FALSE(credits.Finished());
  ASSERT_EQ(credits.TryTake(2, 10), Admission::kAdmitted);
  EXPECT_FALSE(credits.Idle());
  EXPECT_EQ(credits.Return(1, 10), Left::kSome);
  credits.Close();
  EXPECT_FALSE(credits.Finished());
  EXPECT_FALSE(credits.Idle());
  EXPECT_EQ(credits.Return(1, 0), Left::kNoneAndClosed);
  EXPECT_TRUE(credits.Finished());
  EXPECT_TRUE(credits.Idle());
}

}  // namespace
}  // namespace millrace
