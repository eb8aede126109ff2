// Goal: a power cut during a recovery, and another during the recovery from that, and so on,
// lose nothing and bring nothing back; nor does one after appending to what was recovered.
// Method: as crash_enum_test, but every fifth image is cut at each call of its recovery, those
// again, three deep, and every fourth one is appended to and cut.
// MILLRACE_CRASH_MINUTES=n: fresh seeds for so long.

#include <string>

#include "gtest/gtest.h"
#include "tests/crash/crash_campaign.h"
#include "tests/crash/crash_workloads.h"
#include "tests/power_cuts.h"

namespace millrace {
namespace {

TEST(CrashNestedTest, RecoveriesThatAreCutThreeDeepLoseNothingAndReviveNothing) {
  const Outcome outcome = RunCampaign("crash_nested", [](uint64_t seed, ImageSet& images) {
    Outcome sum;
    for (const CrashWorkload& workload : CrashWorkloads()) {
      const CutPlan plan{.seed = seed,
                         .budget = 160,
                         .known_in_a_row = 24,
                         .cut_recovery_every = 5,
                         .depth = 3,
                         .append_every = 4,
                         .deep_calls_one_in = 4};
      Outcome one = PowerCuts(SmallSegments(), plan, &images).Run(workload.run);
      if (one.violations > 0) {
        one.first_violation = std::string(workload.name) + ": " + one.first_violation;
      }
      EXPECT_GT(one.nested, 600 / kBudgetDivisor) << workload.name;
      sum += one;
    }
    return sum;
  });
  EXPECT_GT(outcome.nested, 20'000 / kBudgetDivisor);
  EXPECT_GE(outcome.deepest, 4u);
}

// A recovery whose sync the disk only pretends must be caught by the second cut.
TEST(CrashNestedTest, NoticesWhatOnlyASecondCutShows) {
  SimFileSystem disk(SimOptions{});
  CrashOracle oracle;
  SimLog log(disk, SmallSegments(), oracle);
  log.Open();
  log.Append(100);
  log.Commit();
  disk.CutPower();
  disk.PowerOn(kSubsetImage);
  disk.AddRule({.op = FileOp::kSync,
                .action = SimRule::Action::kPretend,
                .name = "*.seg",
                .count = SimRule::kForever});
  CrashOracle::Recovered recovered;
  ASSERT_EQ(RecoverAll(disk, SmallSegments(), "probe", &recovered), std::nullopt);
  ASSERT_EQ(oracle.Check(recovered), std::nullopt);
  oracle.Accepted(2, {"probe"});
  oracle.Acknowledged(2);
  uint64_t noticed = 0;
  disk.ForEachCrashImage(64, 1, [&](SimFileSystem& image, ImageId) {
    CrashOracle::Recovered again;
    const auto wrong = RecoverAll(image, SmallSegments(), "", &again);
    if (wrong.has_value() || oracle.Check(again).has_value()) ++noticed;
  });
  EXPECT_GT(noticed, 0u);
}

}  // namespace
}  // namespace millrace
