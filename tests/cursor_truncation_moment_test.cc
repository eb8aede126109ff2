// Goal: a truncation at any moment of a cursor's reading shows no dropped record as a new one,
// and none as lost.
// Method: every file-system call that reading makes is once the moment at which the log is cut,
// dropped files deleted, and their numbers used again.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/recovery_report.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/cursor_fixture.h"
#include "tests/fake_log_writer.h"
#include "wal/cursor_registry.h"

namespace millrace {
namespace {

class CursorTruncationMomentTest : public CursorTest {
 protected:
  // A log of its own, of sixty records.
  void BeginLog(uint64_t number) {
    std::unique_ptr<Directory> directory;
    ASSERT_EQ(disk_.OpenDirectory(absl::StrCat("/log", number), DirectoryMode::kCreate, &directory),
              0);
    directory_ = std::move(directory);
    writer_ = std::make_unique<FakeWriter>(*directory_);
    registry_ = std::make_shared<CursorRegistry>();
    ASSERT_TRUE(RegisterCursors(*directory_, kLogId, {}, *registry_).ok());
    AppendTens(60);
  }

  // Cuts the log at the `moment`-th call from now on, and uses numbers again.
  void TruncateAt(uint64_t moment, SequenceNumber last) {
    calls_ = 0;
    disk_.SetHook([this, moment, last](const FileCall&) {
      if (++calls_ != moment) return SimVerdict::kProceed;
      writer_->TruncateAfter(last);
      EXPECT_TRUE(registry_->Truncate(last, writer_->watermark->epoch()).ok());
      writer_->AppendTo(last + 4);
      return SimVerdict::kProceed;
    });
  }

  // All that there is, with what was told to be taken back taken back.
  static std::map<SequenceNumber, std::string> ReadAll(Cursor& cursor, bool batches) {
    std::map<SequenceNumber, std::string> seen;
    std::vector<char> memory(200);
    while (true) {
      std::vector<Entry> entries;
      if (batches) {
        if (!cursor.NextBatch(memory, &entries, kNow).ok()) return seen;
      } else {
        auto entry = cursor.Next(kNow);
        if (!entry.ok()) return seen;
        entries.push_back(*std::move(entry));
      }
      for (const Entry& entry : entries) {
        EXPECT_NE(entry.kind, Entry::Kind::kLost) << entry.lost.first << ".." << entry.lost.last;
        if (entry.kind == Entry::Kind::kTruncated) {
          seen.erase(seen.upper_bound(entry.truncated_after), seen.end());
        } else if (entry.kind == Entry::Kind::kRecord) {
          seen[entry.record.sequence] = std::string(entry.record.payload);
        }
      }
    }
  }

  uint64_t calls_ = 0;
};

// Who holds them cannot know of the truncation.
TEST_F(CursorTruncationMomentTest, PeekedViewsStayValidUntilThePositionChanges) {
  AppendTens(60);
  const auto cursor = MustOpen();
  const auto peeked = cursor->Peek(60);
  ASSERT_TRUE(peeked.ok()) << peeked.status();
  ASSERT_EQ(peeked->size(), 60u);
  const std::string_view first = peeked->front().record.payload;
  const std::string_view last = peeked->back().record.payload;
  writer_->TruncateAfter(30);
  EXPECT_EQ(cursor->Lag()->records, 30u);
  EXPECT_TRUE(cursor->Peek(0).ok());
  EXPECT_EQ(first, Payload(1));
  EXPECT_EQ(last, Payload(60));
  ExpectTruncated(*cursor, 30);
  ExpectRecords(*cursor, 1, 30);
}

// Between the writer's two steps.
TEST_F(CursorTruncationMomentTest, ChainThatIsNotPublishedYetLosesNothing) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 50);
  writer_->Cut(30);
  std::thread reader([&cursor] {
    EXPECT_TRUE(cursor->Seek(41).ok());
    ExpectTruncated(*cursor, 30);
  });
  absl::SleepFor(absl::Milliseconds(20));
  writer_->PublishCut(30);
  reader.join();
  writer_->AppendTo(40);
  ExpectRecords(*cursor, 31, 40, "'");
}

