// Goal: through Log, cursors keep their promises across reopening, a killed process,
// rotation, recycling and trimming.
// Method: real Logs with small segments, on a real directory or on a simulated disk
// whose process is killed or whose power is cut.

#include <errno.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/temp_directory.h"
#include "wal/format.h"

namespace millrace {
namespace {

std::string Payload(SequenceNumber s) { return absl::StrCat("payload ", s); }

Options SmallSegments(FileSystem* file_system = nullptr) {
  Options options;
  options.file_system = file_system;
  options.segment_bytes = 8192;
  options.initial_segment_bytes = 8192;
  return options;
}

std::unique_ptr<Log> MustOpen(const std::string& directory, const Options& options) {
  auto log = Log::Open(directory, options);
  EXPECT_TRUE(log.ok()) << log.status();
  return *std::move(log);
}

void Append(Log& log, SequenceNumber from, SequenceNumber to) {
  for (SequenceNumber s = from; s <= to; ++s) {
    AppendOptions options;
    options.durability = s == to ? Durability::kDurable : Durability::kBuffered;
    ASSERT_TRUE(log.Append(Payload(s), options).ok());
  }
}

// Expects the records from..to, and commits each.
void Consume(Cursor& cursor, SequenceNumber from, SequenceNumber to) {
  for (SequenceNumber s = from; s <= to; ++s) {
    const auto entry = cursor.Next(absl::Seconds(30));
    ASSERT_TRUE(entry.ok()) << entry.status();
    ASSERT_EQ(entry->kind, Entry::Kind::kRecord) << entry->lost.ToString();
    ASSERT_EQ(entry->record.sequence, s);
    ASSERT_EQ(entry->record.payload, Payload(s));
    ASSERT_TRUE(cursor.Commit(s).ok());
  }
}

// Of two truncations the disk knows the base of the later only: by then the checkpoint must say
// itself how far it counts.
TEST(LogCursorTest, CheckpointThatATruncationCouldNotLowerIsLoweredByTheNextOpen) {
  SimFileSystem disk({.seed = 1});
  auto log = MustOpen("log", SmallSegments(&disk));
  Append(*log, 1, 10);
  Consume(**log->OpenCursor("c"), 1, 10);
  disk.AddRule({.op = FileOp::kSync, .error = EIO, .name = "c.cursor"});
  EXPECT_FALSE(log->TruncateAfter(4).ok());
  log.reset();
  log = MustOpen("log", SmallSegments(&disk));
  Append(*log, 5, 8);
  disk.AddRule({.op = FileOp::kSync, .error = EIO, .name = "c.cursor"});
  const absl::Status status = log->TruncateAfter(7);
  EXPECT_TRUE(status.ok()) << status;
  log.reset();
  disk.ClearRules();
  log = MustOpen("log", SmallSegments(&disk));
  const auto cursor = log->OpenCursor("c");
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  EXPECT_EQ((*cursor)->committed(), 4u);
  Consume(**cursor, 5, 7);
}

TEST(LogCursorTest, GoesOnAcrossReopening) {
  TempDirectory directory;
  SequenceNumber written = 0;
  SequenceNumber consumed = 0;
  for (int round = 0; round < 4; ++round) {
    const auto log = MustOpen(directory.Sub("log"), SmallSegments());
    Append(*log, written + 1, written + 500);
    written += 500;
    auto cursor = log->OpenCursor("reader");
    ASSERT_TRUE(cursor.ok()) << cursor.status();
    EXPECT_EQ((*cursor)->committed(), consumed);
    Consume(**cursor, consumed + 1, written - 100);
    consumed = written - 100;
  }
}

TEST(LogCursorTest, SeveralCursorsAreIndependent) {
  TempDirectory directory;
  const auto log = MustOpen(directory.Sub("log"), SmallSegments());
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&log, i] {
      auto cursor = log->OpenCursor(absl::StrCat("reader.", i));
      ASSERT_TRUE(cursor.ok()) << cursor.status();
      Consume(**cursor, 1, 2000);
    });
  }
  for (SequenceNumber s = 0; s < 2000; s += 50) Append(*log, s + 1, s + 50);
  for (std::thread& reader : readers) reader.join();
}

