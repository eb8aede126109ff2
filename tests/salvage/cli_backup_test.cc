// Goal: `millrace backup` copies a log, beside a program that appends or not, and says what it
// did. Method: runs the program that is delivered, on real files.

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"
#include "tests/terminal_program.h"

namespace millrace {
namespace {

class CliBackupTest : public CliTest {
 protected:
  std::string copy() const { return temp_.Sub("copy"); }
  std::string Cat(const std::string& directory) { return Millrace({"cat", directory}).output; }
};

TEST_F(CliBackupTest, CopyOfAClosedLogIsSoundAndHoldsItAll) {
  Append(Numbered(1, 300), {"--segment-bytes=8192"});
  MakeCursor("billing", 120);
  const ProgramResult backup = Millrace({"backup", log(), copy()});
  EXPECT_EQ(kFine, backup.exit_code) << backup.errors;
  EXPECT_EQ("", backup.errors);
  ExpectContains(backup.output, "copied    300 records, ");
  ExpectContains(backup.output, " of payload: 1 to 300\ninto      " + copy() + ": 1 segment, ");
  ExpectContains(backup.output, "cursors   billing\nchecked   read back and compared; took ");
  EXPECT_EQ(Numbered(1, 300), Cat(copy()));
  EXPECT_EQ(kFine, Millrace({"verify", copy()}).exit_code);
  const Json cursor = JsonOf({"cursor", "list", "--json", copy()});
  EXPECT_EQ(120, cursor["checkpointed"]) << cursor.dump();
  // The copy goes on with the next number.
  EXPECT_EQ("301\n", Millrace({"append", "--ack", copy()}, "more\n").output);
  EXPECT_EQ(Numbered(1, 300), Cat(log()));
}

TEST_F(CliBackupTest, CopyBesideAProgramThatAppends) {
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send(Numbered(1, 50));
  ASSERT_TRUE(append.WaitForOutput("50\n"));
  // Not before the log says that they are durable, which it does when it has been idle.
  const ProgramResult tail = Millrace({"tail", "-n", "1", log()});
  EXPECT_EQ(kFine, tail.exit_code);
  const Json done = JsonOf({"backup", "--json", log(), copy()});
  EXPECT_EQ(0, done["records_lost"]);
  EXPECT_EQ(done["last"], done["records"]);
  EXPECT_EQ(Numbered(1, done["last"].get<int>()), Cat(copy()));
  append.Send("line 51\n");
  ASSERT_TRUE(append.WaitForOutput("51\n"));
  EXPECT_EQ(kFine, append.Wait().exit_code);
}

TEST_F(CliBackupTest, TargetsThatDoNotSuitAreRefused) {
  Append("only\n");
  for (const std::string& target : {log(), log() + "/sub", log() + "/../log", temp_.path()}) {
    const ProgramResult refused = Millrace({"backup", log(), target});
    EXPECT_EQ(kUsage, refused.exit_code) << target << refused.errors;
    EXPECT_EQ("", refused.output);
  }
  EXPECT_FALSE(std::filesystem::exists(log() + "/sub"));
  // Through a symbolic link, too.
  std::filesystem::create_directory_symlink(log(), temp_.Sub("link"));
  const ProgramResult through = Millrace({"backup", log(), temp_.Sub("link") + "/sub"});
  EXPECT_EQ(kUsage, through.exit_code);
  ExpectContains(through.errors, "is inside the log");
  EXPECT_FALSE(std::filesystem::exists(log() + "/sub"));
  EXPECT_EQ(kUsage, Millrace({"backup", log()}).exit_code);
  EXPECT_EQ(kIoError, Millrace({"backup", temp_.Sub("missing"), copy()}).exit_code);
  EXPECT_FALSE(std::filesystem::exists(copy()));
}

TEST_F(CliBackupTest, DamageIsNamedAndStrictRefusesIt) {
  Append(Numbered(1, 20));
  Damage("line 7");
  const ProgramResult strict = Millrace({"backup", "--strict", log(), copy()});
  EXPECT_EQ(kDamage, strict.exit_code);
  ExpectContains(strict.errors, "record 7");
  const ProgramResult backup = Millrace({"backup", log(), copy()});
  EXPECT_EQ(kDamage, backup.exit_code) << backup.errors;
  ExpectContains(backup.output, "copied    19 records");
  ExpectContains(backup.output, "lost      record 7");
  ExpectContains(backup.output, "DAMAGE: 1 place, 1 record missing in log and copy alike");
  EXPECT_EQ(Numbered(1, 6) + Numbered(8, 20), Cat(copy()));
}

TEST_F(CliBackupTest, WhatAnInterruptedBackupLeavesIsNoLog) {
  Append("only\n");
  std::filesystem::create_directory(copy());
  std::filesystem::copy_file(log() + "/LOG", copy() + "/LOG");
  std::ofstream(copy() + "/UNFINISHED") << "copy\n";
  for (const char* command : {"cat", "verify", "stat"}) {
    const ProgramResult result = Millrace({command, copy()});
    EXPECT_EQ(kIoError, result.exit_code);
    ExpectContains(result.errors, "delete the directory and copy anew");
  }
  EXPECT_EQ(kUsage, Millrace({"backup", log(), copy()}).exit_code);
}

TEST_F(CliBackupTest, ProgressIsShownOnATerminalUnlessQuiet) {
  Append(Numbered(1, 2000));
  TerminalProgram shown(kMillrace, {"backup", log(), copy()});
  EXPECT_TRUE(shown.WaitForOutput("read back and compared"));
  EXPECT_EQ(kFine, shown.Wait());
  ExpectContains(shown.Output(), "copying and checking ");
  TerminalProgram quiet(kMillrace, {"backup", "--quiet", log(), temp_.Sub("other")});
  EXPECT_TRUE(quiet.WaitForOutput("read back and compared"));
  EXPECT_EQ(kFine, quiet.Wait());
  EXPECT_EQ(std::string::npos, quiet.Output().find("copying")) << quiet.Output();
}

TEST_F(CliBackupTest, KeysThatAreDocumentedAreThoseThatArePrinted) {
  Append("only\n");
  const std::string help = Millrace({"backup", "--help"}).output;
  const Json printed = JsonOf({"backup", "--json", log(), copy()});
  EXPECT_EQ(12u, printed.size());
  for (const auto& item : printed.items()) ExpectContains(help, "\n  " + item.key() + " ");
}

}  // namespace
}  // namespace millrace
