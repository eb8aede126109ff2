// Goal: the examples do what they say, across restarts and a crash.
//
// Method: runs the programs as a reader would, and looks at what they print.

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "tests/program.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

struct LoggerFigures {
  int logged = 0;
  int dropped = 0;
  int shipped = 0;
};

LoggerFigures RunLogger(const TempDirectory& temp, const std::string& events) {
  const ProgramResult result =
      RunProgram("examples/event_logger", {temp.Sub("log"), events}, temp.path());
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.errors, "");
  const std::regex figures(R"((\d+) events logged, (\d+) dropped, (\d+) shipped)");
  std::smatch match;
  if (!std::regex_search(result.output, match, figures)) {
    ADD_FAILURE() << result.output;
    return {};
  }
  return {std::stoi(match[1]), std::stoi(match[2]), std::stoi(match[3])};
}

TEST(EventLoggerTest, ShipsWhatItLoggedAndNothingTwiceAfterAnOrderlyEnd) {
  const TempDirectory temp;
  for (int run = 0; run < 2; ++run) {
    const LoggerFigures figures = RunLogger(temp, "2000");
    EXPECT_EQ(figures.logged + figures.dropped, 4 * 2000);
    EXPECT_EQ(figures.shipped, figures.logged);
    EXPECT_GE(figures.logged, 4 * 20) << "payments are never dropped";
  }
}

TEST(EventLoggerTest, ShipsAgainWhatAKillLeft) {
  const TempDirectory temp;
  {
    Program program("examples/event_logger", {temp.Sub("log"), "100000000"}, temp.path());
    // Once its log has a second segment it is in the middle of its work.
    while (!std::filesystem::exists(temp.Sub("log/00000000000000000002.seg"))) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    program.Signal(SIGKILL);
    EXPECT_EQ(program.Wait().exit_code, -1);
  }
  const LoggerFigures figures = RunLogger(temp, "100");
  EXPECT_GE(figures.shipped, figures.logged);
}

TEST(CrashImagesTest, FindsThePlantedBugAndNoneInTheMendedStore) {
  const TempDirectory temp;
  const ProgramResult result = RunProgram("examples/crash_images", {}, temp.path());
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const std::regex expected(
      R"(without the sync: [1-9]\d* of (\d+) images wrong\n  the first before call .*\n)"
      R"(with it: 0 of (\d+) images wrong\n)");
  std::smatch match;
  ASSERT_TRUE(std::regex_match(result.output, match, expected)) << result.output;
  EXPECT_GT(std::stoi(match[1]), 100);
  EXPECT_GT(std::stoi(match[2]), 100);
}

class KeyValueStoreTest : public testing::Test {
 protected:
  std::string Run(std::vector<std::string> arguments, int exit_code = 0) {
    arguments.insert(arguments.begin(), temp_.Sub("store"));
    const ProgramResult result = RunProgram("examples/key_value_store", arguments, temp_.path());
    EXPECT_EQ(result.exit_code, exit_code) << result.errors;
    return result.output;
  }

  const TempDirectory temp_;
};

TEST_F(KeyValueStoreTest, FindsWhatItWroteAfterEachRestart) {
  Run({"set", "a", "1", "b", "2"});
  Run({"set", "a", "3"});
  Run({"delete", "b"});
  EXPECT_EQ(Run({"get", "a"}), "3\n");
  EXPECT_EQ(Run({"get", "b"}), "(none)\n");
  EXPECT_EQ(Run({"get", "a"}), "3\n") << "reading consumed something";
}

TEST_F(KeyValueStoreTest, FindsEverythingAfterACheckpoint) {
  for (int i = 0; i < 5; ++i) Run({"set", "key" + std::to_string(i), std::to_string(i)});
  Run({"delete", "key3"});
  Run({"checkpoint"});
  Run({"set", "key4", "new"});
  EXPECT_EQ(Run({"get", "key0"}), "0\n");
  EXPECT_EQ(Run({"get", "key3"}), "(none)\n");
  EXPECT_EQ(Run({"get", "key4"}), "new\n");
  Run({"checkpoint"});
  EXPECT_EQ(Run({"get", "key4"}), "new\n");
}

TEST_F(KeyValueStoreTest, RefusesUnknownCommands) { Run({"steal", "a"}, 3); }

}  // namespace
}  // namespace millrace
