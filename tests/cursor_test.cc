// Goal: a cursor returns each durable record or names its loss, in order; it wakes
// promptly; after a crash it goes on between its last durable checkpoint and its
// last commit.
// Method: segments made by hand in a simulated file system, with the watermark in
// the test's hands; one thread plays the writer where two are needed.

#include "millrace/cursor.h"

#include <errno.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/cursor_fixture.h"
#include "wal/cursor_state.h"
#include "wal/fork_guard.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

TEST_F(CursorTest, StartsAtTheEarliestRecord) {
  writer_->AppendTo(3);
  const auto cursor = MustOpen();
  EXPECT_EQ(cursor->name(), "c");
  ExpectRecords(*cursor, 1, 3);
  EXPECT_TRUE(absl::IsDeadlineExceeded(cursor->Next(kNow).status()));
}

TEST_F(CursorTest, StartsAfterTheLatestRecord) {
  writer_->AppendTo(3);
  const auto cursor = MustOpen({.start = CursorStart::Latest()});
  EXPECT_TRUE(absl::IsDeadlineExceeded(cursor->Next(kNow).status()));
  writer_->AppendTo(5);
  ExpectRecords(*cursor, 4, 5);
}

TEST_F(CursorTest, StartsAtASequenceNumber) {
  for (SequenceNumber last = 10; last <= 50; last += 10) writer_->AppendTo(last);
  const auto cursor = MustOpen({.start = CursorStart::At(35)});
  ExpectRecords(*cursor, 35, 50);
}

TEST_F(CursorTest, StartBeyondTheEndIsRefusedAndLeavesNothing) {
  writer_->AppendTo(3);
  const absl::Status status = Open({.start = CursorStart::At(5)}).status();
  EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
  EXPECT_FALSE(registry_->Lowest().has_value());
  EXPECT_FALSE(disk_.ReadFileBytes("/log/c.cursor").has_value());
  EXPECT_TRUE(Open({.start = CursorStart::At(4)}).ok());
}

TEST_F(CursorTest, StartCountsForANewNameOnly) {
  writer_->AppendTo(5);
  {
    const auto cursor = MustOpen();
    ExpectRecords(*cursor, 1, 2);
    ASSERT_TRUE(cursor->Commit(2).ok());
  }
  const auto cursor = MustOpen({.start = CursorStart::Latest()});
  ExpectRecords(*cursor, 3, 5);
}

TEST_F(CursorTest, ReturnsDurableRecordsOnly) {
  writer_->AppendTo(3);
  const auto cursor = MustOpen();
  writer_->watermark->PublishWritten(4);
  ExpectRecords(*cursor, 1, 3);
  EXPECT_TRUE(absl::IsDeadlineExceeded(cursor->Next(absl::Milliseconds(1)).status()));
}

TEST_F(CursorTest, WakesWhenARecordBecomesDurable) {
  const auto cursor = MustOpen();
  std::thread writer([this] {
    absl::SleepFor(absl::Milliseconds(30));
    writer_->AppendTo(1);
  });
  const absl::Time begin = absl::Now();
  const auto entry = cursor->Next(absl::Seconds(30));
  const absl::Duration waited = absl::Now() - begin;
  writer.join();
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->record.sequence, 1);
  EXPECT_LT(waited, absl::Seconds(10));
}

TEST_F(CursorTest, AfterCloseReturnsWhatIsDurableAndThenCancelled) {
  writer_->AppendTo(2);
  const auto cursor = MustOpen();
  writer_->watermark->End(absl::CancelledError("the log in /log is closed"));
  ExpectRecords(*cursor, 1, 2);
  const absl::Status status = cursor->Next().status();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST_F(CursorTest, AfterAFailureReturnsWhatIsDurableAndThenTheCause) {
  writer_->AppendTo(2);
  const auto cursor = MustOpen();
  writer_->watermark->End(absl::InternalError("disk on fire"));
  ExpectRecords(*cursor, 1, 2);
  const absl::Status status = cursor->Next().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(std::string(status.message()).find("disk on fire"), std::string::npos);
}

TEST_F(CursorTest, CommitIsBoundedByWhatWasDelivered) {
  writer_->AppendTo(5);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 3);
  EXPECT_TRUE(absl::IsOutOfRange(cursor->Commit(4)));
  EXPECT_EQ(cursor->committed(), 0);
  EXPECT_TRUE(cursor->Commit(3).ok());
  EXPECT_TRUE(cursor->Commit(2).ok());
  EXPECT_EQ(cursor->committed(), 3);
}

TEST_F(CursorTest, CheckpointsByCount) {
  writer_->AppendTo(10);
  const auto cursor =
      MustOpen({.checkpoint_records = 3, .checkpoint_interval = absl::InfiniteDuration()});
  const SequenceNumber expected[] = {0, 0, 0, 3, 3, 3, 6, 6};
  for (SequenceNumber s = 1; s <= 7; ++s) {
    ExpectRecords(*cursor, s, s);
    ASSERT_TRUE(cursor->Commit(s).ok());
    EXPECT_EQ(cursor->checkpointed(), expected[s]);
  }
  ASSERT_TRUE(cursor->Checkpoint().ok());
  EXPECT_EQ(cursor->checkpointed(), 7);
}

