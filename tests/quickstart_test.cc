// Goal: the demonstration behind tools/quickstart passes on a log that keeps its promises, and each
// of its checks fails when that promise is broken on purpose. Method: runs it, small, with one
// fault put in at a time.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/program.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

constexpr char kDemonstration[] = "tools/quickstart_demo/quickstart_demo";

class QuickstartTest : public testing::Test {
 protected:
  QuickstartTest() {
    std::ofstream input(Input());
    for (int i = 0; i < 100; ++i) input << "event number " << i << " of a real file\n";
  }

  ProgramResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--records=8000", "--dir=" + temp_.path(), Input()});
    return RunProgram(kDemonstration, arguments, temp_.path());
  }

  void ExpectFailure(const std::string& sabotage, const std::vector<std::string>& failed) {
    const ProgramResult result = Run({"--sabotage=" + sabotage});
    EXPECT_EQ(1, result.exit_code) << result.output << result.errors;
    for (const std::string& check : failed) {
      EXPECT_NE(std::string::npos, result.output.find("FAILED  " + check))
          << sabotage << " should break: " << check << "\n"
          << result.output;
    }
    EXPECT_EQ(std::string::npos, result.output.find("All checks hold")) << result.output;
  }

  std::string Input() const { return temp_.Sub("input"); }

  TempDirectory temp_;
};

TEST_F(QuickstartTest, AllChecksHoldAndNothingIsLeftBehind) {
  const ProgramResult result = Run({});
  EXPECT_EQ(0, result.exit_code) << result.output << result.errors;
  EXPECT_NE(std::string::npos, result.output.find("All checks hold.")) << result.output;
  EXPECT_EQ(std::string::npos, result.output.find("FAILED")) << result.output;
  for (const char* part : {"killed with SIGKILL", "recovery report", "records/s", "syncs/s",
                           "records/sync", "p99.9", "write + fdatasync"}) {
    EXPECT_NE(std::string::npos, result.output.find(part)) << part << " in\n" << result.output;
  }
  for (const auto& entry : std::filesystem::directory_iterator(temp_.path())) {
    EXPECT_FALSE(entry.is_directory()) << entry.path();
  }
}

TEST_F(QuickstartTest, FailsIfOneRecordIsMissing) {
  ExpectFailure("drop", {"audit was given every acknowledged record"});
}

TEST_F(QuickstartTest, FailsIfOneRecordIsDamagedOnDisk) {
  ExpectFailure("damage", {"audit was given every acknowledged record",
                           "billing was given every acknowledged record"});
}

TEST_F(QuickstartTest, FailsIfOneRecordComesTwice) {
  ExpectFailure("repeat", {"audit, in one sitting, was given nothing twice"});
}

TEST_F(QuickstartTest, FailsIfOneByteIsAltered) {
  ExpectFailure("alter", {"audit was given them byte for byte"});
}

TEST_F(QuickstartTest, FailsIfTwoRecordsOfAProducerChangePlaces) {
  ExpectFailure("swap", {"audit was given each producer's records in order"});
}

TEST_F(QuickstartTest, FailsIfARecordIsInvented) {
  ExpectFailure("invent", {"audit was given no invented record"});
}

TEST_F(QuickstartTest, RefusesWhatItCannotRun) {
  EXPECT_EQ(2, RunProgram(kDemonstration, {temp_.Sub("absent")}, temp_.path()).exit_code);
  EXPECT_EQ(2, RunProgram(kDemonstration, {"--producers=1"}, temp_.path()).exit_code);
  EXPECT_EQ(2, RunProgram(kDemonstration, {"--dir=" + temp_.Sub("absent"), Input()}, temp_.path())
                   .exit_code);
}

}  // namespace
}  // namespace millrace
