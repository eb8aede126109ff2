// Goal: what the writer thread promises: each durability is what it says, groups
// form by themselves, the sync policy is kept, idleness costs one mark, and the
// first failed write or sync is final for everybody.
// Method: a Log over the simulated disk, which knows what is durable, counts
// calls, fails them, and can hold the writer inside one.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/sim_file_system.h"

namespace millrace {
namespace {

constexpr AppendOptions kBuffered{.durability = Durability::kBuffered};
constexpr AppendOptions kWritten{.durability = Durability::kWritten};

// Polls, for what is published without anybody being told. True in good time.
bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 20000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

// Holds whoever makes a certain call on a segment.
class Gate {
 public:
  void Watch(SimFileSystem* disk, FileOp op) {
    disk->SetHook([this, op](const FileCall& call) {
      if (call.op == op && call.name.ends_with(".seg")) Pass();
      return SimVerdict::kProceed;
    });
  }
  void Close() { open_ = false; }
  void Open() {
    open_ = true;
    open_.notify_all();
  }
  void AwaitArrival() { arrived_.wait(false); }

 private:
  void Pass() {
    if (open_) return;
    arrived_ = true;
    arrived_.notify_all();
    open_.wait(false);
  }
  std::atomic<bool> open_{true};
  std::atomic<bool> arrived_{false};
};

class CommitterTest : public testing::Test {
 protected:
  CommitterTest() : disk_({.seed = 1}) {
    options_.file_system = &disk_;
    options_.idle_mark_delay = absl::Hours(1);
  }

