// Goal: what tools/bench makes of its measurements is right. Method: made-up rounds whose figures
// are known.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench/compare/goals.h"
#include "bench/compare/histogram.h"
#include "bench/compare/interval.h"
#include "bench/compare/probe.h"
#include "bench/compare/tables.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(IntervalTest, SevenRoundsGoFromTheLowestToTheHighest) {
  const Interval interval = MedianInterval({7, 1, 6, 2, 5, 3, 4});
  EXPECT_DOUBLE_EQ(4, interval.median);
  EXPECT_DOUBLE_EQ(1, interval.low);
  EXPECT_DOUBLE_EQ(7, interval.high);
  EXPECT_NEAR(1 - 2.0 / 128, interval.confidence, 1e-12);
}

TEST(IntervalTest, NineRoundsLeaveTheExtremesOut) {
  const Interval interval = MedianInterval({9, 8, 7, 6, 5, 4, 3, 2, 1});
  EXPECT_DOUBLE_EQ(2, interval.low);
  EXPECT_DOUBLE_EQ(8, interval.high);
  EXPECT_NEAR(1 - 2 * (1 + 9) / 512.0, interval.confidence, 1e-12);
}

TEST(IntervalTest, ManyRoundsAreAsTheTablesOfTheSignTestHaveIt) {
  std::vector<double> values;
  for (int i = 1; i <= 25; ++i) values.push_back(i);
  const Interval interval = MedianInterval(values);
  EXPECT_DOUBLE_EQ(8, interval.low);
  EXPECT_DOUBLE_EQ(18, interval.high);
}

TEST(IntervalTest, TooFewRoundsSayWhatTheirExtremesAreWorth) {
  EXPECT_NEAR(1 - 2.0 / 32, MedianInterval({1, 2, 3, 4, 5}).confidence, 1e-12);
  EXPECT_DOUBLE_EQ(0, MedianInterval({3}).confidence);
  EXPECT_DOUBLE_EQ(3, MedianInterval({3}).low);
  EXPECT_DOUBLE_EQ(0, MedianInterval({}).median);
}

TEST(IntervalTest, PairsAreOfTheSameRoundAndLeaveOutWhatCountedNothing) {
  const std::vector<double> ours = {10, 20, 0, 40}, reference = {5, 40, 10, 0};
  EXPECT_EQ((std::vector<double>{2, 0.5}), PairedRatios(ours, reference));
}

TEST(LatencyHistogramTest, BucketsAddUpAndStandInOrder) {
  LatencyHistogram histogram;
  histogram.RecordMany(100, 5);
  histogram.RecordMany(7, 0);
  for (uint64_t i = 0; i < 1000; ++i) histogram.Record(i * i);
  uint64_t total = 0, last = 0;
  histogram.ForEachBucket([&](uint64_t upper, uint64_t count) {
    EXPECT_TRUE(total == 0 || upper > last);
    last = upper;
    total += count;
  });
  EXPECT_EQ(1005u, total);
  EXPECT_EQ(999u * 999u, last);
}

