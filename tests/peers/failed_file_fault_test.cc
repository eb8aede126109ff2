// Goal: a file that failed is left alone, nothing in it is acknowledged on later evidence,
// and a log whose fresh file fails too stays failed, with one and the same reason, until it
// is opened again.
// Method: the peers' scripts of writes and syncs that fail, once or for good, on a
// simulated disk that notes every call; then power cuts.

#include <errno.h>

#include <atomic>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

class FailedFileTest : public PeerLogTest {
 protected:
  void FailSegments(FileOp op, uint64_t count, SimRule::Action action = SimRule::Action::kFail) {
    disk_.AddRule({.op = op, .action = action, .error = EIO, .name = "*.seg", .count = count});
  }
  // Nothing of what was acknowledged is missing, whatever a power cut leaves.
  void ExpectKept(SequenceNumber acknowledged) {
    disk_.ForEachCrashImage(64, acknowledged, [&](SimFileSystem& image, ImageId id) {
      Options options = options_;
      options.file_system = &image;
      const auto log = Log::Open("log", options);
      ASSERT_TRUE(log.ok()) << log.status();
      ASSERT_GE((*log)->last_durable(), acknowledged) << "image " << id;
    });
  }
};

// RocksDB db_wal_test: WALWriteErrorNoRecovery; error_handler_fs_test: WALWriteFenced.
TEST_F(FailedFileTest, WritesThatFailForGoodFailTheLogUntilItIsOpenedAgain) {
  Open();
  AppendUpTo(10);
  FailSegments(FileOp::kWrite, SimRule::kForever);
  const absl::Status first = log_->Append("refused").status();
  ASSERT_EQ(ErrnoOf(first), EIO) << first;
  disk_.ClearRules();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ErrnoOf(log_->Append("refused as well").status()), EIO);
    EXPECT_EQ(ErrnoOf(log_->Flush()), EIO);
    EXPECT_FALSE(log_->TrimBefore(5).ok());
  }
  EXPECT_EQ(ErrnoOf(log_->Close()), EIO);
  ExpectKept(10);
  Open();
  EXPECT_EQ(Append("again"), log_->recovery().next_sequence);
}

// RocksDB db_wal_test: SyncWalPartialFailure.
TEST_F(FailedFileTest, OneOfSeveralSegmentsThatCannotBeSyncedIsNeverTakenForDurable) {
  for (uint64_t failing = 1; failing <= 4; ++failing) {
    SimFileSystem& disk = TakeFreshDisk({.seed = failing});
    Open();
    AppendUpTo(3);
    while (log_->stats().rotations < 4) {
      const SequenceNumber next = log_->last_written() + 1;
      ASSERT_EQ(Append(Payload(next, 900), Durability::kWritten), next);
    }
    const SequenceNumber written = log_->last_written();
    disk.AddRule({.op = FileOp::kSync,
                  .action = SimRule::Action::kLosePages,
                  .error = EIO,
                  .name = SegmentName(failing)});
    const absl::Status flushed = log_->Flush();
    // Either all was written anew and synced there, or nothing from that segment on is durable.
    const SequenceNumber acknowledged = flushed.ok() ? written : 3;
    if (!flushed.ok()) {
      EXPECT_EQ(ErrnoOf(log_->Flush()), EIO) << "the next sync would return 0";
      EXPECT_LT(log_->last_durable(), written);
    }
    disk.ForEachCrashImage(64, failing, [&](SimFileSystem& image, ImageId id) {
      Options options = options_;
      options.file_system = &image;
      const auto log = Log::Open("log", options);
      ASSERT_TRUE(log.ok()) << log.status();
      ASSERT_GE((*log)->last_durable(), acknowledged) << "image " << id;
      auto cursor = (*log)->OpenCursor("c").value();
      for (SequenceNumber s = 1; s <= (*log)->last_durable(); ++s) {
        ASSERT_EQ(cursor->Next(absl::ZeroDuration())->record.payload, expected_[s]) << s;
      }
    });
  }
}

// go-diskqueue: every sync fails, and 6000 of 6000 messages are acknowledged.
TEST_F(FailedFileTest, WithoutASingleSyncNothingIsAcknowledged) {
  Open();
  FailSegments(FileOp::kSync, SimRule::kForever);
  uint64_t acknowledged = 0;
  for (int i = 0; i < 200; ++i) acknowledged += log_->Append("never safe").ok();
  EXPECT_EQ(acknowledged, 0u);
  EXPECT_EQ(log_->last_durable(), 0u);
  EXPECT_EQ(log_->stats().acknowledged, 0u);
}

// raft-wal: TestWriterRecoversFromWriteFailure, inverted: raft-wal writes to the file again.
// Pebble: TestSyncError.
TEST_F(FailedFileTest, AFileThatFailedIsNeitherWrittenNorSyncedAgain) {
  struct Fault {
    FileOp op;
    SimRule::Action action;
  };
  for (const Fault& fault :
       {Fault{FileOp::kWrite, SimRule::Action::kFail}, Fault{FileOp::kSync, SimRule::Action::kFail},
        Fault{FileOp::kSync, SimRule::Action::kLosePages}}) {
    SimFileSystem& disk = TakeFreshDisk({.seed = 1});
    Open();
    AppendUpTo(5);
    const std::string failed = SegmentName(1);
    const int rule =
        disk.AddRule({.op = fault.op, .action = fault.action, .error = EIO, .name = failed});
    std::atomic<uint64_t> after{0};
    disk.SetHook([&](const FileCall& call) {
      const bool changes = call.op == FileOp::kWrite || call.op == FileOp::kSync;
      if (changes && call.name == failed && disk.RuleHits(rule) > 0) ++after;
      return SimVerdict::kProceed;
    });
    for (int i = 0; i < 5; ++i) log_->Append("may fail").status().IgnoreError();
    log_->Flush().IgnoreError();
    log_->Close().IgnoreError();
    EXPECT_EQ(disk.RuleHits(rule), 1u);
    disk.SetHook(nullptr);
    EXPECT_EQ(after, 0u) << FileOpName(fault.op);
  }
}

}  // namespace
}  // namespace millrace
