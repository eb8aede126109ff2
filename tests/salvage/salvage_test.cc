// Goal: a salvage keeps every readable record with its number, whatever has become of headers,
// names and superblock; exports what has no place; names what is lost; and changes nothing that it
// was not told to. Method: small logs on simulated disks, damaged by hand.

#include "millrace/salvage.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/salvage/log_contents.h"

namespace millrace {
namespace {

std::string Segment(int number) {
  const std::string digits = std::to_string(number);
  return std::string(20 - digits.size(), '0') + digits + ".seg";
}

class SalvageTest : public testing::Test {
 protected:
  SalvageTest() {
    options_.file_system = &disk_;
    SmallLog log(&disk_);
    log.Append(40);
    log.Consume("billing", 17);
    log.Close();
    log_ = ReadLog(disk_, "/log").value();
  }

  std::string Bytes(const std::string& name, const std::string& directory = "/log") {
    return disk_.ReadFileBytes(directory + "/" + name).value_or("");
  }
  void Put(const std::string& name, const std::string& bytes) {
    disk_.WriteFileBytes("/log/" + name, bytes);
  }
  // Writes zeros or noise over a part of a file.
  void Overwrite(const std::string& name, size_t begin, size_t bytes, char with = '\0') {
    std::string content = Bytes(name);
    ASSERT_LE(begin + bytes, content.size());
    content.replace(begin, bytes, std::string(bytes, with));
    Put(name, content);
  }
  void LoseHeaders(int number) { Overwrite(Segment(number), 0, 8192, '!'); }
  void Swap(int a, int b) {
    const std::string bytes = Bytes(Segment(a));
    Put(Segment(a), Bytes(Segment(b)));
    Put(Segment(b), bytes);
  }
  int Segments() {
    int segments = 0;
    for (const std::string& name : disk_.FileNames("/log")) segments += name.ends_with(".seg");
    return segments;
  }

  // Salvages once to another directory and once in place. Both must hold `expected`, be clean,
  // and need no second salvage.
  SalvageReport Salvage(const LogContents& expected) {
    const auto before = FilesOf(disk_, "/log");
    const auto plan = PlanSalvage("/log", options_);
    EXPECT_TRUE(plan.ok()) << plan.status();
    EXPECT_TRUE(before == FilesOf(disk_, "/log"));
    const auto to = SalvageTo("/log", "/out", options_);
    EXPECT_TRUE(to.ok()) << to.status();
    EXPECT_TRUE(before == FilesOf(disk_, "/log"));
    const auto in_place = SalvageInPlace("/log", options_);
    EXPECT_TRUE(in_place.ok()) << in_place.status();
    if (!plan.ok() || !to.ok() || !in_place.ok()) return {};
    EXPECT_TRUE(plan->needed());
    EXPECT_TRUE(to->applied && in_place->applied && !plan->applied);
    for (const std::string directory : {"/out", "/log"}) {
      SCOPED_TRACE(directory);
      const auto found = ReadLog(disk_, directory);
      EXPECT_TRUE(found.ok()) << found.status();
      if (!found.ok()) continue;
      ExpectSameContents(expected, *found);
      EXPECT_EQ(expected.records.size(), in_place->records);
      EXPECT_EQ(RecoveryReport::Outcome::kClean, found->outcome);
      const auto files = FilesOf(disk_, directory);
      const auto again = SalvageInPlace(directory, options_);
      EXPECT_TRUE(again.ok()) << again.status();
      EXPECT_FALSE(again.ok() && again->needed()) << again->findings[0];
      auto after = FilesOf(disk_, directory);
      if (!files.contains("LOCK")) after.erase("LOCK");  // it was taken, whatever was found
      EXPECT_TRUE(files == after);
    }
    ExpectKept(before);
    return *in_place;
  }
  // Every old file is there still, byte for byte.
  void ExpectKept(const std::map<std::string, std::string>& before) {
    for (const auto& [name, bytes] : before) {
      EXPECT_TRUE(Bytes(name) == bytes || Bytes(name + ".aside") == bytes) << name;
    }
  }
  static bool Says(const SalvageReport& report, const std::string& text) {
    for (const std::string& finding : report.findings) {
      if (absl::StrContains(finding, text)) return true;
    }
    return false;
  }

