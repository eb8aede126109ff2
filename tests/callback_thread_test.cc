// Goal: callbacks are run, once each, even while no thread can be had for them, and none that
// appends is told so.
// Method: this program defines pthread_create itself, and lets it fail for the callback thread.

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/held_log.h"

namespace {

// While true no thread can be made by the log's threads; those of tests can.
std::atomic<bool> refuse{false};
std::atomic<int> refused{0};
thread_local bool is_test_thread = false;

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* argument) {
  using Function = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static auto* const real = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, "pthread_create"));
  if (refuse && !is_test_thread) {
    ++refused;
    return EAGAIN;
  }
  return real(thread, attributes, body, argument);
}

namespace millrace {
namespace {

class CallbackThreadTest : public HeldLogTest {
 protected:
  CallbackThreadTest() {
    refuse = false;
    refused = 0;
    Open();
    refuse = true;
  }
  ~CallbackThreadTest() override { refuse = false; }

  void AppendWithCallback() {
    const absl::Status status = log_->AppendAsync("x", {}, [this](auto result) {
      EXPECT_TRUE(result.ok()) << result.status();
      thread_ = std::this_thread::get_id();
      ++called_;
    });
    ASSERT_TRUE(status.ok()) << status;
    ++appended_;
  }

  int appended_ = 0;
  std::atomic<int> called_{0};
  std::atomic<std::thread::id> thread_;
};

TEST_F(CallbackThreadTest, AppendSucceedsAndItsCallbackWaitsForAThread) {
  AppendWithCallback();
  ASSERT_TRUE(Eventually([] { return refused > 0; }));
  EXPECT_EQ(log_->Append("the log goes on").value(), 2u);
  EXPECT_EQ(called_, 0);
  refuse = false;
  // Nothing else happens that would make the writer look.
  EXPECT_TRUE(Eventually([&] { return called_ == 1; }));
}

TEST_F(CallbackThreadTest, NextCallbackStartsTheThread) {
  AppendWithCallback();
  ASSERT_TRUE(Eventually([] { return refused > 0; }));
  refuse = false;
  AppendWithCallback();
  EXPECT_TRUE(Eventually([&] { return called_ == 2; }));
}

TEST_F(CallbackThreadTest, ClosingRunsThemItselfIfThereIsNoThreadInTheEnd) {
  for (int i = 0; i < 100; ++i) AppendWithCallback();
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_EQ(called_, 100);
  EXPECT_EQ(thread_.load(), std::this_thread::get_id());
  EXPECT_EQ(log_->last_durable(), 100u);
}

TEST_F(CallbackThreadTest, ClosingABitAtATimeRunsThemToo) {
  for (int i = 0; i < 100; ++i) AppendWithCallback();
  EXPECT_TRUE(Eventually([&] { return log_->Close(absl::ZeroDuration()).ok(); }));
  EXPECT_EQ(called_, 100);
}

TEST_F(CallbackThreadTest, CallbackThatClosingRunsCannotClose) {
  absl::Status in_callback;
  absl::Status appended;
  ASSERT_TRUE(log_->AppendAsync("x", {},
                                [&](auto) {
                                  in_callback = log_->Close();
                                  appended = log_->Append("y").status();
                                })
                  .ok());
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(in_callback)) << in_callback;
  EXPECT_TRUE(absl::IsCancelled(appended)) << appended;
}

TEST_F(CallbackThreadTest, CloseKeepsItsDeadlineBesideOneThatRunsCallbacks) {
  std::atomic<bool> entered{false};
  std::atomic<bool> go{false};
  ASSERT_TRUE(log_->AppendAsync("x", {},
                                [&](auto) {
                                  entered = true;
                                  entered.notify_all();
                                  go.wait(false);
                                })
                  .ok());
  is_test_thread = true;
  std::thread closer([&] { EXPECT_TRUE(log_->Close().ok()); });
  entered.wait(false);
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_->Close(absl::Milliseconds(50))));
  go = true;
  go.notify_all();
  closer.join();
  EXPECT_TRUE(log_->Close().ok());
}

TEST_F(CallbackThreadTest, FullQueueOfWaitingCallbacksMovesOnOnceThereIsAThread) {
  refuse = false;
  ASSERT_TRUE(log_->Close().ok());
  log_ = nullptr;
  options_.queue_records = 64;
  Open();
  refuse = true;
  for (int i = 0; i < 64; ++i) AppendWithCallback();
  const AppendOptions soon = {.timeout = absl::Milliseconds(10)};
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_->Append("no space", soon).status()));
  refuse = false;
  EXPECT_TRUE(log_->Append("space").ok());
  EXPECT_TRUE(Eventually([&] { return called_ == 64; }));
}

}  // namespace
}  // namespace millrace
