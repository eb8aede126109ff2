// Goal: `millrace bench` measures every scenario. Method: runs the program that is
// delivered, on real files.

#include "gtest/gtest.h"
#include "tests/cli_fixture.h"

namespace millrace {
namespace {

using CliBenchTest = CliTest;

TEST_F(CliBenchTest, BenchMeasuresEveryScenario) {
  const Json bench =
      JsonOf({"bench", "--json", "--seconds=0.2", "--rounds=1", "--dir=" + temp_.path()});
  ASSERT_EQ(4u, bench["scenarios"].size());
  for (const Json& scenario : bench["scenarios"]) {
    ASSERT_FALSE(scenario["rows"].empty());
    for (const Json& row : scenario["rows"]) {
      // Not above 0: on a busy machine a fifth of a second may pass before one sync returns.
      EXPECT_GE(row["records_per_second_median"].get<double>(), 0) << row.dump();
      EXPECT_EQ(row["records_per_second"].size(), 1u) << row.dump();
    }
  }
}

}  // namespace
}  // namespace millrace
