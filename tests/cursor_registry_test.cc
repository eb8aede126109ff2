// Goal: the registry of cursors and their files agree wherever trimming, listing, deleting or
// checkpointing all of them depends on it, and lag is what is left to read.
// Method: cursors over segments made by hand in a simulated file system, with failing calls.

#include "wal/cursor_registry.h"

#include <errno.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
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
#include "wal/cursor_commit.h"
#include "wal/cursor_file.h"
#include "wal/cursor_lag.h"
#include "wal/cursor_state.h"
#include "wal/format.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

constexpr uint64_t kGroupBytes = 80;
constexpr uint64_t kRecordBytes = 48;  // a payload of 9 to 16 bytes

class CursorRegistryTest : public CursorTest {
 protected:
  std::unique_ptr<Cursor> MustOpenNamed(const std::string& name,
                                        const CursorOptions& options = {}) {
    auto cursor = OpenCursor(Context(), name, options);
    EXPECT_TRUE(cursor.ok()) << cursor.status();
    return *std::move(cursor);
  }

  absl::Status Delete(const std::string& name, DeleteMode mode = DeleteMode::kIfValid) {
    return registry_->Delete(*directory_, kLogId, name, mode);
  }

  std::vector<CursorStatus> List() {
    return ListCursors(*registry_, *writer_->segments, *writer_->watermark);
  }

  static constexpr CursorOptions kNeverByItself = {.checkpoint_records = 0,
                                                   .checkpoint_interval = absl::InfiniteDuration()};
};

TEST_F(CursorRegistryTest, NeitherCountNorTimeMeansOnlyWhenTold) {
  AppendTens(50);
  {
    const auto cursor = MustOpen(kNeverByItself);
    ExpectRecords(*cursor, 1, 50);
    for (SequenceNumber s = 1; s <= 30; ++s) ASSERT_TRUE(cursor->Commit(s).ok());
    EXPECT_EQ(cursor->checkpointed(), 0);
    EXPECT_EQ(OnDisk().committed, 0);
    ASSERT_TRUE(cursor->Checkpoint().ok());
    EXPECT_EQ(OnDisk().committed, 30);
    ASSERT_TRUE(cursor->Commit(40).ok());
    ASSERT_TRUE(registry_->WriteAll().ok());
    EXPECT_EQ(cursor->checkpointed(), 40);
    EXPECT_EQ(OnDisk().committed, 40);
    ASSERT_TRUE(cursor->Commit(45).ok());
  }
  EXPECT_EQ(OnDisk().committed, 45);
  EXPECT_EQ(registry_->Lowest()->committed, 45);
}

TEST_F(CursorRegistryTest, AllCursorsAreCheckpointedAndThoseThatFailAreNamed) {
  AppendTens(50);
  std::vector<std::unique_ptr<Cursor>> cursors;
  for (const std::string name : {"a", "b", "c", "d"}) {
    cursors.push_back(MustOpenNamed(name, kNeverByItself));
    ExpectRecords(*cursors.back(), 1, 50);
    if (name != "d") {
      ASSERT_TRUE(cursors.back()->Commit(40).ok());
    }
  }
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = "b.cursor"});
  const absl::Status status = registry_->WriteAll();
  EXPECT_NE(std::string(status.message()).find("b.cursor"), std::string::npos) << status;
  EXPECT_EQ(events_->text(), "b failed; ");
  EXPECT_EQ(cursors[0]->checkpointed(), 40);
  EXPECT_EQ(cursors[1]->checkpointed(), 0);
  EXPECT_EQ(OnDisk("c").committed, 40);
  EXPECT_EQ(OnDisk("d").committed, 0);
  for (const auto& cursor : registry_->List()) {
    EXPECT_EQ(cursor.checkpointed, cursor.name == "a" || cursor.name == "c" ? 40 : 0);
  }
}

