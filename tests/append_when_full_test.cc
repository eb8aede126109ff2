// Goal: an append that finds the queue full, or whose time is over, does what its options say,
// is counted, and its error says whether the record may be in the log.
// Method: a log over the simulated disk whose writer is held inside a write or a sync.

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/held_log.h"

namespace millrace {
namespace {

constexpr AppendOptions kFail{.durability = Durability::kBuffered, .when_full = WhenFull::kFail};
constexpr AppendOptions kDrop{.durability = Durability::kBuffered,
                              .when_full = WhenFull::kDropNewest};

class AppendWhenFullTest : public HeldLogTest {
 protected:
  AppendWhenFullTest() { options_.queue_records = 64; }

  void OpenAndFill() {
    Open();
    HoldWriter();
    ASSERT_EQ(FillQueue(), 63u);  // and the plug
    refused_before_ = log_->stats().refused_records;
  }
  uint64_t Refused() const { return log_->stats().refused_records - refused_before_; }

  uint64_t refused_before_ = 0;
};

TEST_F(AppendWhenFullTest, FailReturnsAtOnceAndNamesTheBounds) {
  OpenAndFill();
  auto producer = log_->NewProducer().value();
  const std::vector<absl::Status> results = {
      log_->Append("x", kFail).status(),
      log_->TryAppend("x").status(),
      log_->TryAppend("x", kDrop).status(),
      producer->TryAppend("x").status(),
      log_->AppendAsync("x", kFail).status(),
      log_->AppendAsync("x", kFail, [](auto) { ADD_FAILURE() << "called"; }),
  };
  for (const absl::Status& status : results) {
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_TRUE(Names(status, "log /log: ")) << status;
    EXPECT_TRUE(Names(status, "64 (Options::queue_records)")) << status;
    EXPECT_FALSE(MayHaveBeenAppended(status));
  }
  EXPECT_EQ(Refused(), results.size());
  EXPECT_EQ(log_->stats().waited_appends, 0u);
  EXPECT_EQ(Reread(), std::vector<std::string>());
}

TEST_F(AppendWhenFullTest, TryAppendTakesWhatFits) {
  Open();
  EXPECT_EQ(log_->TryAppend("a").value(), 1u);
  EXPECT_EQ(log_->TryAppend("b", {.durability = Durability::kBuffered}).value(), kNoSequence);
  EXPECT_EQ(log_->NewProducer().value()->TryAppend("c").value(), 3u);
}

TEST_F(AppendWhenFullTest, FullLaneIsAFullQueue) {
  options_.queue_records = 1 << 16;
  Open();
  HoldWriter();
  auto producer = log_->NewProducer().value();
  int accepted = 0;
  while (producer->Append("fill", kFail).ok()) ++accepted;
  EXPECT_GE(accepted, 1024);
  EXPECT_LE(accepted, 2048);
  EXPECT_TRUE(log_->TryAppend("others", {.durability = Durability::kBuffered}).ok());
}

TEST_F(AppendWhenFullTest, FullLaneOfAClosedLogIsCancelled) {
  options_.queue_records = 1 << 16;
  Open();
  HoldWriter();
  auto producer = log_->NewProducer().value();
  while (producer->Append("fill", kFail).ok()) {
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_->Close(absl::ZeroDuration())));
  EXPECT_TRUE(absl::IsCancelled(producer->Append("x", kFail).status()));
  EXPECT_TRUE(absl::IsCancelled(producer->Append("x", kDrop).status()));
}

// --- Dropping -----------------------------------------------------------------------------

TEST_F(AppendWhenFullTest, DropNewestReturnsAsIfAccepted) {
  OpenAndFill();
  EXPECT_EQ(log_->Append("dropped", kDrop).value(), kNoSequence);
  EXPECT_EQ(log_->AppendBatch(std::vector<NewRecord>(5), kDrop).value(), kNoSequence);
  const LogStats stats = log_->stats();
  EXPECT_EQ(stats.dropped_records, 6u);
  EXPECT_EQ(stats.accepted, 64u);
  EXPECT_EQ(Refused(), 0u);
  EXPECT_EQ(Reread(), std::vector<std::string>());
}

TEST_F(AppendWhenFullTest, DropNewestKeepsWhatFits) {
  Open();
  EXPECT_TRUE(log_->Append("kept", kDrop).ok());
  EXPECT_EQ(log_->stats().dropped_records, 0u);
  EXPECT_EQ(Reread(), (std::vector<std::string>{"kept"}));
}

TEST_F(AppendWhenFullTest, TicketOfADroppedAppendIsResolvedAtOnce) {
  OpenAndFill();
  auto ticket = log_->AppendAsync("dropped", kDrop);
  ASSERT_TRUE(ticket.ok());
  EXPECT_TRUE(ticket->Done());
  const absl::Status status = ticket->Wait().status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(Names(status, "log /log: "));
  EXPECT_FALSE(MayHaveBeenAppended(status));
  EXPECT_FALSE(ticket->Withdraw());
  EXPECT_EQ(log_->stats().dropped_records, 1u);
}

TEST_F(AppendWhenFullTest, CallbackOfADroppedAppendIsRunByTheCallbackThread) {
  OpenAndFill();
  std::promise<absl::Status> result;
  ASSERT_TRUE(log_->AppendAsync("dropped", kDrop,
                                [&](absl::StatusOr<SequenceNumber> s) {
                                  char name[16];
                                  pthread_getname_np(pthread_self(), name, sizeof name);
                                  EXPECT_STREQ(name, "millrace-calls");
                                  result.set_value(s.status());
                                })
                  .ok());
  EXPECT_EQ(log_->stats().dropped_records, 1u);
  ReleaseWriter();
  const absl::Status status = result.get_future().get();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(Names(status, "log /log: "));
  EXPECT_FALSE(MayHaveBeenAppended(status));
  EXPECT_EQ(Reread(), std::vector<std::string>());
}

TEST_F(AppendWhenFullTest, CloseAndFailureWaitForCallbacksOfDroppedAppends) {
  for (const bool fail : {false, true}) {
    OpenAndFill();
    std::atomic<int> called{0};
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(log_->AppendAsync("dropped", kDrop,
                                    [&](absl::StatusOr<SequenceNumber> s) {
                                      called += absl::IsResourceExhausted(s.status());
                                    })
                      .ok());
    }
    if (fail) FailSegments(FileOp::kWrite);
    ReleaseWriter();
    EXPECT_EQ(log_->Close().ok(), !fail);
    EXPECT_EQ(called, 10);
    log_ = nullptr;
  }
}

