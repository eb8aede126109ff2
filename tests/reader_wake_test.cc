// Goal: readers that wait hear of every durable record, whatever the writer does next. Where many
// threads are told at once they hear of it after those threads, but before the writer waits for
// anything: for work, for a sync, for space, or for more records that nobody syncs.
// Method: a file system that holds the writer before each sync or write. A reader sleeps in Next,
// a group of four tickets becomes durable, and then the writer is held at what follows.

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/forwarding_file_system.h"
#include "millrace/testing/sim_file_system.h"

namespace millrace {
namespace {

constexpr uint64_t kCrowd = 4;
constexpr uint64_t kGroupBytes = 4096;

// Holds the one thread that makes such calls of segments before each of them.
class CallGate {
 public:
  void Hold(FileOp op) {
    const std::lock_guard<std::mutex> lock(mu_);
    held_ = op;
  }
  // Returns when a thread is held.
  void AwaitHeld() {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [this] { return waiting_; });
  }
  // Lets the call that is held be made.
  void Step() {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [this] { return waiting_; });
    waiting_ = false;
    changed_.notify_all();
  }
  void Open() {
    const std::lock_guard<std::mutex> lock(mu_);
    held_.reset();
    waiting_ = false;
    changed_.notify_all();
  }
  void Pass(const FileCall& call) {
    std::unique_lock<std::mutex> lock(mu_);
    if (call.op != held_ || !call.name.ends_with(".seg")) return;
    waiting_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !waiting_; });
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::optional<FileOp> held_;
  bool waiting_ = false;
};

class ReaderWakeTest : public testing::Test {
 protected:
  ReaderWakeTest()
      : disk_({.seed = 1}), gated_(&disk_, [this](const FileCall& call) {
          gate_.Pass(call);
          return std::optional<IoResult>();
        }) {
    Options options;
    options.file_system = &gated_;
    options.idle_mark_delay = absl::Hours(1);
    options.group_bytes = kGroupBytes;
    options.segment_bytes = options.initial_segment_bytes = uint64_t{1} << 20;
    log_ = Log::Open("/log", options).value();
    auto cursor = log_->OpenCursor("reader").value();
    reader_ = std::thread([this, cursor = std::move(cursor)] {
      while (!stopping_ && cursor->Next(absl::Seconds(60)).ok()) ++delivered_;
    });
  }
  ~ReaderWakeTest() override {
    gate_.Open();
    disk_.ClearRules();
    stopping_ = true;
    EXPECT_TRUE(log_->Append("the last").ok());
    reader_.join();
    EXPECT_TRUE(log_->Close().ok());
  }

  void Append(Durability durability, const std::string& payload = "record") {
    tickets_.push_back(log_->AppendAsync(payload, {.durability = durability}).value());
  }
  // The writer is held before the sync of a crowd, and the reader sleeps.
  void HoldBeforeTheSyncOfACrowd() {
    gate_.Hold(FileOp::kSync);
    Append(Durability::kDurable);
    gate_.AwaitHeld();
    // These come into one group: the writer finds them when it comes back.
    for (uint64_t i = 0; i < kCrowd; ++i) Append(Durability::kDurable);
    gate_.Step();
    gate_.AwaitHeld();
    ASSERT_TRUE(IsDelivered(1));
    // Until it sleeps; if it does not yet, nothing is tested, and nothing fails.
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  // In good time.
  bool IsDelivered(uint64_t records) {
    for (int i = 0; i < 20000 && delivered_ < records; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return delivered_ == records;
  }

  CallGate gate_;
  SimFileSystem disk_;
  ForwardingFileSystem gated_;
  std::unique_ptr<Log> log_;
  std::vector<Ticket> tickets_;
  std::atomic<uint64_t> delivered_{0};
  std::atomic<bool> stopping_{false};
  std::thread reader_;
};

TEST_F(ReaderWakeTest, WhereNothingFollows) {
  HoldBeforeTheSyncOfACrowd();
  gate_.Open();
  EXPECT_TRUE(IsDelivered(1 + kCrowd));
}

TEST_F(ReaderWakeTest, BeforeTheNextSync) {
  HoldBeforeTheSyncOfACrowd();
  Append(Durability::kDurable);
  gate_.Step();
  gate_.AwaitHeld();
  EXPECT_TRUE(IsDelivered(1 + kCrowd));
}

TEST_F(ReaderWakeTest, WhileThereIsNoSpaceForWhatFollows) {
  HoldBeforeTheSyncOfACrowd();
  Append(Durability::kDurable);
  disk_.AddRule(
      {.op = FileOp::kWrite, .error = ENOSPC, .name = "*.seg", .count = SimRule::kForever});
  gate_.Open();
  while (!log_->stats().disk_full) std::this_thread::yield();
  EXPECT_TRUE(IsDelivered(1 + kCrowd));
}

TEST_F(ReaderWakeTest, WhereWhatFollowsIsNotSynced) {
  HoldBeforeTheSyncOfACrowd();
  Append(Durability::kBuffered);
  gate_.Hold(FileOp::kWrite);
  gate_.Step();
  // Before the write of the first of them; the second waits in the queue meanwhile.
  gate_.AwaitHeld();
  Append(Durability::kBuffered);
  gate_.Step();
  gate_.AwaitHeld();
  EXPECT_TRUE(IsDelivered(1 + kCrowd));
}

TEST_F(ReaderWakeTest, BeforeTheFirstOfSeveralLargeWrites) {
  HoldBeforeTheSyncOfACrowd();
  for (int i = 0; i < 2; ++i) Append(Durability::kDurable, std::string(kGroupBytes, 'x'));
  gate_.Hold(FileOp::kWrite);
  gate_.Step();
  gate_.AwaitHeld();
  EXPECT_TRUE(IsDelivered(1 + kCrowd));
}

// Few threads, told at once, do not want the processors.
TEST_F(ReaderWakeTest, AtOnceWhereFewAreTold) {
  gate_.Hold(FileOp::kSync);
  Append(Durability::kDurable);
  gate_.AwaitHeld();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  // Appended now, written before anything is announced late.
  Append(Durability::kBuffered);
  gate_.Hold(FileOp::kWrite);
  gate_.Step();
  gate_.AwaitHeld();
  EXPECT_TRUE(IsDelivered(1));
}

}  // namespace
}  // namespace millrace