TEST_F(CursorRegistryTest, ThreadsCheckpointOpenAndCloseAtOnce) {
  AppendTens(400);
  std::atomic<int> running{3};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([this, i, &running] {
      for (SequenceNumber to = 40; to <= 400; to += 40) {
        const auto cursor = MustOpenNamed(absl::StrCat("c", i), {.checkpoint_records = 9});
        ExpectRecords(*cursor, cursor->committed() + 1, to);
        for (SequenceNumber s = to - 20; s <= to; ++s) ASSERT_TRUE(cursor->Commit(s).ok());
      }
      // relaxed: says only when to stop.
      running.fetch_sub(1, std::memory_order_relaxed);
    });
  }
  // relaxed: as above.
  while (running.load(std::memory_order_relaxed) > 0) {
    EXPECT_TRUE(registry_->WriteAll().ok());
    for (const CursorStatus& status : List()) {
      if (!status.open) Delete("other").IgnoreError();
      EXPECT_LE(status.checkpointed, 400);
    }
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(OnDisk(absl::StrCat("c", i)).committed, 400);
}

TEST_F(CursorRegistryTest, ResetThatComesAfterATrimIsRefusedAndChangesNothing) {
  AppendTens(100);
  auto file = CursorFile::Open(*directory_, kLogId, "own", CursorCheckpoint{.committed = 90});
  ASSERT_TRUE(file.ok());
  const auto commit = std::make_shared<CursorCommit>(*std::move(file), nullptr);
  registry_->BeginOpen("own");
  {
    MutexLock lock(&registry_->files_mu());
    registry_->EndOpen("own", commit);
  }
  const absl::Status status = registry_->Reset(*commit, CursorCheckpoint{.committed = 39}, [this] {
    // What trims from now on finds it lowered.
    EXPECT_EQ(registry_->Lowest()->committed, 39);
    writer_->TrimBefore(85);
    return writer_->watermark->first_retained();
  });
  EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
  EXPECT_EQ(registry_->Lowest()->committed, 90);
  EXPECT_EQ(OnDisk("own").committed, 90);
  registry_->Close(*commit);
}

// Of a cursor that nobody opens, such as one that a backup of the log does not go with.
TEST_F(CursorRegistryTest, CheckpointOfAnEpochToComeIsLoweredUnopened) {
  AppendTens(60);
  ASSERT_TRUE(CursorFile::Open(*directory_, kLogId, "c", CursorCheckpoint{9, 90}).ok());
  registry_ = std::make_shared<CursorRegistry>();
  ASSERT_TRUE(RegisterCursors(*directory_, kLogId, {.last = 60}, *registry_).ok());
  // As opening the log does it.
  EXPECT_TRUE(registry_->Truncate(60, 1).ok());
  EXPECT_EQ(registry_->Lowest()->committed, 60);
  EXPECT_EQ(OnDisk("c").committed, 60);
  AppendTens(80);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 61, 80);
  EXPECT_EQ(OnDisk("c").epoch, 1);
}

// A trim that has looked at the cursors is ended first, and says how far it went.
TEST_F(CursorRegistryTest, NothingGoesBackAndNothingBeginsWhileATrimIsUnderWay) {
  AppendTens(100);
  const auto cursor = MustOpen({.start = CursorStart::At(91)});
  EXPECT_EQ(registry_->BeginTrim()->committed, 90);
  std::atomic<bool> trimmed{false};
  std::thread resetting([&] {
    const absl::Status status = cursor->Reset(40);
    EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
    // acquire: pairs with the release below.
    EXPECT_TRUE(trimmed.load(std::memory_order_acquire));
  });
  std::thread opening([&] {
    const auto earliest = OpenCursor(Context(), "new", {});
    ASSERT_TRUE(earliest.ok()) << earliest.status();
    EXPECT_EQ((*earliest)->committed(), writer_->watermark->first_retained() - 1);
    ExpectRecords(**earliest, 81, 100);
  });
  absl::SleepFor(absl::Milliseconds(20));
  writer_->TrimBefore(85);
  // release: pairs with the acquire above.
  trimmed.store(true, std::memory_order_release);
  registry_->EndTrim();
  resetting.join();
  opening.join();
  EXPECT_EQ(cursor->committed(), 90);
  EXPECT_EQ(OnDisk("c").committed, 90);
}

TEST_F(CursorRegistryTest, DeletedCursorHoldsNothingBackAndIsNew) {
  AppendTens(50);
  MustOpenNamed("c")->Checkpoint().IgnoreError();
  EXPECT_EQ(registry_->Lowest()->name, "c");
  ASSERT_TRUE(Delete("c").ok());
  EXPECT_FALSE(registry_->Lowest().has_value());
  EXPECT_TRUE(List().empty());
  EXPECT_TRUE(absl::IsNotFound(Delete("c")));
  disk_.ForEachCrashImage(4, 1, [&](SimFileSystem& image, ImageId) {
    EXPECT_FALSE(image.ReadFileBytes("/log/c.cursor").has_value());
  });
  EXPECT_EQ(MustOpen({.start = CursorStart::At(30)})->committed(), 29);
}

