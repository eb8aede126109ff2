// Goal: after a power cut at any call and after any sector of it, everything acknowledged is
// there, what is lost is a suffix, and nothing is there that was not accepted; on disks that
// reorder, tear and fill with garbage; on those that harm what stands beside a write nothing
// else is lost than stood there.
// Method: eight workloads times 24 kinds of disks; see power_cuts.h.
// MILLRACE_CRASH_MINUTES=n: fresh seeds for so long.

#include <cstdio>
#include <string>

#include "gtest/gtest.h"
#include "tests/crash/crash_campaign.h"
#include "tests/crash/crash_workloads.h"
#include "tests/power_cuts.h"

namespace millrace {
namespace {

TEST(CrashEnumTest, EveryWorkloadOnEveryDiskLosesNothingAcknowledged) {
  const Outcome outcome = RunCampaign("crash_enum", [](uint64_t seed, ImageSet& images) {
    Outcome sum;
    uint64_t disk_number = 0;
    for (const CrashDisk& disk : CrashDisks()) {
      ++disk_number;
      for (const CrashWorkload& workload : CrashWorkloads()) {
        // The same seed for all, so that the same image counts once.
        const CutPlan plan{.seed = seed,
                           .draws = disk_number,
                           .budget = 420,
                           .known_in_a_row = 48,
                           .cut_recovery_every = 100,
                           .append_every = 16};
        Outcome one = PowerCuts(SmallSegments(), plan, &images).Run(workload.run, disk.options);
        EXPECT_GT(one.checks, 40 / kBudgetDivisor) << workload.name << " on " << disk.name;
        if (one.violations > 0) {
          one.first_violation = std::string(workload.name) + " on " + std::string(disk.name) +
                                ": " + one.first_violation;
        }
        sum += one;
      }
    }
    return sum;
  });
  EXPECT_GT(outcome.distinct, 150'000 / kBudgetDivisor);
  EXPECT_GT(outcome.damage.torn_sector, 0u);
  EXPECT_GT(outcome.damage.garbage, 0u);
  EXPECT_GT(outcome.damage.neighbour_garbage, 0u);
  EXPECT_GT(outcome.damage.zero_hole, 0u);
  EXPECT_GT(outcome.damage.stale_hole, 0u);
  EXPECT_GT(outcome.damage.lost_create, 0u);
  EXPECT_GT(outcome.damage.lost_rename, 0u);
  EXPECT_GT(outcome.damage.lost_unlink, 0u);
  EXPECT_GT(outcome.damage.overtaken_entry, 0u);
}

// Where a power cut harms the rest of a sector, too: nothing, if every write has its own.
TEST(CrashEnumTest, PaddedWritesLoseNothingBesideThem) {
  Options options = SmallSegments();
  options.pad_to_sector = true;
  Outcome sum;
  for (const CrashDisk& disk : CrashDisks()) {
    if (disk.options.powersafe_overwrite) continue;
    for (const CrashWorkload& workload : CrashWorkloads()) {
      const CutPlan plan{.seed = Seed(), .budget = 150, .spares_neighbours = true};
      const Outcome one = PowerCuts(options, plan).Run(workload.run, disk.options);
      EXPECT_EQ(one.violations, 0u)
          << workload.name << " on " << disk.name << ": " << one.first_violation;
      sum += one;
    }
  }
  std::printf("%s\n", sum.Line("crash_enum_padded", Seed()).c_str());
  EXPECT_GT(sum.damage.neighbour_garbage, 0u);
}

// The harness must notice what it is there to notice, on each workload.

TEST(CrashEnumTest, NoticesHarmBesideWritesThatAreNotPadded) {
  uint64_t lost = 0;
  for (const CrashDisk& disk : CrashDisks()) {
    if (disk.options.powersafe_overwrite) continue;
    const CutPlan plan{.seed = Seed(), .budget = 150, .spares_neighbours = true};
    lost += PowerCuts(SmallSegments(), plan).Run(CrashWorkloads()[0].run, disk.options).lost_acked;
  }
  EXPECT_GT(lost, 0u);
}

TEST(CrashEnumTest, NoticesASkippedDataSyncInEveryWorkload) {
  for (const CrashWorkload& workload : CrashWorkloads()) {
    const Outcome outcome =
        PowerCuts(SmallSegments(), Seed(), 24).Run(workload.run, {}, [](const FileCall& call) {
          return call.op == FileOp::kSync && call.name.ends_with(".seg");
        });
    EXPECT_GT(outcome.lost_acked, 0u) << workload.name;
  }
}

TEST(CrashEnumTest, NoticesACheckpointThatIsNotSynced) {
  const CrashWorkload& workload = CrashWorkloads()[4];
  ASSERT_EQ(workload.name, "trim_checkpoint");
  const Outcome outcome =
      PowerCuts(SmallSegments(), Seed(), 24).Run(workload.run, {}, [](const FileCall& call) {
        return call.op == FileOp::kSync && call.name.find(".cursor") != std::string_view::npos;
      });
  EXPECT_GT(outcome.violations, 0u);
}

// Trims what its cursor has not committed.
void TrimBeforeCheckpoint(SimLog& log) {
  log.Open();
  log.Append(10);
  log.Commit();
  log.Checkpoint("c", 1);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 3; ++i) log.Append(2500);
    log.Commit();
  }
  const SequenceNumber last = log.core().last_durable();
  log.Trim(last);
  log.Checkpoint("c", last);
}

TEST(CrashEnumTest, NoticesATrimBeforeItsCheckpoint) {
  const Outcome outcome = PowerCuts(SmallSegments(), Seed(), 24).Run(TrimBeforeCheckpoint);
  EXPECT_TRUE(outcome.first_violation.starts_with("C12:")) << outcome.first_violation;
}

}  // namespace
}  // namespace millrace