TEST(LogCursorTest, AfterAKillGoesOnBetweenCheckpointAndCommit) {
  SimFileSystem disk({.seed = 1});
  SequenceNumber committed = 0;
  SequenceNumber checkpointed = 0;
  SequenceNumber written = 0;
  for (int round = 0; round < 6; ++round) {
    auto log = MustOpen("/log", SmallSegments(&disk));
    {
      CursorOptions options;
      options.checkpoint_records = 37;
      options.checkpoint_interval = absl::InfiniteDuration();
      auto cursor = log->OpenCursor("reader", options);
      ASSERT_TRUE(cursor.ok()) << cursor.status();
      const SequenceNumber resumed = (*cursor)->committed();
      EXPECT_GE(resumed, checkpointed);
      EXPECT_LE(resumed, committed);
      Append(*log, written + 1, written + 200);
      written += 200;
      Consume(**cursor, resumed + 1, written - 10);
      committed = (*cursor)->committed();
      checkpointed = (*cursor)->checkpointed();
      ASSERT_GT(committed, checkpointed);
      if (round % 2 == 0) {
        disk.KillProcess();
      } else {
        disk.CutPower();
        disk.PowerOn(static_cast<ImageId>(round));
      }
    }
    // What the dead process still does reaches no disk.
    log->Close().IgnoreError();
  }
}

TEST(LogCursorTest, TrimmingRespectsTheSlowestCursor) {
  TempDirectory directory;
  const auto log = MustOpen(directory.Sub("log"), SmallSegments());
  Append(*log, 1, 1000);
  auto slow = log->OpenCursor("slow");
  auto fast = log->OpenCursor("fast");
  ASSERT_TRUE(slow.ok() && fast.ok());
  Consume(**fast, 1, 1000);
  ASSERT_TRUE((*fast)->Checkpoint().ok());
  const absl::Status refused = log->TrimBefore(900);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_NE(std::string(refused.message()).find("slow"), std::string::npos) << refused;
  Consume(**slow, 1, 950);
  ASSERT_TRUE((*slow)->Checkpoint().ok());
  ASSERT_TRUE(log->TrimBefore(900).ok());
  EXPECT_GT(log->first_retained(), 1);
  // Files are reused for what comes; the slow one's place is not.
  Append(*log, 1001, 3000);
  Consume(**slow, 951, 3000);
}

TEST(LogCursorTest, ForcedTrimmingUnderAReaderIsALossWithItsExactRange) {
  TempDirectory directory;
  const auto log = MustOpen(directory.Sub("log"), SmallSegments());
  Append(*log, 1, 2000);
  auto cursor = log->OpenCursor("reader");
  ASSERT_TRUE(cursor.ok());
  Consume(**cursor, 1, 10);
  ASSERT_TRUE(log->TrimBefore(1500, TrimMode::kForce).ok());
  Append(*log, 2001, 4000);
  SequenceNumber expected = 11;
  uint64_t trimmed = 0;
  while (expected <= 4000) {
    const auto entry = (*cursor)->Next(absl::Seconds(30));
    ASSERT_TRUE(entry.ok()) << entry.status();
    if (entry->kind == Entry::Kind::kLost) {
      EXPECT_EQ(entry->lost.cause, LossCause::kTrimmed) << entry->lost.ToString();
      EXPECT_EQ(entry->lost.first, expected);
      expected = entry->lost.last + 1;
      EXPECT_LE(expected, log->first_retained());
      trimmed += entry->lost.records();
      continue;
    }
    ASSERT_EQ(entry->record.sequence, expected);
    ASSERT_EQ(entry->record.payload, Payload(expected));
    ++expected;
  }
  EXPECT_GT(trimmed, 1000);
}

// As where an older copy of the segments is put back beside a cursor, or a cursor of a later copy
// beside the segments.
class LaterCursorTest : public ::testing::Test {
 protected:
  LaterCursorTest() {
    {
      const auto log = MustOpen("/log", SmallSegments(&disk_));
      Append(*log, 1, 5);
      EXPECT_TRUE(log->OpenCursor("reader").ok());
    }
    later_ = *disk_.ReadFileBytes("/log/reader.cursor");
    const std::span<char, kSlotBytes> first(&later_.at(kBlockBytes), kSlotBytes);
    CursorSlot slot;
    EXPECT_EQ(DecodeCursorSlot(first, 1, &slot), HeaderStatus::kValid);
    slot.name = "reader";
    slot.epoch = 9;
    slot.committed = 8;
    EncodeCursorSlot(slot, 1, first);
  }
  void PutLater() { disk_.WriteFileBytes("/log/reader.cursor", later_); }

