// Goal: what LogStats says of accepted records adds up at every moment: accepted = acknowledged +
// failed + pending, nobody hears of a record before it is counted, and nothing is counted twice.
// Method: 32 threads append in every way, with deadlines, drops and withdrawals, while the log is
// closed or fails in the middle; they keep counts of their own, and a checker compares.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/held_log.h"
#include "tests/under_sanitizer.h"
#include "wal/append_queue.h"

namespace millrace {
namespace {

enum class End { kClose, kFail };

class AppendCountersTest : public HeldLogTest, public testing::WithParamInterface<End> {
 protected:
  static constexpr int kThreads = 32;

  // Of records, by the threads that append them.
  struct Counts {
    std::atomic<uint64_t> attempted{0};  // before the call
    std::atomic<uint64_t> resolved{0};   // was told how a record ended that was accepted
    std::atomic<uint64_t> accepted{0};   // knows that they were
    std::atomic<uint64_t> withdrawn{0};
    std::atomic<uint64_t> dropped{0};
    std::atomic<uint64_t> refused{0};
  };

  // A refused one, a withdrawn one, or one with a result.
  void Tally(const absl::StatusOr<SequenceNumber>& result, uint64_t records) {
    if (result.ok() || MayHaveBeenAppended(result.status())) {
      counts_.accepted += records;
      // The error of a deadline leaves its record under way.
      if (!absl::IsDeadlineExceeded(result.status())) counts_.resolved += records;
    } else if (Names(result.status(), "withdrawn: it is not in the log")) {
      counts_.accepted += records;
      counts_.resolved += records;
      counts_.withdrawn += records;
    } else if (Names(result.status(), "the queue is full")) {
      counts_.refused += records;
    }
  }

  AppendOptions RandomOptions(std::mt19937_64& random) {
    AppendOptions options;
    options.durability = static_cast<Durability>(random() % 3);
    options.when_full = static_cast<WhenFull>(random() % 2);
    if (random() % 2 == 0) options.timeout = absl::Microseconds(random() % 500);
    return options;
  }

  // One append in a random way. False once the log has ended.
  bool AppendOnce(Producer& producer, std::mt19937_64& random) {
    AppendOptions options = RandomOptions(random);
    const bool batch = random() % 3 == 0;
    const std::vector<NewRecord> records(batch ? 1 + random() % 10 : 1,
                                         NewRecord{.payload = "payload"});
    counts_.attempted += records.size();
    absl::Status status;
    switch (random() % 4) {
      case 0: {
        if (options.durability == Durability::kBuffered) {
          // Its end is not told to anybody.
          status = producer.AppendBatch(records, options).status();
          if (status.ok()) {
            counts_.accepted += records.size();
          } else {
            Tally(status, records.size());
          }
          break;
        }
        const auto result = batch ? log_->AppendBatch(records, options)
                                  : producer.Append(records[0].payload, options);
        Tally(result, records.size());
        status = result.status();
        break;
      }
      case 1: {
        const uint64_t count = records.size();
        status = producer.AppendBatchAsync(records, options,
                                           [this, count](auto result) { Tally(result, count); });
        if (!status.ok()) Tally(status, count);
        break;
      }
      case 2: {
        options = {.durability = Durability::kBuffered, .when_full = WhenFull::kDropNewest};
        auto ticket = log_->AppendBatchAsync(records, options);
        status = ticket.status();
        if (!ticket.ok()) break;
        if (ticket->Done() && absl::IsResourceExhausted(ticket->Wait().status())) {
          counts_.dropped += records.size();
        } else {
          Tally(ticket->Wait(), records.size());
        }
        break;
      }
      default: {
        auto ticket = producer.AppendBatchAsync(records, options);
        status = ticket.status();
        if (!ticket.ok()) {
          Tally(status, records.size());
          break;
        }
        if (random() % 2 == 0 && ticket->Withdraw()) {
          counts_.accepted += records.size();
          counts_.resolved += records.size();
          counts_.withdrawn += records.size();
        } else {
          Tally(ticket->Wait(), records.size());
        }
      }
    }
    return status.ok() || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
  }

