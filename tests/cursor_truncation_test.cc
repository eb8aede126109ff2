// Goal: after Log::TruncateAfter no cursor goes on with a dropped record, reports one that was
// dropped as lost, or counts one as consumed, in memory or on disk, whatever it was at.
// Method: a writer in the test's hands, which replaces the chain and uses numbers again with
// other payloads; with threads, a truncation at any moment of reading.

#include <errno.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/cursor_fixture.h"
#include "tests/fake_log_writer.h"
#include "wal/cursor_context.h"
#include "wal/cursor_file.h"
#include "wal/cursor_registry.h"
#include "wal/cursor_state.h"

namespace millrace {
namespace {

class CursorTruncationTest : public CursorTest {
 protected:
  // As the log's writer does it: readers first, then the checkpoints.
  void Truncate(SequenceNumber last) {
    writer_->TruncateAfter(last);
    const absl::Status status = registry_->Truncate(last, writer_->watermark->epoch());
    EXPECT_TRUE(status.ok()) << status;
  }
};

TEST_F(CursorTruncationTest, CursorThatWasShownDroppedRecordsIsSetBackAndTold) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 50);
  ASSERT_TRUE(cursor->Commit(20).ok());
  Truncate(33);
  ExpectTruncated(*cursor, 33);
  EXPECT_EQ(cursor->delivered(), 33);
  EXPECT_EQ(cursor->committed(), 20);
  ExpectEnd(*cursor);
  EXPECT_TRUE(absl::IsOutOfRange(cursor->Commit(34)));
  EXPECT_TRUE(cursor->Commit(33).ok());
  writer_->AppendTo(40);
  ExpectRecords(*cursor, 34, 40, "'");
  EXPECT_EQ(events_->text(), "c set back 50 to 33; ");
}

TEST_F(CursorTruncationTest, CursorThatHadNotComeSoFarIsNotTold) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 30);
  Truncate(33);
  ExpectRecords(*cursor, 31, 33);
  ExpectEnd(*cursor);
  writer_->AppendTo(40);
  writer_->AppendTo(70);
  ExpectRecords(*cursor, 34, 70, "'");
}

TEST_F(CursorTruncationTest, CommitsOfDroppedRecordsAreTakenBack) {
  AppendTens(60);
  {
    const auto cursor = MustOpen({.checkpoint_records = 1});
    ExpectRecords(*cursor, 1, 50);
    ASSERT_TRUE(cursor->Commit(50).ok());
    Truncate(33);
    EXPECT_EQ(registry_->Lowest()->committed, 33);
    EXPECT_EQ(OnDisk().committed, 33);
    EXPECT_EQ(OnDisk().epoch, 2);
    EXPECT_EQ(cursor->checkpointed(), 33);
    writer_->AppendTo(40);
    writer_->AppendTo(55);
    // Of before it heard: 51 is not that record any more.
    ASSERT_TRUE(cursor->Commit(50).ok());
    ExpectTruncated(*cursor, 33);
    EXPECT_EQ(cursor->committed(), 33);
    ExpectRecords(*cursor, 34, 50, "'");
    ASSERT_TRUE(cursor->Commit(50).ok());
    EXPECT_EQ(OnDisk().committed, 50);
  }
  ExpectRecords(*MustOpen(), 51, 55, "'");
}

TEST_F(CursorTruncationTest, CommitThatHasNotHeardIsWrittenLowered) {
  AppendTens(60);
  {
    const auto cursor =
        MustOpen({.checkpoint_records = 0, .checkpoint_interval = absl::InfiniteDuration()});
    ExpectRecords(*cursor, 1, 50);
    Truncate(33);
    writer_->AppendTo(60);
    ASSERT_TRUE(cursor->Commit(50).ok());
    ASSERT_TRUE(registry_->WriteAll().ok());
    EXPECT_EQ(OnDisk().committed, 33);
    EXPECT_EQ(registry_->Lowest()->committed, 33);
    ASSERT_TRUE(cursor->Checkpoint().ok());
    EXPECT_EQ(OnDisk().committed, 33);
  }
  EXPECT_EQ(OnDisk().committed, 33);
  ExpectRecords(*MustOpen(), 34, 60, "'");
}

