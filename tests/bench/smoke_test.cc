// Goal: tools/bench does not rot: every probe, sweep and goal still runs. Method: the program
// itself with --smoke, everything once and as short as can be.

#include <fstream>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/program.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

using Json = nlohmann::json;

constexpr char kCompare[] = "bench/compare/compare";

TEST(CompareTest, SmokeRunsEveryProbeAndJudgesEveryGoal) {
  const TempDirectory temp;
  const std::string json_path = temp.Sub("figures.json");
  const ProgramResult result =
      RunProgram(kCompare, {"--smoke", "--dir=" + temp.path(), "--json=" + json_path}, temp.path());
  ASSERT_EQ(0, result.exit_code) << result.errors << result.output;
  EXPECT_NE(std::string::npos, result.output.find(" goals: ")) << result.output;

  std::ifstream file(json_path);
  const Json document = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  ASSERT_FALSE(document.is_discarded());
  for (const char* part : {"probes", "sweeps"}) {
    ASSERT_FALSE(document[part].empty());
    for (const Json& probe : document[part]) {
      EXPECT_TRUE(probe.contains("skipped") || !probe["figures"].empty()) << probe["name"];
    }
  }
  // A goal whose figure no probe has any longer would be skipped for this reason.
  const std::set<std::string> only_there = {"journal commits per sync"};
  for (const Json& goal : document["goals"]) {
    if (only_there.count(goal["what"].get<std::string>()) != 0) continue;
    const std::string reason = goal.value("reason", "");
    EXPECT_NE("the system does not tell", reason) << goal["what"];
    EXPECT_EQ(std::string::npos, reason.find("was not run")) << goal["what"];
  }
}

TEST(CompareTest, OnlyChoosesByTheBeginningOfTheName) {
  const TempDirectory temp;
  const ProgramResult result =
      RunProgram(kCompare, {"--list", "--only=queue2,memory.idle"}, temp.path());
  EXPECT_EQ(0, result.exit_code) << result.errors;
  EXPECT_NE(std::string::npos, result.output.find("queue2.causal"));
  EXPECT_NE(std::string::npos, result.output.find("memory.idle"));
  EXPECT_EQ(std::string::npos, result.output.find("durable"));
}

}  // namespace
}  // namespace millrace
