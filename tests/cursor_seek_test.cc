// Goal: a cursor goes where it is told, by number, by time and to its last commit; a reset
// is durable, and no trim passes it unnoticed.
// Method: segments made by hand in a simulated file system, with clocks that jump, trims at
// every call of a reset, and power cuts.

#include <errno.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/cursor_fixture.h"
#include "tests/fake_log_writer.h"
#include "wal/cursor_file.h"
#include "wal/cursor_registry.h"
#include "wal/format.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

class CursorSeekTest : public CursorTest {
 protected:
  // Groups of ten records, of which the first is written at `begin`, the others `step` seconds
  // later each.
  void AppendTimed(SequenceNumber last, int64_t begin, int64_t step) {
    int64_t time = begin;
    for (SequenceNumber s = writer_->watermark->last_written() + 10; s <= last; s += 10) {
      writer_->SetTime(time * 1'000'000'000);
      writer_->AppendTo(s);
      time += step;
    }
  }

  static absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }

  // The number that a seek to that time leads to.
  static SequenceNumber Found(Cursor& cursor, int64_t seconds) {
    const absl::Status status = cursor.SeekToTime(At(seconds));
    EXPECT_TRUE(status.ok()) << status;
    return cursor.delivered() + 1;
  }
};

TEST_F(CursorSeekTest, SeeksBothWaysAndAcrossSegments) {
  AppendTens(100);
  const auto cursor = MustOpen();
  for (const SequenceNumber s : {50, 1, 100, 99, 20, 21, 101}) {
    ASSERT_TRUE(cursor->Seek(s).ok());
    EXPECT_EQ(cursor->delivered(), s - 1);
    if (s <= 100) ExpectRecords(*cursor, s, s);
  }
  ASSERT_TRUE(cursor->Seek(101).ok());
  ExpectEnd(*cursor);
  writer_->AppendTo(110);
  ExpectRecords(*cursor, 101, 110);
}

TEST_F(CursorSeekTest, SeekOutOfRangeIsRefusedAndMovesNothing) {
  AppendTens(60);
  writer_->TrimBefore(25);
  const auto cursor = MustOpen({.start = CursorStart::At(30)});
  ExpectRecords(*cursor, 30, 31);
  for (const SequenceNumber s : {0, 1, 20, 62}) {
    const absl::Status status = cursor->Seek(s);
    EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
    EXPECT_NE(std::string(status.message()).find("21 (the oldest kept)"), std::string::npos);
    EXPECT_TRUE(absl::IsOutOfRange(cursor->Reset(s)));
  }
  ExpectRecords(*cursor, 32, 60);
  EXPECT_TRUE(cursor->Seek(21).ok());
}

TEST_F(CursorSeekTest, CommitMayPassOverWhatASeekSkipped) {
  AppendTens(60);
  {
    const auto cursor = MustOpen();
    ExpectRecords(*cursor, 1, 3);
    ASSERT_TRUE(cursor->Commit(3).ok());
    ASSERT_TRUE(cursor->Seek(50).ok());
    EXPECT_EQ(cursor->committed(), 3);
    EXPECT_TRUE(absl::IsOutOfRange(cursor->Commit(50)));
    ASSERT_TRUE(cursor->Commit(49).ok());
    ASSERT_TRUE(cursor->Seek(10).ok());
    EXPECT_EQ(cursor->committed(), 49);
    ExpectRecords(*cursor, 10, 11);
    ASSERT_TRUE(cursor->Commit(11).ok());
    EXPECT_EQ(cursor->committed(), 49);
  }
  ExpectRecords(*MustOpen(), 50, 60);
}

TEST_F(CursorSeekTest, SeekOverALossAndBeforeIt) {
  AppendTens(20);
  disk_.FlipBit("/log/" + SegmentName(1), kFramesOffset + 80 + 2 * 48 + 33, 2);
  const auto cursor = MustOpen();
  ASSERT_TRUE(cursor->Seek(4).ok());
  ExpectRecords(*cursor, 4, 5);
  ASSERT_TRUE(cursor->Seek(3).ok());
  EXPECT_EQ(MustNext(*cursor).lost.last, 3);
  ExpectRecords(*cursor, 4, 20);
}

TEST_F(CursorSeekTest, RewindGoesBackToTheLastCommit) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 45);
  ASSERT_TRUE(cursor->Commit(33).ok());
  ASSERT_TRUE(cursor->Rewind().ok());
  EXPECT_EQ(cursor->delivered(), 33);
  ExpectRecords(*cursor, 34, 60);
  ASSERT_TRUE(cursor->Rewind().ok());
  writer_->TrimAll();
  // What was trimmed since is named.
  const Entry entry = MustNext(*cursor);
  ASSERT_EQ(entry.kind, Entry::Kind::kLost);
  EXPECT_EQ(entry.lost.first, 34);
  EXPECT_EQ(entry.lost.cause, LossCause::kTrimmed);
  EXPECT_EQ(events_->text(), "");
}

