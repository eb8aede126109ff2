// Goal: through Log, cursors keep their promises across reopening, a killed process,
// rotation, recycling and trimming.
// Method: real Logs with small segments, on a real directory or on a simulated disk
// whose process is killed or whose power is cut.

#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/sim_file_system.h"
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

// As after a backup was restored.
TEST(LogCursorTest, BeyondTheEndSkipsNothingAppendedSinceTheLogWasOpened) {
  SimFileSystem disk({.seed = 1});
  {
    const auto log = MustOpen("/log", SmallSegments(&disk));
    Append(*log, 1, 5);
    ASSERT_TRUE(log->OpenCursor("reader").ok());
  }
  std::string bytes = *disk.ReadFileBytes("/log/reader.cursor");
  ASSERT_GE(bytes.size(), kBlockBytes + kSlotBytes);
  const std::span<char, kSlotBytes> first(&bytes[kBlockBytes], kSlotBytes);
  CursorSlot slot;
  ASSERT_EQ(DecodeCursorSlot(first, 1, &slot), HeaderStatus::kValid);
  slot.name = "reader";
  slot.epoch = 9;
  slot.committed = 8;
  EncodeCursorSlot(slot, 1, first);
  disk.WriteFileBytes("/log/reader.cursor", bytes);
  const auto log = MustOpen("/log", SmallSegments(&disk));
  Append(*log, 6, 15);
  const auto cursor = log->OpenCursor("reader");
  ASSERT_TRUE(cursor.ok()) << cursor.status();
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

}  // namespace
}  // namespace millrace
