// Goal: `millrace verify` and `millrace dump` find and explain damage. Method: runs the program
// that is delivered, on real files.

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"
#include "tests/terminal_program.h"

namespace millrace {
namespace {

using CliVerifyTest = CliTest;

TEST_F(CliVerifyTest, VerifyOfASoundLogFindsNoDamage) {
  Append(Numbered(1, 300), {"--segment-bytes=8192"});
  const ProgramResult text = Millrace({"verify", log()});
  EXPECT_EQ(kFine, text.exit_code) << text.errors;
  EXPECT_NE(std::string::npos, text.output.find("300 records read")) << text.output;
  EXPECT_NE(std::string::npos, text.output.find("no damage")) << text.output;
  EXPECT_EQ(false, JsonOf({"verify", "--json", log()})["damaged"]);
}

// What a live writer has written in part may be acknowledged a moment later.
TEST_F(CliVerifyTest, TailBesideALiveWriterIsNotCalledTorn) {
  const auto opened = Log::Open(log());
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE((*opened)->Append("line 1").ok());
  for (const auto& entry : std::filesystem::directory_iterator(log())) {
    if (entry.path().extension() != ".seg") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(16384) << "half a record";
  }
  const ProgramResult verify = Millrace({"verify", log()});
  EXPECT_EQ(kFine, verify.exit_code) << verify.errors;
  ExpectContains(verify.output, "in progress: 13 bytes in segment 1 from byte ");
  ExpectContains(Millrace({"stat", log()}).output,
                 "in progress    13 bytes in segment 1 from byte ");
}

TEST_F(CliVerifyTest, DamagedByteIsNamedByEveryReader) {
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
  EXPECT_NE(std::string::npos, text.output.find("DAMAGE: 1 place, 1 record lost")) << text.output;

  const ProgramResult cat = Millrace({"cat", log()});
  EXPECT_EQ(kDamage, cat.exit_code);
  EXPECT_EQ(Numbered(1, 6) + Numbered(8, 20), cat.output);
  EXPECT_NE(std::string::npos, cat.errors.find("lost: ")) << cat.errors;
  EXPECT_EQ(kDamage, Millrace({"cat", "--json", log()}).exit_code);
  EXPECT_EQ(kDamage, Millrace({"dump", log()}).exit_code);
}

TEST_F(CliVerifyTest, DumpExplainsEachFrame) {
  Append("only\n");
  const ProgramResult dump = Millrace({"dump", log()});
  EXPECT_EQ(kFine, dump.exit_code) << dump.errors;
  for (const char* part : {"segment 1\n", "record 1\n", "a group begins", "closed in order"}) {
    EXPECT_NE(std::string::npos, dump.output.find(part)) << part << " in\n" << dump.output;
  }
  std::set<std::string> kinds;
  for (const std::string& line : Lines(Millrace({"dump", "--json", "--segment=1", log()}).output)) {
    const Json frame = Json::parse(line, nullptr, false);
    ASSERT_TRUE(frame.is_object()) << line;
    kinds.insert(frame["kind"].get<std::string>());
  }
  EXPECT_TRUE(kinds.contains("record"));
  EXPECT_TRUE(kinds.contains("footer"));
  EXPECT_EQ(kIoError, Millrace({"dump", "--segment=99", log()}).exit_code);
  EXPECT_EQ(kUsage, Millrace({"dump", "--segment=one", log()}).exit_code);
}

TEST_F(CliVerifyTest, DamagedCheckpointIsDamage) {
  Append(Numbered(1, 10));
  MakeCursor("billing", 4);
  DamageCursor("billing");
  const Json verify = JsonOf({"verify", "--json", log()}, kDamage);
  EXPECT_EQ(Json({"billing"}), verify["damaged_cursors"]);
  EXPECT_EQ(0, verify["records_lost"]);
  ExpectContains(Millrace({"verify", log()}).output, "cursor billing: its checkpoint is damaged");
}

TEST_F(CliVerifyTest, ProgressIsShownOnATerminalUnlessQuiet) {
  Append(Numbered(1, 100));
  TerminalProgram shown(kMillrace, {"verify", log()});
  EXPECT_TRUE(shown.WaitForOutput("no damage"));
  EXPECT_EQ(kFine, shown.Wait());
  ExpectContains(shown.Output(), "reading records   0%");
  TerminalProgram quiet(kMillrace, {"verify", "--quiet", log()});
  EXPECT_TRUE(quiet.WaitForOutput("no damage"));
  EXPECT_EQ(kFine, quiet.Wait());
  EXPECT_EQ(std::string::npos, quiet.Output().find("reading")) << quiet.Output();
  EXPECT_EQ("", Millrace({"verify", log()}).errors);
}

TEST_F(CliVerifyTest, DumpInHexNamesEveryField) {
  Append("key=hello\n", {"--key-separator=="});
  const ProgramResult dump = Millrace({"dump", "--hex", log()});
  EXPECT_EQ(kFine, dump.exit_code) << dump.errors;
  for (const char* part :
       {"magic                  MILLRACE", "first sequence         1", "header sum", "type",
        "3: group", "1: record", "first retained", "digest", "keyhello"}) {
    ExpectContains(dump.output, part);
  }
}

TEST_F(CliVerifyTest, DumpAtAnOffsetShowsOnlyWhatStandsThere) {
  Append(Numbered(1, 3));
  const Json group = JsonOf({"dump", "--json", "--segment=1", "--offset=8200", log()});
  EXPECT_EQ("group", group["kind"]);
  EXPECT_EQ(8192, group["offset"]);
  EXPECT_EQ(160u, group["hex"].get<std::string>().size());
  EXPECT_EQ("header", JsonOf({"dump", "--json", "--segment=1", "--offset=5000", log()})["kind"]);
  const ProgramResult text = Millrace({"dump", "--segment=1", "--offset=8272", log()});
  ExpectContains(text.output, "6c 69 6e 65 20 31");
  EXPECT_EQ(kUsage, Millrace({"dump", "--offset=8272", log()}).exit_code);
}

TEST_F(CliVerifyTest, DumpMarksDamagedFramesAndHeaders) {
  Append(Numbered(1, 20));
  Damage("line 7");
  const ProgramResult frame = Millrace({"dump", "--hex", log()});
  EXPECT_EQ(kDamage, frame.exit_code);
  ExpectContains(frame.output, "DAMAGED: record 7");
  Damage("MILLRACE");
  const ProgramResult header = Millrace({"dump", log()});
  EXPECT_EQ(kDamage, header.exit_code);
  ExpectContains(header.output, "DAMAGED: neither checksum nor content hold");
}

TEST_F(CliVerifyTest, DirectoryInPlaceOfASegmentIsAnIoError) {
  Append(Numbered(1, 3));
  std::filesystem::create_directory(log() + "/00000000000000000009.seg");
  EXPECT_EQ(kIoError, Millrace({"dump", "--segment=9", log()}).exit_code);
}

}  // namespace
}  // namespace millrace
