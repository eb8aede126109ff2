// Goal: `millrace truncate` says which records would be dropped, and drops them when told to.
// Method: runs the program that is delivered, on real files.

#include <filesystem>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"

namespace millrace {
namespace {

class CliTruncateTest : public CliTest {
 protected:
  void SetUp() override { Append(Numbered(1, 100)); }
};

TEST_F(CliTruncateTest, PlanChangesNothing) {
  MakeCursor("billing", 80);
  const ProgramResult plan = Millrace({"truncate", "--after=60", log()});
  EXPECT_EQ(kFine, plan.exit_code) << plan.errors;
  ExpectContains(plan.output, "records 61 to 100 would be dropped, for good: 40 records");
  ExpectContains(plan.output, "cursor billing would be set back from 80");
  ExpectContains(plan.output, "nothing was changed: --apply does it");
  EXPECT_EQ(Numbered(1, 100), Millrace({"cat", log()}).output);
}

TEST_F(CliTruncateTest, AppliedDropsTheRecordsAndGivesTheirNumbersAgain) {
  MakeCursor("billing", 80);
  const Json done = JsonOf({"truncate", "--after=60", "--apply", "--json", log()});
  EXPECT_EQ(true, done["applied"]);
  EXPECT_EQ(40, done["records"]);
  EXPECT_EQ("billing", done["cursors_set_back"][0]["name"]);
  EXPECT_EQ(Numbered(1, 60), Millrace({"cat", log()}).output);
  EXPECT_EQ(kFine, Millrace({"verify", log()}).exit_code);
  Append("new\n");
  EXPECT_EQ("61\tnew\n", Millrace({"cat", "--with-sequence", "--from=61", log()}).output);
}

TEST_F(CliTruncateTest, EverythingMayGoAndNothingNeedGo) {
  ExpectContains(Millrace({"truncate", "--after=100", log()}).output, "nothing to truncate");
  EXPECT_EQ(kFine, Millrace({"truncate", "--after=100", "--apply", log()}).exit_code);
  EXPECT_EQ(kFine, Millrace({"truncate", "--after=0", "--apply", log()}).exit_code);
  EXPECT_EQ("", Millrace({"cat", log()}).output);
  const ProgramResult none = Millrace({"truncate", "--after=5", log()});
  EXPECT_EQ(kUsage, none.exit_code);
  ExpectContains(none.errors, "--after is 5; the log holds no records");
}

TEST_F(CliTruncateTest, BatchIsNotCut) {
  {
    const auto opened = Log::Open(log());
    ASSERT_TRUE(opened.ok()) << opened.status();
    const std::vector<NewRecord> records = {{.payload = "a"}, {.payload = "b"}, {.payload = "c"}};
    ASSERT_TRUE((*opened)->AppendBatch(records).ok());
    ASSERT_TRUE((*opened)->Close().ok());
  }
  for (const std::vector<std::string>& flags : {std::vector<std::string>(), {"--apply"}}) {
    std::vector<std::string> call = {"truncate", "--after=102", log()};
    call.insert(call.end(), flags.begin(), flags.end());
    const ProgramResult result = Millrace(call);
    EXPECT_EQ(kUsage, result.exit_code);
    ExpectContains(result.errors, "inside the batch 101 to 103");
    ExpectContains(result.errors, "--after=100 or --after=103");
  }
}

TEST_F(CliTruncateTest, WrongLimitsAreRefused) {
  EXPECT_EQ(kUsage, Millrace({"truncate", log()}).exit_code);
  const ProgramResult beyond = Millrace({"truncate", "--after=101", log()});
  EXPECT_EQ(kUsage, beyond.exit_code);
  ExpectContains(beyond.errors, "--after is 101; the log holds records 1 to 100");
}

TEST_F(CliTruncateTest, LogThatIsOpenElsewhereIsLocked) {
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("x\n");
  ASSERT_TRUE(append.WaitForOutput("101\n"));
  EXPECT_EQ(kFine, Millrace({"truncate", "--after=60", log()}).exit_code);
  EXPECT_EQ(kLocked, Millrace({"truncate", "--after=60", "--apply", log()}).exit_code);
  EXPECT_EQ(kFine, append.Wait().exit_code);
}

TEST_F(CliTruncateTest, MissingLogIsNotCreated) {
  const std::string missing = temp_.Sub("missing");
  EXPECT_EQ(kIoError, Millrace({"truncate", "--after=1", "--apply", missing}).exit_code);
  EXPECT_FALSE(std::filesystem::exists(missing));
}

TEST_F(CliTruncateTest, KeysThatAreDocumentedAreThoseThatArePrinted) {
  const std::string help = Millrace({"truncate", "--help"}).output;
  const Json printed = JsonOf({"truncate", "--after=9", "--json", log()});
  for (const auto& item : printed.items()) {
    ExpectContains(help, "\n  " + item.key() + " ");
  }
}

}  // namespace
}  // namespace millrace