  SimFileSystem disk_{SimOptions{.seed = 1}};
  SalvageOptions options_;
  LogContents log_;
};

TEST_F(SalvageTest, ASoundLogNeedsNone) {
  const auto before = FilesOf(disk_, "/log");
  for (const auto& report : {PlanSalvage("/log", options_), SalvageInPlace("/log", options_),
                             SalvageTo("/log", "/out", options_)}) {
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->needed()) << report->findings[0];
    EXPECT_FALSE(report->applied);
    EXPECT_EQ(log_.records.size(), report->records);
  }
  EXPECT_TRUE(before == FilesOf(disk_, "/log"));
  EXPECT_TRUE(disk_.FileNames("/out").empty());
}

// A crash is no damage.
TEST_F(SalvageTest, ALogThatWasKilledNeedsNone) {
  SmallLog log(&disk_);
  log.Append(10);
  ASSERT_TRUE(log->TrimBefore(18).ok());
  disk_.KillProcess();
  const auto report = PlanSalvage("/log", options_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->needed()) << report->findings[0];
}

TEST_F(SalvageTest, LostHeadersOfAllSegmentsCostNoRecord) {
  for (int i = 1; i <= Segments(); ++i) LoseHeaders(i);
  const SalvageReport report = Salvage(log_);
  EXPECT_TRUE(report.files[0].header_lost);
  EXPECT_TRUE(Says(report, "both headers are lost"));
}

TEST_F(SalvageTest, SuperblockThatIsLostOrForeignCostsNoRecord) {
  disk_.DeleteFile("/log/LOG");
  EXPECT_TRUE(Says(Salvage(log_), "LOG: is missing"));
}

TEST_F(SalvageTest, SuperblockOfAnotherLogCostsNoRecord) {
  SmallLog other(&disk_, "/other");
  other.Append(3);
  other.Close();
  Put("LOG", Bytes("LOG", "/other"));
  EXPECT_TRUE(Says(Salvage(log_), "LOG: is another log's"));
}

TEST_F(SalvageTest, SwappedAndMisnamedSegmentsArePutInTheirPlaces) {
  Swap(1, 3);
  Put("copied-by-hand", Bytes(Segment(2)));
  disk_.DeleteFile("/log/" + Segment(2));
  const SalvageReport report = Salvage(log_);
  EXPECT_TRUE(Says(report, "copied-by-hand: is segment 2, under another name"));
  EXPECT_TRUE(Says(report, Segment(1) + ": is segment 3, under another name"));
}

TEST_F(SalvageTest, SwappedSegmentsWithoutHeadersArePutInTheirPlaces) {
  Swap(1, 2);
  LoseHeaders(1);
  LoseHeaders(2);
  Salvage(log_);
}

TEST_F(SalvageTest, TwoDamagedCopiesOfASegmentMakeAWholeOne) {
  const std::string bytes = Bytes(Segment(2));
  // Either one alone has lost records.
  Overwrite(Segment(2), bytes.rfind("record "), 4, 'x');
  EXPECT_FALSE(ReadLog(disk_, "/log")->lost.empty());
  Put("second-copy", Bytes(Segment(2)));
  Put(Segment(2), bytes);
  Overwrite(Segment(2), 8300, 700, 'x');
  EXPECT_FALSE(ReadLog(disk_, "/log")->lost.empty());
  LoseHeaders(2);
  const SalvageReport report = Salvage(log_);
  EXPECT_TRUE(report.lost.empty());
  EXPECT_EQ(0u, report.unplaceable);
  EXPECT_TRUE(Says(report, "is segment 2, and so is"));
}

TEST_F(SalvageTest, WhatIsLostIsNamedAndStaysLost) {
  Overwrite(Segment(2), 8300, 3000, 'x');
  disk_.DeleteFile("/log/" + Segment(3));
  const LogContents damaged = ReadLog(disk_, "/log").value();
  ASSERT_LT(damaged.records.size(), log_.records.size());
  const SalvageReport report = Salvage(damaged);
  EXPECT_EQ(log_.records.size() - damaged.records.size(), report.records_lost());
  EXPECT_EQ(log_.next, report.last + 1);
}

TEST_F(SalvageTest, TruncatedLastSegmentKeepsItsNumbersFromBeingGivenAgain) {
  const std::string last = Segment(Segments());
  Put(last, Bytes(last).substr(0, 8500));
  const LogContents damaged = ReadLog(disk_, "/log").value();
  EXPECT_EQ(log_.next, damaged.next);
  Salvage(damaged);
}

TEST_F(SalvageTest, CursorsThatCannotBeReadAreNamed) {
  Put("broken.cursor", "no checkpoint");
  const SalvageReport report = Salvage(log_);
  EXPECT_EQ(std::vector<std::string>{"billing"}, report.cursors);
  EXPECT_EQ(std::vector<std::string>{"broken"}, report.cursors_left_out);
}

// The lock's file is part of what may be lost.
TEST_F(SalvageTest, DirectoryThatIsNoLogsIsNotTouched) {
  std::unique_ptr<Directory> made;
  ASSERT_EQ(0, disk_.OpenDirectory("/music", DirectoryMode::kCreate, &made));
  disk_.WriteFileBytes("/music/song", std::string(20000, '#'));
  EXPECT_TRUE(absl::IsNotFound(SalvageInPlace("/music", options_).status()));
  EXPECT_EQ(std::vector<std::string>{"song"}, disk_.FileNames("/music"));
  disk_.DeleteFile("/log/LOCK");
  disk_.DeleteFile("/log/LOG");
  Salvage(log_);
}

// --- What has no place ---------------------------------------------------------------------

TEST_F(SalvageTest, FramesOfAnotherLogAreExportedAndNotPlaced) {
  SmallLog other(&disk_, "/other");
  const Attribute color{"color", "red"};
  AppendOptions extras;
  extras.key = "k";
  extras.attributes = {&color, 1};
  ASSERT_TRUE(other->Append("foreign", extras).ok());
  other.Close();
  Put(Segment(77), Bytes(Segment(1), "/other"));
  const SalvageReport report = Salvage(log_);
  EXPECT_EQ(1u, report.unplaceable);
  ASSERT_EQ("unplaceable.jsonl", report.unplaceable_file);
  const std::string lines = Bytes(report.unplaceable_file);
  EXPECT_EQ(lines, Bytes(report.unplaceable_file, "/out"));
  EXPECT_EQ(1, std::count(lines.begin(), lines.end(), '\n'));
  for (const char* part :
       {"{\"file\":\"00000000000000000077.seg\",\"reason\":\"foreign\",\"log_id\":\"",
        "\"segment\":1,", "\"offset\":8272,\"sequence\":1,\"time_ns\":", "\"key_base64\":\"aw==\"",
        "\"attributes\":[{\"name_base64\":\"Y29sb3I=\",\"value_base64\":\"cmVk\"}]",
        "\"payload_base64\":\"Zm9yZWlnbg==\"}\n"}) {
    EXPECT_TRUE(absl::StrContains(lines, part)) << part << " in " << lines;
  }
}

// The numbers of a segment in no chain belong to other records, or to none.
TEST_F(SalvageTest, RecordsThatATruncationDroppedDoNotComeBack) {
  const auto dropped = FilesOf(disk_, "/log");
  SmallLog log(&disk_);
  ASSERT_TRUE(log->TruncateAfter(7).ok());
  log.Append(2);
  log.Close();
  const LogContents truncated = ReadLog(disk_, "/log").value();
  for (int i = 3; i <= 4; ++i) Put(Segment(i), dropped.at(Segment(i)));
  const SalvageReport report = Salvage(truncated);
  EXPECT_GT(report.unplaceable, 5u);
  EXPECT_TRUE(absl::StrContains(Bytes(report.unplaceable_file), "\"off-chain\""));
  EXPECT_TRUE(Says(report, "intact and without a place"));
}

// --- Refusals -------------------------------------------------------------------------------

TEST_F(SalvageTest, LogThatIsOpenIsLeftAlone) {
  disk_.DeleteFile("/log/LOG");
  SmallLog log(&disk_);
  EXPECT_TRUE(absl::IsAborted(PlanSalvage("/log", options_).status()));
  EXPECT_TRUE(absl::IsAborted(SalvageTo("/log", "/out", options_).status()));
  EXPECT_TRUE(absl::IsAborted(SalvageInPlace("/log", options_).status()));
}

TEST_F(SalvageTest, NothingThatTellsTheIdIsNoLog) {
  EXPECT_TRUE(absl::IsNotFound(PlanSalvage("/nowhere", options_).status()));
  disk_.DeleteFile("/log/LOG");
  disk_.DeleteFile("/log/billing.cursor");
  for (int i = 1; i <= Segments(); ++i) LoseHeaders(i);
  const auto before = FilesOf(disk_, "/log");
  const absl::Status status = SalvageInPlace("/log", options_).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_TRUE(before == FilesOf(disk_, "/log"));
}

TEST_F(SalvageTest, OutputMustBeEmptyAndElsewhere) {
  disk_.DeleteFile("/log/LOG");
  EXPECT_TRUE(absl::IsInvalidArgument(SalvageTo("/log", "/log", options_).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SalvageTo("/log", "/log/new", options_).status()));
  ASSERT_TRUE(SalvageTo("/log", "/out", options_).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(SalvageTo("/log", "/out", options_).status()));
}

}  // namespace
}  // namespace millrace
