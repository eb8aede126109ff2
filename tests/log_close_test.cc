// Goal: closing stops admission, finishes what was accepted, and is the same for
// whoever calls it, however often and at whatever moment.
// Method: closes at rest, from many threads, against appends in full flight, and
// against one that a test hook holds inside.

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/step_gate.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

class LogCloseTest : public testing::Test {
 protected:
  void Open() { log_ = Log::Open(temp_.Sub("log")).value(); }

  TempDirectory temp_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogCloseTest, CloseIsIdempotent) {
  Open();
  ASSERT_TRUE(log_->Append("x").ok());
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_TRUE(log_->Close(absl::ZeroDuration()).ok());
  EXPECT_EQ(log_->last_durable(), 1u);
}

TEST_F(LogCloseTest, CloseMakesWhatWasAcceptedDurable) {
  Open();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(log_->Append("x", {.durability = Durability::kBuffered}).ok());
  }
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_EQ(log_->last_durable(), 1000u);
}

TEST_F(LogCloseTest, CallsAfterCloseAreCancelledByName) {
  Open();
  auto producer = log_->NewProducer().value();
  auto cursor = log_->OpenCursor("c").value();
  ASSERT_TRUE(log_->Append("x").ok());
  ASSERT_TRUE(log_->Close().ok());
  const std::vector<absl::Status> results = {
      log_->Append("x").status(),
      log_->Append("x", {.durability = Durability::kBuffered}).status(),
      log_->AppendAsync("x", {}, [](auto) { ADD_FAILURE() << "called"; }),
      log_->Flush(),
      log_->TrimBefore(1),
      log_->NewProducer().status(),
      log_->OpenCursor("d").status(),
      producer->Append("x").status(),
      log_->TryAppend("x").status(),
      log_->Append("x", {.timeout = absl::Hours(1)}).status(),
      log_->Append("x", {.timeout = absl::ZeroDuration()}).status(),
      log_->Append("x", {.durability = Durability::kBuffered, .when_full = WhenFull::kDropNewest})
          .status(),
      log_->AppendBatch(std::vector<NewRecord>(2)).status(),
      log_->AppendAsync("x").status(),
      log_->AppendBatchAsync(std::vector<NewRecord>(2)).status(),
      log_->AppendBatchAsync(std::vector<NewRecord>(2), {},
                             [](auto) { ADD_FAILURE() << "called"; }),
      log_->Flush({.durability = Durability::kWritten, .timeout = absl::Hours(1)}),
      log_->WaitDurable(2),
      log_->TruncateAfter(0),
      producer->TryAppend("x").status(),
      producer->AppendBatch(std::vector<NewRecord>(2)).status(),
      producer->AppendAsync("x").status(),
      producer->WaitForAll(),
  };
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_TRUE(absl::IsCancelled(results[i])) << i << ": " << results[i];
    EXPECT_NE(results[i].message().find(temp_.path().c_str()), absl::string_view::npos) << i;
    EXPECT_FALSE(MayHaveBeenAppended(results[i])) << i;
  }
  EXPECT_TRUE(log_->WaitDurable(1).ok());
  EXPECT_TRUE(cursor->Next().ok());
  EXPECT_TRUE(absl::IsCancelled(cursor->Next().status()));
}

TEST_F(LogCloseTest, ProducersAndCursorsOutliveTheLog) {
  Open();
  auto producer = log_->NewProducer().value();
  auto cursor = log_->OpenCursor("c").value();
  ASSERT_TRUE(producer->Append("x").ok());
  log_ = nullptr;
  EXPECT_TRUE(absl::IsCancelled(producer->Append("y").status()));
  EXPECT_EQ(cursor->Next().value().record.payload, "x");
  EXPECT_TRUE(absl::IsCancelled(cursor->Next().status()));
  EXPECT_TRUE(cursor->Commit(1).ok());
  EXPECT_TRUE(cursor->Checkpoint().ok());
}

TEST_F(LogCloseTest, TicketsAndTheirResultsOutliveTheLog) {
  Open();
  Ticket done = log_->AppendAsync("x").value();
  Ticket withdrawn = log_->AppendAsync("y").value();
  const bool in_time = withdrawn.Withdraw();
  log_ = nullptr;
  EXPECT_TRUE(done.Done());
  EXPECT_EQ(done.Wait().value(), 1u);
  EXPECT_FALSE(done.Withdraw());
  EXPECT_EQ(absl::IsCancelled(withdrawn.Wait().status()), in_time);
}

