// Goal: a printed fault script, parsed, is the same script, and does the same again.
// Method: round trips of every option and action; lines that are wrong, with what is said of
// each; two disks with the same script and the same calls.

#include <errno.h>

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/crash/sim_disk_fixture.h"

namespace millrace {
namespace {

constexpr char kEverything[] =
    "seed 7\n"
    "sector-bytes 4096\n"
    "entries prefix\n"
    "new-entry synced-with-file\n"
    "failed-sync reverts-size\n"
    "torn-sectors off\n"
    "garbage off\n"
    "stale-holes off\n"
    "powersafe-overwrite off\n"
    "overwrites-in-place off\n"
    "capacity 65536\n"
    "on sync *.seg first=3 then lose-pages EIO\n"
    "on write * count=forever one-in=100 then fail EINTR\n"
    "on write * count=2 then short 17\n"
    "on write *.seg count=forever then limit 12288 EDQUOT\n"
    "on sync-directory . then pretend\n"
    "on read * then corrupt 3\n"
    "on sync * then delay 500\n"
    "on rename LOG then crash-before\n"
    "on create * then crash-inside\n"
    "on unlink ? first=2 then crash-after\n";

SimScript Parsed(std::string_view text) {
  std::string error;
  const std::optional<SimScript> script = SimScript::Parse(text, &error);
  EXPECT_TRUE(script.has_value()) << error;
  return script.value_or(SimScript{});
}

TEST(SimScriptTest, PrintsWhatItParsed) {
  EXPECT_EQ(Parsed(kEverything).ToString(), kEverything);
  EXPECT_EQ(SimScript{}.ToString(), "");
  EXPECT_EQ(Parsed(""), SimScript{});
}

TEST(SimScriptTest, ParsesCommentsBlankLinesAndNumbersOfErrors) {
  const SimScript script = Parsed("# all of it\n\n  seed 3 # why not\r\non list * then fail 5");
  EXPECT_EQ(script.options.seed, 3u);
  ASSERT_EQ(script.rules.size(), 1u);
  EXPECT_EQ(script.rules[0].op, FileOp::kList);
  EXPECT_EQ(script.rules[0].error, EIO);
}

TEST(SimScriptTest, EveryProfileAndFailedSyncSurvivesPrinting) {
  for (int i = 0; i < kSimProfiles; ++i) {
    SimScript script;
    script.options = OptionsOf(static_cast<SimProfile>(i), 5);
    EXPECT_EQ(Parsed(script.ToString()), script);
  }
}

TEST(SimScriptTest, SaysWhichLineIsWrongAndWhy) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"seed x", "line 1 cannot be: seed x"},
      {"\nsector-bytes 1000", "line 2 cannot be: sector-bytes 1000"},
      {"colour blue", "line 1 cannot be: colour blue"},
      {"garbage maybe", "line 1 cannot be: garbage maybe"},
      {"seed", "line 1 has not two words"},
      {"on", "line 1 names no operation"},
      {"on jump * then fail EIO", "line 1 names no operation"},
      {"on sync", "line 1 has no glob"},
      {"on sync * first=0 then fail EIO", "line 1 cannot be: first=0"},
      {"on sync * twice then fail EIO", "line 1 cannot be: twice"},
      {"on sync * then", "line 1 names no action after \"then\""},
      {"on sync * then fail", "line 1 fail has other arguments"},
      {"on sync * then fail EWHAT", "line 1 fail has other arguments"},
      {"on sync * then pretend EIO", "line 1 pretend has other arguments"},
  };
  for (const auto& [text, expected] : cases) {
    std::string error;
    EXPECT_FALSE(SimScript::Parse(text, &error).has_value()) << text;
    EXPECT_EQ(error, expected);
  }
}

class SimScriptReplayTest : public SimDiskFixture {
 protected:
  // Writes and syncs; returns all that could differ.
  std::string Play(const SimScript& script) {
    Start(script);
    const std::unique_ptr<File> file = Synced("f", "");
    for (int i = 0; i < 200; ++i) {
      Write(*file, std::string(static_cast<size_t>(i), 'x'));
      file->Sync();
    }
    return disk_->Describe() + ReadAll(*file) +
           disk_->ReadDurableBytes("/log/f").value_or("(no entry)");
  }
};

TEST_F(SimScriptReplayTest, SameScriptDoesTheSameAgain) {
  SimScript script = Parsed(
      "seed 11\nfailed-sync reverts-cache\ncapacity 150\n"
      "on sync * one-in=9 count=forever then lose-pages EIO\n"
      "on write * one-in=5 count=forever then short 3\n"
      "on write * one-in=5 count=forever then fail EINTR\n"
      "on read * then corrupt 2\n");
  const std::string first = Play(script);
  // What a failed test prints.
  EXPECT_EQ(disk_->Script(), script);
  EXPECT_EQ(Play(Parsed(disk_->Script().ToString())), first);
  script.options.seed = 12;
  EXPECT_NE(Play(script), first);
}

}  // namespace
}  // namespace millrace