TEST_F(CursorTruncationTest, SeveralTruncationsCountTogether) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 60);
  Truncate(25);
  writer_->AppendTo(50);
  Truncate(45);
  writer_->AppendTo(48);
  ExpectTruncated(*cursor, 25);
  ExpectRecords(*cursor, 26, 45, "'");
  ExpectRecords(*cursor, 46, 48, "''");
  Truncate(47);
  Truncate(46);
  ExpectTruncated(*cursor, 46);
  ExpectEnd(*cursor);
}

TEST_F(CursorTruncationTest, NewsThatWereNotYetReadAreKept) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 60);
  Truncate(25);
  EXPECT_EQ(cursor->Peek(5)->size(), 1);
  EXPECT_EQ(cursor->delivered(), 25);
  writer_->AppendTo(50);
  ASSERT_TRUE(cursor->Seek(40).ok());
  EXPECT_EQ(MustNext(*cursor).truncated_after, 25);
  ExpectRecords(*cursor, 40, 41, "'");
  // A second one before the first was read: the lowest is what counts.
  Truncate(20);
  EXPECT_EQ(cursor->Peek(1)->front().truncated_after, 20);
  writer_->AppendTo(50);
  Truncate(45);
  ExpectTruncated(*cursor, 20);
}

TEST_F(CursorTruncationTest, PeekedAndHalfReadEntriesDoNotSurvive) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ASSERT_EQ(cursor->Peek(50)->size(), 50);
  Truncate(33);
  writer_->AppendTo(40);
  ExpectTruncated(*cursor, 33);
  ExpectRecords(*cursor, 1, 33);
  ExpectRecords(*cursor, 34, 40, "'");
  // One that was read, and did not fit.
  std::vector<Entry> entries;
  ASSERT_TRUE(cursor->Seek(38).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(cursor->NextBatch({}, &entries, kNow).status()));
  Truncate(37);
  writer_->AppendTo(39);
  std::vector<char> memory(1000);
  EXPECT_EQ(*cursor->NextBatch(memory, &entries, kNow), 1);
  EXPECT_EQ(entries.front().kind, Entry::Kind::kTruncated);
  ExpectRecords(*cursor, 38, 39, "''");
}

TEST_F(CursorTruncationTest, CutsAtSegmentBoundariesAndToNothing) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 60);
  Truncate(40);
  ExpectTruncated(*cursor, 40);
  writer_->AppendTo(50);
  ExpectRecords(*cursor, 41, 50, "'");
  Truncate(0);
  ExpectTruncated(*cursor, 0);
  EXPECT_TRUE(cursor->Rewind().ok());
  ExpectEnd(*cursor);
  writer_->AppendTo(5);
  ExpectRecords(*cursor, 1, 5, "''");
}

TEST_F(CursorTruncationTest, EveryOtherCallFollowsToo) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 60);
  ASSERT_TRUE(cursor->Commit(60).ok());
  Truncate(30);
  EXPECT_EQ(cursor->Lag()->records, 0);
  EXPECT_EQ(cursor->committed(), 30);
  EXPECT_TRUE(absl::IsOutOfRange(cursor->Seek(32)));
  EXPECT_TRUE(absl::IsOutOfRange(cursor->Reset(32)));
  ASSERT_TRUE(cursor->SeekToTime(absl::InfiniteFuture()).ok());
  EXPECT_EQ(cursor->delivered(), 30);
  ASSERT_TRUE(cursor->Reset(31).ok());
  EXPECT_EQ(OnDisk().epoch, 2);
  ExpectTruncated(*cursor, 30);
}

TEST_F(CursorTruncationTest, WaitingCursorIsWokenAndTold) {
  AppendTens(20);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 20);
  std::thread writer([this] {
    absl::SleepFor(absl::Milliseconds(30));
    Truncate(7);
  });
  const auto entry = cursor->Next(absl::Seconds(30));
  writer.join();
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->kind, Entry::Kind::kTruncated);
  EXPECT_EQ(entry->truncated_after, 7);
}

