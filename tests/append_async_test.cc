// Goal: callbacks come once each, in order, on a thread of their own, and nothing
// that they do can stop the log.
// Method: a real log; callbacks that record where and with what they are called,
// that block, and that call back into the log.

#include <pthread.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

class Event {
 public:
  void Set() {
    set_ = true;
    set_.notify_all();
  }
  void Await() { set_.wait(false); }

 private:
  std::atomic<bool> set_{false};
};

class AppendAsyncTest : public testing::Test {
 protected:
  void Open() { log_ = Log::Open(temp_.Sub("log"), options_).value(); }

  // Runs `body` in a callback, and waits for its end.
  template <class Body>
  void InCallback(Body body) {
    Event done;
    ASSERT_TRUE(log_->AppendAsync("x", {},
                                  [&](auto) {
                                    body();
                                    done.Set();
                                  })
                    .ok());
    done.Await();
  }

  TempDirectory temp_;
  Options options_;
  std::unique_ptr<Log> log_;
};

TEST_F(AppendAsyncTest, CallbackGetsTheNumberOnItsOwnNamedThread) {
  Open();
  for (Durability durability :
       {Durability::kBuffered, Durability::kWritten, Durability::kDurable}) {
    Event called;
    ASSERT_TRUE(log_->AppendAsync("x", {.durability = durability},
                                  [&](absl::StatusOr<SequenceNumber> sequence) {
                                    char name[16];
                                    pthread_getname_np(pthread_self(), name, sizeof name);
                                    EXPECT_STREQ(name, "millrace-calls");
                                    EXPECT_EQ(sequence.value(),
                                              static_cast<uint64_t>(durability) + 1);
                                    if (durability == Durability::kDurable) {
                                      EXPECT_GE(log_->last_durable(), *sequence);
                                    } else {
                                      EXPECT_GE(log_->last_written(), *sequence);
                                    }
                                    called.Set();
                                  })
                    .ok());
    called.Await();
  }
}

TEST_F(AppendAsyncTest, CallbacksComeOnceEachInOrderPerDurability) {
  constexpr int kAppends = 3000;
  Open();
  std::vector<SequenceNumber> numbers[3];
  for (int i = 0; i < kAppends; ++i) {
    ASSERT_TRUE(log_->AppendAsync("x", {.durability = static_cast<Durability>(i % 3)},
                                  [&, i](absl::StatusOr<SequenceNumber> sequence) {
                                    numbers[i % 3].push_back(sequence.value());
                                  })
                    .ok());
  }
  ASSERT_TRUE(log_->Close().ok());
  for (int d = 0; d < 3; ++d) {
    ASSERT_EQ(numbers[d].size(), kAppends / 3u);
    for (int i = 0; i < kAppends / 3; ++i) EXPECT_EQ(numbers[d][i], 3u * i + d + 1);
  }
}

TEST_F(AppendAsyncTest, RefusedAppendDropsItsCallbackUncalled) {
  Open();
  auto token = std::make_shared<int>(0);
  const std::string too_large(log_->max_payload_bytes() + 1, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(
      log_->AppendAsync(too_large, {}, [token](auto) { ADD_FAILURE() << "called"; })));
  EXPECT_EQ(token.use_count(), 1);
  ASSERT_TRUE(log_->Append("x").ok());
}

TEST_F(AppendAsyncTest, CallbackIsDestroyedAfterItsCall) {
  Open();
  auto token = std::make_shared<int>(0);
  ASSERT_TRUE(log_->AppendAsync("x", {}, [token](auto) {}).ok());
  ASSERT_TRUE(log_->Close().ok());
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(AppendAsyncTest, BlockedCallbackHoldsUpNoAppend) {
  Open();
  Event release;
  ASSERT_TRUE(log_->AppendAsync("x", {}, [&](auto) { release.Await(); }).ok());
  for (SequenceNumber s = 2; s <= 50; ++s) EXPECT_EQ(log_->Append("y").value(), s);
  release.Set();
  EXPECT_TRUE(log_->Close().ok());  // before `release` is gone
}

TEST_F(AppendAsyncTest, CloseWaitsForCallbacksUpToItsDeadline) {
  Open();
  Event entered;
  Event release;
  ASSERT_TRUE(log_->AppendAsync("x", {},
                                [&](auto) {
                                  entered.Set();
                                  release.Await();
                                })
                  .ok());
  entered.Await();
  const absl::Status status = log_->Close(absl::Milliseconds(20));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  release.Set();
  EXPECT_TRUE(log_->Close().ok());
}

TEST_F(AppendAsyncTest, CallbackMayAppendFlushAndTrim) {
  Open();
  InCallback([&] {
    EXPECT_EQ(log_->Append("durable").value(), 2u);
    EXPECT_TRUE(log_->Append("buffered", {.durability = Durability::kBuffered}).ok());
    EXPECT_TRUE(log_->Flush().ok());
    EXPECT_TRUE(log_->TrimBefore(1).ok());
  });
  EXPECT_EQ(log_->last_durable(), 3u);
}

TEST_F(AppendAsyncTest, CallbackCannotCloseTheLog) {
  Open();
  InCallback([&] { EXPECT_TRUE(absl::IsFailedPrecondition(log_->Close())); });
  EXPECT_TRUE(log_->Append("still open").ok());
  EXPECT_TRUE(log_->Close().ok());
}

TEST_F(AppendAsyncTest, CallbackNeverWaitsForQueueSpace) {
  options_.queue_records = 64;
  Open();
  Event entered;
  Event full;
  Event refused;
  ASSERT_TRUE(log_->AppendAsync("x", {},
                                [&](auto) {
                                  entered.Set();
                                  full.Await();
                                  const absl::Status status = log_->Append("y").status();
                                  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
                                  EXPECT_NE(status.message().find("queue_records"),
                                            absl::string_view::npos);
                                  refused.Set();
                                })
                  .ok());
  entered.Await();
  // Credits stay taken until a callback is about to run, and none will.
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(log_->AppendAsync("z", {}, [](auto) {}).ok());
  full.Set();
  refused.Await();
  EXPECT_TRUE(log_->Close().ok());
}

TEST_F(AppendAsyncTest, CallbackFindsTheSpaceOfItsOwnRecord) {
  options_.queue_records = 64;
  Open();
  constexpr int kChains = 64;
  std::atomic<int> left{kChains * 20};
  std::function<void(absl::StatusOr<SequenceNumber>)> next =
      [&](absl::StatusOr<SequenceNumber> sequence) {
        ASSERT_TRUE(sequence.ok()) << sequence.status();
        if (--left < kChains) return;
        const absl::Status status = log_->AppendAsync("x", {}, next);
        EXPECT_TRUE(status.ok()) << status;
      };
  for (int i = 0; i < kChains; ++i) ASSERT_TRUE(log_->AppendAsync("x", {}, next).ok());
  while (left != 0) std::this_thread::yield();
  EXPECT_TRUE(log_->Close().ok());
}

}  // namespace
}  // namespace millrace
