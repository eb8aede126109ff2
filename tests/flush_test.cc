// Goal: a flush, WaitForAll and WaitDurable end when what they wait for is so, at their deadline,
// or with the log; none of them costs more syncs than it asks for.
// Method: a log over the simulated disk, which counts syncs, and whose writer is held.

#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/held_log.h"

namespace millrace {
namespace {

constexpr AppendOptions kBuffered{.durability = Durability::kBuffered};
constexpr FlushOptions kWritten{.durability = Durability::kWritten};

class FlushTest : public HeldLogTest {
 protected:
  void OpenAndCount() {
    Open();
    syncs_at_open_ = log_->stats().syncs;
  }
  uint64_t Syncs() const { return log_->stats().syncs - syncs_at_open_; }

  uint64_t syncs_at_open_ = 0;
};

TEST_F(FlushTest, WrittenFlushWritesAndDoesNotSync) {
  OpenAndCount();
  ASSERT_TRUE(log_->Append("x", kBuffered).ok());
  EXPECT_TRUE(log_->Flush(kWritten).ok());
  EXPECT_EQ(log_->last_written(), 1u);
  EXPECT_EQ(log_->last_durable(), kNoSequence);
  EXPECT_EQ(Syncs(), 0u);
  EXPECT_TRUE(log_->Flush().ok());
  EXPECT_EQ(log_->last_durable(), 1u);
  EXPECT_EQ(Syncs(), 1u);
}

TEST_F(FlushTest, WaitForAllCoversWhatTheProducerAppended) {
  OpenAndCount();
  auto producer = log_->NewProducer().value();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(producer->Append("x", kBuffered).ok());
  EXPECT_TRUE(producer->WaitForAll(kWritten).ok());
  EXPECT_EQ(log_->last_written(), 100u);
  EXPECT_EQ(Syncs(), 0u);
  EXPECT_TRUE(producer->WaitForAll().ok());
  EXPECT_EQ(log_->last_durable(), 100u);
  EXPECT_TRUE(absl::IsInvalidArgument(producer->WaitForAll({.durability = Durability::kBuffered})));
}

TEST_F(FlushTest, BufferedFlushIsRefused) {
  Open();
  const absl::Status status = log_->Flush({.durability = Durability::kBuffered});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(Names(status, "log /log: FlushOptions::durability")) << status;
  FlushOptions options;
  options.durability = static_cast<Durability>(9);
  EXPECT_TRUE(Names(log_->Flush(options), "FlushOptions::durability is 9"));
}

TEST_F(FlushTest, FlushEndsAtItsDeadlineAndGoesOn) {
  Open();
  HoldWriter();
  ASSERT_TRUE(log_->Append("x", kBuffered).ok());
  for (absl::Duration timeout : {absl::Milliseconds(10), absl::ZeroDuration(), absl::Seconds(-1)}) {
    const absl::Status status = log_->Flush({.timeout = timeout});
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    EXPECT_TRUE(Names(status, "FlushOptions::timeout")) << status;
  }
  ReleaseWriter();
  EXPECT_TRUE(log_->WaitDurable(2, absl::Seconds(60)).ok());
}

TEST_F(FlushTest, FlushInTimeSucceeds) {
  Open();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(log_->Append("x", kBuffered).ok());
    ASSERT_TRUE(log_->Flush({.timeout = absl::Hours(1)}).ok());
    EXPECT_EQ(log_->last_durable(), static_cast<SequenceNumber>(i + 1));
  }
}

TEST_F(FlushTest, ClosingFinishesFlushes) {
  Open();
  HoldWriter();
  ASSERT_TRUE(log_->Append("x", kBuffered).ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i) threads.emplace_back([&] { EXPECT_TRUE(log_->Flush().ok()); });
  EXPECT_TRUE(Eventually([&] { return log_->stats().queue_records == 22; }));
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_->Close(absl::ZeroDuration())));
  EXPECT_TRUE(absl::IsCancelled(log_->Flush()));
  ReleaseWriter();
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(log_->Close().ok());
}

TEST_F(FlushTest, FailureOfTheLogEndsFlushes) {
  Open();
  HoldWriter();
  std::vector<std::thread> threads;
  for (const absl::Duration timeout : {absl::Hours(1), absl::InfiniteDuration()}) {
    threads.emplace_back([&, timeout] {
      EXPECT_EQ(log_->Flush({.timeout = timeout}).code(), absl::StatusCode::kInternal);
    });
  }
  EXPECT_TRUE(Eventually([&] { return log_->stats().queue_records == 3; }));
  FailSegments(FileOp::kWrite);
  ReleaseWriter();
  for (std::thread& thread : threads) thread.join();
}

TEST_F(FlushTest, FlushesBeyondTheBoundAreRefused) {
  options_.queue_records = 64;
  Open();
  HoldWriter();
  absl::Status status;
  uint64_t flushes = 0;
  while (absl::IsDeadlineExceeded(status = log_->Flush({.timeout = absl::ZeroDuration()}))) {
    ASSERT_LT(++flushes, 200000u);
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  ReleaseWriter();
  EXPECT_TRUE(Eventually([&] { return log_->Flush().ok(); }));
}

// --- WaitDurable ------------------------------------------------------------------------------

TEST_F(FlushTest, WaitDurableMakesNothingDurable) {
  OpenAndCount();
  EXPECT_TRUE(log_->WaitDurable(kNoSequence).ok());
  ASSERT_TRUE(log_->Append("x", {.durability = Durability::kWritten}).ok());
  const absl::Status status = log_->WaitDurable(1, absl::Milliseconds(10));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_TRUE(Names(status, "log /log: record 1")) << status;
  EXPECT_EQ(Syncs(), 0u);
}

TEST_F(FlushTest, WaitDurableIsWokenByTheSync) {
  Open();
  std::vector<std::thread> threads;
  for (SequenceNumber s = 1; s <= 4; ++s) {
    threads.emplace_back([&, s] {
      EXPECT_TRUE(log_->WaitDurable(s).ok());
      EXPECT_GE(log_->last_durable(), s);
    });
  }
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(log_->Append("x").ok());
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(log_->WaitDurable(4, absl::ZeroDuration()).ok());
}

TEST_F(FlushTest, WaitDurableEndsWithTheLog) {
  Open();
  ASSERT_TRUE(log_->Append("x", kBuffered).ok());
  std::thread beyond([&] {
    const absl::Status status = log_->WaitDurable(2);
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
    EXPECT_TRUE(Names(status, "log /log is closed")) << status;
  });
  std::thread covered([&] { EXPECT_TRUE(log_->WaitDurable(1).ok()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(log_->Close().ok());
  beyond.join();
  covered.join();
}

TEST_F(FlushTest, WaitDurableEndsWithTheFirstError) {
  Open();
  std::thread waiter([&] {
    const absl::Status status = log_->WaitDurable(1);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  });
  FailSegments(FileOp::kWrite);
  EXPECT_FALSE(log_->Append("x").ok());
  waiter.join();
}

}  // namespace
}  // namespace millrace
