// Goal: what a log reports of itself is what happened, and the age of what is pending is
// never too low.
// Method: records known numbers; drives the age through a model of the queue that knows when
// each element was enqueued, by a clock of its own.

#include "wal/stats_recorder.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <random>
#include <thread>

#include "gtest/gtest.h"
#include "tests/under_sanitizer.h"
#include "wal/pending_age.h"

namespace millrace {
namespace {

Deadline At(int64_t us) { return Deadline(std::chrono::microseconds(us)); }

TEST(StatsRecorderTest, FillsWhatWasRecorded) {
  auto recorder = std::make_unique<StatsRecorder>();
  recorder->RecordGroup(3, 4096, 1000);
  recorder->RecordGroup(5, 512, 3000);
  recorder->RecordSync(SyncReason::kFlush, 70);
  recorder->RecordAppend(900);
  recorder->RecordAcknowledged(MicrosecondStamp(At(1000)), MicrosecondStamp(At(1250)));
  recorder->Publish({.records = 8,
                     .groups = 2,
                     .syncs = 1,
                     .bytes_written = 4608,
                     .rotations = 4,
                     .recycled_segments = 6,
                     .unsynced_records = 7,
                     .unsynced_bytes = 9,
                     .active_bytes = 11});
  LogStats stats;
  stats.log_bytes = 100;
  recorder->Fill(At(0), &stats);
  EXPECT_EQ(stats.records, 8u);
  EXPECT_EQ(stats.groups, 2u);
  EXPECT_EQ(stats.syncs, 1u);
  EXPECT_EQ(stats.bytes_written, 4608u);
  EXPECT_EQ(stats.rotations, 4u);
  EXPECT_EQ(stats.recycled_segments, 6u);
  EXPECT_EQ(stats.unsynced_records, 7u);
  EXPECT_EQ(stats.unsynced_bytes, 9u);
  EXPECT_EQ(stats.log_bytes, 111u);
  EXPECT_EQ(stats.records_per_group.sum, 8u);
  EXPECT_EQ(stats.bytes_per_group.max, 4096u);
  EXPECT_EQ(stats.write_ns.count, 2u);
  EXPECT_EQ(stats.sync_ns.sum, 70u);
  EXPECT_EQ(stats.append_ns.sum, 900u);
  EXPECT_EQ(stats.acknowledge_us.sum, 250u);
}

TEST(StatsRecorderTest, EverySyncIsCountedUnderItsReason) {
  auto recorder = std::make_unique<StatsRecorder>();
  for (size_t reason = 0; reason < kSyncReasons; ++reason) {
    for (size_t i = 0; i <= reason; ++i) {
      recorder->RecordSync(static_cast<SyncReason>(reason), 1);
    }
  }
  LogStats stats;
  recorder->Fill(At(0), &stats);
  const SyncReasons& reasons = stats.sync_reasons;
  EXPECT_EQ(reasons.durable_append, 1u);
  EXPECT_EQ(reasons.flush, 2u);
  EXPECT_EQ(reasons.policy_records, 3u);
  EXPECT_EQ(reasons.policy_bytes, 4u);
  EXPECT_EQ(reasons.policy_interval, 5u);
  EXPECT_EQ(reasons.unsynced_bytes, 6u);
  EXPECT_EQ(reasons.rotation, 7u);
  EXPECT_EQ(reasons.idle_mark, 8u);
  EXPECT_EQ(reasons.trim, 9u);
  EXPECT_EQ(reasons.close, 10u);
  EXPECT_EQ(stats.sync_ns.count, 55u);
}

TEST(StatsRecorderTest, AStampIsRightAcrossItsWrapAndNeverTheOneThatMeansNone) {
  constexpr int64_t kWrap = int64_t{1} << 32;
  EXPECT_NE(MicrosecondStamp(At(0)), 0u);
  EXPECT_NE(MicrosecondStamp(At(kWrap)), 0u);
  auto recorder = std::make_unique<StatsRecorder>();
  recorder->RecordAcknowledged(MicrosecondStamp(At(kWrap - 100)),
                               MicrosecondStamp(At(kWrap + 200)));
  recorder->RecordAcknowledged(0, MicrosecondStamp(At(kWrap + 200)));
  LogStats stats;
  recorder->Fill(At(0), &stats);
  EXPECT_EQ(stats.acknowledge_us.count, 1u) << "a record without a stamp is not of the sample";
  EXPECT_EQ(stats.acknowledge_us.sum, 300u);
}

TEST(StatsRecorderTest, NothingIsOldWhileNothingIsPending) {
  auto recorder = std::make_unique<StatsRecorder>();
  recorder->pending_age().DrainBegins(At(1000));
  recorder->pending_age().DrainFinished();
  LogStats stats;
  recorder->Fill(At(5000), &stats);
  EXPECT_EQ(stats.oldest_pending, absl::ZeroDuration());
  stats.pending = 1;
  recorder->Fill(At(5000), &stats);
  EXPECT_EQ(stats.oldest_pending, absl::Microseconds(4000));
}

TEST(PendingAgeTest, AfterSleepingAgeCountsFromTheMomentItWoke) {
  PendingAge age;
  age.DrainBegins(At(100));
  age.DrainFinished();
  age.Sleeps();
  EXPECT_EQ(age.Oldest(At(3'600'000'000)), absl::ZeroDuration()) << "an element now wakes it";
  age.Wakes(At(3'600'000'000));
  age.DrainBegins(At(3'600'000'001));
  EXPECT_EQ(age.Oldest(At(3'600'000'050)), absl::Microseconds(50));
}

TEST(PendingAgeTest, GrowsWhileTheWriterIsHeldUpInAGroup) {
  PendingAge age;
  age.Wakes(At(1000));
  age.DrainBegins(At(1001));
  EXPECT_EQ(age.Oldest(At(31'000)), absl::Microseconds(30'000));
  age.DrainFinished();
  EXPECT_EQ(age.Oldest(At(31'000)), absl::Microseconds(29'999)) << "came after that drain began";
}

TEST(PendingAgeTest, AClockReadBeforeTheWriterMovedOnIsNoNegativeAge) {
  PendingAge age;
  age.Wakes(At(2000));
  EXPECT_EQ(age.Oldest(At(1999)), absl::ZeroDuration());
}

// The queue as the writer sees it, under a clock that any step may move.
class AgeModel {
 public:
  explicit AgeModel(uint64_t seed) : random_(seed) { age_.Wakes(At(now_us_)); }

  // Each step of the writer, with elements arriving before and within it.
  void Cycle() {
    age_.DrainBegins(Now());
    Arrive();
    // A drain may bring what arrives while it runs, and need not.
    const size_t must = at_begin_;
    const size_t brought = must + random_() % (queue_.size() - must + 1);
    for (size_t i = 0; i < brought; ++i) Take();
    while (!unfinished_.empty()) {
      Arrive();
      unfinished_.pop_front();
      Check();
    }
    age_.DrainFinished();
    Check();
    if (brought == 0 && queue_.empty()) Rest();
  }

  uint64_t checks() const { return checks_; }

 private:
  void Rest() {
    if (random_() % 2 == 0) return;
    age_.Sleeps();
    now_us_ += static_cast<int64_t>(random_() % 1'000'000);
    Check();
    // The element that wakes the writer.
    queue_.push_back(now_us_);
    age_.Wakes(At(now_us_));
    Check();
  }

  Deadline Now() {
    now_us_ += static_cast<int64_t>(random_() % 50);
    at_begin_ = queue_.size();
    return At(now_us_);
  }

  // On average fewer than are finished meanwhile.
  void Arrive() {
    for (uint64_t n = random_() % 4 == 0 ? random_() % 4 : 0; n > 0; --n) {
      now_us_ += static_cast<int64_t>(random_() % 100);
      queue_.push_back(now_us_);
      Check();
    }
  }

  void Take() {
    unfinished_.push_back(queue_.front());
    queue_.pop_front();
    Check();
  }

  void Check() {
    int64_t oldest = std::numeric_limits<int64_t>::max();
    for (const int64_t enqueued : unfinished_) oldest = std::min(oldest, enqueued);
    for (const int64_t enqueued : queue_) oldest = std::min(oldest, enqueued);
    if (oldest > now_us_) return;
    ++checks_;
    ASSERT_GE(age_.Oldest(At(now_us_)), absl::Microseconds(now_us_ - oldest));
  }

  std::mt19937_64 random_;
  PendingAge age_;
  int64_t now_us_ = 1;
  size_t at_begin_ = 0;
  std::deque<int64_t> queue_;
  std::deque<int64_t> unfinished_;
  uint64_t checks_ = 0;
};

TEST(PendingAgeTest, NothingPendingIsEverOlder) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    AgeModel model(seed);
    for (int i = 0; i < 200; ++i) {
      model.Cycle();
      if (HasFatalFailure()) return;
    }
    EXPECT_GT(model.checks(), 300u);
  }
}

TEST(StatsRecorderTest, IsReadWhileItIsWritten) {
  constexpr uint64_t kRounds = kUnderSanitizer ? 2'000 : 50'000;
  auto recorder = std::make_unique<StatsRecorder>();
  std::thread writer([&] {
    for (uint64_t i = 1; i <= kRounds; ++i) {
      recorder->pending_age().DrainBegins(At(static_cast<int64_t>(i)));
      recorder->RecordGroup(1, 2, 3);
      recorder->RecordSync(SyncReason::kDurableAppend, 4);
      recorder->RecordAcknowledged(1, 2);
      recorder->Publish({.records = i});
      recorder->pending_age().DrainFinished();
    }
  });
  LogStats stats;
  while (stats.records < kRounds) {
    const uint64_t before = stats.records;
    recorder->RecordAppend(5);
    recorder->Fill(At(kRounds), &stats);
    ASSERT_GE(stats.records, before);
    ASSERT_EQ(stats.append_ns.sum, 5 * stats.append_ns.count);
  }
  writer.join();
  recorder->Fill(At(kRounds), &stats);
  EXPECT_EQ(stats.sync_reasons.durable_append, kRounds);
}

}  // namespace
}  // namespace millrace
