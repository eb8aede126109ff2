// Goal: `millrace cat` and `millrace tail` print what is in the log, byte for byte. Method: runs
// the program that is delivered, on real files.

#include <signal.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"

namespace millrace {
namespace {

using CliReadTest = CliTest;

TEST_F(CliReadTest, CatPrintsWhatAppendWasGiven) {
  Append("one\n\nthree, without a newline");
  const ProgramResult cat = Millrace({"cat", log()});
  EXPECT_EQ(kFine, cat.exit_code) << cat.errors;
  EXPECT_EQ("one\n\nthree, without a newline\n", cat.output);
  EXPECT_EQ("", cat.errors);
}

TEST_F(CliReadTest, CatFromBeyondTheEndSaysWhatTheLogHolds) {
  Append(Numbered(1, 30));
  ProgramResult cat = Millrace({"cat", "--from=500", log()});
  EXPECT_EQ(kFine, cat.exit_code);
  EXPECT_EQ("", cat.output);
  EXPECT_EQ(
      "millrace cat: --from is 500; the log holds records 1 to 30, so that there is nothing to "
      "print\n",
      cat.errors);
  cat = Millrace({"cat", "--json", "--upto=durable", "--from=31", log()});
  EXPECT_EQ(kFine, cat.exit_code);
  EXPECT_EQ("", cat.output);
  EXPECT_EQ(
      "millrace cat: --from is 31; the log holds records 1 to 30 that are durable, so that there "
      "is nothing to print yet\n",
      cat.errors);
  EXPECT_EQ("", Millrace({"cat", "--from=30", log()}).errors);
}

TEST_F(CliReadTest, CatFromSomewhereInALogWithoutRecordsSaysThatItHasNone) {
  Append("");
  const ProgramResult cat = Millrace({"cat", "--from=2", log()});
  EXPECT_EQ(kFine, cat.exit_code);
  ExpectContains(cat.errors, "--from is 2; the log holds no records");
}

TEST_F(CliReadTest, JsonOfCatCarriesKeyAndBytes) {
  Append("a=1\nb=\xff\n", {"--key-separator=="});
  const std::vector<std::string> lines = Lines(Millrace({"cat", "--json", log()}).output);
  ASSERT_EQ(2u, lines.size());
  const Json first = Json::parse(lines[0], nullptr, false);
  EXPECT_EQ(1, first["sequence"]);
  EXPECT_EQ("a", first["key"]);
  EXPECT_EQ("1", first["payload"]);
  EXPECT_TRUE(first["time"].is_string());
  EXPECT_EQ("/w==", Json::parse(lines[1], nullptr, false)["payload_base64"]);
}

TEST_F(CliReadTest, TailPrintsTheLastRecords) {
  Append(Numbered(1, 30));
  EXPECT_EQ(Numbered(28, 30), Millrace({"tail", "-n", "3", log()}).output);
  EXPECT_EQ(Numbered(21, 30), Millrace({"tail", log()}).output);
}

TEST_F(CliReadTest, TailFollowsALiveWriterAndEndsOnInterrupt) {
  Append("before\n");
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  Program tail(kMillrace, {"tail", "-f", "--with-sequence", log()}, temp_.path());
  EXPECT_TRUE(tail.WaitForOutput("1\tbefore\n"));
  append.Send("during\n");
  EXPECT_TRUE(tail.WaitForOutput("2\tduring\n"));
  append.Send(Numbered(1, 100));
  EXPECT_TRUE(tail.WaitForOutput("102\tline 100\n"));
  EXPECT_EQ(kFine, append.Wait().exit_code);
  tail.Signal(SIGINT);
  const ProgramResult result = tail.Wait();
  EXPECT_EQ(kFine, result.exit_code) << result.errors;
  EXPECT_EQ(102u, Lines(result.output).size());
}

TEST_F(CliReadTest, TailTakesItsCountWithAndWithoutASpace) {
  Append(Numbered(1, 5));
  EXPECT_EQ(Numbered(4, 5), Millrace({"tail", "-n2", log()}).output);
  EXPECT_EQ(Numbered(4, 5), Millrace({"tail", log(), "-n=2"}).output);
  EXPECT_EQ("", Millrace({"tail", "-n0", log()}).output);
}

TEST_F(CliReadTest, PayloadsThatAreNoUtf8ComeBackFromJson) {
  std::string payload;
  for (int byte = 0; byte < 256; ++byte) payload += static_cast<char>(byte);
  Append(std::string("\x00\x01\x00\x00", 4) + payload, {"--framing=length"});
  const Json record = JsonOf({"cat", "--json", log()});
  std::string decoded;
  ASSERT_TRUE(absl::Base64Unescape(record["payload_base64"].get<std::string>(), &decoded));
  EXPECT_EQ(payload, decoded);
  EXPECT_FALSE(record.contains("payload"));
}

TEST_F(CliReadTest, CatEndsWhenItsReaderHasGone) {
  Append(Numbered(1, 50000));
  const std::string command =
      std::string(kMillrace) + " cat " + log() + " | head -n 1; exit ${PIPESTATUS[0]}";
  const ProgramResult result = RunProgram("/bin/bash", {"-c", command}, temp_.path());
  EXPECT_EQ(kFine, result.exit_code) << result.errors;
  EXPECT_EQ("line 1\n", result.output);
  EXPECT_EQ("", result.errors);
}

TEST_F(CliReadTest, FollowingEndsOnInterruptWhileNobodyTakesItsOutput) {
  Append(Numbered(1, 50000));
  // The pipe's other end stays open and is never read.
  const std::string command = std::string("mkfifo ") + temp_.Sub("pipe") + "; exec 3<>" +
                              temp_.Sub("pipe") + "; echo begun; exec " + kMillrace +
                              " tail -f -n 50000 " + log() + " >&3";
  Program tail("/bin/bash", {"-c", command}, temp_.path());
  ASSERT_TRUE(tail.WaitForOutput("begun"));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  tail.Signal(SIGINT);
  EXPECT_EQ(kFine, tail.Wait().exit_code);
}

TEST_F(CliReadTest, FullDiskBehindTheOutputIsAnIoError) {
  Append(Numbered(1, 10));
  const std::string command = std::string("exec ") + kMillrace + " cat " + log() + " > /dev/full";
  const ProgramResult result = RunProgram("/bin/bash", {"-c", command}, temp_.path());
  EXPECT_EQ(kIoError, result.exit_code);
  ExpectContains(result.errors, "write standard output");
}

}  // namespace
}  // namespace millrace
