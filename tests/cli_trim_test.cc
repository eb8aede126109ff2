// Goal: `millrace trim` says what would go, and gives up that and nothing else when told to.
// Method: runs the program that is delivered, on real files.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"

namespace millrace {
namespace {

class CliTrimTest : public CliTest {
 protected:
  // 2000 records in segments of some 400.
  void SetUp() override { Append(Numbered(1, 2000), {"--segment-bytes=16KiB"}); }

  Json Segments() { return JsonOf({"stat", "--json", log()})["segments"]; }
  int First() { return JsonOf({"stat", "--json", log()})["first"]; }
};

TEST_F(CliTrimTest, PlanChangesNothingAndNamesWholeSegments) {
  const Json before = JsonOf({"stat", "--json", log()});
  const Json plan = JsonOf({"trim", "--before=1000", "--json", log()});
  EXPECT_EQ(false, plan["applied"]);
  EXPECT_EQ(1, plan["first"]);
  const int kept = plan["first_to_keep"];
  EXPECT_GT(kept, 1);
  EXPECT_LE(kept, 1000);
  EXPECT_EQ(kept - 1, plan["records"]);
  ASSERT_FALSE(plan["segments"].empty());
  EXPECT_EQ(kept - 1, plan["segments"].back()["last"]);
  const ProgramResult text = Millrace({"trim", "--before=1000", log()});
  EXPECT_EQ(kFine, text.exit_code) << text.errors;
  ExpectContains(text.output, "records 1 to " + std::to_string(kept - 1) + " would go");
  ExpectContains(text.output, "nothing was changed: --apply does it");
  EXPECT_EQ(before, JsonOf({"stat", "--json", log()}));
}

TEST_F(CliTrimTest, PlanOfManySegmentsIsShortUnlessAllAreAskedFor) {
  Append(Numbered(2001, 6000), {"--segment-bytes=16KiB"});
  const Json segments = JsonOf({"trim", "--before=5900", "--json", log()})["segments"];
  ASSERT_GT(segments.size(), 8u);
  const std::vector<std::string> shown = Lines(Millrace({"trim", "--before=5900", log()}).output);
  // A title, three of each end with one line between, an empty one, the totals, and what does it.
  ASSERT_EQ(1u + 7 + 3, shown.size());
  for (const size_t i : {0, 1, 2}) {
    ExpectContains(shown[1 + i], segments[i]["file"].get<std::string>());
    ExpectContains(shown[7 - i], segments[segments.size() - 1 - i]["file"].get<std::string>());
  }
  const auto number = [&](size_t i, const char* key) {
    return std::to_string(segments[i][key].get<int>());
  };
  ExpectContains(shown[4],
                 " " + number(3, "first") + ".." + number(segments.size() - 4, "last") + " ");
  ExpectContains(shown[4], std::to_string(segments.size() - 6) + " segments more");
  const std::string all = Millrace({"trim", "--before=5900", "--all", log()}).output;
  for (const Json& segment : segments) ExpectContains(all, segment["file"].get<std::string>());
  EXPECT_EQ(1 + segments.size() + 3, Lines(all).size());
}

TEST_F(CliTrimTest, NoLineStandsForASingleSegment) {
  // As many as fit at both ends, and one.
  std::string before;
  for (int round = 0; round < 20 && before.empty(); ++round) {
    Append(Numbered(1, 400), {"--segment-bytes=16KiB"});
    const Json segments = Segments();
    if (segments.size() > 7) before = "--before=" + segments[7]["first"].dump();
  }
  ASSERT_EQ(7u, JsonOf({"trim", before, "--json", log()})["segments"].size());
  EXPECT_EQ(1u + 7 + 3, Lines(Millrace({"trim", before, log()}).output).size());
  EXPECT_EQ(std::string::npos, Millrace({"trim", before, log()}).output.find("more"));
}

TEST_F(CliTrimTest, AppliedDoesWhatThePlanSaid) {
  const int kept = JsonOf({"trim", "--before=1000", "--json", log()})["first_to_keep"];
  const Json done = JsonOf({"trim", "--before=1000", "--apply", "--json", log()});
  EXPECT_EQ(true, done["applied"]);
  EXPECT_EQ(kept, done["first_to_keep"]);
  EXPECT_EQ(kept, First());
  EXPECT_EQ(Numbered(kept, 2000), Millrace({"cat", log()}).output);
  ExpectContains(Millrace({"trim", "--before=1000", "--apply", log()}).output, "nothing to trim");
}

TEST_F(CliTrimTest, KeepBytesKeepsTheNewestSegmentsOfThatSize) {
  const Json segments = Segments();
  uint64_t bytes = 0;
  int first = 0;
  for (size_t i = segments.size() - 2; i < segments.size(); ++i) {
    bytes += segments[i]["bytes"].get<uint64_t>();
    if (first == 0) first = segments[i]["first"];
  }
  const std::string exact = "--keep-bytes=" + std::to_string(bytes);
  EXPECT_EQ(first, JsonOf({"trim", exact, "--json", log()})["first_to_keep"]);
  // The last segment stays, whatever its size.
  EXPECT_EQ(segments.back()["first"],
            JsonOf({"trim", "--keep-bytes=1", "--json", log()})["first_to_keep"]);
  EXPECT_EQ(1, JsonOf({"trim", "--keep-bytes=1GiB", "--json", log()})["first_to_keep"]);
}

TEST_F(CliTrimTest, OlderThanGoesByTheTimesOfRecords) {
  EXPECT_EQ(0, JsonOf({"trim", "--older-than=1h", "--json", log()})["records"]);
  const Json all = JsonOf({"trim", "--older-than=0s", "--json", log()});
  EXPECT_EQ(Segments().back()["first"], all["first_to_keep"]);
}

TEST_F(CliTrimTest, ConsumedGoesUpToTheSlowestCursor) {
  EXPECT_EQ(kUsage, Millrace({"trim", "--consumed", log()}).exit_code);
  MakeCursor("fast", 2000);
  MakeCursor("slow", 1000);
  const Json plan = JsonOf({"trim", "--consumed", "--json", log()});
  EXPECT_GT(plan["first_to_keep"], 1);
  EXPECT_LE(plan["first_to_keep"], 1001);
  EXPECT_TRUE(plan["cursors_in_the_way"].empty());
  DamageCursor("slow");
  const ProgramResult damaged = Millrace({"trim", "--consumed", log()});
  EXPECT_EQ(kUsage, damaged.exit_code);
  ExpectContains(damaged.errors, "cursor slow");
}

TEST_F(CliTrimTest, CursorInTheWayIsNamedAndRefusesUnlessForced) {
  MakeCursor("billing", 10);
  const Json plan = JsonOf({"trim", "--before=1000", "--json", log()}, kUsage);
  EXPECT_EQ(true, plan["refused"]);
  ASSERT_EQ(1u, plan["cursors_in_the_way"].size());
  EXPECT_EQ("billing", plan["cursors_in_the_way"][0]["name"]);
  const ProgramResult refused = Millrace({"trim", "--before=1000", "--apply", log()});
  EXPECT_EQ(kUsage, refused.exit_code);
  ExpectContains(refused.output, "in the way: cursor billing has consumed up to 10 only");
  EXPECT_EQ(1, First());
  const ProgramResult forced = Millrace({"trim", "--before=1000", "--force", "--apply", log()});
  EXPECT_EQ(kFine, forced.exit_code) << forced.errors;
  ExpectContains(forced.output, "passed over: cursor billing");
  EXPECT_GT(First(), 1);
}

TEST_F(CliTrimTest, EverythingMayGoAndNumbersGoOn) {
  EXPECT_EQ(2001, JsonOf({"trim", "--before=2001", "--apply", "--json", log()})["first_to_keep"]);
  EXPECT_EQ("", Millrace({"cat", log()}).output);
  Append("next\n");
  EXPECT_EQ("2001\tnext\n", Millrace({"cat", "--with-sequence", log()}).output);
}

TEST_F(CliTrimTest, LimitBeyondTheEndIsWrongUsage) {
  const ProgramResult result = Millrace({"trim", "--before=2002", log()});
  EXPECT_EQ(kUsage, result.exit_code);
  ExpectContains(result.errors, "the log ends with record 2000");
}

TEST_F(CliTrimTest, ExactlyOneLimitIsTaken) {
  EXPECT_EQ(kUsage, Millrace({"trim", log()}).exit_code);
  EXPECT_EQ(kUsage, Millrace({"trim", "--before=2", "--consumed", log()}).exit_code);
}

TEST_F(CliTrimTest, LogThatIsOpenElsewhereIsPlannedForButNotTrimmed) {
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("x\n");
  ASSERT_TRUE(append.WaitForOutput("2001\n"));
  const ProgramResult plan = Millrace({"trim", "--before=1000", log()});
  EXPECT_EQ(kFine, plan.exit_code) << plan.errors;
  ExpectContains(plan.output, "once the program that has the log open has closed it");
  EXPECT_EQ(kLocked, Millrace({"trim", "--before=1000", "--apply", log()}).exit_code);
  EXPECT_EQ(kFine, append.Wait().exit_code);
}

}  // namespace
}  // namespace millrace
