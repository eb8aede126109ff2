// Goal: a power cut at any moment of a fail-over leaves everything acknowledged, before it and
// after it, and nothing invented.
// Method: workloads in which one write or sync of a segment fails, each in turn, in each way that
// file systems do it, with the power cut before every call that changes the disk, as in crash_test.

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
}

using FailedSync = SimOptions::FailedSync;

struct Fault {
  const char* name;
  FileOp op;
  SimRule::Action action;
  FailedSync failed_sync = FailedSync::kKeepsSize;
};

class CrashFailOverFaultTest : public testing::TestWithParam<Fault> {};

TEST_P(CrashFailOverFaultTest, LosesNothingAcknowledged) {
  const Fault& fault = GetParam();
  Outcome sum;
  for (uint64_t nth = 1; nth <= 30; nth += kUnderSanitizer ? 7 : 2) {
    SimRule rule;
    rule.op = fault.op;
    rule.action = fault.action;
    rule.error = EIO;
    rule.name = "*.seg";
    rule.first = nth;
    SimOptions disk;
    disk.failed_sync = fault.failed_sync;
    const auto workload = [&rule](SimLog& log) {
      Mixed(log, rule);
      log.Close();
    };
    const Outcome outcome = PowerCuts(SmallSegments(), Seed() + nth, 8).Run(workload, disk);
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

INSTANTIATE_TEST_SUITE_P(
    Faults, CrashFailOverFaultTest,
    testing::Values(Fault{"sync", FileOp::kSync, SimRule::Action::kLosePages},
                    Fault{"sync_reverts_size", FileOp::kSync, SimRule::Action::kLosePages,
                          FailedSync::kRevertsSize},
                    Fault{"sync_reverts_cache", FileOp::kSync, SimRule::Action::kLosePages,
                          FailedSync::kRevertsCache},
                    Fault{"write", FileOp::kWrite, SimRule::Action::kFail}),
    [](const auto& info) { return info.param.name; });

// On a disk that harms what stands beside a write, with writes that stand by themselves.
TEST(CrashFailOverTest, PaddedWritesLoseNothingBesideThem) {
  Options options = SmallSegments();
  options.pad_to_sector = true;
  SimOptions disk;
  disk.sector_bytes = 4096;
  disk.powersafe_overwrite = false;
  uint64_t harmed = 0;
  for (uint64_t nth = 1; nth <= 24; nth += 2) {
    SimRule rule = {.op = FileOp::kSync, .action = SimRule::Action::kLosePages};
    rule.error = EIO;
    rule.name = "*.seg";
    rule.first = nth;
    const auto workload = [&rule](SimLog& log) { Mixed(log, rule); };
    const CutPlan plan{.seed = Seed() + nth, .budget = 24, .spares_neighbours = true};
    const Outcome outcome = PowerCuts(options, plan).Run(workload, disk);
    EXPECT_EQ(outcome.violations, 0u) << "call " << nth << ": " << outcome.first_violation;
    harmed += outcome.damage.neighbour_garbage;
  }
  EXPECT_GT(harmed, 0u);
}

// The sync before the one that fails has lied: until the fail-over is done nobody can help that.
// From then on what both covered stands elsewhere.
TEST(CrashFailOverTest, ErrorReportedLateLosesNothingOnceTheLogHasGoneOn) {
  SimOptions disk;
  disk.failed_sync = FailedSync::kReportsLate;
  uint64_t fail_overs = 0;
  for (uint64_t nth = 1; nth <= 24; ++nth) {
    SimRule rule = {.op = FileOp::kSync, .action = SimRule::Action::kLosePages};
    rule.error = EIO;
    rule.name = "*.seg";
    rule.first = nth;
    const Outcome outcome = PowerCuts(SmallSegments(), Seed() + nth, 16)
                                .RunLast([&](SimLog& log) { Mixed(log, rule); },
                                         [&](SimLog& log) {
                                           log.Append(70);
                                           log.Commit();
                                           fail_overs += log.core().counters().fail_overs;
                                         },
                                         disk);
    EXPECT_EQ(outcome.violations, 0u) << "call " << nth << ": " << outcome.first_violation;
    EXPECT_GT(outcome.checks, 0u);
  }
  EXPECT_GE(fail_overs, 8u);
}

// Nothing can be written any more until the power comes back.
TEST(CrashFailOverTest, AbortedJournalEndsTheLogAndLosesNothingAcknowledged) {
  SimOptions disk;
  disk.failed_sync = FailedSync::kAbortsJournal;
  for (uint64_t rounds = 0; rounds < 12; ++rounds) {
    const auto workload = [rounds](SimLog& log) {
      log.Open();
      for (uint64_t i = 0; i < rounds; ++i) {
        log.Append(1200);
        log.Append(40, Durability::kWritten);
        log.Commit();
      }
      SimRule rule = {.op = FileOp::kSync, .action = SimRule::Action::kLosePages};
      rule.error = EIO;
      rule.name = "*.seg";
      log.AddRule(rule);
      log.Append(300);
      EXPECT_TRUE(log.core().Write().ok());
      EXPECT_FALSE(log.core().Sync().ok());
      EXPECT_FALSE(log.core().Sync().ok());
      EXPECT_FALSE(log.core().Close().ok());
    };
    const Outcome outcome = PowerCuts(SmallSegments(), Seed() + rounds, 16).Run(workload, disk);
    EXPECT_EQ(outcome.violations, 0u) << rounds << " rounds: " << outcome.first_violation;
  }
}

}  // namespace
}  // namespace millrace
