// Goal: a newest segment that cannot be opened for a while is no empty log: its records are
// named as unknown, strict opening refuses, and when the error has passed they are there or
// named.
// Method: a log killed before it was idle, so that nothing else vouches for its records;
// opens of its only segment fail with EIO.

#include <errno.h>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/peers/peer_log.h"

namespace millrace {
namespace {

class UnreadableSegmentTest : public PeerLogTest {
 protected:
  void WriteAndBreak(FileOp op) {
    Open();
    AppendUpTo(30);
    Kill();
    disk_.AddRule({.op = op, .error = EIO, .name = SegmentName(1), .count = SimRule::kForever});
  }
};

// LevelDB corruption_test: RecoverWriteError, of reading.
TEST_F(UnreadableSegmentTest, StrictOpeningRefusesASegmentThatCannotBeOpened) {
  WriteAndBreak(FileOp::kOpen);
  options_.recovery_policy = RecoveryPolicy::kStrict;
  EXPECT_FALSE(TryOpen().ok());
}

// LevelDB corruption_test: RecoverWriteError, of reading.
TEST_F(UnreadableSegmentTest, StrictOpeningRefusesASegmentThatCannotBeRead) {
  WriteAndBreak(FileOp::kRead);
  options_.recovery_policy = RecoveryPolicy::kStrict;
  EXPECT_FALSE(TryOpen().ok());
}

// LevelDB corruption_test: RecoverWriteError, of reading.
TEST_F(UnreadableSegmentTest, SalvageNamesASegmentThatCannotBeOpened) {
  WriteAndBreak(FileOp::kOpen);
  if (TryOpen().ok()) {
    EXPECT_FALSE(log_->recovery().lost.empty()) << log_->recovery().ToString();
  } else {
    disk_.ClearRules();
    EXPECT_EQ(ReadBack(), "1..30");
  }
}

}  // namespace
}  // namespace millrace
