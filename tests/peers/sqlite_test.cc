// Goal: SQLite's loops, in which the first, then the second, then each call of a workload
// fails, leave everything that was acknowledged, and of the rest at most a suffix.
// Method: a workload over the shipping log; one call of one kind fails once or from then
// on, with each error; then the fault is lifted, the process killed or the power cut, and
// the log read.

#include <errno.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

class SqliteLoopTest : public PeerLogTest {
 public:
  static void TearDownTestSuite() {
    std::printf(
        "RELIABILITY target=peers_sqlite seed=3 states=%llu acked=%llu lost_acked=%llu invented=0 "
        "silent=0 hangs=0\n",
        static_cast<unsigned long long>(states_),
        static_cast<unsigned long long>(all_acknowledged_), static_cast<unsigned long long>(lost_));
  }

 protected:
  enum class Ending : uint8_t { kKill, kPowerCut };

  // Opens, appends, flushes, trims, rotates, reads by a cursor, closes; goes on after errors as far
  // as they let it. Notes what was acknowledged as durable.
  void Workload() {
    acknowledged_ = 0;
    accepted_ = 0;
    for (int opening = 0; opening < 2; ++opening) {
      if (!TryOpen().ok()) continue;
      acknowledged_ = std::max(acknowledged_, log_->last_durable());
      for (int i = 0; i < 12; ++i) {
        const SequenceNumber next = ++accepted_;
        const Durability durability = i % 3 == 2 ? Durability::kDurable : Durability::kWritten;
        const auto s = log_->Append(Payload(next, 1500), {.durability = durability});
        if (!s.ok()) break;
        if (durability == Durability::kDurable) acknowledged_ = *s;
      }
      if (auto cursor = log_->OpenCursor("c"); cursor.ok()) {
        for (auto entry = (*cursor)->Next(absl::ZeroDuration()); entry.ok();
             entry = (*cursor)->Next(absl::ZeroDuration())) {
          (*cursor)->Commit((*cursor)->delivered()).IgnoreError();
        }
      }
      if (opening == 0 && acknowledged_ > 6) log_->TrimBefore(5).IgnoreError();
      if (opening == 0) log_->Close().IgnoreError();
    }
  }

  // Runs the workload with one fault and judges what is left. False if the fault was not met.
  bool RunWith(SimRule rule, Ending ending) {
    SimFileSystem& disk = TakeFreshDisk({.seed = 3});
    const int handle = disk.AddRule(rule);
    Workload();
    const bool met = disk.RuleHits(handle) > 0;
    disk.ClearRules();
    if (ending == Ending::kKill) {
      disk.KillProcess();
    } else {
      disk.CutPower();
    }
    log_ = nullptr;
    if (ending == Ending::kPowerCut) disk.PowerOn(rule.first);
    Judge();
    return met;
  }

  void Judge() {
    ++states_;
    all_acknowledged_ += acknowledged_;
    const absl::Status status = TryOpen();
    ASSERT_TRUE(status.ok()) << status;
    lost_ += acknowledged_ - std::min(acknowledged_, log_->last_durable());
    ASSERT_GE(log_->last_durable(), acknowledged_) << log_->recovery().ToString();
    auto cursor = log_->OpenCursor("judge").value();
    for (SequenceNumber s = log_->first_retained(); s <= log_->last_durable(); ++s) {
      const Entry entry = cursor->Next(absl::ZeroDuration()).value();
      ASSERT_EQ(entry.kind, Entry::Kind::kRecord) << entry.lost.ToString();
      ASSERT_EQ(entry.record.sequence, s);
      ASSERT_EQ(entry.record.payload.size(), 1500u);
    }
    ASSERT_TRUE(log_->Append("on").ok());
    log_ = nullptr;
  }

  // The first, the second, ... call fails until the workload makes no more of them.
  void Loop(FileOp op, int error, uint64_t count, Ending ending, SimRule::Action action) {
    for (uint64_t first = 1; first < 400; ++first) {
      SCOPED_TRACE(absl::StrCat(std::string(FileOpName(op)), " ", first, " ",
                                std::string(ErrnoName(error)), " ", count));
      const bool met = RunWith(
          {.op = op, .action = action, .error = error, .first = first, .count = count}, ending);
      if (!met || HasFatalFailure()) return;
    }
    ADD_FAILURE() << "the loop does not end";
  }

  SequenceNumber acknowledged_ = 0;
  SequenceNumber accepted_ = 0;
  static inline uint64_t states_ = 0;
  static inline uint64_t all_acknowledged_ = 0;
  static inline uint64_t lost_ = 0;
};

constexpr FileOp kChanging[] = {FileOp::kCreate,   FileOp::kWrite,        FileOp::kSync,
                                FileOp::kTruncate, FileOp::kRename,       FileOp::kUnlink,
                                FileOp::kAllocate, FileOp::kDirectorySync};

// SQLite: ioerr*.test, one error that passes.
TEST_F(SqliteLoopTest, EachCallThatFailsOnceLosesNothingAcknowledged) {
  for (const FileOp op : kChanging) {
    Loop(op, EIO, 1, Ending::kKill, SimRule::Action::kFail);
  }
}

// SQLite: ioerr*.test, errors that stay.
TEST_F(SqliteLoopTest, EachCallThatFailsForeverLosesNothingAcknowledged) {
  for (const FileOp op : kChanging) {
    Loop(op, EIO, SimRule::kForever, Ending::kPowerCut, SimRule::Action::kFail);
  }
}

// SQLite: ioerr*.test of syncs, after which the pages pass for clean.
TEST_F(SqliteLoopTest, EachSyncThatLosesItsPagesLosesNothingAcknowledged) {
  for (const Ending ending : {Ending::kKill, Ending::kPowerCut}) {
    Loop(FileOp::kSync, EIO, 1, ending, SimRule::Action::kLosePages);
  }
}

// SQLite: sysfault.test.
TEST_F(SqliteLoopTest, EachCallThatIsInterruptedOrRefusedLosesNothingAcknowledged) {
  for (const FileOp op : {FileOp::kOpen, FileOp::kCreate, FileOp::kWrite, FileOp::kRead}) {
    Loop(op, EINTR, 1, Ending::kPowerCut, SimRule::Action::kFail);
  }
  for (const int error : {EMFILE, EACCES}) {
    Loop(FileOp::kCreate, error, 1, Ending::kKill, SimRule::Action::kFail);
  }
  Loop(FileOp::kWrite, 0, 3, Ending::kPowerCut, SimRule::Action::kShort);
}

// SQLite: crash.test, crash2.test, crash3.test, crash8.test, walcrash*.test, writecrash.test.
TEST_F(SqliteLoopTest, APowerCutAtEachCallLosesNothingAcknowledged) {
  for (const CrashMoment moment : {CrashMoment::kBefore, CrashMoment::kInside}) {
    for (uint64_t call = 1; call < 400; ++call) {
      SCOPED_TRACE(call);
      SimFileSystem& disk = TakeFreshDisk({.seed = call});
      disk.CrashAt(call, moment);
      Workload();
      log_ = nullptr;
      const bool cut = !disk.powered();
      if (!cut) break;
      const std::unique_ptr<SimFileSystem> before = disk.Clone();
      for (const ImageId image : {kSubsetImage, ImageId{call}, ImageId{call + 1000}}) {
        Take(before->CrashImage(image));
        Judge();
        ASSERT_FALSE(HasFatalFailure());
      }
    }
  }
}

}  // namespace
}  // namespace millrace
