// Goal: the numbers that `millrace bench` and tools/quickstart print are right. Method: made-up
// measurements whose figures are known.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/compare/histogram.h"
#include "bench/compare/report.h"
#include "bench/compare/rounds.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(HistogramTest, QuantilesAreWithinThreePercentAbove) {
  LatencyHistogram histogram;
  for (uint64_t i = 1; i <= 100'000; ++i) histogram.Record(i * 10);
  for (const double quantile : {0.001, 0.5, 0.9, 0.99, 0.999}) {
    const double exact = quantile * 1e6;
    const auto found = static_cast<double>(histogram.Quantile(quantile));
    EXPECT_GE(found, exact) << quantile;
    EXPECT_LE(found, exact * 1.032) << quantile;
  }
  EXPECT_EQ(1'000'000u, histogram.Quantile(1.0));
  EXPECT_EQ(1'000'000u, histogram.max());
}

TEST(HistogramTest, EmptyOneHasZeroQuantiles) {
  EXPECT_EQ(0u, LatencyHistogram().Quantile(0.5));
  EXPECT_EQ(0u, LatencyHistogram().max());
}

TEST(HistogramTest, KeepsValuesBeyondItsRangeAsTheMaximum) {
  LatencyHistogram histogram;
  histogram.Record(UINT64_MAX);
  histogram.Record(0);
  EXPECT_EQ(UINT64_MAX, histogram.max());
  EXPECT_EQ(0u, histogram.Quantile(0.5));
}

TEST(HistogramTest, MergeCountsBoth) {
  LatencyHistogram low, high;
  for (int i = 0; i < 90; ++i) low.Record(10);
  for (int i = 0; i < 10; ++i) high.Record(1000);
  low.Merge(high);
  EXPECT_EQ(100u, low.count());
  EXPECT_EQ(10u, low.Quantile(0.9));
  EXPECT_EQ(1000u, low.Quantile(0.91));
}

Row MakeRow(Row::Role role, const std::vector<double>& rates) {
  Row row;
  row.role = role;
  row.contestant = NewRawLoop();
  for (const double rate : rates) row.rounds.push_back({rate, std::nullopt});
  return row;
}

std::vector<Scenario> OneScenario(int producers, std::vector<double> millrace,
                                  std::vector<double> level, std::vector<double> rocks) {
  Scenario scenario;
  scenario.name = "durable";
  scenario.producers = producers;
  scenario.rows.push_back(MakeRow(Row::Role::kMillrace, millrace));
  scenario.rows.push_back(MakeRow(Row::Role::kLevelDb, level));
  if (!rocks.empty()) scenario.rows.push_back(MakeRow(Row::Role::kRocksDb, rocks));
  std::vector<Scenario> scenarios;
  scenarios.push_back(std::move(scenario));
  return scenarios;
}

TEST(CompareReportTest, RatioIsTheMedianOfPairsNotTheRatioOfMedians) {
  const std::vector<Scenario> scenarios = OneScenario(8, {10, 100, 30}, {10, 50, 10}, {1, 1, 1});
  EXPECT_DOUBLE_EQ(2.0, PairedRatio(scenarios[0].rows[0], scenarios[0].rows[1]));
}

TEST(CompareReportTest, AimsHoldWhenAheadOfBoth) {
  EXPECT_TRUE(FailedAims(OneScenario(8, {11}, {10}, {10})).empty());
  EXPECT_TRUE(FailedAims(OneScenario(64, {20}, {10}, {19})).empty());
}

TEST(CompareReportTest, AimsFailWhenBehindOneOfThem) {
  EXPECT_EQ(1u, FailedAims(OneScenario(8, {11}, {12}, {10})).size());
  EXPECT_EQ(1u, FailedAims(OneScenario(8, {11}, {10}, {12})).size());
}

TEST(CompareReportTest, AimsFailBelowTwiceLevelDbAtManyProducers) {
  EXPECT_EQ(1u, FailedAims(OneScenario(64, {19}, {10}, {10})).size());
}

TEST(CompareReportTest, AimsFailWhenAPeerDidNotRun) {
  EXPECT_EQ(1u, FailedAims(OneScenario(8, {11}, {10}, {})).size());
}

TEST(CompareReportTest, FormatsNumbersForPeople) {
  EXPECT_EQ("1,234,567", WithCommas(1234567));
  EXPECT_EQ("999", WithCommas(999));
  EXPECT_EQ("1,000", WithCommas(999.6));
  EXPECT_EQ("15.0 us", FormatNanoseconds(15'000));
  EXPECT_EQ("2.50 ms", FormatNanoseconds(2'500'000));
}

}  // namespace
}  // namespace millrace