TEST_F(CursorTruncationMomentTest, TrimThatIsNotPublishedYetIsNoDamage) {
  AppendTens(60);
  const auto cursor = MustOpen();
  writer_->segments->DropBefore(41);
  ASSERT_TRUE(cursor->Seek(1).ok());
  const Entry entry = MustNext(*cursor);
  EXPECT_EQ(entry.kind, Entry::Kind::kLost);
  EXPECT_EQ(entry.lost.last, 40);
  EXPECT_EQ(entry.lost.cause, LossCause::kTrimmed);
  EXPECT_EQ(events_->text(), "");
}

TEST_F(CursorTruncationMomentTest, EveryCallOfReadingMayMeetIt) {
  uint64_t logs = 0;
  for (const SequenceNumber last : {0, 7, 20, 33, 40, 55}) {
    for (const bool batches : {false, true}) {
      uint64_t moment = 0;
      do {
        SCOPED_TRACE(absl::StrCat("cut after ", last, " at call ", ++moment));
        BeginLog(++logs);
        const auto cursor = MustOpen();
        TruncateAt(moment, last);
        const auto seen = ReadAll(*cursor, batches);
        disk_.SetHook(nullptr);
        std::map<SequenceNumber, std::string> expected;
        const bool cut = calls_ >= moment;
        for (SequenceNumber s = 1; s <= (cut ? last + 4 : 60); ++s) {
          expected[s] = Payload(s) + (cut && s > last ? "'" : "");
        }
        ASSERT_EQ(seen, expected);
      } while (calls_ >= moment && moment < 1000);
      EXPECT_GT(moment, 10);
    }
  }
}

TEST_F(CursorTruncationMomentTest, EveryCallOfASeekByTimeOrALagMayMeetIt) {
  uint64_t logs = 0;
  for (const bool lag : {false, true}) {
    uint64_t moment = 0;
    do {
      SCOPED_TRACE(absl::StrCat("at call ", ++moment));
      BeginLog(++logs);
      const auto cursor = MustOpen();
      TruncateAt(moment, 33);
      if (lag) {
        const auto behind = cursor->Lag();
        ASSERT_TRUE(behind.ok()) << behind.status();
        EXPECT_EQ(behind->records, calls_ >= moment ? 37 : 60);
      } else {
        ASSERT_TRUE(cursor->SeekToTime(absl::InfiniteFuture()).ok());
        EXPECT_EQ(cursor->delivered(), calls_ >= moment ? 37 : 60);
      }
      disk_.SetHook(nullptr);
    } while (calls_ >= moment && moment < 1000);
    EXPECT_GT(moment, 3);
  }
}

// Where the file is opened, and the checkpoint of an older epoch is in hand.
TEST_F(CursorTruncationMomentTest, EveryCallOfACommitMayMeetIt) {
  uint64_t logs = 0;
  uint64_t moment = 0;
  do {
    SCOPED_TRACE(absl::StrCat("at call ", ++moment));
    BeginLog(++logs);
    const auto cursor = MustOpen({.checkpoint_records = 1});
    ExpectRecords(*cursor, 1, 60);
    calls_ = 0;
    // The registry's part comes afterwards, as its turn would come after the write's.
    disk_.SetHook([&](const FileCall&) {
      if (++calls_ == moment) writer_->TruncateAfter(33);
      return SimVerdict::kProceed;
    });
    ASSERT_TRUE(cursor->Commit(60).ok());
    disk_.SetHook(nullptr);
    if (calls_ < moment) break;
    ASSERT_TRUE(registry_->Truncate(33, 2).ok());
    EXPECT_EQ(OnDisk().committed, 33);
    EXPECT_EQ(registry_->Lowest()->committed, 33);
    ExpectTruncated(*cursor, 33);
  } while (moment < 1000);
  EXPECT_GT(moment, 2);
}

}  // namespace
}  // namespace millrace