TEST_F(CursorSeekTest, SeeksToTimes) {
  AppendTimed(200, 1000, 10);
  const auto cursor = MustOpen();
  for (SequenceNumber group = 0; group < 20; ++group) {
    const int64_t time = 1000 + static_cast<int64_t>(group) * 10;
    EXPECT_EQ(Found(*cursor, time), group * 10 + 1);
    EXPECT_EQ(Found(*cursor, time - 1), group * 10 + 1);
    ExpectRecords(*cursor, group * 10 + 1, group * 10 + 2);
  }
  EXPECT_EQ(Found(*cursor, 0), 1);
  EXPECT_EQ(Found(*cursor, 1191), 201);
  ExpectEnd(*cursor);
  writer_->AppendTo(210);
  ExpectRecords(*cursor, 201, 210);
  for (const absl::Time far : {absl::InfinitePast(), absl::UnixEpoch()}) {
    ASSERT_TRUE(cursor->SeekToTime(far).ok());
    EXPECT_EQ(cursor->delivered(), 0);
  }
  ASSERT_TRUE(cursor->SeekToTime(absl::InfiniteFuture()).ok());
  EXPECT_EQ(cursor->delivered(), 210);
}

TEST_F(CursorSeekTest, EqualTimesAcrossSegmentsLeadToTheFirst) {
  AppendTimed(30, 1000, 10);
  AppendTimed(120, 1030, 0);
  AppendTimed(150, 1040, 10);
  const auto cursor = MustOpen();
  EXPECT_EQ(Found(*cursor, 1030), 31);
  EXPECT_EQ(Found(*cursor, 1031), 121);
}

TEST_F(CursorSeekTest, TimeReadsFewSegments) {
  AppendTimed(2000, 1000, 10);
  const auto cursor = MustOpen();
  const uint64_t before = disk_.Calls(FileOp::kOpen);
  EXPECT_EQ(Found(*cursor, 1500), 501);
  // A hundred segments: seven headers, and one that is read.
  EXPECT_LE(disk_.Calls(FileOp::kOpen) - before, 9);
}

TEST_F(CursorSeekTest, ClockSetBackStillLeadsToARecordOfThatTime) {
  AppendTimed(100, 5000, 10);
  AppendTimed(200, 1000, 10);
  AppendTimed(300, 5000, 10);
  const auto cursor = MustOpen();
  for (int64_t time = 900; time <= 5095; time += 7) {
    const SequenceNumber next = Found(*cursor, time);
    if (time > 5090) {
      EXPECT_EQ(next, 301);
      continue;
    }
    ASSERT_LE(next, 300) << time;
    const Entry entry = MustNext(*cursor);
    ASSERT_EQ(entry.kind, Entry::Kind::kRecord);
    EXPECT_GE(entry.record.time, At(time));
    // The first one of its group.
    EXPECT_EQ(next % 10, 1) << time;
  }
}

TEST_F(CursorSeekTest, TimeIsFoundWhereHeadersAndRecordsAreLost) {
  AppendTimed(200, 1000, 10);
  // Segment 5 holds 81..100, of 1080 and 1090.
  for (const uint64_t copy : {0, 1}) {
    disk_.FlipBit("/log/" + SegmentName(5), copy * kBlockBytes + 30, 1);
  }
  disk_.DeleteFile("/log/" + SegmentName(7));
  const auto cursor = MustOpen();
  EXPECT_EQ(Found(*cursor, 1080), 81);
  EXPECT_EQ(Found(*cursor, 1071), 81);
  EXPECT_EQ(Found(*cursor, 1085), 91);
  EXPECT_EQ(Found(*cursor, 1120), 141);  // 121..140 are gone
}

TEST_F(CursorSeekTest, TimeThatCannotBeReadIsAnErrorAndMovesNothing) {
  AppendTimed(20, 1000, 10);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 2);
  disk_.AddRule({.op = FileOp::kOpen, .error = EMFILE, .count = SimRule::kForever});
  EXPECT_FALSE(cursor->SeekToTime(At(1010)).ok());
  disk_.ClearRules();
  ExpectRecords(*cursor, 3, 20);
}

TEST_F(CursorSeekTest, StartsAtATimeIfItIsNew) {
  AppendTimed(100, 1000, 10);
  {
    const auto cursor = MustOpen({.start = CursorStart::AtTime(At(1045))});
    ExpectRecords(*cursor, 51, 55);
    ASSERT_TRUE(cursor->Commit(52).ok());
  }
  const uint64_t opens = disk_.Calls(FileOp::kOpen);
  const auto cursor = MustOpen({.start = CursorStart::AtTime(At(1000))});
  EXPECT_LE(disk_.Calls(FileOp::kOpen) - opens, 5);
  ExpectRecords(*cursor, 53, 100);
  const auto late = OpenCursor(Context(), "late", {.start = CursorStart::AtTime(At(9000))});
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ((*late)->committed(), 100);
}

