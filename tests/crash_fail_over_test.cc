// Goal: a power cut at any moment of a fail-over leaves everything acknowledged, before it and
// after it, and nothing invented.
// Method: workloads in which one write or sync of a segment fails, each in turn, with the power
// cut before every call that changes the disk, as in crash_test.

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/crash_oracle.h"
#include "tests/power_cuts.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

// Single durable records, groups, a batch, written records over more than one segment, a mark.
void Mixed(SimLog& log, const SimRule& rule) {
  log.Open();
  log.Append(300);
  log.Commit();
  log.AddRule(rule);
  for (int round = 0; round < 4; ++round) {
    log.Append(40);
    log.Commit();
    log.AppendBatch({200, 0, 900});
    log.Append(1200);
    log.Commit();
    for (int i = 0; i < 5; ++i) {
      log.Append(1100, Durability::kWritten);
      log.Write();
    }
    log.Commit();
    if (round == 1) log.IdleMark();
    if (round == 2) log.Trim(8);
  }
  log.Close();
}

struct Fault {
  const char* name;
  FileOp op;
  SimRule::Action action;
};

class CrashFailOverTest : public testing::TestWithParam<Fault> {};

TEST_P(CrashFailOverTest, LosesNothingAcknowledged) {
  const Fault& fault = GetParam();
  Outcome sum;
  for (uint64_t nth = 1; nth <= 30; nth += kUnderSanitizer ? 7 : 2) {
    SimRule rule;
    rule.op = fault.op;
    rule.action = fault.action;
    rule.error = EIO;
    rule.name = "*.seg";
    rule.first = nth;
    const Outcome outcome =
        PowerCuts(SmallSegments(), Seed() + nth, 8).Run([&](SimLog& log) { Mixed(log, rule); });
    ASSERT_EQ(outcome.violations, 0u) << "call " << nth << ": " << outcome.first_violation;
    sum.images += outcome.images;
    sum.distinct += outcome.distinct;
  }
  std::printf(
      "RELIABILITY target=crash_fail_over_%s seed=%llu states=%llu lost_acked=0 invented=0 "
      "silent=0 hangs=0\n",
      fault.name, static_cast<unsigned long long>(Seed()),
      static_cast<unsigned long long>(sum.distinct));
  EXPECT_GT(sum.distinct, 1000u);
}

INSTANTIATE_TEST_SUITE_P(Faults, CrashFailOverTest,
                         testing::Values(Fault{"sync", FileOp::kSync, SimRule::Action::kLosePages},
                                         Fault{"write", FileOp::kWrite, SimRule::Action::kFail}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace millrace