TEST_F(AppendWhenFullTest, DroppedCallbacksAreBounded) {
  OpenAndFill();
  std::atomic<uint64_t> called{0};
  uint64_t dropped = 0;
  absl::Status status;
  while (status.ok() && dropped < 100000) {
    status = log_->AppendAsync("dropped", kDrop, [&](auto) { ++called; });
    dropped += status.ok();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(dropped, 32768u - 4096u);  // which are left to flushes and truncations
  EXPECT_EQ(log_->stats().dropped_records, dropped);
  EXPECT_EQ(Refused(), 1u);
  ReleaseWriter();
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_EQ(called, dropped);
}

// Else whoever goes on dropping would keep the queue full with nothing in it, for all others too.
TEST_F(AppendWhenFullTest, CallbacksOfDroppedAppendsTakeNoSpace) {
  OpenAndFill();
  std::promise<void> go_on;
  std::shared_future<void> may_go_on = go_on.get_future().share();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(log_->AppendAsync("dropped", kDrop, [=](auto) { may_go_on.wait(); }).ok());
  }
  ReleaseWriter();
  ASSERT_TRUE(Eventually([&] { return log_->last_written() == 64; }));
  EXPECT_TRUE(Eventually([&] { return log_->TryAppend("x").ok(); }));
  EXPECT_TRUE(log_->Append("kept", kDrop).ok());
  go_on.set_value();
  EXPECT_EQ(Reread().back(), "kept");
}

TEST_F(AppendWhenFullTest, CallbacksOfDroppedAppendsLeaveRoomForFlushes) {
  OpenAndFill();
  while (log_->AppendAsync("dropped", kDrop, [](auto) {}).ok()) {
  }
  const absl::Status status = log_->Flush({.timeout = absl::ZeroDuration()});
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST_F(AppendWhenFullTest, OnlyBufferedAppendsMayBeDropped) {
  Open();
  for (Durability durability : {Durability::kWritten, Durability::kDurable}) {
    const AppendOptions options = {.durability = durability, .when_full = WhenFull::kDropNewest};
    const absl::Status status = log_->Append("x", options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_TRUE(Names(status, "kDropNewest")) << status;
  }
}

TEST_F(AppendWhenFullTest, WhatIsNoEnumeratorIsRefused) {
  Open();
  AppendOptions options;
  options.durability = static_cast<Durability>(3);
  EXPECT_TRUE(Names(log_->Append("x", options).status(), "AppendOptions::durability is 3"));
  options = {};
  options.when_full = static_cast<WhenFull>(7);
  EXPECT_TRUE(Names(log_->Append("x", options).status(), "AppendOptions::when_full is 7"));
}

// --- Waiting for space ----------------------------------------------------------------------

TEST_F(AppendWhenFullTest, WaitingForSpaceEndsAtTheDeadline) {
  OpenAndFill();
  for (Durability durability :
       {Durability::kBuffered, Durability::kWritten, Durability::kDurable}) {
    const absl::Time begin = absl::Now();
    const AppendOptions options = {.durability = durability, .timeout = absl::Milliseconds(20)};
    const absl::Status status = log_->Append("late", options).status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    EXPECT_TRUE(Names(status, "20ms")) << status;
    EXPECT_FALSE(MayHaveBeenAppended(status));
    EXPECT_GE(absl::Now() - begin, absl::Milliseconds(19));
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      log_->AppendAsync("late", {.timeout = absl::Milliseconds(1)}).status()));
  EXPECT_EQ(log_->stats().waited_appends, 4u);
  EXPECT_EQ(Refused(), 4u);
  EXPECT_EQ(Reread(), std::vector<std::string>());
}

TEST_F(AppendWhenFullTest, NoTimeMeansNoWaiting) {
  OpenAndFill();
  for (absl::Duration timeout :
       {absl::ZeroDuration(), absl::Seconds(-1), -absl::InfiniteDuration()}) {
    const AppendOptions options = {.durability = Durability::kBuffered, .timeout = timeout};
    EXPECT_TRUE(absl::IsDeadlineExceeded(log_->Append("late", options).status()));
  }
  EXPECT_EQ(log_->stats().waited_appends, 0u);
  EXPECT_EQ(Refused(), 3u);
}

TEST_F(AppendWhenFullTest, SpaceThatComesInTimeIsTaken) {
  OpenAndFill();
  std::thread waiter(
      [&] { EXPECT_EQ(log_->Append("in time", {.timeout = absl::Hours(1)}).value(), 65u); });
  EXPECT_TRUE(Eventually([&] { return log_->stats().waited_appends == 1; }));
  ReleaseWriter();
  waiter.join();
  EXPECT_EQ(Refused(), 0u);
  EXPECT_EQ(Reread(), (std::vector<std::string>{"in time"}));
}

TEST_F(AppendWhenFullTest, ClosingCancelsThoseWhoWaitForSpace) {
  OpenAndFill();
  std::vector<std::thread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&, i] {
      const absl::Duration timeout = i % 2 == 0 ? absl::Hours(1) : absl::InfiniteDuration();
      const absl::Status status = log_->Append("late", {.timeout = timeout}).status();
      EXPECT_TRUE(absl::IsCancelled(status)) << status;
      EXPECT_TRUE(Names(status, "log /log"));
      EXPECT_FALSE(MayHaveBeenAppended(status));
    });
  }
  EXPECT_TRUE(Eventually([&] { return log_->stats().waited_appends == 4; }));
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_->Close(absl::ZeroDuration())));
  for (std::thread& waiter : waiters) waiter.join();
}

