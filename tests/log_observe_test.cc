// Goal: an open log's events and stats tell what happened to it, and the listener never
// holds up the log.
// Method: real logs behind a disk that the test can slow down or break; a listener that
// records.

#include <sys/resource.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/forwarding_file_system.h"
#include "tests/program.h"
#include "tests/recording_listener.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

class LogObserveTest : public testing::Test {
 protected:
  LogObserveTest()
      : disk_(PosixFileSystem(), [this](const FileCall& call) { return Intercept(call); }) {
    options_.file_system = &disk_;
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
    options_.event_listener = listener_;
    options_.idle_mark_delay = absl::Hours(1);
  }

  void Open() { log_ = Log::Open(temp_.Sub("log"), options_).value(); }
  SequenceNumber Append(size_t bytes, Durability durability = Durability::kDurable) {
    return log_->Append(std::string(bytes, 'x'), {.durability = durability}).value();
  }

  std::optional<IoResult> Intercept(const FileCall& call) {
    if (call.op != FileOp::kSync || !call.name.ends_with(".seg")) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(sync_ms_));
    if (sync_error_ != 0) return IoResult{sync_error_};
    return std::nullopt;
  }

  // How often 4 threads go to sleep that append 24 records each, with syncs of 4 ms.
  long TimesAsleep(uint32_t yields) {
    options_.wait_yields = yields;
    log_ = Log::Open(temp_.Sub("log" + std::to_string(yields)), options_).value();
    sync_ms_ = 4;
    std::array<long, 4> times = {};
    std::vector<std::thread> threads;
    for (long& slept : times) {
      threads.emplace_back([&] {
        for (int i = 0; i < 24; ++i) Append(10);
        rusage usage = {};
        getrusage(RUSAGE_THREAD, &usage);
        slept = usage.ru_nvcsw;
      });
    }
    for (std::thread& thread : threads) thread.join();
    sync_ms_ = 0;
    EXPECT_TRUE(log_->Close().ok());
    return std::accumulate(times.begin(), times.end(), 0L);
  }

  TempDirectory temp_;
  std::atomic<int> sync_ms_{0};
  std::atomic<int> sync_error_{0};
  ForwardingFileSystem disk_;
  Options options_;
  const std::shared_ptr<RecordingListener> listener_ = std::make_shared<RecordingListener>();
  std::unique_ptr<Log> log_;
};

