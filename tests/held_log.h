#ifndef MILLRACE_HELD_LOG_H_
#define MILLRACE_HELD_LOG_H_

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"

namespace millrace {

// A log over the simulated disk, whose writer a test can hold inside a call, so that it
// decides what the writer has begun with and what still waits in the queue.
class HeldLogTest : public testing::Test {
 protected:
  HeldLogTest() : disk_({.seed = 1}) {
    options_.file_system = &disk_;
    options_.idle_mark_delay = absl::Hours(1);
    disk_.SetHook([this](const FileCall& call) {
      if (call.op == held_op_.load() && call.name.ends_with(".seg")) Pass();
      return SimVerdict::kProceed;
    });
  }
  ~HeldLogTest() override { ReleaseWriter(); }

  void Open() {
    auto log = Log::Open("/log", options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = std::move(*log);
  }

  // Holds the writer inside a write or a sync of a segment, with one record, "plug", with it.
  // What is appended later waits in the queue.
  void HoldWriter(FileOp op = FileOp::kWrite) {
    held_op_ = op;
    arrived_ = false;
    open_ = false;
    ASSERT_TRUE(
        log_->AppendAsync("plug", {.durability = op == FileOp::kSync ? Durability::kDurable
                                                                     : Durability::kBuffered})
            .ok());
    arrived_.wait(false);
  }
  void ReleaseWriter() {
    open_ = true;
    open_.notify_all();
  }

  // From now on writes or syncs of segments fail.
  void FailSegments(FileOp op) {
    disk_.AddRule({.op = op,
                   .action = SimRule::Action::kFail,
                   .error = EIO,
                   .name = "*.seg",
                   .count = SimRule::kForever});
  }

  // Appends buffered records until there is no space. Returns how many.
  uint64_t FillQueue() {
    AppendOptions options = {.durability = Durability::kBuffered, .when_full = WhenFull::kFail};
    uint64_t count = 0;
    while (log_->Append("fill", options).ok()) ++count;
    return count;
  }

  // Closes the log, opens it again, and returns its payloads in order, without "plug" and "fill".
  std::vector<std::string> Reread() {
    ReleaseWriter();
    if (log_ != nullptr) {
      EXPECT_TRUE(log_->Close().ok());
    }
    log_ = nullptr;
    auto log = Log::Open("/log", options_).value();
    auto cursor = log->OpenCursor("reread").value();
    std::vector<std::string> payloads;
    const SequenceNumber last = log->last_durable();
    for (SequenceNumber s = 1; s <= last; ++s) {
      const Entry entry = cursor->Next(absl::ZeroDuration()).value();
      EXPECT_EQ(entry.kind, Entry::Kind::kRecord) << entry.lost.ToString();
      EXPECT_EQ(entry.record.sequence, s);
      const std::string payload(entry.record.payload);
      if (payload != "plug" && payload != "fill") payloads.push_back(payload);
    }
    return payloads;
  }

  // Polls, for what is published without anybody being told. True in good time.
  static bool Eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 20000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  static bool Names(const absl::Status& status, const std::string& text) {
    return std::string(status.message()).find(text) != std::string::npos;
  }

  // The gate outlives the log, whose last calls pass it.
  std::atomic<FileOp> held_op_{FileOp::kWrite};
  std::atomic<bool> open_{true};
  std::atomic<bool> arrived_{false};
  SimFileSystem disk_;
  Options options_;
  std::unique_ptr<Log> log_;

 private:
  void Pass() {
    if (open_) return;
    arrived_ = true;
    arrived_.notify_all();
    open_.wait(false);
  }
};

}  // namespace millrace

#endif  // MILLRACE_HELD_LOG_H_
