// Goal: one write or sync that fails costs no append: what was held is written to a fresh
// segment under the same numbers, and acknowledged when that one is synced.
// Method: the peers' scripts of a fault that passes, at every write and sync of a workload;
// then power cuts.

#include <errno.h>

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

class FailoverTest : public PeerLogTest {
 protected:
  // The `first`th write or sync of a segment fails once. Every append must succeed, with its
  // number.
  void AppendThrough(FileOp op, SimRule::Action action, uint64_t first) {
    SimFileSystem& disk = TakeFreshDisk({.seed = first});
    Open();
    disk.AddRule({.op = op, .action = action, .error = EIO, .name = "*.seg", .first = first});
    for (SequenceNumber s = 1; s <= 20; ++s) {
      const Durability durability = s % 3 == 1 ? Durability::kWritten : Durability::kDurable;
      const auto appended = log_->Append(Payload(s, 700), {.durability = durability});
      ASSERT_TRUE(appended.ok()) << appended.status() << " at " << first;
      ASSERT_EQ(*appended, s);
      expected_[s] = Payload(s, 700);
    }
    ASSERT_TRUE(log_->Flush().ok());
    EXPECT_EQ(ReadByCursor(), "1..20");
    for (const ImageId image : {kSubsetImage, ImageId{first}, ImageId{first + 77}}) {
      const auto after = disk.CrashImage(image);
      Options options = options_;
      options.file_system = after.get();
      const auto log = Log::Open("log", options);
      ASSERT_TRUE(log.ok()) << log.status();
      ASSERT_EQ((*log)->last_durable(), 20u) << (*log)->recovery().ToString();
      ASSERT_EQ((*log)->recovery().records_lost(), 0u);
    }
  }
};

// RocksDB error_handler_fs_test: WALWriteRetryableError.
TEST_F(FailoverTest, AWriteThatFailsOnceCostsNoAppend) {
  for (uint64_t first = 1; first <= 30; ++first) {
    AppendThrough(FileOp::kWrite, SimRule::Action::kFail, first);
  }
}

// Pebble: TestSyncError.
TEST_F(FailoverTest, ASyncThatFailsOnceCostsNoAppend) {
  for (uint64_t first = 1; first <= 20; ++first) {
    AppendThrough(FileOp::kSync, SimRule::Action::kLosePages, first);
  }
}

// LevelDB corruption_test: NewFileErrorDuringWrite, with the error passing.
TEST_F(FailoverTest, AFileThatCannotBeCreatedOnceCostsNoAppend) {
  for (uint64_t first = 1; first <= 4; ++first) {
    AppendThrough(FileOp::kCreate, SimRule::Action::kFail, first);
  }
}

// raft-wal: TestWriterRecoversFromWriteFailure.
TEST_F(FailoverTest, TheLogGoesOnInAnotherFileThanTheOneThatFailed) {
  Open();
  AppendUpTo(5);
  disk_.AddRule({.op = FileOp::kWrite, .error = EIO, .name = SegmentName(1)});
  AppendUpTo(10);
  // The records of the block in which the write began are logged again, so they stand there, too.
  EXPECT_GT(PlaceOf(6).segment, 1u);
  EXPECT_EQ(ReadByCursor(), "1..10");
}

}  // namespace
}  // namespace millrace
