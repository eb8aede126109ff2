// Goal: Log::TruncateAfter takes its place among the appends: what happened before it is finished
// first, what happens after it follows it, and everybody is told the truth meanwhile.
// Method: a log over the simulated disk whose writer is held while both gather in the queue.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/held_log.h"

namespace millrace {
namespace {

using TruncateAppendTest = HeldLogTest;

TEST_F(TruncateAppendTest, NumbersGoOnBehindWhatWasKept) {
  Open();
  for (SequenceNumber s = 1; s <= 5; ++s) EXPECT_EQ(log_->Append("x").value(), s);
  ASSERT_TRUE(log_->TruncateAfter(3).ok());
  EXPECT_EQ(log_->last_durable(), 3u);
  EXPECT_EQ(log_->last_written(), 3u);
  EXPECT_EQ(log_->Append("4, anew").value(), 4u);
  EXPECT_EQ(log_->last_durable(), 4u);
}

TEST_F(TruncateAppendTest, AppendsBeforeItAreFinishedFirst) {
  Open();
  HoldWriter();
  // In the queue, in this order: five appends, the truncation, one append.
  std::vector<Ticket> before;
  for (int i = 0; i < 5; ++i) {
    before.push_back(
        log_->AppendAsync("x", {.durability = static_cast<Durability>(i % 3)}).value());
  }
  std::thread truncate([&] { EXPECT_TRUE(log_->TruncateAfter(3).ok()); });
  ASSERT_TRUE(Eventually([&] { return log_->stats().queue_records == 7; }));
  const Ticket after = log_->AppendAsync("4, anew").value();
  ReleaseWriter();
  truncate.join();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(before[i].Wait().value(), 2u + i);
  EXPECT_EQ(after.Wait().value(), 4u);
  EXPECT_EQ(log_->stats().acknowledged, 7u);
}

TEST_F(TruncateAppendTest, RefusedTruncationChangesNothingAndLeavesTheLogOpen) {
  Open();
  ASSERT_TRUE(log_->Append("x").ok());
  const absl::Status status = log_->TruncateAfter(2);
  EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
  EXPECT_TRUE(Names(status, "log /log: ")) << status;
  EXPECT_EQ(log_->last_durable(), 1u);
  EXPECT_EQ(log_->Append("y").value(), 2u);
}

TEST_F(TruncateAppendTest, FailureBeforeItIsItsError) {
  Open();
  ASSERT_TRUE(log_->Append("x").ok());
  HoldWriter();
  std::thread truncate(
      [&] { EXPECT_EQ(log_->TruncateAfter(1).code(), absl::StatusCode::kInternal); });
  ASSERT_TRUE(Eventually([&] { return log_->stats().queue_records == 2; }));
  FailSegments(FileOp::kWrite);
  ReleaseWriter();
  truncate.join();
  EXPECT_EQ(log_->TruncateAfter(1).code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(log_->Close().ok());
}

TEST_F(TruncateAppendTest, ClosedLogRefusesIt) {
  Open();
  ASSERT_TRUE(log_->Append("x").ok());
  ASSERT_TRUE(log_->Close().ok());
  const absl::Status status = log_->TruncateAfter(0);
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(log_->last_durable(), 1u);
}

// Each append is durable when it returns, so the truncation to one's own predecessor that
// follows always finds it, whatever others do.
TEST_F(TruncateAppendTest, AppendsAndTruncationsOfManyThreadsTakeTurns) {
  // Each truncation begins a segment, and segments would grow.
  options_.segment_bytes = 64 << 10;
  Open();
  std::atomic<uint64_t> truncated{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const auto appended = log_->Append("x", {.durability = static_cast<Durability>(i % 3)});
        ASSERT_TRUE(appended.ok()) << appended.status();
        if (i % 20 != t) continue;
        const SequenceNumber written = log_->last_written();
        const absl::Status status = log_->TruncateAfter(written == 0 ? 0 : written - 1);
        ASSERT_TRUE(status.ok() || absl::IsOutOfRange(status)) << status;
        truncated += status.ok();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(truncated, 0u);
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_EQ(log_->last_durable(), log_->last_written());
  EXPECT_LT(log_->last_durable(), 800u);
  EXPECT_EQ(log_->stats().acknowledged, 800u);
}

}  // namespace
}  // namespace millrace