  SimFileSystem disk_{{.seed = 1}};
  std::string later_;
};

TEST_F(LaterCursorTest, BeforeTheLogIsOpenedIsEvidenceOfLossAndNumbersAreNotGivenAnew) {
  PutLater();
  const auto log = MustOpen("/log", SmallSegments(&disk_));
  EXPECT_EQ(log->recovery().records_lost(), 3u) << log->recovery().ToString();
  Append(*log, 9, 15);
  const auto cursor = log->OpenCursor("reader");
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  Consume(**cursor, 9, 15);
}

TEST_F(LaterCursorTest, OnceTheLogIsOpenSkipsNothingThatIsAppended) {
  const auto log = MustOpen("/log", SmallSegments(&disk_));
  PutLater();
  const auto cursor = log->OpenCursor("reader");
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  Append(*log, 6, 15);
  Consume(**cursor, 6, 15);
}

TEST(LogCursorTest, OutlivesItsLog) {
  TempDirectory directory;
  auto log = MustOpen(directory.Sub("log"), SmallSegments());
  Append(*log, 1, 300);
  auto cursor = log->OpenCursor("reader");
  ASSERT_TRUE(cursor.ok());
  Consume(**cursor, 1, 5);
  log.reset();
  Consume(**cursor, 6, 300);
  EXPECT_TRUE(absl::IsCancelled((*cursor)->Next().status())) << (*cursor)->Next().status();
  EXPECT_TRUE((*cursor)->Checkpoint().ok());
  // It still holds its name.
  log = MustOpen(directory.Sub("log"), SmallSegments());
  EXPECT_TRUE(absl::IsAborted(log->OpenCursor("reader").status()));
  cursor->reset();
  cursor = log->OpenCursor("reader");
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  EXPECT_EQ((*cursor)->committed(), 300);
}

TEST(LogCursorTest, BatchesReadWhatIsThereAndPeekDoesNotMoveOn) {
  TempDirectory directory;
  const auto log = MustOpen(directory.Sub("log"), SmallSegments());
  Append(*log, 1, 2000);
  const auto cursor = log->OpenCursor("reader").value();
  std::vector<char> memory(3000);
  std::vector<Entry> entries;
  SequenceNumber expected = 1;
  while (expected <= 2000) {
    const auto peeked = cursor->Peek(3);
    ASSERT_TRUE(peeked.ok()) << peeked.status();
    ASSERT_EQ(peeked->size(), std::min<SequenceNumber>(3, 2001 - expected));
    EXPECT_EQ(peeked->front().record.payload, Payload(expected));
    entries.clear();
    ASSERT_TRUE(cursor->NextBatch(memory, &entries).ok());
    for (const Entry& entry : entries) {
      ASSERT_EQ(entry.record.sequence, expected);
      ASSERT_EQ(entry.record.payload, Payload(expected));
      ++expected;
    }
    ASSERT_TRUE(cursor->Commit(cursor->delivered()).ok());
  }
}

TEST(LogCursorTest, SeeksByTimeAcrossReopening) {
  TempDirectory directory;
  std::vector<absl::Time> begun;
  for (SequenceNumber round = 0; round < 3; ++round) {
    const auto log = MustOpen(directory.Sub("log"), SmallSegments());
    absl::SleepFor(absl::Milliseconds(5));
    begun.push_back(absl::Now());
    absl::SleepFor(absl::Milliseconds(5));
    Append(*log, round * 500 + 1, round * 500 + 500);
  }
  const auto log = MustOpen(directory.Sub("log"), SmallSegments());
  const auto cursor = log->OpenCursor("reader", {.start = CursorStart::AtTime(begun[1])}).value();
  Consume(*cursor, 501, 510);
  for (SequenceNumber round = 0; round < 3; ++round) {
    ASSERT_TRUE(cursor->SeekToTime(begun[round]).ok());
    EXPECT_EQ(cursor->delivered(), round * 500);
  }
  ASSERT_TRUE(cursor->SeekToTime(absl::Now()).ok());
  EXPECT_EQ(cursor->delivered(), 1500);
}