TEST_F(CursorTest, CheckpointsByInterval) {
  writer_->AppendTo(10);
  const auto cursor =
      MustOpen({.checkpoint_records = 1000, .checkpoint_interval = absl::ZeroDuration()});
  ExpectRecords(*cursor, 1, 1);
  ASSERT_TRUE(cursor->Commit(1).ok());
  EXPECT_EQ(cursor->checkpointed(), 1);
}

TEST_F(CursorTest, EndOfTheCursorCheckpoints) {
  writer_->AppendTo(4);
  {
    const auto cursor = MustOpen();
    ExpectRecords(*cursor, 1, 4);
    ASSERT_TRUE(cursor->Commit(3).ok());
    EXPECT_EQ(cursor->checkpointed(), 0);
  }
  EXPECT_EQ(MustOpen()->checkpointed(), 3);
}

TEST_F(CursorTest, FailedCheckpointKeepsTheFormerOneAndIsReported) {
  writer_->AppendTo(4);
  auto cursor = MustOpen({.checkpoint_records = 1});
  ExpectRecords(*cursor, 1, 3);
  ASSERT_TRUE(cursor->Commit(2).ok());
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = "c.cursor"});
  EXPECT_FALSE(cursor->Commit(3).ok());
  EXPECT_EQ(cursor->checkpointed(), 2);
  EXPECT_EQ(registry_->Lowest()->committed, 2);
}

TEST_F(CursorTest, AfterAPowerCutGoesOnBetweenCheckpointAndCommit) {
  for (SequenceNumber last = 10; last <= 60; last += 10) writer_->AppendTo(last);
  auto cursor =
      MustOpen({.checkpoint_records = 7, .checkpoint_interval = absl::InfiniteDuration()});
  SequenceNumber committed = 0;
  uint64_t images = 0;
  disk_.SetHook([&](const FileCall&) {
    const SequenceNumber durable = cursor->checkpointed();
    disk_.ForEachCrashImage(8, images, [&](SimFileSystem& image, ImageId) {
      ++images;
      CursorContext context = Context();
      std::unique_ptr<Directory> directory;
      ASSERT_EQ(image.OpenDirectory("/log", DirectoryMode::kMustExist, &directory), 0);
      context.directory = std::move(directory);
      context.registry = std::make_shared<CursorRegistry>();
      const auto again = OpenCursor(context, "c", {});
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_GE((*again)->committed(), durable);
      EXPECT_LE((*again)->committed(), committed);
    });
    return SimVerdict::kProceed;
  });
  for (SequenceNumber s = 1; s <= 60; ++s) {
    ASSERT_TRUE(cursor->Next(kNow).ok());
    committed = s;
    ASSERT_TRUE(cursor->Commit(s).ok());
  }
  EXPECT_GT(images, 50);
  disk_.SetHook(nullptr);
}

TEST_F(CursorTest, LossIsDeliveredAndCommittedLikeARecord) {
  writer_->AppendTo(5);
  disk_.FlipBit("/log/" + SegmentName(1), kFramesOffset + 80 + 2 * 48 + 33, 2);
  {
    const auto cursor = MustOpen();
    ExpectRecords(*cursor, 1, 2);
    const auto entry = cursor->Next(kNow);
    ASSERT_TRUE(entry.ok());
    ASSERT_EQ(entry->kind, Entry::Kind::kLost);
    EXPECT_EQ(entry->lost.first, 3);
    EXPECT_EQ(entry->lost.last, 3);
    EXPECT_EQ(entry->lost.acknowledgement, Acknowledgement::kAcknowledged);
    EXPECT_EQ(cursor->delivered(), 3);
    ASSERT_TRUE(cursor->Commit(3).ok());
  }
  ExpectRecords(*MustOpen(), 4, 5);
}

TEST_F(CursorTest, ForcedTrimmingIsDeliveredAsALoss) {
  for (SequenceNumber last = 10; last <= 50; last += 10) writer_->AppendTo(last);
  {
    const auto cursor = MustOpen();
    ExpectRecords(*cursor, 1, 5);
    ASSERT_TRUE(cursor->Commit(5).ok());
  }
  writer_->TrimAll();
  const auto cursor = MustOpen();
  EXPECT_EQ(cursor->committed(), 5);
  const auto entry = cursor->Next(kNow);
  ASSERT_TRUE(entry.ok());
  ASSERT_EQ(entry->kind, Entry::Kind::kLost);
  EXPECT_EQ(entry->lost.cause, LossCause::kTrimmed);
  EXPECT_EQ(entry->lost.first, 6);
  EXPECT_EQ(entry->lost.last, 40);
  ExpectRecords(*cursor, 41, 50);
}