TEST_F(CursorRegistryTest, CursorThatIsOpenIsNotDeleted) {
  AppendTens(50);
  auto cursor = MustOpen();
  const absl::Status status = Delete("c");
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_TRUE(absl::IsAborted(Delete("c", DeleteMode::kWhatever)));
  EXPECT_EQ(List().size(), 1);
  // One that was opened from another log is open elsewhere.
  CursorRegistry other;
  EXPECT_TRUE(absl::IsAborted(other.Delete(*directory_, kLogId, "c", DeleteMode::kIfValid)));
  cursor.reset();
  EXPECT_TRUE(Delete("c").ok());
}

TEST_F(CursorRegistryTest, DeletingWhatIsNotInOrderIsRefusedUnlessForced) {
  EXPECT_TRUE(absl::IsInvalidArgument(Delete("../c")));
  disk_.WriteFileBytes("/log/damaged.cursor", "?");
  ASSERT_TRUE(CursorFile::Open(*directory_, LogId{'x'}, "foreign", CursorCheckpoint()).ok());
  ASSERT_TRUE(RegisterCursors(*directory_, kLogId, {}, *registry_).ok());
  EXPECT_TRUE(absl::IsDataLoss(Delete("damaged")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete("foreign")));
  EXPECT_EQ(registry_->Lowest()->name, "damaged");
  EXPECT_TRUE(Delete("damaged", DeleteMode::kWhatever).ok());
  EXPECT_TRUE(Delete("foreign", DeleteMode::kWhatever).ok());
  EXPECT_FALSE(registry_->Lowest().has_value());
}

TEST_F(CursorRegistryTest, FailedDeletionKeepsTheCursor) {
  AppendTens(50);
  MustOpen({.start = CursorStart::At(30)}).reset();
  disk_.AddRule({.op = FileOp::kUnlink, .error = EACCES, .name = "c.cursor"});
  EXPECT_FALSE(Delete("c").ok());
  EXPECT_EQ(registry_->Lowest()->committed, 29);
  EXPECT_EQ(MustOpen()->committed(), 29);
}

TEST_F(CursorRegistryTest, FileThatSomebodyRemovedHoldsNothingBackOnceItIsDeleted) {
  AppendTens(50);
  MustOpen().reset();
  disk_.DeleteFile("/log/c.cursor");
  EXPECT_EQ(registry_->Lowest()->committed, 0);
  EXPECT_TRUE(absl::IsNotFound(Delete("c")));
  EXPECT_FALSE(registry_->Lowest().has_value());
}

TEST_F(CursorRegistryTest, SecondOpenerThatIsRefusedLeavesTheFirstRegistered) {
  AppendTens(50);
  auto cursor = MustOpen({.start = CursorStart::At(30)});
  registry_->BeginOpen("c");
  EXPECT_TRUE(absl::IsAborted(Open().status()));
  {
    MutexLock lock(&registry_->files_mu());
    registry_->EndOpen("c", nullptr);
  }
  EXPECT_EQ(registry_->Lowest()->committed, 29);
  EXPECT_TRUE(List().front().open);
  cursor.reset();
  EXPECT_FALSE(List().front().open);
  EXPECT_EQ(List().front().checkpointed, 29);
}

TEST_F(CursorRegistryTest, LagIsExactInRecordsAndBytes) {
  AppendTens(60);  // three segments, of two groups each
  const auto cursor = MustOpen(kNeverByItself);
  const uint64_t segment = 2 * kGroupBytes + 20 * kRecordBytes;
  auto lag = cursor->Lag();
  ASSERT_TRUE(lag.ok()) << lag.status();
  EXPECT_EQ(lag->records, 60);
  // The first group precedes the first record.
  EXPECT_EQ(lag->bytes, 3 * segment - kGroupBytes);
  ExpectRecords(*cursor, 1, 60);
  ASSERT_TRUE(cursor->Commit(44).ok());
  lag = cursor->Lag();
  EXPECT_EQ(lag->records, 16);
  EXPECT_EQ(lag->bytes, kGroupBytes + 16 * kRecordBytes);
  EXPECT_EQ(cursor->delivered(), 60);
  ASSERT_TRUE(cursor->Commit(60).ok());
  lag = cursor->Lag();
  EXPECT_EQ(lag->records, 0);
  EXPECT_EQ(lag->bytes, 0);
  EXPECT_EQ(lag->time, absl::ZeroDuration());
}

