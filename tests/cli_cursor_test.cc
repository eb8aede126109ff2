// Goal: `millrace cursor move` and `millrace cursor delete` say what would change, and change that
// when told to. Method: runs the program that is delivered, on real files.

#include <filesystem>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"

namespace millrace {
namespace {

class CliCursorTest : public CliTest {
 protected:
  void SetUp() override {
    Append(Numbered(1, 100));
    MakeCursor("billing", 40);
  }

  ProgramResult Move(const std::string& position, std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"cursor", "move", log(), "billing", position});
    return Millrace(flags);
  }

  int Checkpointed() { return JsonOf({"cursor", "list", "--json", log()})["checkpointed"]; }
};

TEST_F(CliCursorTest, PlanOfAMoveChangesNothing) {
  const ProgramResult back = Move("11");
  EXPECT_EQ(kFine, back.exit_code) << back.errors;
  ExpectContains(back.output, "cursor billing would read record 11 next, of 1 to 100");
  ExpectContains(back.output, "30 records again: 11 to 40");
  ExpectContains(back.output, "nothing was changed: --apply does it");
  ExpectContains(Move("51").output, "pass over 10 records: 41 to 50");
  ExpectContains(Move("latest").output, "what comes after record 100");
  EXPECT_EQ(40, Checkpointed());
}

TEST_F(CliCursorTest, MoveGoesToEveryKindOfPosition) {
  const struct {
    const char* position;
    int consumed;
  } moves[] = {{"11", 10},   {"earliest", 0},
               {"101", 100}, {"1999-01-01T00:00:00Z", 0},
               {"71", 70},   {"2999-01-01T00:00:00+02:00", 100},
               {"1", 0},     {"latest", 100}};
  for (const auto& move : moves) {
    const ProgramResult moved = Move(move.position, {"--apply"});
    EXPECT_EQ(kFine, moved.exit_code) << move.position << ": " << moved.errors;
    EXPECT_EQ(move.consumed, Checkpointed()) << move.position;
  }
}

TEST_F(CliCursorTest, MoveToATimeGoesToTheFirstRecordWrittenThen) {
  Append(Numbered(101, 110));
  const std::vector<Json> records = JsonLines({"cat", "--json", "--from=101", log()});
  ASSERT_EQ(10u, records.size());
  EXPECT_EQ(kFine, Move(records[0]["time"], {"--apply"}).exit_code);
  EXPECT_EQ(100, Checkpointed());
}

TEST_F(CliCursorTest, MovedCursorGoesOnThere) {
  ASSERT_EQ(kFine, Move("51", {"--apply"}).exit_code);
  const auto opened = Log::Open(log());
  ASSERT_TRUE(opened.ok()) << opened.status();
  const auto cursor = (*opened)->OpenCursor("billing");
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  const auto entry = (*cursor)->Next(absl::ZeroDuration());
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(51u, entry->record.sequence);
}

TEST_F(CliCursorTest, JsonOfAMoveTellsFromAndTo) {
  const Json plan = JsonOf({"cursor", "move", "--json", log(), "billing", "51"});
  EXPECT_EQ(false, plan["applied"]);
  EXPECT_EQ(40, plan["from"]);
  EXPECT_EQ(50, plan["to"]);
  EXPECT_EQ(true,
            JsonOf({"cursor", "move", "--json", "--apply", log(), "billing", "51"})["applied"]);
}

TEST_F(CliCursorTest, UnknownCursorIsMadeOnlyWhenAskedFor) {
  const ProgramResult unknown = Millrace({"cursor", "move", "--apply", log(), "biling", "51"});
  EXPECT_EQ(kUsage, unknown.exit_code);
  ExpectContains(unknown.errors, "no cursor \"biling\"; it has billing; --create makes one");
  const ProgramResult made =
      Millrace({"cursor", "move", "--apply", "--create", log(), "audit", "51"});
  EXPECT_EQ(kFine, made.exit_code) << made.errors;
  const std::vector<Json> cursors = JsonLines({"cursor", "list", "--json", log()});
  ASSERT_EQ(2u, cursors.size());
  EXPECT_EQ("audit", cursors[0]["name"]);
  EXPECT_EQ(50, cursors[0]["checkpointed"]);
}

TEST_F(CliCursorTest, WrongPositionsAreRefused) {
  for (const char* position : {"0", "102", "tomorrow", "2026-01-31", "12x"}) {
    for (const std::vector<std::string>& flags : {std::vector<std::string>(), {"--apply"}}) {
      const ProgramResult result = Move(position, flags);
      EXPECT_EQ(kUsage, result.exit_code) << position;
      ExpectContains(result.errors, "POSITION is");
    }
  }
  EXPECT_EQ(40, Checkpointed());
}