TEST_F(CursorTruncationTest, FilesOfCursorsThatAreNotOpenAreLowered) {
  AppendTens(60);
  for (const SequenceNumber s : {10, 30, 31, 60}) {
    ASSERT_TRUE(
        OpenCursor(Context(), absl::StrCat("c", s), {.start = CursorStart::At(s + 1)}).ok());
  }
  Truncate(30);
  for (const SequenceNumber s : {10, 30, 31, 60}) {
    EXPECT_EQ(OnDisk(absl::StrCat("c", s)).committed, std::min<SequenceNumber>(s, 30));
  }
  EXPECT_EQ(OnDisk("c60").epoch, 2);
  EXPECT_EQ(registry_->Lowest()->name, "c10");
  writer_->AppendTo(40);
  writer_->AppendTo(70);
  CursorContext context = Context();
  for (const SequenceNumber s : {31, 60}) {
    const auto cursor = OpenCursor(context, absl::StrCat("c", s), {});
    ASSERT_TRUE(cursor.ok()) << cursor.status();
    ExpectRecords(**cursor, 31, 70, "'");
  }
}

TEST_F(CursorTruncationTest, FileThatCannotBeLoweredIsReportedAndCountsLowered) {
  AppendTens(60);
  for (const std::string name : {"a", "b"}) {
    ASSERT_TRUE(OpenCursor(Context(), name, {.start = CursorStart::Latest()}).ok());
  }
  const auto cursor = MustOpen({.start = CursorStart::Latest()});
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = "a.cursor"});
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = "c.cursor"});
  writer_->TruncateAfter(30);
  EXPECT_FALSE(registry_->Truncate(30, 2).ok());
  EXPECT_EQ(events_->text(), "c failed; ");
  EXPECT_EQ(OnDisk("b").committed, 30);
  EXPECT_EQ(registry_->Lowest()->committed, 30);
  writer_->AppendTo(40);
  writer_->AppendTo(60);
  ExpectTruncated(*cursor, 30);
  ExpectRecords(*cursor, 31, 60, "'");
  // What the disk says of the other does not count where it says too much.
  const auto a = OpenCursor(Context(), "a", {});
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ((*a)->committed(), 30);
  ExpectRecords(**a, 31, 60, "'");
  EXPECT_EQ(OnDisk("a").committed, 30);
}

TEST_F(CursorTruncationTest, CursorOfAnEarlierLogThatIsStillOpenIsReported) {
  AppendTens(60);
  const auto cursor = MustOpen({.start = CursorStart::Latest()});
  CursorRegistry later;
  ASSERT_TRUE(RegisterCursors(*directory_, kLogId, {.last = 60}, later).ok());
  writer_->TruncateAfter(30);
  const absl::Status status = later.Truncate(30, 2);
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_EQ(later.Lowest()->committed, 30);
}

TEST_F(CursorTruncationTest, DamagedAndRemovedFilesDoNotHinderIt) {
  AppendTens(60);
  for (const std::string name : {"damaged", "gone"}) {
    ASSERT_TRUE(OpenCursor(Context(), name, {.start = CursorStart::Latest()}).ok());
  }
  disk_.WriteFileBytes("/log/damaged.cursor", "?");
  disk_.DeleteFile("/log/gone.cursor");
  Truncate(30);
  EXPECT_FALSE(disk_.ReadFileBytes("/log/gone.cursor").has_value());
}

// After a crash between the truncation and the rewriting of checkpoints.
TEST_F(CursorTruncationTest, CheckpointOfAnOlderEpochCountsUpToTheBaseWhenALogIsOpened) {
  AppendTens(60);
  ASSERT_TRUE(OpenCursor(Context(), "old", {.start = CursorStart::At(51)}).ok());
  writer_->TruncateAfter(30);
  writer_->AppendTo(40);
  writer_->AppendTo(60);
  ASSERT_TRUE(OpenCursor(Context(), "new", {.start = CursorStart::At(51)}).ok());
  EXPECT_EQ(OnDisk("new").epoch, 2);
  registry_ = std::make_shared<CursorRegistry>();
  const LogExtent extent = {.last = 60, .epoch = 2, .epoch_base = 30};
  ASSERT_TRUE(RegisterCursors(*directory_, kLogId, extent, *registry_).ok());
  EXPECT_EQ(registry_->Lowest()->name, "old");
  EXPECT_EQ(registry_->Lowest()->committed, 30);
  const auto old = OpenCursor(Context(), "old", {});
  ASSERT_TRUE(old.ok()) << old.status();
  ExpectRecords(**old, 31, 60, "'");
  EXPECT_EQ(OnDisk("old").committed, 30);
  EXPECT_EQ((*OpenCursor(Context(), "new", {}))->committed(), 50);
}