TEST_F(CursorRegistryTest, LagInTimeIsTheAgeOfTheOldestRecordNotCommitted) {
  const absl::Time then = absl::Now() - absl::Hours(3);
  writer_->SetTime(absl::ToUnixNanos(then));
  writer_->AppendTo(10);
  writer_->SetTime(absl::ToUnixNanos(then + absl::Hours(1)));
  writer_->AppendTo(20);
  const auto cursor = MustOpen();
  EXPECT_NEAR(absl::ToDoubleHours(cursor->Lag()->time), 3, 0.1);
  ExpectRecords(*cursor, 1, 10);
  ASSERT_TRUE(cursor->Commit(10).ok());
  EXPECT_NEAR(absl::ToDoubleHours(cursor->Lag()->time), 2, 0.1);
  // A clock that was set back makes nothing negative.
  writer_->SetTime(absl::ToUnixNanos(absl::Now() + absl::Hours(9)));
  writer_->AppendTo(30);
  ExpectRecords(*cursor, 11, 20);
  ASSERT_TRUE(cursor->Commit(20).ok());
  EXPECT_EQ(cursor->Lag()->time, absl::ZeroDuration());
}

TEST_F(CursorRegistryTest, LagLeavesOutWhatWasTrimmedAndPassesOverLosses) {
  AppendTens(60);
  const auto cursor = MustOpen();
  writer_->TrimBefore(25);
  EXPECT_EQ(cursor->Lag()->records, 40);
  EXPECT_EQ(List().front().lag_records, 40);
  disk_.DeleteFile("/log/" + SegmentName(2));
  auto lag = cursor->Lag();
  EXPECT_EQ(lag->records, 40);
  EXPECT_GT(lag->time, absl::ZeroDuration());
  disk_.DeleteFile("/log/" + SegmentName(3));
  lag = cursor->Lag();
  ASSERT_TRUE(lag.ok()) << lag.status();
  EXPECT_EQ(lag->records, 40);
  EXPECT_EQ(lag->time, absl::ZeroDuration());
}

TEST_F(CursorRegistryTest, LagThatCannotBeReadIsAnError) {
  AppendTens(60);
  const auto cursor = MustOpen();
  disk_.AddRule({.op = FileOp::kOpen, .error = EMFILE, .count = SimRule::kForever});
  EXPECT_FALSE(cursor->Lag().ok());
  disk_.ClearRules();
  EXPECT_TRUE(cursor->Lag().ok());
}

TEST_F(CursorRegistryTest, ListTellsOfAllCursorsInOrder) {
  AppendTens(60);
  const uint64_t segment = 2 * kGroupBytes + 20 * kRecordBytes;
  const auto b = MustOpenNamed("b", {.start = CursorStart::At(26)});
  MustOpenNamed("a", {.start = CursorStart::At(1)}).reset();
  MustOpenNamed("z", {.start = CursorStart::Latest()}).reset();
  const std::vector<CursorStatus> list = List();
  ASSERT_EQ(list.size(), 3);
  EXPECT_EQ(list[0].name, "a");
  EXPECT_FALSE(list[0].open);
  EXPECT_EQ(list[0].lag_records, 60);
  EXPECT_EQ(list[0].lag_bytes, 3 * segment);
  EXPECT_EQ(list[1].name, "b");
  EXPECT_TRUE(list[1].open);
  EXPECT_EQ(list[1].checkpointed, 25);
  EXPECT_EQ(list[1].lag_records, 35);
  EXPECT_EQ(list[1].lag_bytes, 2 * segment);
  EXPECT_EQ(list[2].name, "z");
  EXPECT_EQ(list[2].lag_records, 0);
  EXPECT_EQ(list[2].lag_bytes, 0);
}

}  // namespace
}  // namespace millrace
