// Goal: `millrace stat`, once and watching, shows how a log stands, and `millrace cursor list` its
// cursors. Method: runs the program that is
// delivered, on real files.

#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"
#include "tests/terminal_program.h"

namespace millrace {
namespace {

using CliStatTest = CliTest;

TEST_F(CliStatTest, StatShowsExtentSegmentsAndWriter) {
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

TEST_F(CliStatTest, TextFitsIntoEightyColumns) {
  Append(Numbered(1, 9000), {"--segment-bytes=16KiB"});
  MakeCursor("billing", 4000);
  const ProgramResult stat = Millrace({"stat", "--all", log()});
  EXPECT_EQ(kFine, stat.exit_code) << stat.errors;
  std::vector<std::string> lines = Lines(stat.output);
  ASSERT_GT(lines.size(), 10u);
  // The first names the log, however long that is.
  for (size_t i = 1; i < lines.size(); ++i) EXPECT_LE(lines[i].size(), 80u) << lines[i];
  ExpectContains(stat.output, "9000 (1 to 9000)");
  ExpectContains(stat.output, "billing");
  ExpectContains(stat.output, "5000");
  const ProgramResult newest = Millrace({"stat", log()});
  ExpectContains(newest.output, "--all shows the others");
  EXPECT_LT(Lines(newest.output).size(), lines.size());
}

TEST_F(CliStatTest, WatchingPrintsALineForEachLookBesideALiveWriter) {
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send(Numbered(1, 100));
  ASSERT_TRUE(append.WaitForOutput("\n100\n"));
  Program watch(kMillrace, {"stat", "--watch=50ms", "--json", log()}, temp_.path());
  ASSERT_TRUE(watch.WaitForOutput("\n"));
  append.Send(Numbered(1, 200));
  ASSERT_TRUE(watch.WaitForOutput("\"last\":300,"));
  watch.Signal(SIGINT);
  const ProgramResult result = watch.Wait();
  EXPECT_EQ(kFine, result.exit_code) << result.errors;
  EXPECT_EQ(kFine, append.Wait().exit_code);
  const std::vector<std::string> lines = Lines(result.output);
  ASSERT_GE(lines.size(), 2u);
  EXPECT_TRUE(Json::parse(lines[0], nullptr, false)["records_per_second"].is_null());
  double fastest = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const Json look = Json::parse(lines[i], nullptr, false);
    ASSERT_TRUE(look.is_object()) << lines[i];
    EXPECT_EQ(true, look["open"]);
    fastest = std::max(fastest, look["records_per_second"].get<double>());
  }
  EXPECT_GT(fastest, 0);
}

TEST_F(CliStatTest, WatchingAsTextIsOneLineForEachLook) {
  Append(Numbered(1, 100));
  MakeCursor("billing", 40);
  Program watch(kMillrace, {"stat", "--watch=20ms", log()}, temp_.path());
  ASSERT_TRUE(watch.WaitForOutput("growth=0 records/s"));
  watch.Signal(SIGTERM);
  const ProgramResult result = watch.Wait();
  EXPECT_EQ(kFine, result.exit_code) << result.errors;
  for (const std::string& line : Lines(result.output)) {
    ExpectContains(line, "records=1..100 durable=100");
    ExpectContains(line, " behind[billing]=60");
  }
}

TEST_F(CliStatTest, WatchingOnATerminalRefreshesInPlace) {
  Append(Numbered(1, 100));
  MakeCursor("billing", 40);
  TerminalProgram watch(kMillrace, {"stat", "--watch=20ms", log()});
  EXPECT_TRUE(watch.WaitForOutput("billing"));
  // Up as many lines as it has printed.
  EXPECT_TRUE(watch.WaitForOutput("A\r\033[J"));
  watch.Signal(SIGINT);
  EXPECT_EQ(kFine, watch.Wait());
}

TEST_F(CliStatTest, WatchingTooOftenIsWrongUsage) {
  Append(Numbered(1, 1));
  for (const char* interval : {"--watch=0", "--watch=1ms", "--watch=-1s", "--watch=soon"}) {
    const ProgramResult result = Millrace({"stat", interval, log()});
    EXPECT_EQ(kUsage, result.exit_code) << interval;
    ExpectContains(result.errors, "--watch is");
  }
}

TEST_F(CliStatTest, CursorsAreListedWithTheirLagBesideALiveWriter) {
  Append(Numbered(1, 100));
  MakeCursor("billing", 40);
  MakeCursor("audit", 100);
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("x\n");
  ASSERT_TRUE(append.WaitForOutput("101\n"));
  // Says that the last record is durable.
  append.Send("y\n");
  ASSERT_TRUE(append.WaitForOutput("102\n"));
  const std::vector<Json> cursors = JsonLines({"cursor", "list", "--json", log()});
  ASSERT_EQ(2u, cursors.size());
  EXPECT_EQ("audit", cursors[0]["name"]);
  EXPECT_EQ(100, cursors[0]["checkpointed"]);
  EXPECT_EQ("billing", cursors[1]["name"]);
  EXPECT_EQ("valid", cursors[1]["state"]);
  EXPECT_EQ(40, cursors[1]["checkpointed"]);
  EXPECT_GE(cursors[1]["lag_records"].get<int>(), 61);
  EXPECT_TRUE(cursors[1]["oldest_unconsumed"].is_string());
  const ProgramResult text = Millrace({"cursor", "list", log()});
  EXPECT_EQ(kFine, text.exit_code) << text.errors;
  EXPECT_EQ(3u, Lines(text.output).size()) << text.output;
  EXPECT_EQ(kFine, append.Wait().exit_code);
}

TEST_F(CliStatTest, ListOfNoCursorsSaysSo) {
  Append(Numbered(1, 1));
  EXPECT_EQ("no cursors\n", Millrace({"cursor", "list", log()}).output);
  EXPECT_EQ("", Millrace({"cursor", "list", "--json", log()}).output);
}

TEST_F(CliStatTest, DamagedCursorIsListedAsThat) {
  Append(Numbered(1, 10));
  MakeCursor("billing", 4);
  DamageCursor("billing");
  EXPECT_EQ("damaged", JsonOf({"cursor", "list", "--json", log()}, kDamage)["state"]);
}

}  // namespace
}  // namespace millrace