// Whoever waits inside a call hears its result, or that the log is closed.
TEST_F(LogCloseTest, CloseEndsEveryWait) {
  Open();
  StepGate gate(AppendStep::kCopied);
  std::thread parked([&] {
    StepGate::HoldThisThread();
    EXPECT_EQ(log_->Append("admitted").value(), 1u);
  });
  gate.AwaitArrival();
  std::vector<std::thread> waiters;
  waiters.emplace_back([&] { EXPECT_TRUE(log_->WaitDurable(1).ok()); });
  waiters.emplace_back([&] { EXPECT_TRUE(absl::IsCancelled(log_->WaitDurable(2))); });
  waiters.emplace_back([&] {
    const absl::Status status = log_->WaitDurable(3, absl::Hours(1));
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
    EXPECT_NE(status.message().find(temp_.path().c_str()), absl::string_view::npos);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_->Close(absl::ZeroDuration())));
  gate.Open();
  EXPECT_TRUE(log_->Close().ok());
  parked.join();
  for (std::thread& waiter : waiters) waiter.join();
}

TEST_F(LogCloseTest, WaitingCursorIsWokenByClose) {
  Open();
  auto cursor = log_->OpenCursor("c").value();
  std::thread reader([&] { EXPECT_TRUE(absl::IsCancelled(cursor->Next().status())); });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(log_->Close().ok());
  reader.join();
}

TEST_F(LogCloseTest, ParkedAppendHoldsCloseUpToItsDeadline) {
  Open();
  StepGate gate(AppendStep::kCopied);
  std::thread parked([&] {
    StepGate::HoldThisThread();
    EXPECT_EQ(log_->Append("admitted before the close").value(), 1u);
  });
  gate.AwaitArrival();
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = log_->Close(absl::Milliseconds(10));
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    EXPECT_NE(status.message().find("1 append"), absl::string_view::npos) << status;
  }
  // Nothing new is admitted meanwhile.
  EXPECT_TRUE(absl::IsCancelled(log_->Append("too late").status()));
  gate.Open();
  EXPECT_TRUE(log_->Close().ok());
  parked.join();
  EXPECT_EQ(log_->last_durable(), 1u);
}

TEST_F(LogCloseTest, ConcurrentClosesAllSucceed) {
  Open();
  ASSERT_TRUE(log_->Append("x").ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(log_->Close().ok()); });
  }
  for (std::thread& thread : threads) thread.join();
}

// Each append either succeeds and is in the log, or is Cancelled and is not.
TEST_F(LogCloseTest, EveryAppendInACloseRaceIsDecidedOnce) {
  constexpr int kThreads = 4;
  for (int round = 0; round < 30; ++round) {
    const std::string directory = temp_.Sub("race" + std::to_string(round));
    auto log = Log::Open(directory).value();
    std::atomic<uint64_t> succeeded{0};
    std::atomic<uint64_t> called{0};
    std::atomic<uint64_t> accepted{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        while (true) {
          absl::Status status;
          if (t == 0) {
            status = log->AppendAsync("async", {.durability = Durability::kWritten},
                                      [&](absl::StatusOr<SequenceNumber> sequence) {
                                        EXPECT_TRUE(sequence.ok()) << sequence.status();
                                        ++called;
                                      });
            accepted += status.ok();
          } else {
            status = log->Append("x", {.durability = static_cast<Durability>(t - 1)}).status();
            succeeded += status.ok();
          }
          if (status.ok()) continue;
          EXPECT_TRUE(absl::IsCancelled(status)) << status;
          return;
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200 * round));
    EXPECT_TRUE(log->Close().ok());
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(called, accepted);
    EXPECT_EQ(log->last_durable(), succeeded + accepted);
    EXPECT_EQ(log->stats().records, succeeded + accepted);
  }
}

TEST_F(LogCloseTest, CloseLeavesNoThreadBehind) {
  auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                         std::filesystem::directory_iterator());
  };
  const auto before = threads();
  Open();
  std::promise<void> called;
  ASSERT_TRUE(log_->AppendAsync("x", {}, [&](auto) { called.set_value(); }).ok());
  called.get_future().wait();
  EXPECT_GE(threads(), before + 2);
  ASSERT_TRUE(log_->Close().ok());
  EXPECT_EQ(threads(), before);
}

TEST(LogCloseDeadlineTest, HoldsBesideAnotherCloseThatWaitsForACallback) {
  TempDirectory temp;
  auto log = Log::Open(temp.Sub("log")).value();
  std::atomic<bool> running{false};
  std::atomic<bool> go{false};
  ASSERT_TRUE(log->AppendAsync("x", {},
                               [&](auto) {
                                 running = true;
                                 running.notify_all();
                                 go.wait(false);
                               })
                  .ok());
  running.wait(false);
  std::thread patient([&] { log->Close().IgnoreError(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  auto hurried = std::async(std::launch::async, [&] { return log->Close(absl::Milliseconds(50)); });
  const bool in_time = hurried.wait_for(std::chrono::seconds(3)) == std::future_status::ready;
  EXPECT_TRUE(in_time) << "Close(50 ms) has not returned after 3 s";
  go = true;
  go.notify_all();
  patient.join();
  const absl::Status status = hurried.get();
  if (in_time) {
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  }
}

}  // namespace
}  // namespace millrace