  void Check() {
    // What is known before counts at least as much as what is known after.
    const uint64_t resolved = counts_.resolved;
    const uint64_t accepted = counts_.accepted;
    const uint64_t withdrawn = counts_.withdrawn;
    const LogStats stats = log_->stats();
    const uint64_t attempted = counts_.attempted;
    EXPECT_LE(resolved, stats.acknowledged + stats.failed);
    EXPECT_LE(accepted, stats.accepted);
    EXPECT_LE(withdrawn, stats.withdrawn);
    EXPECT_LE(stats.accepted, attempted);
    EXPECT_LE(stats.withdrawn, stats.failed);
    EXPECT_LE(stats.acknowledged + stats.failed, stats.accepted);
    EXPECT_EQ(stats.accepted, stats.acknowledged + stats.failed + stats.pending);
  }

  Counts counts_;
};

TEST_P(AppendCountersTest, AddUpAtEveryMoment) {
  options_.queue_records = 128;
  options_.segment_bytes = 1 << 20;
  Open();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      auto producer = log_->NewProducer();
      while (producer.ok() && AppendOnce(**producer, random)) {
      }
    });
  }
  std::atomic<bool> stop{false};
  std::thread checker([&] {
    while (!stop) Check();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(kUnderSanitizer ? 2000 : 1000));
  if (GetParam() == End::kFail) {
    FailSegments(FileOp::kSync);
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(log_->Close().ok(), GetParam() == End::kClose);
  for (std::thread& thread : threads) {
    if (thread.joinable()) thread.join();
  }
  stop = true;
  checker.join();
  Check();
  const LogStats stats = log_->stats();
  EXPECT_EQ(stats.pending, 0u);
  EXPECT_EQ(stats.queue_records, 0u);
  EXPECT_EQ(stats.queue_bytes, 0u);
  EXPECT_EQ(stats.accepted, counts_.accepted);
  EXPECT_EQ(stats.withdrawn, counts_.withdrawn);
  EXPECT_EQ(stats.dropped_records, counts_.dropped);
  EXPECT_EQ(stats.refused_records, counts_.refused);
  if (GetParam() == End::kClose) {
    EXPECT_EQ(stats.failed, stats.withdrawn);
    EXPECT_EQ(stats.acknowledged, stats.records);
  }
  // The test means something.
  for (uint64_t count : {stats.acknowledged, stats.withdrawn, stats.dropped_records,
                         stats.refused_records, stats.waited_appends}) {
    EXPECT_GT(count, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Ends, AppendCountersTest, testing::Values(End::kClose, End::kFail),
                         [](const testing::TestParamInfo<End>& info) {
                           return std::string(info.param == End::kClose ? "Close" : "Fail");
                         });

TEST_F(HeldLogTest, PendingIsWhatTheWriterHasNotDoneWith) {
  Open();
  HoldWriter();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(log_->Append("x", {.durability = Durability::kBuffered}).ok());
  }
  LogStats stats = log_->stats();
  EXPECT_EQ(stats.accepted, 4u);
  EXPECT_EQ(stats.pending, 4u);
  EXPECT_EQ(stats.queue_records, 4u);
  // Each with its place in memory and in the queue's arrays.
  EXPECT_GE(stats.queue_bytes, 4 * (sizeof(PendingAppend) + kArrayBytesPerAppend));
  EXPECT_GT(stats.producer_memory_bytes, 0u);
  ReleaseWriter();
  ASSERT_TRUE(log_->Flush().ok());
  stats = log_->stats();
  EXPECT_EQ(stats.acknowledged, 4u);
  EXPECT_EQ(stats.pending, 0u);
  EXPECT_EQ(stats.last_durable, 4u);
}

}  // namespace
}  // namespace millrace
