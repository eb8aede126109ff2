// Goal: what RocksDB's db_wal_test and fault_injection_test ask of rolling, syncing,
// preparing and recovering write-ahead logs holds here, in numbers.
// Method: the shipping log on a simulated disk whose calls are counted, held, or cut by the
// power.

#include <errno.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"

namespace millrace {
namespace {

class RocksDbWalTest : public PeerLogTest {
 protected:
  // Until `segments` segments were begun behind the first.
  void Fill(uint64_t segments, Durability durability = Durability::kWritten) {
    const uint64_t rotations = log_->stats().rotations + segments;
    while (log_->stats().rotations < rotations && !HasFailure()) {
      Append(Payload(log_->last_written() + 1, 900), durability);
    }
  }
  // Every image that a power cut can leave now, or many of them, holds all up to `acknowledged`.
  void ExpectKept(SequenceNumber acknowledged, uint64_t budget = 64) {
    disk_.ForEachCrashImage(budget, acknowledged, [&](SimFileSystem& image, ImageId id) {
      Options options = options_;
      options.file_system = &image;
      const auto log = Log::Open("log", options);
      ASSERT_TRUE(log.ok()) << log.status();
      ASSERT_GE((*log)->last_durable(), acknowledged) << "image " << id;
      ASSERT_EQ(
          (*log)->recovery().records_lost() == 0 || (*log)->recovery().lost[0].first > acknowledged,
          true)
          << (*log)->recovery().ToString();
    });
  }
};

// --- Rolling and recovering -------------------------------------------------------------

// RocksDB db_wal_test: RollLog, RecoverWithLargeLog.
TEST_F(RocksDbWalTest, RollingKeepsEveryRecordAcrossEveryOpening) {
  options_.segment_bytes = 64 << 10;
  for (int opening = 0; opening < 5; ++opening) {
    Open();
    Fill(3);
    ASSERT_TRUE(log_->Flush().ok());
    const SequenceNumber last = log_->last_durable();
    opening % 2 == 0 ? Kill() : Close();
    ASSERT_EQ(ReadBack(), absl::StrCat("1..", last));
  }
}

// RocksDB db_wal_test: SkipDeletedWALs.
TEST_F(RocksDbWalTest, TrimmedSegmentsAreMissedByNobody) {
  Open();
  Fill(6, Durability::kDurable);
  const SequenceNumber last = log_->last_durable();
  ASSERT_TRUE(log_->TrimBefore(last).ok());
  const SequenceNumber first = log_->first_retained();
  EXPECT_GT(first, 20u);
  Kill();
  EXPECT_EQ(ReadBack(), absl::StrCat(first, "..", last));
  options_.recovery_policy = RecoveryPolicy::kStrict;
  Open();
  EXPECT_EQ(log_->recovery().records_lost(), 0u);
}

// RocksDB db_wal_test: Recover, WalTermTest; fault_injection_test: WriteBatchWalTerminationTest.
TEST_F(RocksDbWalTest, ABatchIsRecoveredWholeOrNotAtAll) {
  Open();
  Append("before");
  const std::vector<NewRecord> batch = {{"one"}, {"two"}, {"three"}};
  ASSERT_EQ(log_->AppendBatch(batch).value(), 2u);
  Kill();
  const Place place = PlaceOf(3);
  const std::string bytes = BytesOf(place.segment);
  for (uint64_t size = place.begin; size < place.end; ++size) {
    Put(place.segment, bytes.substr(0, size));
    ASSERT_EQ(ReadBack(), "1..1") << size;
  }
  Put(place.segment, bytes.substr(0, place.end));
  EXPECT_EQ(Payloads(), (std::vector<std::string>{"before", "one", "two", "three"}));
}

// RocksDB db_wal_test: RecoveryWithEmptyLog, EmptyWalReopenTest.
TEST_F(RocksDbWalTest, OpeningsThatAppendNothingLeaveNothing) {
  Open();
  Append("kept");
  for (int i = 0; i < 10; ++i) {
    i % 2 == 0 ? Kill() : Close();
    EXPECT_LE(Segments().size(), 3u);
    EXPECT_EQ(ReadBack(), "1..1");
    Open();
  }
  EXPECT_EQ(Append("next"), 2u);
}

// RocksDB db_wal_test: RecoveryToleratesEmptyFutureWal,
// AsyncWalPrecreateRecoveryToleratesActualFutureWal.
TEST_F(RocksDbWalTest, FilesOfSegmentsToComeAreNoPartOfTheLog) {
  Open();
  Append("kept");
  Kill();
  const std::unique_ptr<SimFileSystem> before = disk_.Clone();
  SegmentHeader prepared = Header(900, 1);
  prepared.state = SegmentState::kPrepared;
  const std::string header = SegmentBuilder(prepared).Bytes();
  for (const std::string& bytes : {std::string(), std::string(5, '\0'), std::string(20'000, '\0'),
                                   header, header + std::string(8192, '\0')}) {
    Put(900, bytes);
    EXPECT_EQ(ReadBack(), "1..1") << bytes.size();
    Open();
    EXPECT_EQ(log_->recovery().records_lost(), 0u);
    EXPECT_EQ(ReadByCursor(absl::StrCat("c", bytes.size())), "1..1");
    Close();
  }
  Open();
  EXPECT_EQ(Append("next"), 2u);
  EXPECT_GT(PlaceOf(2).segment, 900u) << "no number is used twice";
}

// RocksDB db_wal_test: PreallocateBlock, TruncateLastLogAfterRecoverWithoutFlush,
// TruncateLastLogAfterRecoverWithFlush, TruncateLastLogAfterRecoverWALEmpty.
TEST_F(RocksDbWalTest, WhatIsReservedAheadIsReadByNobodyAndGivenBackByClosing) {
  options_.segment_bytes = options_.initial_segment_bytes = 256 << 10;
  Open();
  Append("small");
  EXPECT_GE(BytesOf(1).size(), options_.segment_bytes);
  Kill();
  EXPECT_EQ(ReadBack(), "1..1");
  // After a crash the first segment keeps its size; trimming gives it back.
  Open();
  Append("more");
  ASSERT_TRUE(log_->TrimBefore(2).ok());
  Close();
  uint64_t bytes = 0;
  for (const uint64_t number : Segments()) bytes += BytesOf(number).size();
  EXPECT_LT(bytes, 32u << 10);
}

// RocksDB db_wal_test: RestoreTotalLogSizeAfterRecoverWithoutFlush.
TEST_F(RocksDbWalTest, ARecoveredLogKnowsItsSize) {
  Open();
  Fill(4);
  ASSERT_TRUE(log_->Flush().ok());
  const LogStats before = log_->stats();
  Kill();
  Open();
  const LogStats after = log_->stats();
  EXPECT_GE(after.log_bytes, before.log_bytes);
  EXPECT_LE(after.log_bytes, before.log_bytes + 2 * kFramesOffset);
  EXPECT_EQ(after.segments, before.segments + 1);
}

// RocksDB db_wal_test: ReadOnlyRecoveryNoTruncate.
TEST_F(RocksDbWalTest, AReaderOfATornLogWritesNothing) {
  Open();
  AppendUpTo(10);
  Kill();
  const Place last = PlaceOf(10);
  Shorten(last.segment, last.end - 9);
  const uint64_t calls = disk_.MutatingCalls();
  const uint64_t hash = disk_.Hash();
  EXPECT_EQ(ReadBack(), "1..9");
  EXPECT_EQ(disk_.MutatingCalls(), calls);
  EXPECT_EQ(disk_.Hash(), hash);
}

// --- Syncing ----------------------------------------------------------------------------

// RocksDB db_wal_test: SyncMultipleLogs; fault_injection_test: WriteOptionSyncTest,
// ManualLogSyncTest.
TEST_F(RocksDbWalTest, AFlushInANewSegmentMakesTheOlderOnesDurable) {
  Open();
  for (int i = 0; i < 4; ++i) {
    Fill(3);
    const SequenceNumber last = log_->last_written();
    EXPECT_LT(log_->last_durable(), last);
    if (i % 2 == 0) {
      ASSERT_TRUE(log_->Flush().ok());
    } else {
      ASSERT_EQ(Append("durable"), last + 1);
    }
    EXPECT_GE(log_->last_durable(), last);
    ExpectKept(last);
  }
}

// RocksDB db_wal_test: FixSyncWalOnObseletedWalWithNewManifestCausingMissingWAL.
TEST_F(RocksDbWalTest, ASegmentThatIsTrimmedRightAfterItsSyncIsMissedByNobody) {
  Open();
  for (int i = 0; i < 6; ++i) {
    Fill(2);
    ASSERT_TRUE(log_->Flush().ok());
    ASSERT_TRUE(log_->TrimBefore(log_->last_durable()).ok());
    ExpectKept(log_->last_durable());
  }
  Close();
  options_.recovery_policy = RecoveryPolicy::kStrict;
  Open();
  EXPECT_EQ(log_->recovery().records_lost(), 0u);
}

// RocksDB fault_injection_test: FaultInjectionFSTest ReadUnsyncedData.
TEST_F(RocksDbWalTest, ACursorIsShownNothingThatIsNotDurable) {
  Open();
  AppendUpTo(5);
  Append(Payload(6), Durability::kWritten);
  Append(Payload(7), Durability::kWritten);
  EXPECT_EQ(ReadByCursor("before"), "1..5");
  EXPECT_EQ(ReadBack(Limit::kReadable), "1..7") << "from outside, who asks for it";
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_EQ(ReadByCursor("after"), "1..7");
}

// --- Files used again, and prepared ahead ------------------------------------------------

// RocksDB db_wal_test: FullPurgePreservesRecycledLog.
TEST_F(RocksDbWalTest, OpeningsAndTrimsKeepWhatTheyRecycle) {
  Open();
  for (int i = 0; i < 5; ++i) {
    Fill(5, Durability::kDurable);
    ASSERT_TRUE(log_->TrimBefore(log_->last_durable()).ok());
    Fill(3, Durability::kDurable);
    const SequenceNumber first = log_->first_retained();
    const SequenceNumber last = log_->last_durable();
    if (i == 0) {
      EXPECT_GT(log_->stats().recycled_segments, 0u);
    }
    i % 2 == 0 ? Kill() : Close();
    ASSERT_EQ(ReadBack(), absl::StrCat(first, "..", last));
    Open();
  }
}

// RocksDB db_wal_test: DISABLED_RecycleMultipleWalsCrash, which RocksDB does not pass.
TEST_F(RocksDbWalTest, APowerCutAmongRecycledSegmentsLosesNothingAndRevivesNothing) {
  Open();
  // Each record says which one it is, so an old one under a new number is "altered".
  for (int round = 0; round < 4; ++round) {
    Fill(4);
    ASSERT_TRUE(log_->Flush().ok());
    ASSERT_TRUE(log_->TrimBefore(log_->last_durable()).ok());
    Fill(2);
    const SequenceNumber durable = log_->last_durable();
    const SequenceNumber written = log_->last_written();
    EXPECT_LT(durable, written) << "several segments are not synced";
    disk_.ForEachCrashImage(100, round, [&](SimFileSystem& image, ImageId id) {
      Options options = options_;
      options.file_system = &image;
      const auto log = Log::Open("log", options);
      ASSERT_TRUE(log.ok()) << log.status();
      const SequenceNumber last = (*log)->last_durable();
      ASSERT_GE(last, durable) << "image " << id;
      ASSERT_LE(last, written) << "image " << id;
      auto cursor = (*log)->OpenCursor("c").value();
      for (SequenceNumber s = (*log)->first_retained(); s <= last; ++s) {
        const Entry entry = cursor->Next(absl::ZeroDuration()).value();
        ASSERT_EQ(entry.record.sequence, s);
        ASSERT_EQ(entry.record.payload, Payload(s, 900)) << "image " << id;
      }
    });
  }
  EXPECT_GT(log_->stats().recycled_segments, 0u);
}

// RocksDB db_wal_test: AsyncWalPrecreateConsumesReadyFile.
TEST_F(RocksDbWalTest, ARotationTakesTheSegmentThatIsReady) {
  Open();
  Fill(20, Durability::kDurable);
  const LogStats stats = log_->stats();
  EXPECT_GE(stats.rotations, 20u);
  EXPECT_GT(stats.prepared_segments, 0u);
  // One is ready, and each other file that was created is one of the log's.
  EXPECT_LE(disk_.Calls(FileOp::kCreate), stats.rotations + 8);
}

// RocksDB db_wal_test: AsyncWalPrecreateFailureFallsBackToSyncCreation,
// AsyncWalPrecreateDeletesFileOnStartFailure.
TEST_F(RocksDbWalTest, ASegmentThatCannotBePreparedIsMadeWhenItIsNeeded) {
  for (const FileOp op : {FileOp::kCreate, FileOp::kAllocate, FileOp::kDirectorySync}) {
    SimFileSystem& disk = TakeFreshDisk();
    Open();
    // The first rotation makes its segment itself and lets the next one be prepared.
    Fill(1, Durability::kDurable);
    disk.AddRule({.op = op, .error = EMFILE, .name = op == FileOp::kDirectorySync ? "*" : "*.seg"});
    Fill(4, Durability::kDurable);
    disk.ClearRules();
    const SequenceNumber last = log_->last_durable();
    Close();
    const auto files = disk.FileNames("log");
    // LOCK, LOG and the segments: what could not be prepared left nothing behind.
    EXPECT_LE(files.size(), 2u + 6u) << FileOpName(op);
    Open();
    EXPECT_EQ(log_->last_durable(), last);
  }
}

}  // namespace
}  // namespace millrace