TEST_F(CursorSeekTest, StartAtATimeThatCannotBeReadLeavesNothing) {
  AppendTimed(40, 1000, 10);
  disk_.AddRule(
      {.op = FileOp::kOpen, .error = EMFILE, .name = SegmentName(2), .count = SimRule::kForever});
  EXPECT_FALSE(Open({.start = CursorStart::AtTime(At(1035))}).ok());
  EXPECT_FALSE(registry_->Lowest().has_value());
  EXPECT_FALSE(disk_.ReadFileBytes("/log/c.cursor").has_value());
}

TEST_F(CursorSeekTest, ResetIsDurableBothWays) {
  AppendTens(60);
  const auto cursor = MustOpen();
  ExpectRecords(*cursor, 1, 50);
  ASSERT_TRUE(cursor->Commit(50).ok());
  ASSERT_TRUE(cursor->Checkpoint().ok());
  for (const SequenceNumber s : {10, 40, 1, 61}) {
    ASSERT_TRUE(cursor->Reset(s).ok());
    EXPECT_EQ(cursor->delivered(), s - 1);
    EXPECT_EQ(cursor->committed(), s - 1);
    EXPECT_EQ(cursor->checkpointed(), s - 1);
    EXPECT_EQ(registry_->Lowest()->committed, s - 1);
    disk_.ForEachCrashImage(4, s, [&](SimFileSystem& image, ImageId) {
      std::unique_ptr<Directory> directory;
      ASSERT_EQ(image.OpenDirectory("/log", DirectoryMode::kMustExist, &directory), 0);
      const auto seen = ReadCursors(*directory);
      ASSERT_TRUE(seen.ok());
      ASSERT_EQ(seen->size(), 1);
      EXPECT_EQ(seen->front().checkpoint.committed, s - 1);
    });
    if (s <= 60) ExpectRecords(*cursor, s, s);
  }
  // Nothing of what was committed before counts any more.
  ASSERT_TRUE(cursor->Reset(20).ok());
  ASSERT_TRUE(cursor->Checkpoint().ok());
  ASSERT_TRUE(registry_->WriteAll().ok());
  EXPECT_EQ(OnDisk().committed, 19);
  ExpectRecords(*cursor, 20, 22);
  ASSERT_TRUE(cursor->Commit(22).ok());
}

TEST_F(CursorSeekTest, FailedResetMovesNothingAndHoldsTrimmingBack) {
  AppendTens(60);
  const auto cursor = MustOpen({.checkpoint_records = 1});
  ExpectRecords(*cursor, 1, 50);
  ASSERT_TRUE(cursor->Commit(50).ok());
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = "c.cursor"});
  EXPECT_FALSE(cursor->Reset(10).ok());
  EXPECT_EQ(cursor->committed(), 50);
  EXPECT_EQ(cursor->checkpointed(), 50);
  ExpectRecords(*cursor, 51, 52);
  // The disk may say either.
  EXPECT_EQ(registry_->Lowest()->committed, 9);
  EXPECT_EQ(events_->text(), "c failed; ");
}

TEST_F(CursorSeekTest, ResetHoldsTrimmingBackBeforeItIsWritten) {
  AppendTens(100);
  const auto cursor = MustOpen({.checkpoint_records = 1});
  ExpectRecords(*cursor, 1, 90);
  ASSERT_TRUE(cursor->Commit(90).ok());
  bool written = false;
  disk_.SetHook([&](const FileCall& call) {
    if (call.name == "c.cursor" && call.op == FileOp::kWrite) {
      written = true;
      EXPECT_EQ(registry_->Lowest()->committed, 39);
    }
    return SimVerdict::kProceed;
  });
  ASSERT_TRUE(cursor->Reset(40).ok());
  EXPECT_TRUE(written);
  disk_.SetHook(nullptr);
}

// Whatever the order of the two, a record that the cursor was reset to is there, or named.
TEST_F(CursorSeekTest, TrimsBesideResets) {
  AppendTens(400);
  const auto cursor = MustOpen({.checkpoint_records = 1});
  ExpectRecords(*cursor, 1, 400);
  ASSERT_TRUE(cursor->Commit(400).ok());
  std::thread trimmer([this] {
    for (SequenceNumber to = 20; to <= 380; to += 20) {
      const SequenceNumber lowest = registry_->Lowest()->committed;
      if (to <= lowest + 1) writer_->TrimBefore(to);
      std::this_thread::yield();
    }
  });
  for (SequenceNumber s = 1; s <= 380; s += 3) {
    if (!cursor->Reset(s).ok()) continue;
    const Entry entry = MustNext(*cursor);
    if (entry.kind == Entry::Kind::kLost) {
      EXPECT_EQ(entry.lost.cause, LossCause::kTrimmed);
      EXPECT_EQ(entry.lost.first, s);
    } else {
      EXPECT_EQ(entry.record.sequence, s);
      EXPECT_EQ(entry.record.payload, Payload(s));
    }
    ASSERT_TRUE(cursor->Reset(401).ok());
  }
  trimmer.join();
}

}  // namespace
}  // namespace millrace