TEST(LogCursorTest, ListTellsHowFarEachCursorIsBehind) {
  TempDirectory directory;
  const auto log = MustOpen(directory.Sub("log"), SmallSegments());
  Append(*log, 1, 1000);
  auto done = log->OpenCursor("done").value();
  const auto half = log->OpenCursor("half").value();
  Consume(*done, 1, 1000);
  done.reset();
  Consume(*half, 1, 500);
  ASSERT_TRUE(log->CheckpointCursors().ok());
  const std::vector<CursorStatus> list = log->ListCursors();
  ASSERT_EQ(list.size(), 2);
  EXPECT_EQ(list[0].name, "done");
  EXPECT_FALSE(list[0].open);
  EXPECT_EQ(list[0].lag_records, 0);
  EXPECT_EQ(list[0].lag_bytes, 0);
  EXPECT_EQ(list[1].name, "half");
  EXPECT_TRUE(list[1].open);
  EXPECT_EQ(list[1].checkpointed, 500);
  EXPECT_EQ(list[1].lag_records, 500);
  const CursorLag lag = half->Lag().value();
  EXPECT_EQ(lag.records, 500);
  // A frame of 32 bytes and a payload of 11 or 12, filled up; and the groups between.
  EXPECT_GE(lag.bytes, 500 * 48);
  EXPECT_LT(lag.bytes, 500 * 48 + 64 * 80);
  EXPECT_GE(list[1].lag_bytes, lag.bytes);
  EXPECT_LE(list[1].lag_bytes, lag.bytes + 8192);
  EXPECT_LT(lag.time, absl::Minutes(10));
}

TEST(LogCursorTest, DeletedCursorHoldsTrimmingBackNoLonger) {
  TempDirectory directory;
  const auto log = MustOpen(directory.Sub("log"), SmallSegments());
  Append(*log, 1, 1000);
  auto cursor = log->OpenCursor("slow").value();
  EXPECT_TRUE(absl::IsAborted(log->DeleteCursor("slow"))) << log->DeleteCursor("slow");
  EXPECT_TRUE(absl::IsInvalidArgument(log->DeleteCursor("")));
  EXPECT_TRUE(absl::IsNotFound(log->DeleteCursor("other")));
  cursor.reset();
  EXPECT_TRUE(absl::IsFailedPrecondition(log->TrimBefore(900)));
  ASSERT_TRUE(log->DeleteCursor("slow").ok());
  EXPECT_TRUE(log->ListCursors().empty());
  EXPECT_TRUE(log->TrimBefore(900).ok());
  cursor = log->OpenCursor("slow").value();
  EXPECT_EQ(cursor->committed(), log->first_retained() - 1);
  ASSERT_TRUE(log->Close().ok());
  EXPECT_TRUE(absl::IsCancelled(log->DeleteCursor("slow")));
}

TEST(LogCursorTest, CommitsOfACursorAreCheckpointedFromAnotherThread) {
  TempDirectory directory;
  auto log = MustOpen(directory.Sub("log"), SmallSegments());
  Append(*log, 1, 1000);
  const CursorOptions options = {.checkpoint_records = 0,
                                 .checkpoint_interval = absl::InfiniteDuration()};
  auto cursor = log->OpenCursor("reader", options).value();
  Consume(*cursor, 1, 10);
  std::thread checkpointer([&] {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(log->CheckpointCursors().ok());
  });
  Consume(*cursor, 11, 900);
  checkpointer.join();
  ASSERT_TRUE(log->CheckpointCursors().ok());
  EXPECT_EQ(cursor->checkpointed(), 900);
  // Of a log that is closed, too.
  Consume(*cursor, 901, 950);
  ASSERT_TRUE(log->Close().ok());
  ASSERT_TRUE(log->CheckpointCursors().ok());
  EXPECT_EQ(cursor->checkpointed(), 950);
}

TEST(LogCursorTest, ResetBackHoldsTrimmingBackFromThenOn) {
  TempDirectory directory;
  const auto log = MustOpen(directory.Sub("log"), SmallSegments());
  Append(*log, 1, 1000);
  const auto cursor = log->OpenCursor("reader").value();
  Consume(*cursor, 1, 1000);
  ASSERT_TRUE(cursor->Checkpoint().ok());
  ASSERT_TRUE(cursor->Reset(100).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(log->TrimBefore(900)));
  ASSERT_TRUE(cursor->Reset(900).ok());
  ASSERT_TRUE(log->TrimBefore(900).ok());
  EXPECT_TRUE(absl::IsOutOfRange(cursor->Reset(100)));
  Consume(*cursor, 900, 1000);
}

}  // namespace
}  // namespace millrace
