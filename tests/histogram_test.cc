// Goal: a Histogram's percentiles are what they say, within a quarter, over all of 64 bits,
// and recording loses nothing whoever reads meanwhile.
// Method: bucket borders one by one; percentiles against a sorted list; threads that record
// while another takes snapshots.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/stats.h"
#include "tests/under_sanitizer.h"
#include "wal/histogram_recorder.h"

namespace millrace {
namespace {

TEST(HistogramTest, BucketsFollowOneAnotherWithoutGapsOverAllValues) {
  uint64_t lowest = 0;
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    const uint64_t highest = Histogram::HighestOf(i);
    EXPECT_EQ(Histogram::BucketOf(lowest), i);
    EXPECT_EQ(Histogram::BucketOf(highest), i);
    EXPECT_LE(highest - lowest, lowest / 4) << "bucket " << i;
    lowest = highest + 1;
  }
  EXPECT_EQ(lowest, 0u) << "the last bucket ends with the largest value";
}

TEST(HistogramTest, FourBucketsToEachPowerOfTwo) {
  for (int power = 2; power < 64; ++power) {
    EXPECT_EQ(Histogram::BucketOf(uint64_t{1} << power) % 4, 0u);
    EXPECT_EQ(Histogram::HighestOf(Histogram::BucketOf(uint64_t{1} << power) - 1),
              (uint64_t{1} << power) - 1);
  }
}

TEST(HistogramTest, PercentileIsAtMostAQuarterTooHighAndNeverTooLow) {
  std::mt19937_64 random(20260101);
  for (int round = 0; round < 50; ++round) {
    HistogramRecorder<RecorderWriters::kOne> recorder;
    std::vector<uint64_t> values(1 + random() % 500);
    for (uint64_t& value : values) {
      value = random() >> (random() % 64);
      recorder.Record(value);
    }
    std::sort(values.begin(), values.end());
    const Histogram histogram = recorder.Snapshot();
    for (const double percent : {0.0, 0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
      const double rank = std::max(1.0, std::ceil(percent / 100 * values.size()));
      const uint64_t exact = values[static_cast<size_t>(rank) - 1];
      EXPECT_GE(histogram.Percentile(percent), exact);
      EXPECT_LE(histogram.Percentile(percent) - exact, exact / 4);
    }
    EXPECT_EQ(histogram.Percentile(100), values.back());
    EXPECT_EQ(histogram.max, values.back());
    EXPECT_EQ(histogram.count, values.size());
  }
}

TEST(HistogramTest, WithoutValuesEverythingIsZero) {
  const Histogram empty;
  EXPECT_EQ(empty.Percentile(50), 0u);
  EXPECT_EQ(empty.Mean(), 0);
}

TEST(HistogramTest, PercentOutsideOfItsRangeIsTheNearestInIt) {
  HistogramRecorder<RecorderWriters::kOne> recorder;
  recorder.Record(1);
  recorder.Record(1000);
  EXPECT_EQ(recorder.Snapshot().Percentile(-1), 1u);
  EXPECT_EQ(recorder.Snapshot().Percentile(101), 1000u);
  EXPECT_EQ(recorder.Snapshot().Mean(), 500.5);
}

// What a snapshot must be at every moment, of values that are all below `bound`.
void ExpectConsistent(const Histogram& now, const Histogram& before) {
  uint64_t in_buckets = 0;
  uint64_t least_sum = 0;
  size_t highest = 0;
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    ASSERT_GE(now.buckets[i], before.buckets[i]);
    in_buckets += now.buckets[i];
    const uint64_t lowest = i == 0 ? 0 : Histogram::HighestOf(i - 1) + 1;
    least_sum += now.buckets[i] * lowest;
    if (now.buckets[i] != 0) highest = i;
  }
  ASSERT_EQ(now.count, in_buckets);
  ASSERT_GE(now.sum, least_sum) << "the sum is of all that is counted";
  ASSERT_GE(Histogram::BucketOf(now.max), highest) << "the largest is among what is counted";
}

TEST(HistogramRecorderTest, OneWriterIsReadWhileItRecords) {
  constexpr uint64_t kValues = kUnderSanitizer ? 100'000 : 1'000'000;
  auto recorder = std::make_unique<HistogramRecorder<RecorderWriters::kOne>>();
  std::thread writer([&] {
    for (uint64_t i = 1; i <= kValues; ++i) recorder->Record(i);
  });
  Histogram before;
  while (before.count < kValues) {
    const Histogram now = recorder->Snapshot();
    ExpectConsistent(now, before);
    if (HasFatalFailure()) break;
    before = now;
  }
  writer.join();
  EXPECT_EQ(recorder->Snapshot().sum, kValues * (kValues + 1) / 2);
  EXPECT_EQ(recorder->Snapshot().max, kValues);
}

TEST(HistogramRecorderTest, ManyWritersLoseNothing) {
  constexpr int kThreads = 4;
  constexpr uint64_t kEach = kUnderSanitizer ? 20'000 : 200'000;
  auto recorder = std::make_unique<HistogramRecorder<RecorderWriters::kMany>>();
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&, t] {
      for (uint64_t i = 0; i < kEach; ++i) recorder->Record(i * kThreads + t);
    });
  }
  Histogram before;
  while (before.count < kThreads * kEach) {
    const Histogram now = recorder->Snapshot();
    ExpectConsistent(now, before);
    if (HasFatalFailure()) break;
    before = now;
  }
  for (std::thread& writer : writers) writer.join();
  const uint64_t last = kThreads * kEach - 1;
  EXPECT_EQ(recorder->Snapshot().sum, last * (last + 1) / 2);
  EXPECT_EQ(recorder->Snapshot().max, last);
}

}  // namespace
}  // namespace millrace
