// Goal: whoever waits for an append is woken as soon as it is as durable as it asked to be,
// whatever the writer does next. Method: the writer is held in a call of the disk while
// appends gather behind it, so that they come in one group.

#include <cerrno>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/sim_file_system.h"

namespace millrace {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);

class CommitterWakeTest : public testing::Test {
 protected:
  CommitterWakeTest() {
    options_.file_system = &disk_;
    options_.idle_mark_delay = absl::Hours(1);
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
    log_ = Log::Open("/log", options_).value();
    disk_.SetHook([this](const FileCall& call) {
      if (call.op == FileOp::kSync && call.name.ends_with(".seg")) Pass();
      return SimVerdict::kProceed;
    });
    first_ = std::thread([this] { EXPECT_TRUE(log_->Append("first").ok()); });
    in_first_sync_.WaitForNotification();
  }
  ~CommitterWakeTest() override { log_ = nullptr; }

  // Returns once the log has taken on so many records.
  void AwaitAccepted(uint64_t records) {
    while (log_->stats().accepted < records) std::this_thread::yield();
  }
  void EndFirstSync() {
    end_first_sync_.Notify();
    first_.join();
  }

  SimFileSystem disk_{SimOptions{.seed = 1}};
  Options options_;
  absl::Notification end_second_sync_;
  std::unique_ptr<Log> log_;

 private:
  void Pass() {
    const int sync = ++syncs_;
    if (sync == 1) {
      in_first_sync_.Notify();
      end_first_sync_.WaitForNotification();
    } else if (sync == 2) {
      end_second_sync_.WaitForNotification();
    }
  }

  int syncs_ = 0;  // the writer's
  absl::Notification in_first_sync_;
  absl::Notification end_first_sync_;
  std::thread first_;
};

TEST_F(CommitterWakeTest, WrittenAppendIsToldBeforeTheSyncOfItsGroup) {
  absl::Notification told;
  std::thread written([&] {
    EXPECT_EQ(log_->Append("written", {.durability = Durability::kWritten}).value(), 2u);
    told.Notify();
  });
  AwaitAccepted(2);
  const Ticket durable = log_->AppendAsync("durable").value();
  EndFirstSync();
  EXPECT_TRUE(told.WaitForNotificationWithTimeout(kLong));
  EXPECT_FALSE(durable.Done());
  end_second_sync_.Notify();
  EXPECT_EQ(durable.Wait().value(), 3u);
  written.join();
}

TEST_F(CommitterWakeTest, DurableAppendIsToldThoughTheNextOneFindsNoSpace) {
  end_second_sync_.Notify();
  absl::Notification told;
  std::thread durable([&] {
    EXPECT_EQ(log_->Append("durable").value(), 2u);
    told.Notify();
  });
  AwaitAccepted(2);
  disk_.AddRule(
      {.op = FileOp::kCreate, .error = EMFILE, .name = "*.seg", .count = SimRule::kForever});
  const Ticket held = log_->AppendAsync(std::string(8000, 'h')).value();
  EndFirstSync();
  while (!log_->stats().disk_full) std::this_thread::yield();
  EXPECT_TRUE(told.WaitForNotificationWithTimeout(kLong));
  EXPECT_FALSE(held.Done());
  disk_.ClearRules();
  EXPECT_EQ(held.Wait().value(), 3u);
  durable.join();
}

}  // namespace
}  // namespace millrace