  void Open() {
    auto log = Log::Open("/log", options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = std::move(*log);
    syncs_at_open_ = log_->stats().syncs;
  }

  uint64_t Syncs() const { return log_->stats().syncs - syncs_at_open_; }

  // Whether any segment holds these bytes, as the file system shows them or as
  // they are sure to be after a power cut.
  bool InFile(const std::string& bytes) { return Find(bytes, &SimFileSystem::ReadFileBytes); }
  bool OnDisk(const std::string& bytes) { return Find(bytes, &SimFileSystem::ReadDurableBytes); }

  SimFileSystem disk_;
  Gate gate_;  // outlives the log, whose last calls pass it
  Options options_;
  std::unique_ptr<Log> log_;
  uint64_t syncs_at_open_ = 0;

 private:
  using Reader = std::optional<std::string> (SimFileSystem::*)(const std::string&) const;
  bool Find(const std::string& bytes, Reader reader) {
    for (const std::string& name : disk_.FileNames("/log")) {
      const std::optional<std::string> content = (disk_.*reader)("/log/" + name);
      if (name.ends_with(".seg") && content.has_value() &&
          content->find(bytes) != std::string::npos) {
        return true;
      }
    }
    return false;
  }
};

TEST_F(CommitterTest, DurableAppendIsOnDiskWhenItReturns) {
  Open();
  EXPECT_EQ(log_->Append("a durable record").value(), 1u);
  EXPECT_TRUE(OnDisk("a durable record"));
  EXPECT_EQ(log_->last_durable(), 1u);
}

TEST_F(CommitterTest, WrittenAppendIsInTheFileAndCostsNoSync) {
  Open();
  EXPECT_EQ(log_->Append("a written record", kWritten).value(), 1u);
  EXPECT_TRUE(InFile("a written record"));
  EXPECT_FALSE(OnDisk("a written record"));
  EXPECT_EQ(log_->last_written(), 1u);
  EXPECT_EQ(log_->last_durable(), kNoSequence);
  EXPECT_EQ(Syncs(), 0u);
}

TEST_F(CommitterTest, BufferedAppendReturnsWhileTheWriterIsHeld) {
  gate_.Watch(&disk_, FileOp::kWrite);
  Open();
  gate_.Close();
  EXPECT_EQ(log_->Append("a buffered record", kBuffered).value(), kNoSequence);
  EXPECT_FALSE(InFile("a buffered record"));
  gate_.Open();
  EXPECT_TRUE(log_->Flush().ok());
  EXPECT_TRUE(OnDisk("a buffered record"));
}

TEST_F(CommitterTest, NumbersAreDense) {
  Open();
  for (SequenceNumber s = 1; s <= 100; ++s) {
    const Durability durability = static_cast<Durability>(s % 3);
    const SequenceNumber returned = log_->Append("x", {.durability = durability}).value();
    if (durability != Durability::kBuffered) {
      EXPECT_EQ(returned, s);
    }
  }
  EXPECT_TRUE(log_->Flush().ok());
  EXPECT_EQ(log_->last_durable(), 100u);
}

TEST_F(CommitterTest, OneSyncServesAllThatGatheredDuringTheLast) {
  constexpr int kOthers = 40;
  gate_.Watch(&disk_, FileOp::kSync);
  Open();
  gate_.Close();
  std::vector<std::thread> threads;
  threads.emplace_back([&] { EXPECT_TRUE(log_->Append("first").ok()); });
  gate_.AwaitArrival();
  std::atomic<int> handed_over{0};
  for (int i = 0; i < kOthers; ++i) {
    threads.emplace_back([&] {
      // Buffered, and so returned, before a flush joins the same group.
      EXPECT_TRUE(log_->Append("other", kBuffered).ok());
      ++handed_over;
      EXPECT_TRUE(log_->Flush().ok());
    });
  }
  EXPECT_TRUE(Eventually([&] { return handed_over == kOthers; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  gate_.Open();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(log_->last_durable(), 1u + kOthers);
  // A flush that was slow to arrive may have needed a sync more, not one each.
  EXPECT_LE(Syncs(), 5u);
}

TEST_F(CommitterTest, GroupBytesBoundsAWrite) {
  options_.group_bytes = 8192;
  options_.initial_segment_bytes = options_.segment_bytes;
  std::atomic<uint64_t> most{0};
  std::atomic<bool> counting{false};
  disk_.SetHook([&](const FileCall& call) {
    if (counting && call.op == FileOp::kWrite && call.bytes > most) most = call.bytes;
    return SimVerdict::kProceed;
  });
  Open();
  counting = true;
  const std::string payload(1000, 'x');
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(log_->Append(payload, kBuffered).ok());
  ASSERT_TRUE(log_->Flush().ok());
  counting = false;
  EXPECT_GT(most, 1000u);
  log_ = nullptr;  // before what the hook refers to
  // One frame, and the marks of a group, beyond the bound.
  EXPECT_LT(most, 8192u + 1200u);
}

TEST_F(CommitterTest, FlushOfNothingSucceeds) {
  Open();
  EXPECT_TRUE(log_->Flush().ok());
  EXPECT_EQ(log_->last_durable(), kNoSequence);
}

// --- The sync policy ------------------------------------------------------------

TEST_F(CommitterTest, WithoutPolicyNothingIsSyncedUnasked) {
  options_.idle_mark_delay = absl::Milliseconds(1);
  Open();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(log_->Append("x", kWritten).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(Syncs(), 0u);
  EXPECT_EQ(log_->last_durable(), kNoSequence);
}

TEST_F(CommitterTest, PolicySyncsEverySoManyRecords) {
  options_.sync_policy.records = 10;
  Open();
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(log_->Append("x", kWritten).ok());
  EXPECT_EQ(Syncs(), 0u);
  ASSERT_TRUE(log_->Append("x", kWritten).ok());
  EXPECT_TRUE(Eventually([&] { return log_->last_durable() == 10; }));
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(log_->Append("x", kWritten).ok());
  EXPECT_TRUE(Eventually([&] { return log_->last_durable() == 40; }));
  EXPECT_EQ(Syncs(), 4u);
}

TEST_F(CommitterTest, PolicySyncsEverySoManyBytes) {
  options_.sync_policy.bytes = 10000;
  Open();
  const std::string payload(4000, 'x');
  ASSERT_TRUE(log_->Append(payload, kWritten).ok());
  EXPECT_EQ(Syncs(), 0u);
  ASSERT_TRUE(log_->Append(payload, kWritten).ok());
  ASSERT_TRUE(log_->Append(payload, kWritten).ok());
  EXPECT_TRUE(Eventually([&] { return log_->last_durable() == 3; }));
  EXPECT_EQ(Syncs(), 1u);
}

TEST_F(CommitterTest, PolicySyncsAfterAnInterval) {
  options_.sync_policy.interval = absl::Milliseconds(30);
  Open();
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(log_->Append("x", kWritten).ok());
  EXPECT_TRUE(Eventually([&] { return log_->last_durable() == 1; }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(29));
  EXPECT_EQ(Syncs(), 1u);
  // Nothing new, no sync.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(Syncs(), 1u);
}

TEST_F(CommitterTest, EachIntervalBeginsWithTheFirstRecordAfterASync) {
  options_.sync_policy.interval = absl::Milliseconds(30);
  Open();
  for (SequenceNumber s = 1; s <= 3; ++s) {
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(log_->Append("x", kWritten).ok());
    EXPECT_TRUE(Eventually([&] { return log_->last_durable() == s; }));
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(29));
  }
}

TEST_F(CommitterTest, IntervalHoldsUnderSteadyLoad) {
  options_.sync_policy.interval = absl::Milliseconds(10);
  Open();
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  while (std::chrono::steady_clock::now() < end) {
    ASSERT_TRUE(log_->Append("x", kWritten).ok());
  }
  EXPECT_GE(Syncs(), 3u);
  // Those of segments left behind, at the next sync, count as well.
  EXPECT_LE(Syncs(), 31u + log_->stats().rotations);
}

TEST_F(CommitterTest, UnsyncedBytesForceASync) {
  options_.unsynced_bytes = 64 << 10;
  Open();
  const std::string payload(8000, 'x');
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(log_->Append(payload, kWritten).ok());
  EXPECT_TRUE(Eventually([&] { return log_->last_durable() >= 8; }));
}

// The memory is bounded, not the bytes on the disk alone.
TEST_F(CommitterTest, WhatIsKeptBeyondItsSyncCountsAsUnsynced) {
  options_.unsynced_bytes = 8 << 20;
  options_.group_bytes = 64 << 10;
  options_.initial_segment_bytes = options_.segment_bytes = 32 << 20;
  Open();
  const std::string payload(31 << 10, 'x');
  std::vector<SequenceNumber> synced = {0};
  for (int i = 0; i < 600; ++i) {
    ASSERT_TRUE(log_->Append(payload, kWritten).ok());
    if (log_->last_durable() != synced.back()) synced.push_back(log_->last_durable());
  }
  ASSERT_GE(synced.size(), 3u);
  EXPECT_GE(synced[1], 240u);
  // The last megabyte that was synced is kept, 33 records, and then some of a piece of memory.
  EXPECT_LE(synced[2] - synced[1], synced[1] - 24);
}

// Also in the middle of what was drained at once.
TEST_F(CommitterTest, NoMoreThanUnsyncedBytesEverWaitForASync) {
  options_.unsynced_bytes = 64 << 10;
  options_.group_bytes = 8 << 10;
  options_.initial_segment_bytes = options_.segment_bytes = 8 << 20;
  std::atomic<bool> held{false};
  std::atomic<bool> arrived{false};
  uint64_t waiting = 0;
  uint64_t most = 0;
  Open();
  std::string active;
  for (const std::string& name : disk_.FileNames("/log")) {
    if (name.ends_with(".seg")) active = name;
  }
  disk_.SetHook([&](const FileCall& call) {
    if (call.name != active) return SimVerdict::kProceed;
    if (call.op == FileOp::kWrite) {
      arrived = true;
      arrived.notify_all();
      held.wait(true);
      waiting += call.bytes;
      most = std::max(most, waiting);
    }
    if (call.op == FileOp::kSync) waiting = 0;
    return SimVerdict::kProceed;
  });
  held = true;
  ASSERT_TRUE(log_->Append("held", kBuffered).ok());
  arrived.wait(false);
  const std::string payload(1000, 'x');
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(log_->Append(payload, kBuffered).ok());
  held = false;
  held.notify_all();
  ASSERT_TRUE(log_->Flush().ok());
  log_.reset();  // and with it the thread that calls the hook
  disk_.SetHook(nullptr);
  EXPECT_GT(most, uint64_t{32} << 10);
  EXPECT_LE(most, uint64_t{64} << 10);
}

// --- Idleness -------------------------------------------------------------------

TEST_F(CommitterTest, IdleLogWritesOneMarkAndRests) {
  options_.idle_mark_delay = absl::Milliseconds(5);
  Open();
  ASSERT_TRUE(log_->Append("x").ok());
  EXPECT_TRUE(Eventually([&] { return Syncs() == 2; }));
  const uint64_t calls = disk_.MutatingCalls();
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_EQ(disk_.MutatingCalls(), calls);
}

TEST_F(CommitterTest, BusyLogWritesNoIdleMark) {
  options_.idle_mark_delay = absl::Seconds(20);
  Open();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(log_->Append("x").ok());
  EXPECT_EQ(Syncs(), 50u);
}

// --- Failure --------------------------------------------------------------------

class CommitterFailureTest : public CommitterTest {
 protected:
  // From now on such calls on segments fail.
  void FailSegments(FileOp op) {
    disk_.AddRule({.op = op,
                   .action = SimRule::Action::kFail,
                   .error = EIO,
                   .name = "*.seg",
                   .count = SimRule::kForever});
  }

  // All calls of any kind return the same error, and the disk is left alone.
  void ExpectFinal(const absl::Status& error) {
    EXPECT_EQ(absl::StatusCode::kInternal, error.code()) << error;
    // Without what it says of the one append that met it.
    absl::Status first = error;
    first.ErasePayload("millrace/may-have-been-appended");
    const uint64_t calls = disk_.MutatingCalls();
    for (const AppendOptions& options : {kBuffered, kWritten, AppendOptions{}}) {
      EXPECT_EQ(log_->Append("after", options).status(), first);
    }
    EXPECT_EQ(log_->AppendAsync("after", {}, [](auto) { ADD_FAILURE() << "called"; }), first);
    EXPECT_EQ(log_->Flush(), first);
    EXPECT_EQ(log_->TrimBefore(1).code(), first.code());
    EXPECT_EQ(log_->NewProducer().status(), first);
    EXPECT_EQ(disk_.MutatingCalls(), calls);
    EXPECT_EQ(log_->Close(), first);
    EXPECT_EQ(log_->Close(), first);
  }
};

TEST_F(CommitterFailureTest, FailedSyncIsFinal) {
  Open();
  ASSERT_TRUE(log_->Append("before").ok());
  FailSegments(FileOp::kSync);
  const absl::Status first = log_->Append("lost").status();
  EXPECT_NE(first.message().find("sync"), absl::string_view::npos) << first;
  EXPECT_EQ(log_->last_durable(), 1u);
  // A disk that works again changes nothing: the pages may be gone.
  disk_.ClearRules();
  ExpectFinal(first);
  EXPECT_EQ(log_->last_durable(), 1u);
}

TEST_F(CommitterFailureTest, FailedWriteIsFinal) {
  Open();
  ASSERT_TRUE(log_->Append("before").ok());
  FailSegments(FileOp::kWrite);
  const absl::Status first = log_->Append("lost", kWritten).status();
  EXPECT_NE(first.message().find("write"), absl::string_view::npos) << first;
  disk_.ClearRules();
  ExpectFinal(first);
  EXPECT_EQ(log_->last_written(), 1u);
}

TEST_F(CommitterFailureTest, FailureOfABufferedAppendReachesLaterCalls) {
  Open();
  FailSegments(FileOp::kWrite);
  ASSERT_TRUE(log_->Append("lost", kBuffered).ok());
  const absl::Status first = log_->Flush();
  ExpectFinal(first);
}

TEST_F(CommitterFailureTest, FailureWhileIdleIsFinal) {
  options_.idle_mark_delay = absl::Milliseconds(20);
  Open();
  ASSERT_TRUE(log_->Append("fine").ok());
  FailSegments(FileOp::kWrite);
  EXPECT_TRUE(Eventually([&] { return !log_->NewProducer().ok(); }));
  ExpectFinal(log_->Flush());
}

TEST_F(CommitterFailureTest, FailureInTheSyncByIntervalIsFinal) {
  options_.sync_policy.interval = absl::Milliseconds(5);
  Open();
  FailSegments(FileOp::kSync);
  ASSERT_TRUE(log_->Append("lost", kWritten).ok());
  EXPECT_TRUE(Eventually([&] { return !log_->NewProducer().ok(); }));
  ExpectFinal(log_->Flush());
}

TEST_F(CommitterFailureTest, EverybodyWhoWaitsIsWokenWithTheError) {
  options_.queue_records = 64;
  gate_.Watch(&disk_, FileOp::kSync);
  Open();
  gate_.Close();
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  std::atomic<int> called{0};
  threads.emplace_back([&] { failed += !log_->Append("first").ok(); });
  gate_.AwaitArrival();
  ASSERT_TRUE(log_->AppendAsync("callback", {},
                                [&](absl::StatusOr<SequenceNumber> result) {
                                  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
                                  ++called;
                                })
                  .ok());
  // More than the queue holds: some wait for durability, some for space, some in Flush.
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([&, i] {
      if (i % 10 == 0) {
        failed += !log_->Flush().ok();
      } else {
        failed += !log_->Append("more").ok();
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  FailSegments(FileOp::kSync);
  gate_.Open();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 101);
  const absl::Status closed = log_->Close();
  EXPECT_EQ(closed.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(called, 1);
  EXPECT_EQ(log_->last_durable(), kNoSequence);
}

TEST_F(CommitterFailureTest, FailureInCloseIsReturnedByClose) {
  Open();
  ASSERT_TRUE(log_->Append("written", kWritten).ok());
  FailSegments(FileOp::kSync);
  const absl::Status first = log_->Close();
  EXPECT_EQ(first.code(), absl::StatusCode::kInternal) << first;
  EXPECT_EQ(log_->Close(), first);
  EXPECT_EQ(log_->Append("after").status(), first);
  EXPECT_EQ(log_->last_durable(), kNoSequence);
}

TEST_F(CommitterFailureTest, FailedLogGivesTheDirectoryFree) {
  Open();
  FailSegments(FileOp::kSync);
  EXPECT_FALSE(log_->Append("lost").ok());
  EXPECT_FALSE(log_->Close().ok());
  disk_.ClearRules();
  auto again = Log::Open("/log", options_);
  EXPECT_TRUE(again.ok()) << again.status();
}

TEST_F(CommitterTest, TrimmingIsPublishedBeforeAnyFileGoes) {
  options_.segment_bytes = options_.initial_segment_bytes = 8192;
  Open();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(log_->Append(std::string(1000, 'x')).ok());
  std::atomic<int> gone{0};
  std::atomic<SequenceNumber> lowest{kMaxSequence};
  disk_.SetHook([&](const FileCall& call) {
    if ((call.op == FileOp::kUnlink || call.op == FileOp::kRename) && call.name.ends_with(".seg")) {
      ++gone;
      lowest = std::min(lowest.load(), log_->first_retained());
    }
    return SimVerdict::kProceed;
  });
  ASSERT_TRUE(log_->TrimBefore(40).ok());
  ASSERT_TRUE(Eventually([&] { return gone > 0; }));
  EXPECT_GT(lowest, 30u);
  ASSERT_TRUE(log_->Close().ok());
  disk_.SetHook(nullptr);
}

}  // namespace
}  // namespace millrace