TEST_F(CursorTest, CheckpointBeyondTheEndGoesBackToTheEnd) {
  writer_->AppendTo(3);
  ASSERT_TRUE(CursorFile::Open(*directory_, kLogId, "c", CursorCheckpoint{.committed = 9}).ok());
  const auto cursor = MustOpen();
  EXPECT_EQ(cursor->committed(), 3);
  EXPECT_EQ(cursor->checkpointed(), 3);
  writer_->AppendTo(4);
  ExpectRecords(*cursor, 4, 4);
}

TEST_F(CursorTest, CheckpointBeyondTheEndCountsUpToTheEndAtRegistration) {
  writer_->AppendTo(3);
  ASSERT_TRUE(CursorFile::Open(*directory_, kLogId, "c", CursorCheckpoint{.committed = 9}).ok());
  ASSERT_TRUE(RegisterCursors(*directory_, kLogId, {.last = 3}, *registry_).ok());
  EXPECT_EQ(registry_->Lowest()->committed, 3);
  writer_->AppendTo(12);
  const auto cursor = MustOpen();
  EXPECT_EQ(cursor->checkpointed(), 3);
  ExpectRecords(*cursor, 4, 12);
}

TEST_F(CursorTest, WhatWasRegisteredDoesNotHoldForAFileMadeAnew) {
  writer_->AppendTo(3);
  disk_.WriteFileBytes("/log/c.cursor", "?");
  ASSERT_TRUE(RegisterCursors(*directory_, kLogId, {.last = 3}, *registry_).ok());
  disk_.DeleteFile("/log/c.cursor");
  EXPECT_EQ(MustOpen({.start = CursorStart::Latest()})->committed(), 3);
}

TEST_F(CursorTest, SecondOpenerIsRefusedAndTheFirstStaysRegistered) {
  writer_->AppendTo(3);
  const auto cursor = MustOpen();
  EXPECT_TRUE(absl::IsAborted(Open().status()));
  ASSERT_TRUE(registry_->Lowest().has_value());
  EXPECT_EQ(registry_->Lowest()->name, "c");
}

TEST_F(CursorTest, RegistryKnowsAllCheckpointsOfTheDirectory) {
  writer_->AppendTo(9);
  for (const SequenceNumber s : {4, 2, 7}) {
    ASSERT_TRUE(CursorFile::Open(*directory_, kLogId, absl::StrCat("c", s),
                                 CursorCheckpoint{.committed = s})
                    .ok());
  }
  ASSERT_TRUE(CursorFile::Open(*directory_, LogId{'x'}, "foreign", CursorCheckpoint()).ok());
  CursorRegistry registry;
  ASSERT_TRUE(RegisterCursors(*directory_, kLogId, {.last = 9}, registry).ok());
  ASSERT_TRUE(registry.Lowest().has_value());
  EXPECT_EQ(registry.Lowest()->name, "c2");
  EXPECT_EQ(registry.Lowest()->committed, 2);
  // One that cannot be read holds everything back.
  disk_.WriteFileBytes("/log/broken.cursor", "?");
  ASSERT_TRUE(RegisterCursors(*directory_, kLogId, {.last = 9}, registry).ok());
  EXPECT_EQ(registry.Lowest()->name, "broken");
  EXPECT_EQ(registry.Lowest()->committed, 0);
}

TEST_F(CursorTest, ReadsEverythingBesideAWriter) {
  constexpr SequenceNumber kLast = 5000;
  const auto cursor = MustOpen({.checkpoint_records = 500});
  std::thread writer([this] {
    for (SequenceNumber last = 1; last < kLast; last += 1 + last % 7) writer_->AppendTo(last);
    writer_->AppendTo(kLast);
    writer_->watermark->End(absl::CancelledError("closed"));
  });
  SequenceNumber expected = 1;
  while (true) {
    const auto entry = cursor->Next();
    if (!entry.ok()) {
      EXPECT_TRUE(absl::IsCancelled(entry.status())) << entry.status();
      break;
    }
    ASSERT_EQ(entry->kind, Entry::Kind::kRecord) << entry->lost.ToString();
    ASSERT_EQ(entry->record.sequence, expected);
    ASSERT_EQ(entry->record.payload, Payload(expected));
    ASSERT_TRUE(cursor->Commit(expected).ok());
    ++expected;
  }
  writer.join();
  EXPECT_EQ(expected, kLast + 1);
}

TEST_F(CursorTest, OutlivesWhatItWasOpenedFrom) {
  writer_->AppendTo(2);
  const auto cursor = MustOpen();
  writer_->watermark->End(absl::CancelledError("closed"));
  writer_.reset();
  directory_.reset();
  registry_.reset();
  ExpectRecords(*cursor, 1, 2);
  EXPECT_TRUE(cursor->Commit(2).ok());
  EXPECT_TRUE(cursor->Checkpoint().ok());
}

}  // namespace
}  // namespace millrace