TEST_F(CursorTruncationTest, CheckpointOfAnEpochToComeIsBroughtDownToThisOne) {
  AppendTens(60);
  ASSERT_TRUE(CursorFile::Open(*directory_, kLogId, "c", CursorCheckpoint{9, 50}).ok());
  const auto cursor = MustOpen();
  EXPECT_EQ(cursor->committed(), 50);
  EXPECT_EQ(OnDisk().epoch, 1);
  Truncate(30);
  EXPECT_EQ(OnDisk().committed, 30);
}

// A cursor never sees a dropped record after it was told, nor a false loss; what it ends up
// with, taking back what it is told to, is the log.
TEST_F(CursorTruncationTest, ReadsBesideAWriterThatTruncates) {
  constexpr int kRounds = 300;
  const auto one = MustOpen({.checkpoint_records = 7});
  const auto two = OpenCursor(Context(), "two", {.checkpoint_records = 3}).value();
  std::map<SequenceNumber, std::string> log;  // the writer's, until it ends
  std::thread writer([&] {
    uint64_t random = 12345;
    SequenceNumber last = 0;
    for (int round = 0; round < kRounds; ++round) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const SequenceNumber to = last + 1 + (random >> 33) % 30;
      while (last < to) {
        const SequenceNumber next = std::min(to, last + 5);
        while (last < next) {
          ++last;
          log[last] = writer_->PayloadNow(last);
        }
        writer_->AppendTo(last);
      }
      if (round % 3 == 0) {
        last -= std::min(last, (random >> 40) % 45);
        log.erase(log.upper_bound(last), log.end());
        Truncate(last);
      }
    }
    writer_->watermark->End(absl::CancelledError("closed"));
  });
  std::atomic<bool> reading{true};
  std::thread checkpoints([&] {
    // relaxed: says only when to stop.
    while (reading.load(std::memory_order_relaxed)) EXPECT_TRUE(registry_->WriteAll().ok());
  });
  const auto read = [](Cursor& cursor, bool batches) {
    std::map<SequenceNumber, std::string> seen;
    std::vector<char> memory(300);
    while (true) {
      std::vector<Entry> entries;
      if (batches) {
        if (!cursor.NextBatch(memory, &entries).ok()) break;
      } else {
        cursor.Peek(3).IgnoreError();
        auto entry = cursor.Next();
        if (!entry.ok()) break;
        entries.push_back(*std::move(entry));
      }
      for (const Entry& entry : entries) {
        EXPECT_NE(entry.kind, Entry::Kind::kLost) << entry.lost.ToString();
        if (entry.kind == Entry::Kind::kTruncated) {
          seen.erase(seen.upper_bound(entry.truncated_after), seen.end());
        } else {
          EXPECT_EQ(entry.record.sequence, seen.empty() ? 1 : seen.rbegin()->first + 1);
          seen[entry.record.sequence] = std::string(entry.record.payload);
        }
      }
      EXPECT_TRUE(cursor.Commit(cursor.delivered()).ok());
    }
    return seen;
  };
  std::map<SequenceNumber, std::string> seen_by_two;
  std::thread reader([&] { seen_by_two = read(*two, /*batches=*/true); });
  const auto seen_by_one = read(*one, /*batches=*/false);
  reader.join();
  writer.join();
  // relaxed: as above.
  reading.store(false, std::memory_order_relaxed);
  checkpoints.join();
  EXPECT_EQ(seen_by_one, log);
  EXPECT_EQ(seen_by_two, log);
  ASSERT_TRUE(one->Checkpoint().ok());
  EXPECT_EQ(OnDisk().committed, log.empty() ? 0 : log.rbegin()->first);
}

}  // namespace
}  // namespace millrace