TEST(LatencyHistogramTest, FiguresHaveThePercentilesUpToFourNines) {
  LatencyHistogram histogram;
  for (uint64_t i = 1; i <= 100'000; ++i) histogram.Record(i);
  Figures figures;
  figures.AddLatency("append", histogram);
  const std::map<std::string, double> exact = {{"append.p50", 50'000},
                                               {"append.p99", 99'000},
                                               {"append.p99.9", 99'900},
                                               {"append.p99.99", 99'990},
                                               {"append.max", 100'000}};
  for (const auto& [name, value] : exact) {
    ASSERT_TRUE(figures.values.count(name)) << name;
    EXPECT_GE(figures.values[name], value) << name;
    EXPECT_LE(figures.values[name], value * 1.032) << name;
  }
}

Results TwoProbes(std::vector<double> ours, std::vector<double> reference) {
  Results results;
  results["ours"].values["rate"] = std::move(ours);
  results["peer"].values["rate"] = std::move(reference);
  return results;
}

Goal AtLeast(double goal) {
  return {"work", "what", "rate", "ours", "peer", Goal::Sense::kAtLeast, goal, goal / 4};
}

using State = Verdict::State;

TEST(GoalTest, IsMetByTheMedianOfTheRatiosAndJustMetByTheIntervalAlone) {
  const Results results = TwoProbes({8, 9, 10, 11, 12, 13, 14}, {4, 4, 4, 4, 4, 4, 4});
  EXPECT_EQ(State::kMet, Judge(AtLeast(2.75), results, Strictness::kStrict).state);
  EXPECT_EQ(State::kWithin, Judge(AtLeast(3.5), results, Strictness::kStrict).state);
  EXPECT_EQ(State::kMissed, Judge(AtLeast(3.6), results, Strictness::kStrict).state);
  EXPECT_EQ(State::kMet, Judge(AtLeast(3.6), results, Strictness::kLoose).state);
}

TEST(GoalTest, OfAtMostIsMissedWhenTheWholeIntervalIsAbove) {
  const Results results = TwoProbes({8, 9, 10, 11, 12, 13, 14}, {4, 4, 4, 4, 4, 4, 4});
  Goal goal = AtLeast(2.0);
  goal.sense = Goal::Sense::kAtMost;
  EXPECT_EQ(State::kWithin, Judge(goal, results, Strictness::kStrict).state);
  goal.goal = 1.9;
  EXPECT_EQ(State::kMissed, Judge(goal, results, Strictness::kStrict).state);
}

TEST(GoalTest, OfAFigureByItselfLooksAtTheFigure) {
  Goal goal = AtLeast(12);
  goal.reference = "";
  const Verdict verdict = Judge(goal, TwoProbes({10, 11, 12, 13, 14}, {1}), Strictness::kStrict);
  EXPECT_EQ(State::kMet, verdict.state);
  EXPECT_DOUBLE_EQ(12, verdict.interval.median);
}

TEST(GoalTest, WhatTheMachineAllowsIsShownBesideAsARatioToo) {
  Results results = TwoProbes({8, 8}, {4, 4});
  Goal goal = AtLeast(3);
  results["limit"].values[std::string(goal.figure)] = {10, 10};
  goal.beside = "limit";
  goal.beside_is = "nothing but the disk";
  const Verdict verdict = Judge(goal, results, Strictness::kStrict);
  EXPECT_EQ(State::kMissed, verdict.state);
  EXPECT_DOUBLE_EQ(10, verdict.beside);
  EXPECT_DOUBLE_EQ(2.5, verdict.beside_ratio);
  const std::string table = GoalTable({goal}, {verdict});
  EXPECT_NE(std::string::npos, table.find("(nothing but the disk)")) << table;
  EXPECT_NE(std::string::npos, table.find("2.50x")) << table;
}

TEST(GoalTest, IsSkippedWithTheReasonOfTheProbe) {
  Results results = TwoProbes({1}, {});
  results["peer"].skipped = "its package is missing";
  const Verdict verdict = Judge(AtLeast(1), results, Strictness::kStrict);
  EXPECT_EQ(State::kSkipped, verdict.state);
  EXPECT_EQ("its package is missing", verdict.reason);
  EXPECT_TRUE(NoneMissed({verdict}));
}

TEST(GoalTest, LooseThresholdsAreNeverTheStricterOnes) {
  for (const Goal& goal : AllGoals()) {
    if (goal.sense == Goal::Sense::kAtLeast) {
      EXPECT_LE(goal.loose, goal.goal) << goal.work << ": " << goal.what;
    } else {
      EXPECT_GE(goal.loose, goal.goal) << goal.work << ": " << goal.what;
    }
  }
}

TEST(GoalTest, TableSaysWhatWasMissedAndCounts) {
  const Results results = TwoProbes({8, 8}, {4, 4});
  const std::vector<Goal> goals = {AtLeast(2), AtLeast(3)};
  std::vector<Verdict> verdicts;
  for (const Goal& goal : goals) verdicts.push_back(Judge(goal, results, Strictness::kStrict));
  const std::string table = GoalTable(goals, verdicts);
  EXPECT_NE(std::string::npos, table.find("2 goals: 1 met, 1 not met, 0 skipped")) << table;
  EXPECT_NE(std::string::npos, table.find("NOT MET")) << table;
  EXPECT_FALSE(NoneMissed(verdicts));
}

TEST(RoundTest, EachProbeOfAGroupIsFirstInItsTurn) {
  std::vector<Probe> probes;
  for (const char* name : {"a1", "a2", "a3", "b1"}) {
    probes.push_back({.group = std::string(1, name[0]), .name = name});
  }
  std::set<std::string> first;
  for (int round = 0; round < 3; ++round) {
    const std::vector<const Probe*> order = OrderOfRound(probes, round);
    ASSERT_EQ(4u, order.size());
    first.insert(order[0]->name);
    EXPECT_EQ("b1", order[3]->name);
  }
  EXPECT_EQ(3u, first.size());
}

TEST(RoundTest, ProbesOfFewRoundsDropOut) {
  std::vector<Probe> probes(1);
  probes[0].most_rounds = 2;
  EXPECT_EQ(1u, OrderOfRound(probes, 1).size());
  EXPECT_TRUE(OrderOfRound(probes, 2).empty());
}

TEST(FormatTest, FiguresHaveThreeDigitsAndAUnit) {
  EXPECT_EQ("12.3 M/s", FormatFigure(12.345e6, Unit::kPerSecond));
  EXPECT_EQ("1.66 GB/s", FormatFigure(1.66e9, Unit::kBytesPerSecond));
  EXPECT_EQ("85.0 ns", FormatFigure(85, Unit::kNanoseconds));
  EXPECT_EQ("1.00 ms", FormatFigure(999'900, Unit::kNanoseconds));
  EXPECT_EQ("142 KiB", FormatFigure(142 * 1024, Unit::kBytes));
  EXPECT_EQ("0.98x", FormatFigure(0.98, Unit::kTimes));
}

}  // namespace
}  // namespace millrace
