// Goal: the command line does what its help says, with the exit codes that scripts rely on. Method:
// runs the program that is delivered, on real files.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/version.h"
#include "nlohmann/json.hpp"
#include "tests/program.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

using Json = nlohmann::json;

constexpr char kMillrace[] = "tools/millrace/millrace";
constexpr int kFine = 0;
constexpr int kUsage = 1;
constexpr int kDamage = 2;
constexpr int kIoError = 3;
constexpr int kLocked = 4;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string Numbered(int first, int last) {
  std::string lines;
  for (int i = first; i <= last; ++i) lines += "line " + std::to_string(i) + "\n";
  return lines;
}

class CliTest : public testing::Test {
 protected:
  ProgramResult Millrace(const std::vector<std::string>& arguments, const std::string& input = "") {
    return RunProgram(kMillrace, arguments, temp_.path(), input);
  }

  void Append(const std::string& lines, std::vector<std::string> more = {}) {
    more.insert(more.begin(), "append");
    more.push_back(log());
    const ProgramResult result = Millrace(more, lines);
    ASSERT_EQ(kFine, result.exit_code) << result.errors;
  }

  Json JsonOf(const std::vector<std::string>& arguments, int exit_code = kFine) {
    const ProgramResult result = Millrace(arguments);
    EXPECT_EQ(exit_code, result.exit_code) << result.errors;
    EXPECT_TRUE(Json::accept(result.output)) << result.output;
    return Json::parse(result.output, nullptr, /*allow_exceptions=*/false);
  }

  // Flips one bit of the first place where `text` stands in the log's segments.
  void Damage(const std::string& text) {
    for (const auto& entry : std::filesystem::directory_iterator(log())) {
      if (entry.path().extension() != ".seg") continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file),
                              std::istreambuf_iterator<char>()};
      const size_t at = bytes.find(text);
      if (at == std::string::npos) continue;
      file.clear();
      file.seekp(static_cast<std::streamoff>(at));
      file.put(static_cast<char>(bytes[at] ^ 0x10));
      return;
    }
    FAIL() << text << " is in no segment";
  }

  std::string log() const { return temp_.Sub("log"); }

  TempDirectory temp_;
};

TEST_F(CliTest, CatPrintsWhatAppendWasGiven) {
  Append("one\n\nthree, without a newline");
  const ProgramResult cat = Millrace({"cat", log()});
  EXPECT_EQ(kFine, cat.exit_code) << cat.errors;
  EXPECT_EQ("one\n\nthree, without a newline\n", cat.output);
  EXPECT_EQ("", cat.errors);
}

TEST_F(CliTest, AppendGoesOnWhereTheLogEnds) {
  Append(Numbered(1, 3));
  Append(Numbered(4, 5), {"--durability=buffered"});
  Append(Numbered(6, 6), {"--durability=written"});
  EXPECT_EQ("4\tline 4\n5\tline 5\n6\tline 6\n",
            Millrace({"cat", "--with-sequence", "--from=4", log()}).output);
}

TEST_F(CliTest, AckPrintsEachSequenceNumberInOrder) {
  const ProgramResult append = Millrace({"append", "--ack", log()}, Numbered(1, 500));
  EXPECT_EQ(kFine, append.exit_code) << append.errors;
  std::string expected;
  for (int i = 1; i <= 500; ++i) expected += std::to_string(i) + "\n";
  EXPECT_EQ(expected, append.output);
}

TEST_F(CliTest, AckComesWhileTheInputIsStillOpen) {
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("first\n");
  EXPECT_TRUE(append.WaitForOutput("1\n"));
  append.Send("second\n");
  EXPECT_TRUE(append.WaitForOutput("2\n"));
  EXPECT_EQ(kFine, append.Wait().exit_code);
}