TEST_F(CliCursorTest, DeletePlansAndDeletes) {
  const ProgramResult plan = Millrace({"cursor", "delete", log(), "billing"});
  EXPECT_EQ(kFine, plan.exit_code) << plan.errors;
  ExpectContains(plan.output, "would be deleted; it had consumed up to 40, and was 60 records");
  EXPECT_EQ(40, Checkpointed());
  const Json done = JsonOf({"cursor", "delete", "--apply", "--json", log(), "billing"});
  EXPECT_EQ(true, done["applied"]);
  EXPECT_EQ("billing", done["name"]);
  EXPECT_EQ("no cursors\n", Millrace({"cursor", "list", log()}).output);
  EXPECT_EQ(kUsage, Millrace({"cursor", "delete", "--apply", log(), "billing"}).exit_code);
}

TEST_F(CliCursorTest, DamagedCursorIsDeletedOnlyByForce) {
  DamageCursor("billing");
  EXPECT_EQ(kDamage, Move("1").exit_code);
  EXPECT_EQ(kDamage, Move("1", {"--apply"}).exit_code);
  const ProgramResult refused = Millrace({"cursor", "delete", "--apply", log(), "billing"});
  EXPECT_EQ(kDamage, refused.exit_code);
  ExpectContains(refused.errors, "--force` removes it");
  const ProgramResult forced =
      Millrace({"cursor", "delete", "--apply", "--force", log(), "billing"});
  EXPECT_EQ(kFine, forced.exit_code) << forced.errors;
  EXPECT_EQ("no cursors\n", Millrace({"cursor", "list", log()}).output);
}

TEST_F(CliCursorTest, LogThatIsOpenElsewhereIsLocked) {
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("x\n");
  ASSERT_TRUE(append.WaitForOutput("101\n"));
  const ProgramResult plan = Move("11");
  EXPECT_EQ(kFine, plan.exit_code) << plan.errors;
  ExpectContains(plan.output, "once the program that has the log open has closed it");
  EXPECT_EQ(kLocked, Move("11", {"--apply"}).exit_code);
  EXPECT_EQ(kLocked, Millrace({"cursor", "delete", "--apply", log(), "billing"}).exit_code);
  EXPECT_EQ(kFine, append.Wait().exit_code);
}

TEST_F(CliCursorTest, MissingLogIsNotCreated) {
  const std::string missing = temp_.Sub("missing");
  EXPECT_EQ(kIoError, Millrace({"cursor", "move", "--apply", missing, "a", "1"}).exit_code);
  EXPECT_EQ(kIoError, Millrace({"cursor", "delete", "--apply", missing, "a"}).exit_code);
  EXPECT_FALSE(std::filesystem::exists(missing));
}

TEST_F(CliCursorTest, SwappedArgumentsAreNamedAndTheOrderMeantIsSuggested) {
  for (const std::vector<std::string>& flags : {std::vector<std::string>(), {"--apply"}}) {
    std::vector<std::string> call = {"cursor", "move", "billing", log(), "51"};
    call.insert(call.end(), flags.begin(), flags.end());
    const ProgramResult moved = Millrace(call);
    EXPECT_EQ(kIoError, moved.exit_code);
    ExpectContains(moved.errors, "there is no log: DIR is \"billing\", NAME is \"" + log() +
                                     "\", POSITION is \"51\" (");
    ExpectContains(moved.errors, "\"" + log() + "\" is a log's directory: was it meant to be `" +
                                     "millrace cursor move " + log() + " billing 51`?");
  }
  const ProgramResult deleted = Millrace({"cursor", "delete", "--apply", "billing", log()});
  EXPECT_EQ(kIoError, deleted.exit_code);
  ExpectContains(deleted.errors, "`millrace cursor delete " + log() + " billing`?");
  EXPECT_EQ(40, Checkpointed());
}

TEST_F(CliCursorTest, MissingLogIsNamedWithWhatTheOtherWordsMean) {
  const ProgramResult moved = Millrace({"cursor", "move", "nowhere", "billing", "51"});
  EXPECT_EQ(kIoError, moved.exit_code);
  ExpectContains(moved.errors, "DIR is \"nowhere\", NAME is \"billing\", POSITION is \"51\" (");
  EXPECT_EQ(std::string::npos, moved.errors.find("was it meant")) << moved.errors;
  ExpectContains(Millrace({"cursor", "list", "nowhere"}).errors,
                 "there is no log: DIR is \"nowhere\" (open nowhere: ENOENT");
}

TEST_F(CliCursorTest, KeysThatAreDocumentedAreThoseThatArePrinted) {
  for (const std::string command : {"move", "delete"}) {
    std::vector<std::string> call = {"cursor", command, "--json", log(), "billing"};
    if (command == "move") call.push_back("1");
    const std::string help = Millrace({"cursor", command, "--help"}).output;
    const Json printed = JsonOf(call);
    for (const auto& item : printed.items()) ExpectContains(help, "\n  " + item.key() + " ");
  }
}

}  // namespace
}  // namespace millrace
