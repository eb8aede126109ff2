// Goal: `millrace append` takes what it is given, and says when it is safe. Method: runs the
// program that is delivered, on real files.

#include <signal.h>

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"

namespace millrace {
namespace {

using CliAppendTest = CliTest;

TEST_F(CliAppendTest, AppendGoesOnWhereTheLogEnds) {
  Append(Numbered(1, 3));
  Append(Numbered(4, 5), {"--durability=buffered"});
  Append(Numbered(6, 6), {"--durability=written"});
  EXPECT_EQ("4\tline 4\n5\tline 5\n6\tline 6\n",
            Millrace({"cat", "--with-sequence", "--from=4", log()}).output);
}

TEST_F(CliAppendTest, AckPrintsEachSequenceNumberInOrder) {
  const ProgramResult append = Millrace({"append", "--ack", log()}, Numbered(1, 500));
  EXPECT_EQ(kFine, append.exit_code) << append.errors;
  std::string expected;
  for (int i = 1; i <= 500; ++i) expected += std::to_string(i) + "\n";
  EXPECT_EQ(expected, append.output);
}

TEST_F(CliAppendTest, AckComesWhileTheInputIsStillOpen) {
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("first\n");
  EXPECT_TRUE(append.WaitForOutput("1\n"));
  append.Send("second\n");
  EXPECT_TRUE(append.WaitForOutput("2\n"));
  EXPECT_EQ(kFine, append.Wait().exit_code);
}

TEST_F(CliAppendTest, SeveralProducersAppendEveryLineOnce) {
  const ProgramResult append =
      Millrace({"append", "--ack", "--json", "--producers=4", log()}, Numbered(1, 2000));
  EXPECT_EQ(kFine, append.exit_code) << append.errors;
  std::set<int> lines;
  for (const std::string& line : Lines(append.output)) {
    const Json ack = Json::parse(line, nullptr, false);
    ASSERT_TRUE(ack.is_object()) << line;
    lines.insert(ack["line"].get<int>());
  }
  EXPECT_EQ(2000u, lines.size());
  const std::vector<std::string> printed = Lines(Millrace({"cat", log()}).output);
  EXPECT_EQ(2000u, std::set<std::string>(printed.begin(), printed.end()).size());
}

TEST_F(CliAppendTest, LengthFramingCarriesAnyBytes) {
  const std::string input = std::string("\x03\x00\x00\x00", 4) + "a\nb" +
                            std::string("\x00\x00\x00\x00", 4) +
                            std::string("\x02\x00\x00\x00\xff\x00", 6);
  Append(input, {"--framing=length"});
  EXPECT_EQ(input, Millrace({"cat", "--framing=length", log()}).output);
}

TEST_F(CliAppendTest, TruncatedLengthFramingIsRefusedAfterTheWholeRecords) {
  const std::string input = std::string("\x01\x00\x00\x00x\x09\x00\x00\x00short", 14);
  const ProgramResult append = Millrace({"append", "--framing=length", log()}, input);
  EXPECT_EQ(kUsage, append.exit_code);
  EXPECT_NE(std::string::npos, append.errors.find("record 2")) << append.errors;
  EXPECT_EQ("x\n", Millrace({"cat", log()}).output);
}

TEST_F(CliAppendTest, RecordsLargerThanASegmentAreRefusedByName) {
  const ProgramResult append =
      Millrace({"append", "--segment-bytes=8192", log()}, std::string(20000, 'x') + "\n");
  EXPECT_EQ(kUsage, append.exit_code);
  EXPECT_NE(std::string::npos, append.errors.find("--segment-bytes")) << append.errors;
}

TEST_F(CliAppendTest, AppendEndsInOrderOnInterrupt) {
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("kept\n");
  ASSERT_TRUE(append.WaitForOutput("1\n"));
  append.Signal(SIGTERM);
  const ProgramResult result = append.Wait();
  EXPECT_EQ(kFine, result.exit_code) << result.errors;
  EXPECT_EQ("clean", JsonOf({"stat", "--json", log()})["recovery"]["outcome"]);
}

TEST_F(CliAppendTest, KilledWriterLosesNothingAcknowledged) {
  {
    Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
    append.Send(Numbered(1, 50));
    ASSERT_TRUE(append.WaitForOutput("\n50\n"));
    append.Signal(SIGKILL);
    EXPECT_EQ(-1, append.Wait().exit_code);
  }
  EXPECT_EQ(Numbered(1, 50), Millrace({"cat", log()}).output);
  EXPECT_EQ("recovered", JsonOf({"stat", "--json", log()})["recovery"]["outcome"]);
  Append("after\n");
  EXPECT_EQ("51\tafter\n", Millrace({"cat", "--with-sequence", "--from=51", log()}).output);
}

TEST_F(CliAppendTest, SecondWriterIsToldThatTheLogIsLocked) {
  Program first(kMillrace, {"append", "--ack", log()}, temp_.path());
  first.Send("mine\n");
  ASSERT_TRUE(first.WaitForOutput("1\n"));
  const ProgramResult second = Millrace({"append", log()}, "not mine\n");
  EXPECT_EQ(kLocked, second.exit_code) << second.errors;
  EXPECT_EQ(kFine, first.Wait().exit_code);
  EXPECT_EQ("mine\n", Millrace({"cat", log()}).output);
}

TEST_F(CliAppendTest, StrictPolicyRefusesADamagedLog) {
  Append(Numbered(1, 20));
  Damage("line 7");
  const ProgramResult append = Millrace({"append", "--policy=strict", log()}, "more\n");
  EXPECT_EQ(kDamage, append.exit_code);
  EXPECT_EQ("", append.output);
  EXPECT_EQ(19u, Lines(Millrace({"cat", log()}).output).size());
}

}  // namespace
}  // namespace millrace