// --- Waiting for durability -----------------------------------------------------------------

TEST_F(AppendWhenFullTest, AppendThatTheWriterHasNotBegunIsWithdrawnAtItsDeadline) {
  Open();
  HoldWriter();
  auto producer = log_->NewProducer().value();
  for (Durability durability : {Durability::kWritten, Durability::kDurable}) {
    const AppendOptions options = {.durability = durability, .timeout = absl::Milliseconds(10)};
    const std::vector<absl::Status> results = {
        log_->Append("withdrawn", options).status(),
        producer->Append("withdrawn", options).status(),
        log_->AppendBatch(std::vector<NewRecord>(3), options).status()};
    for (const absl::Status& status : results) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
      EXPECT_TRUE(Names(status, "withdrawn: it is not in the log")) << status;
      EXPECT_FALSE(MayHaveBeenAppended(status));
    }
  }
  EXPECT_EQ(log_->stats().withdrawn, 10u);
  EXPECT_EQ(log_->stats().failed, 10u);
  ReleaseWriter();
  // No number was used up.
  EXPECT_EQ(log_->Append("next").value(), 2u);
  EXPECT_EQ(Reread(), (std::vector<std::string>{"next"}));
}

TEST_F(AppendWhenFullTest, AppendThatTheWriterHasBegunMayBeInTheLogAtItsDeadline) {
  Open();
  held_op_ = FileOp::kSync;
  open_ = false;
  const absl::Status status = log_->Append("begun", {.timeout = absl::Milliseconds(300)}).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_TRUE(Names(status, "may be in the log")) << status;
  EXPECT_TRUE(MayHaveBeenAppended(status));
  EXPECT_EQ(log_->stats().withdrawn, 0u);
  EXPECT_EQ(Reread(), (std::vector<std::string>{"begun"}));
}

TEST_F(AppendWhenFullTest, AppendInTimeIsAsOneWithoutDeadline) {
  Open();
  for (SequenceNumber s = 1; s <= 200; ++s) {
    const AppendOptions options = {
        .durability = s % 2 == 0 ? Durability::kDurable : Durability::kWritten,
        .timeout = absl::Hours(1)};
    EXPECT_EQ(log_->Append("x", options).value(), s);
  }
}

TEST_F(AppendWhenFullTest, FailureOfTheLogSaysWhatWasAccepted) {
  Open();
  HoldWriter();
  std::vector<std::thread> threads;
  for (const absl::Duration timeout : {absl::Hours(1), absl::InfiniteDuration()}) {
    threads.emplace_back([&, timeout] {
      const absl::Status status = log_->Append("lost", {.timeout = timeout}).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
      EXPECT_TRUE(MayHaveBeenAppended(status));
    });
  }
  EXPECT_TRUE(Eventually([&] { return log_->stats().queue_records == 3; }));
  FailSegments(FileOp::kWrite);
  ReleaseWriter();
  for (std::thread& thread : threads) thread.join();
  const absl::Status later = log_->Append("later", {.timeout = absl::Hours(1)}).status();
  EXPECT_EQ(later.code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(MayHaveBeenAppended(later));
  EXPECT_FALSE(MayHaveBeenAppended(absl::OkStatus()));
}

}  // namespace
}  // namespace millrace