TEST_F(CliTest, SeveralProducersAppendEveryLineOnce) {
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

TEST_F(CliTest, LengthFramingCarriesAnyBytes) {
  const std::string input = std::string("\x03\x00\x00\x00", 4) + "a\nb" +
                            std::string("\x00\x00\x00\x00", 4) +
                            std::string("\x02\x00\x00\x00\xff\x00", 6);
  Append(input, {"--framing=length"});
  EXPECT_EQ(input, Millrace({"cat", "--framing=length", log()}).output);
}

TEST_F(CliTest, TruncatedLengthFramingIsRefusedAfterTheWholeRecords) {
  const std::string input = std::string("\x01\x00\x00\x00x\x09\x00\x00\x00short", 14);
  const ProgramResult append = Millrace({"append", "--framing=length", log()}, input);
  EXPECT_EQ(kUsage, append.exit_code);
  EXPECT_NE(std::string::npos, append.errors.find("record 2")) << append.errors;
  EXPECT_EQ("x\n", Millrace({"cat", log()}).output);
}

TEST_F(CliTest, RecordsLargerThanASegmentAreRefusedByName) {
  const ProgramResult append =
      Millrace({"append", "--segment-bytes=8192", log()}, std::string(20000, 'x') + "\n");
  EXPECT_EQ(kUsage, append.exit_code);
  EXPECT_NE(std::string::npos, append.errors.find("--segment-bytes")) << append.errors;
}

TEST_F(CliTest, JsonOfCatCarriesKeyAndBytes) {
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

TEST_F(CliTest, TailPrintsTheLastRecords) {
  Append(Numbered(1, 30));
  EXPECT_EQ(Numbered(28, 30), Millrace({"tail", "-n", "3", log()}).output);
  EXPECT_EQ(Numbered(21, 30), Millrace({"tail", log()}).output);
}

TEST_F(CliTest, TailFollowsALiveWriterAndEndsOnInterrupt) {
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

TEST_F(CliTest, AppendEndsInOrderOnInterrupt) {
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("kept\n");
  ASSERT_TRUE(append.WaitForOutput("1\n"));
  append.Signal(SIGTERM);
  const ProgramResult result = append.Wait();
  EXPECT_EQ(kFine, result.exit_code) << result.errors;
  EXPECT_EQ("clean", JsonOf({"stat", "--json", log()})["recovery"]["outcome"]);
}

TEST_F(CliTest, KilledWriterLosesNothingAcknowledged) {
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

TEST_F(CliTest, StatShowsExtentSegmentsAndWriter) {
  Append(Numbered(1, 2000), {"--segment-bytes=16384"});
  const Json closed = JsonOf({"stat", "--json", log()});
  EXPECT_EQ(2000, closed["records"]);
  EXPECT_EQ(1, closed["first"]);
  EXPECT_EQ(2000, closed["last"]);
  EXPECT_EQ(false, closed["open"]);
  EXPECT_GT(closed["segments"].size(), 3u);
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("x\n");
  ASSERT_TRUE(append.WaitForOutput("2001\n"));
  EXPECT_EQ(true, JsonOf({"stat", "--json", log()})["open"]);
  const ProgramResult text = Millrace({"stat", log()});
  EXPECT_EQ(kFine, text.exit_code);
  EXPECT_NE(std::string::npos, text.output.find("open: a program appends to it")) << text.output;
}

TEST_F(CliTest, VerifyOfASoundLogFindsNoDamage) {
  Append(Numbered(1, 300), {"--segment-bytes=8192"});
  const ProgramResult text = Millrace({"verify", log()});
  EXPECT_EQ(kFine, text.exit_code) << text.errors;
  EXPECT_NE(std::string::npos, text.output.find("300 records read")) << text.output;
  EXPECT_NE(std::string::npos, text.output.find("no damage")) << text.output;
  EXPECT_EQ(false, JsonOf({"verify", "--json", log()})["damaged"]);
}

TEST_F(CliTest, DamagedByteIsNamedByEveryReader) {
  Append(Numbered(1, 20));
  Damage("line 7");
  const Json verify = JsonOf({"verify", "--json", log()}, kDamage);
  EXPECT_EQ(19, verify["records_read"]);
  ASSERT_EQ(1u, verify["lost"].size()) << verify.dump();
  EXPECT_EQ(7, verify["lost"][0]["first"]);
  EXPECT_EQ(7, verify["lost"][0]["last"]);
  EXPECT_EQ("acknowledged", verify["lost"][0]["acknowledgement"]);
  const ProgramResult text = Millrace({"verify", log()});
  EXPECT_EQ(kDamage, text.exit_code);
  EXPECT_NE(std::string::npos, text.output.find("DAMAGE: 1 places, 1 records lost")) << text.output;

  const ProgramResult cat = Millrace({"cat", log()});
  EXPECT_EQ(kDamage, cat.exit_code);
  EXPECT_EQ(Numbered(1, 6) + Numbered(8, 20), cat.output);
  EXPECT_NE(std::string::npos, cat.errors.find("lost: ")) << cat.errors;
  EXPECT_EQ(kDamage, Millrace({"cat", "--json", log()}).exit_code);
  EXPECT_EQ(kDamage, Millrace({"dump", log()}).exit_code);
}

TEST_F(CliTest, StrictPolicyRefusesADamagedLog) {
  Append(Numbered(1, 20));
  Damage("line 7");
  const ProgramResult append = Millrace({"append", "--policy=strict", log()}, "more\n");
  EXPECT_EQ(kDamage, append.exit_code);
  EXPECT_EQ("", append.output);
  EXPECT_EQ(19u, Lines(Millrace({"cat", log()}).output).size());
}

TEST_F(CliTest, DumpExplainsEachFrame) {
  Append("only\n");
  const ProgramResult dump = Millrace({"dump", log()});
  EXPECT_EQ(kFine, dump.exit_code) << dump.errors;
  for (const char* part : {"segment 1\n", "record 1\n", "a group begins", "closed in order"}) {
    EXPECT_NE(std::string::npos, dump.output.find(part)) << part << " in\n" << dump.output;
  }
  std::set<std::string> kinds;
  for (const std::string& line : Lines(Millrace({"dump", "--json", log(), "1"}).output)) {
    const Json frame = Json::parse(line, nullptr, false);
    ASSERT_TRUE(frame.is_object()) << line;
    kinds.insert(frame["kind"].get<std::string>());
  }
  EXPECT_TRUE(kinds.contains("record"));
  EXPECT_TRUE(kinds.contains("footer"));
  EXPECT_EQ(kIoError, Millrace({"dump", log(), "99"}).exit_code);
  EXPECT_EQ(kUsage, Millrace({"dump", log(), "one"}).exit_code);
}

TEST_F(CliTest, SecondWriterIsToldThatTheLogIsLocked) {
  Program first(kMillrace, {"append", "--ack", log()}, temp_.path());
  first.Send("mine\n");
  ASSERT_TRUE(first.WaitForOutput("1\n"));
  const ProgramResult second = Millrace({"append", log()}, "not mine\n");
  EXPECT_EQ(kLocked, second.exit_code) << second.errors;
  EXPECT_EQ(kFine, first.Wait().exit_code);
  EXPECT_EQ("mine\n", Millrace({"cat", log()}).output);
}

TEST_F(CliTest, MissingLogIsAnIoErrorForReaders) {
  for (const char* command : {"cat", "tail", "stat", "verify", "dump"}) {
    const ProgramResult result = Millrace({command, log()});
    EXPECT_EQ(kIoError, result.exit_code) << command;
    EXPECT_NE(std::string::npos, result.errors.find(log())) << result.errors;
  }
  EXPECT_FALSE(std::filesystem::exists(log()));
}

TEST_F(CliTest, WrongUsageIsToldApart) {
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"frobnicate"},
                                                       {"cat"},
                                                       {"cat", log(), "more"},
                                                       {"cat", "--producers=3", log()},
                                                       {"cat", "--from=x", log()},
                                                       {"cat", "--framing=length", "--json", log()},
                                                       {"append", "--framing=csv", log()},
                                                       {"append", "--durability=very", log()},
                                                       {"append", "--producers=0", log()},
                                                       {"bench", "--seconds=99"}};
  for (const std::vector<std::string>& arguments : wrong) {
    const ProgramResult result = Millrace(arguments);
    EXPECT_EQ(kUsage, result.exit_code) << testing::PrintToString(arguments);
    EXPECT_NE("", result.errors) << testing::PrintToString(arguments);
    EXPECT_EQ("", result.output) << testing::PrintToString(arguments);
  }
}

TEST_F(CliTest, HelpAndVersionTeach) {
  EXPECT_EQ("millrace " + std::string(kVersion) + "\n", Millrace({"--version"}).output);
  const ProgramResult help = Millrace({"--help"});
  EXPECT_EQ(kFine, help.exit_code);
  for (const char* command : {"append", "cat", "tail", "stat", "verify", "dump", "bench"}) {
    EXPECT_NE(std::string::npos, help.output.find(std::string("\n  ") + command)) << command;
    const ProgramResult own = Millrace({command, "--help"});
    EXPECT_EQ(kFine, own.exit_code);
    EXPECT_EQ(0u, own.output.find(std::string("Usage: millrace ") + command)) << own.output;
    EXPECT_EQ(own.output, Millrace({"help", command}).output);
  }
}

TEST_F(CliTest, BenchMeasuresEveryScenario) {
  const Json bench =
      JsonOf({"bench", "--json", "--seconds=0.2", "--rounds=1", "--dir=" + temp_.path()});
  ASSERT_EQ(4u, bench["scenarios"].size());
  for (const Json& scenario : bench["scenarios"]) {
    ASSERT_FALSE(scenario["rows"].empty());
    for (const Json& row : scenario["rows"]) {
      EXPECT_GT(row["records_per_second_median"].get<double>(), 0) << row.dump();
    }
  }
}

}  // namespace
}  // namespace millrace
