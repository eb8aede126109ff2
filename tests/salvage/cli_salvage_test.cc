// Goal: `millrace salvage` says what is damaged, and builds a sound log where it is told to.
// Method: runs the program that is delivered, on real files.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

class CliSalvageTest : public CliTest {
 protected:
  void SetUp() override {
    Append(Numbered(1, 800), {"--segment-bytes=8192"});
    MakeCursor("billing", 120);
  }

  std::map<std::string, std::string> Files(const std::string& directory) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(directory)) {
      std::ifstream file(entry.path(), std::ios::binary);
      files[entry.path().filename()] = {std::istreambuf_iterator<char>(file), {}};
    }
    return files;
  }
  void Swap(int a, int b) {
    const auto name = [this](int n) {
      return log() + "/0000000000000000000" + std::to_string(n) + ".seg";
    };
    fs::rename(name(a), temp_.Sub("x"));
    fs::rename(name(b), name(a));
    fs::rename(temp_.Sub("x"), name(b));
  }
  std::string Cat(const std::string& directory) { return Millrace({"cat", directory}).output; }
};

TEST_F(CliSalvageTest, ASoundLogNeedsNone) {
  const ProgramResult plan = Millrace({"salvage", log()});
  EXPECT_EQ(kFine, plan.exit_code) << plan.errors << plan.output;
  EXPECT_EQ("nothing to salvage: the log is sound, 800 records can be read\n", plan.output);
  EXPECT_EQ(kFine, Millrace({"salvage", "--output=" + temp_.Sub("new"), log()}).exit_code);
  EXPECT_FALSE(fs::exists(temp_.Sub("new")));
}

TEST_F(CliSalvageTest, PlanNamesWhatIsDamagedAndChangesNothing) {
  Swap(1, 2);
  Damage("line 700");
  fs::remove(log() + "/LOG");
  const auto before = Files(log());
  const ProgramResult plan = Millrace({"salvage", log()});
  EXPECT_EQ(kDamage, plan.exit_code) << plan.errors;
  for (const char* part :
       {"4 findings:\n", "  LOG: is missing\n",
        "  00000000000000000001.seg: is segment 2, under another name\n",
        "file                      is        segment", "can be kept    799 records",
        "lost           record 700", "cursors        billing\n",
        "nothing was changed: --output=NEW builds a sound log there, --apply puts it in place"}) {
    ExpectContains(plan.output, part);
  }
  EXPECT_EQ(before, Files(log()));
}

TEST_F(CliSalvageTest, OutputIsASoundLogAndTheDamagedOneStays) {
  Swap(1, 2);
  const auto before = Files(log());
  const std::string made = temp_.Sub("new");
  const ProgramResult salvage = Millrace({"salvage", "--output=" + made, log()});
  EXPECT_EQ(kFine, salvage.exit_code) << salvage.errors;
  ExpectContains(salvage.output, "kept           800 records");
  ExpectContains(salvage.output, "the log is in " + made + ", checked\n");
  EXPECT_EQ(before, Files(log()));
  EXPECT_EQ(Numbered(1, 800), Cat(made));
  EXPECT_EQ(kFine, Millrace({"verify", made}).exit_code);
}

TEST_F(CliSalvageTest, ApplyPutsItInPlaceAndKeepsTheOldFiles) {
  Swap(1, 2);
  const auto before = Files(log());
  const Json done = JsonOf({"salvage", "--apply", "--json", log()});
  EXPECT_EQ(true, done["applied"]);
  EXPECT_EQ(800, done["records"]);
  EXPECT_EQ(before.size() - 1, done["set_aside"].size()) << done.dump();
  EXPECT_EQ(Numbered(1, 800), Cat(log()));
  EXPECT_EQ(120, JsonOf({"cursor", "list", "--json", log()})["checkpointed"]);
  const auto after = Files(log());
  for (const auto& [name, bytes] : before) {
    EXPECT_EQ(bytes, after.at(name == "LOCK" ? name : name + ".aside")) << name;
  }
  EXPECT_EQ(kFine, Millrace({"salvage", "--apply", log()}).exit_code);
  EXPECT_EQ(after, Files(log()));
  Append("line 801\n");
  EXPECT_EQ(Numbered(1, 801), Cat(log()));
}

TEST_F(CliSalvageTest, ForeignRecordsAreExported) {
  const std::string other = temp_.Sub("other");
  ASSERT_EQ(kFine, Millrace({"append", other}, "foreign\n").exit_code);
  fs::copy_file(other + "/00000000000000000001.seg", log() + "/00000000000000000099.seg");
  const std::string made = temp_.Sub("new");
  const ProgramResult salvage = Millrace({"salvage", "--output=" + made, log()});
  EXPECT_EQ(kDamage, salvage.exit_code) << salvage.errors;
  ExpectContains(salvage.output, "is segment 1 of another log");
  ExpectContains(salvage.output, "without place  1 record, in unplaceable.jsonl\n");
  std::ifstream file(made + "/unplaceable.jsonl");
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  const Json record = Json::parse(line, nullptr, false);
  ASSERT_TRUE(record.is_object()) << line;
  EXPECT_EQ("foreign", record["reason"]);
  EXPECT_EQ("Zm9yZWlnbg==", record["payload_base64"]);
  EXPECT_EQ(Numbered(1, 800), Cat(made));
}

TEST_F(CliSalvageTest, WrongUsageAndOpenLogsAreRefused) {
  const ProgramResult both = Millrace({"salvage", "--apply", "--output=x", log()});
  EXPECT_EQ(kUsage, both.exit_code);
  ExpectContains(both.errors, "choose one");
  EXPECT_EQ(kIoError, Millrace({"salvage", "--apply", temp_.Sub("missing")}).exit_code);
  EXPECT_FALSE(fs::exists(temp_.Sub("missing")));
  Program append(kMillrace, {"append", "--ack", log()}, temp_.path());
  append.Send("x\n");
  ASSERT_TRUE(append.WaitForOutput("801\n"));
  EXPECT_EQ(kLocked, Millrace({"salvage", log()}).exit_code);
  EXPECT_EQ(kLocked, Millrace({"salvage", "--apply", log()}).exit_code);
  EXPECT_EQ(kFine, append.Wait().exit_code);
}

TEST_F(CliSalvageTest, KeysThatAreDocumentedAreThoseThatArePrinted) {
  const std::string help = Millrace({"salvage", "--help"}).output;
  const Json printed = JsonOf({"salvage", "--json", log()});
  EXPECT_EQ(16u, printed.size());
  for (const auto& item : printed.items()) ExpectContains(help, "\n  " + item.key() + " ");
}

}  // namespace
}  // namespace millrace
