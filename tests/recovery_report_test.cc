// Goal: the report that a person reads at three in the morning says what was found, what is lost
// and where, and stays readable when there is much of it.
// Method: whole texts.

#include "millrace/recovery_report.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace millrace {
namespace {

LostRange Lost(SequenceNumber first, SequenceNumber last) {
  return {.first = first, .last = last, .segment = 3, .begin = 8192, .end = 8704};
}

TEST(LostRangeTest, NamesRecordsPlaceAndCause) {
  LostRange lost = Lost(7, 9);
  lost.acknowledgement = Acknowledgement::kAcknowledged;
  EXPECT_EQ(lost.ToString(), "records 7..9 (acknowledged): segment 3, bytes 8192..8704: checksum");
  EXPECT_EQ(lost.records(), 3);
}

TEST(LostRangeTest, OneRecordIsNoRange) {
  LostRange lost = Lost(7, 7);
  lost.cause = LossCause::kZeroed;
  lost.acknowledgement = Acknowledgement::kWritten;
  EXPECT_EQ(lost.ToString(), "record 7 (written): segment 3, bytes 8192..8704: zeroed");
  EXPECT_EQ(lost.records(), 1);
}

TEST(LostRangeTest, DamageToBookkeepingLosesNoRecords) {
  EXPECT_EQ(Lost(7, 6).ToString(), "no records: segment 3, bytes 8192..8704: checksum");
  EXPECT_EQ(Lost(7, 6).records(), 0);
}

TEST(LostRangeTest, SaysOnlyWhatIsKnownOfThePlace) {
  LostRange lost = Lost(7, 9);
  lost.end = 0;
  EXPECT_EQ(lost.ToString(),
            "records 7..9 (acknowledgement unknown): segment 3, bytes 8192..: checksum");
  lost.begin = 0;
  EXPECT_EQ(lost.ToString(), "records 7..9 (acknowledgement unknown): segment 3: checksum");
  lost.segment = 0;
  lost.cause = LossCause::kMissingSegment;
  EXPECT_EQ(lost.ToString(), "records 7..9 (acknowledgement unknown): missing segment");
  lost.end = 512;
  EXPECT_EQ(lost.ToString(),
            "records 7..9 (acknowledgement unknown): bytes 0..512: missing segment");
}

TEST(LostRangeTest, EveryCauseAndStateHasANameOfItsOwn) {
  std::set<std::string_view> names;
  constexpr int kCauses = static_cast<int>(LossCause::kTrimmed) + 1;
  for (int i = 0; i < kCauses; ++i) names.insert(LossCauseName(static_cast<LossCause>(i)));
  EXPECT_EQ(names.size(), kCauses);
  EXPECT_FALSE(names.contains("unknown"));
  EXPECT_EQ(LossCauseName(static_cast<LossCause>(200)), "unknown");
  names.clear();
  for (int i = 0; i < 3; ++i) names.insert(AcknowledgementName(static_cast<Acknowledgement>(i)));
  EXPECT_EQ(names.size(), 3);
  EXPECT_EQ(AcknowledgementName(static_cast<Acknowledgement>(200)), "unknown");
}

TEST(RecoveryReportTest, OfANewLogIsShort) {
  EXPECT_EQ(RecoveryReport().ToString(),
            "outcome         created\n"
            "records         none\n"
            "next            1\n"
            "known durable   nothing\n"
            "segments        0\n"
            "scanned         0 bytes\n"
            "lost            nothing\n");
}

TEST(RecoveryReportTest, NamesTheCutTailTheLossesAndWhatIsNotTheLogs) {
  RecoveryReport report;
  report.outcome = RecoveryReport::Outcome::kRecovered;
  report.first_retained = 5;
  report.last_recovered = 40;
  report.next_sequence = 41;
  report.mark = 39;
  report.epoch = 2;
  report.segments = 4;
  report.bytes_scanned = 12345;
  report.tail_segment = 9;
  report.tail_offset = 4096;
  report.tail_bytes = 100;
  report.tail_records_dropped = 2;
  report.lost = {Lost(7, 9)};
  report.ignored_files = {"core", "notes.txt"};
  EXPECT_EQ(report.records_lost(), 3);
  EXPECT_EQ(report.ToString(),
            "outcome         recovered: not closed in order\n"
            "records         5..40\n"
            "next            41\n"
            "known durable   up to 39\n"
            "epoch           2\n"
            "segments        4\n"
            "scanned         12345 bytes\n"
            "tail cut        segment 9 at 4096: 100 bytes, 2 whole records behind a gap\n"
            "lost            3 records in 1 place\n"
            "                records 7..9 (acknowledgement unknown): segment 3, bytes "
            "8192..8704: checksum\n"
            "ignored         core\n"
            "                notes.txt\n");
}

TEST(RecoveryReportTest, ListsAHundredOfMany) {
  RecoveryReport report;
  report.outcome = RecoveryReport::Outcome::kClean;
  for (SequenceNumber i = 1; i <= 250; ++i) report.lost.push_back(Lost(2 * i, 2 * i));
  for (int i = 0; i < 101; ++i) report.ignored_files.push_back("file" + std::to_string(i));
  const std::string text = report.ToString();
  EXPECT_NE(text.find("clean: closed in order\n"), std::string::npos);
  EXPECT_NE(text.find("lost            250 records in 250 places\n"), std::string::npos);
  EXPECT_NE(text.find("record 200 "), std::string::npos);
  EXPECT_EQ(text.find("record 202 "), std::string::npos);
  EXPECT_NE(text.find("                ... 150 more\n"), std::string::npos);
  EXPECT_NE(text.find("file99\n"), std::string::npos);
  EXPECT_EQ(text.find("file100\n"), std::string::npos);
  EXPECT_NE(text.find("                ... 1 more\n"), std::string::npos);
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 220);
}

TEST(RecoveryReportTest, AnOutcomeOfALaterVersionIsUnknown) {
  RecoveryReport report;
  report.outcome = static_cast<RecoveryReport::Outcome>(200);
  EXPECT_EQ(report.ToString().substr(0, 24), "outcome         unknown\n");
}

}  // namespace
}  // namespace millrace