TEST_F(LogObserveTest, ThreadsThatWaitYieldInsteadOfSleepingOnlyIfTheOptionsSaySo) {
  const long sleeping = TimesAsleep(0);
  EXPECT_GE(sleeping, 3 * 24) << "one whose record is done at once does not sleep";
  const long yielding = TimesAsleep(100'000);
  EXPECT_LT(2 * yielding, sleeping);
}

TEST_F(LogObserveTest, AnOrderlyLifeIsToldInItsOrder) {
  Open();
  for (int i = 0; i < 30; ++i) Append(1000);
  ASSERT_TRUE(log_->TrimBefore(20).ok());
  ASSERT_TRUE(log_->Close().ok());
  const auto shown = listener_->shown();
  ASSERT_GE(shown.size(), 5u);
  EXPECT_EQ(shown.front().name, "opened");
  EXPECT_EQ(shown.front().fields.at("outcome"), "created");
  EXPECT_EQ(shown.front().log, log_->directory());
  EXPECT_EQ(shown[1].name, "segment_rotated");
  EXPECT_EQ(shown[1].fields.at("first"), "1");
  EXPECT_EQ(shown[shown.size() - 2].name, "trimmed");
  EXPECT_EQ(shown[shown.size() - 2].fields.at("first_retained"),
            std::to_string(log_->first_retained()));
  EXPECT_EQ(shown.back().name, "closed");
  EXPECT_EQ(shown.back().fields.at("last"), "30");
  EXPECT_EQ(shown.back().fields.at("error"), "");
}

TEST_F(LogObserveTest, ASlowSyncIsTold) {
  options_.slow_sync = absl::Milliseconds(20);
  Open();
  sync_ms_ = 30;
  Append(100);
  sync_ms_ = 0;
  ASSERT_TRUE(log_->Close().ok());
  const auto slow = listener_->Named("slow_sync");
  ASSERT_GE(slow.size(), 1u);
  EXPECT_GE(std::stoi(slow[0].fields.at("microseconds")), 30'000);
  EXPECT_GT(std::stoi(slow[0].fields.at("bytes")), 100);
}

TEST_F(LogObserveTest, AFailureIsToldAndSoIsTheEnd) {
  Open();
  sync_error_ = -EIO;
  EXPECT_FALSE(log_->Append("x").ok());
  EXPECT_FALSE(log_->Close().ok());
  const auto failed = listener_->Named("log_failed");
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_NE(failed[0].fields.at("error").find("EIO"), std::string::npos) << failed[0].text;
  const auto closed = listener_->Named("closed");
  ASSERT_EQ(closed.size(), 1u);
  EXPECT_EQ(closed[0].fields.at("error"), failed[0].fields.at("error"));
}

TEST_F(LogObserveTest, AHeldListenerHoldsUpOnlyClosing) {
  listener_->Hold();
  Open();
  listener_->Await(1);
  for (int i = 0; i < 30; ++i) Append(1000);
  const absl::Status status = log_->Close(absl::Milliseconds(20));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_NE(status.ToString().find("event listener"), std::string::npos) << status;
  EXPECT_EQ(log_->last_durable(), 30u);
  listener_->LetGo();
  EXPECT_TRUE(log_->Close().ok());
  const size_t shown = listener_->shown().size();
  log_.reset();
  EXPECT_EQ(listener_->shown().size(), shown) << "nothing comes after Close has returned";
}

// Appends until there is no space, which their callbacks hold until `go_on`. `runs` is set by the
// first that does.
void FillQueueByCallbacks(Log* log, std::shared_future<void> go_on, std::atomic<bool>* runs) {
  const AppendOptions options = {.durability = Durability::kBuffered, .when_full = WhenFull::kFail};
  const auto callback = [go_on, runs](auto) {
    // relaxed: tells only that it runs.
    runs->store(true, std::memory_order_relaxed);
    go_on.wait();
  };
  while (log->AppendAsync("x", options, callback).ok()) {
  }
}

TEST_F(LogObserveTest, AFullQueueIsToldThoughNothingHappensAfterwards) {
  options_.queue_records = 64;
  Open();
  Append(1);  // after which the writer does not look for a while
  std::promise<void> go_on;
  std::atomic<bool> runs{false};
  FillQueueByCallbacks(log_.get(), go_on.get_future().share(), &runs);
  go_on.set_value();
  EXPECT_TRUE(listener_->AwaitNamed("queue_full"));
  log_ = nullptr;  // before what its callbacks use
}

TEST_F(LogObserveTest, AQueueThatCallbacksKeepFullIsTold) {
  options_.queue_records = 64;
  Open();
  std::promise<void> go_on;
  const std::shared_future<void> may_go_on = go_on.get_future().share();
  std::atomic<bool> runs{false};
  FillQueueByCallbacks(log_.get(), may_go_on, &runs);
  ASSERT_TRUE(listener_->AwaitNamed("queue_full"));
  // The callback that runs has given its space back. relaxed: as above.
  while (!runs.load(std::memory_order_relaxed)) std::this_thread::yield();
  FillQueueByCallbacks(log_.get(), may_go_on, &runs);
  // The writer has nothing to do meanwhile, and sleeps.
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  const size_t shown = listener_->Named("queue_full").size();
  EXPECT_TRUE(absl::IsResourceExhausted(log_->TryAppend("x").status()));
  EXPECT_TRUE(listener_->AwaitNamed("queue_full", shown + 1));
  go_on.set_value();
  log_ = nullptr;  // before what its callbacks use
}

// Appends to the log and tries to close it, in its listener.
struct UsingListener : RecordingListener {
  void OnEvent(const Event& event) override {
    while (log.load() == nullptr) std::this_thread::yield();
    if (event.name == "opened") {
      appended = log.load()->Append("from the listener").status();
      closed = log.load()->Close();
    }
    RecordingListener::OnEvent(event);
  }
  std::atomic<Log*> log{nullptr};
  absl::Status appended = absl::UnknownError("not called");
  absl::Status closed = absl::UnknownError("not called");
};

TEST_F(LogObserveTest, TheListenerMayUseTheLogAndNotCloseIt) {
  auto listener = std::make_shared<UsingListener>();
  options_.event_listener = listener;
  Open();
  listener->log = log_.get();
  listener->Await(1);
  EXPECT_TRUE(listener->appended.ok()) << listener->appended;
  EXPECT_TRUE(absl::IsFailedPrecondition(listener->closed)) << listener->closed;
  EXPECT_TRUE(log_->Close().ok());
}

TEST_F(LogObserveTest, AnOpenThatFailsLeavesNoThreadBehind) {
  Open();
  const auto second = Log::Open(temp_.Sub("log"), options_);
  EXPECT_TRUE(absl::IsAborted(second.status())) << second.status();
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_EQ(listener_->Named("opened").size(), 1u);
}

void ExpectConsistent(const LogStats& stats) {
  const SyncReasons& r = stats.sync_reasons;
  EXPECT_EQ(r.durable_append + r.flush + r.policy_records + r.policy_bytes + r.policy_interval +
                r.unsynced_bytes + r.rotation + r.idle_mark + r.trim + r.close,
            stats.syncs);
  EXPECT_EQ(stats.sync_ns.count, stats.syncs);
  EXPECT_EQ(stats.write_ns.count, stats.groups);
  EXPECT_EQ(stats.records_per_group.count, stats.groups);
  EXPECT_EQ(stats.records_per_group.sum, stats.records);
  EXPECT_LE(stats.bytes_per_group.sum, stats.bytes_written);
}

TEST_F(LogObserveTest, EverySyncHasItsReasonAndEveryGroupIsMeasured) {
  options_.event_listener = nullptr;
  options_.sync_policy.records = 5;
  Open();
  for (int i = 0; i < 20; ++i) Append(1000);
  EXPECT_GE(log_->stats().sync_reasons.durable_append, 20u);
  for (int i = 0; i < 20; ++i) Append(1000, Durability::kWritten);
  EXPECT_GE(log_->stats().sync_reasons.policy_records, 2u);
  Append(10, Durability::kWritten);
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_EQ(log_->stats().sync_reasons.flush, 1u);
  Append(10, Durability::kWritten);
  EXPECT_EQ(log_->stats().unsynced_records, 1u);
  EXPECT_GT(log_->stats().unsynced_bytes, 10u);
  ASSERT_TRUE(log_->TrimBefore(30).ok());
  EXPECT_GE(log_->stats().sync_reasons.trim, 1u);
  Append(10, Durability::kWritten);
  ASSERT_TRUE(log_->Close().ok());
  const LogStats stats = log_->stats();
  EXPECT_EQ(stats.sync_reasons.close, 1u);
  ExpectConsistent(stats);
}

TEST_F(LogObserveTest, LevelsAreWhatIsThere) {
  Open();
  for (int i = 0; i < 40; ++i) Append(1000);
  LogStats stats = log_->stats();
  EXPECT_EQ(stats.last_written, 40u);
  EXPECT_EQ(stats.last_durable, 40u);
  EXPECT_EQ(stats.first_retained, 1u);
  EXPECT_EQ(stats.segments, stats.rotations + 1);
  EXPECT_GT(stats.log_bytes, 40'000u);
  EXPECT_LE(stats.queue_records, 1u) << "the last may not be given back yet";
  EXPECT_GT(stats.producer_memory_bytes, 0u);
  ASSERT_TRUE(log_->TrimBefore(41).ok());
  stats = log_->stats();
  EXPECT_LE(stats.segments, 2u);
  EXPECT_LT(stats.log_bytes, 2 * 8192u + 2 * 8192u);
  uint64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(temp_.Sub("log"))) {
    // A trimmed one may go meanwhile.
    std::error_code error;
    const uint64_t bytes = entry.path().extension() == ".seg" ? entry.file_size(error) : 0;
    if (!error) files += bytes;
  }
  EXPECT_LE(stats.log_bytes, files);
}

TEST_F(LogObserveTest, OfBufferedAppendsOneIn64IsTimedWhoeverIsTold) {
  Open();
  const AppendOptions buffered = {.durability = Durability::kBuffered};
  for (int i = 0; i < 128; ++i) ASSERT_TRUE(log_->AppendAsync("x", buffered, [](auto) {}).ok());
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_EQ(log_->stats().acknowledge_us.count, 2u);
  for (int i = 0; i < 128; ++i) Append(1, Durability::kBuffered);
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_EQ(log_->stats().acknowledge_us.count, 4u);
  ASSERT_TRUE(log_->AppendAsync("x", {}, [](auto) {}).ok());
  Append(1);
  EXPECT_EQ(log_->stats().acknowledge_us.count, 6u) << "each that waits for the disk";
}

TEST_F(LogObserveTest, TheExampleSaysWhatHappens) {
  const ProgramResult result =
      RunProgram("examples/event_adapters", {temp_.Sub("example")}, temp_.path());
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(result.errors.starts_with("info " + temp_.Sub("example") + ": opened: opened ("))
      << result.errors;
  EXPECT_NE(result.errors.find(": segment_rotated: segment "), std::string::npos);
  EXPECT_NE(result.errors.find(": closed: closed in order"), std::string::npos);
}

}  // namespace
}  // namespace millrace
