// Goal: who waits for whom, in RocksDB's tests of syncs beside writes and of files prepared
// ahead.
// Method: a log whose writer, or whose preparing thread, is held inside a call.

#include <atomic>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/held_log.h"

namespace millrace {
namespace {

class RocksDbWalWaitTest : public HeldLogTest {};

// RocksDB db_wal_test: SyncWALNotBlockWrite.
TEST_F(RocksDbWalWaitTest, ASyncUnderWayHoldsUpNoBufferedAppend) {
  Open();
  HoldWriter(FileOp::kSync);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(log_->Append("while it syncs", {.durability = Durability::kBuffered}).ok());
  }
  EXPECT_EQ(log_->last_durable(), 0u);
  ReleaseWriter();
  EXPECT_EQ(Reread().size(), 100u);
}

// RocksDB db_wal_test: SyncWALNotWaitWrite.
TEST_F(RocksDbWalWaitTest, AFlushBesideAHeldWriteEndsAtItsDeadline) {
  // RocksDB syncs what is there; here a flush covers the write under way and waits for it, as long
  // as it was told to.
  Open();
  HoldWriter(FileOp::kWrite);
  FlushOptions in_time;
  in_time.timeout = absl::Milliseconds(1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_->Flush(in_time)));
  ReleaseWriter();
  EXPECT_TRUE(log_->Flush().ok());
  EXPECT_EQ(log_->last_durable(), 1u);
}

class RocksDbPrecreateTest : public testing::Test {};

// RocksDB db_wal_test: AsyncWalPrecreateWaitsForPendingFile.
TEST_F(RocksDbPrecreateTest, ARotationWaitsForTheSegmentThatIsBeingPrepared) {
  SimFileSystem disk({.seed = 1});
  std::atomic<bool> hold{false};
  std::atomic<bool> held{false};
  disk.SetHook([&](const FileCall& call) {
    if (call.op == FileOp::kCreate && call.name.ends_with(".seg") &&
        hold.load(std::memory_order_seq_cst)) {
      held = true;
      held.notify_all();
      hold.wait(true);
    }
    return SimVerdict::kProceed;
  });
  Options options;
  options.file_system = &disk;
  options.segment_bytes = options.initial_segment_bytes = 8192;
  options.idle_mark_delay = absl::Hours(1);
  const auto log = Log::Open("log", options).value();
  hold = true;
  // Enough for several segments; the second one is being made.
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(log->Append(std::string(1000, 'x'), {.durability = Durability::kBuffered}).ok());
  }
  held.wait(false);
  FlushOptions in_time;
  in_time.timeout = absl::Milliseconds(1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(log->Flush(in_time)));
  EXPECT_LT(log->last_written(), 20u);
  hold = false;
  hold.notify_all();
  EXPECT_TRUE(log->Flush().ok());
  EXPECT_EQ(log->last_durable(), 20u);
  EXPECT_EQ(log->Close(), absl::OkStatus());
  disk.SetHook(nullptr);
}

}  // namespace
}  // namespace millrace
