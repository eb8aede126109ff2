// Goal: with many threads a log keeps what it promises to one. R1, causality: if
// one append returned before another began, in any threads, it comes first. R2,
// no stall: a producer that stops anywhere inside an append delays nobody. A flush
// covers all that happened before it, and every accepted record is there once.
// Method: R1 by a baton that threads pass on, each appending after it got it. R2
// by holding a thread at each step while others' records become durable. The rest
// by records that say who wrote them.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/step_gate.h"
#include "tests/temp_directory.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

constexpr AppendOptions kBuffered{.durability = Durability::kBuffered};

enum class Way { kLog, kProducer };

// One thread's way to append.
class Appender {
 public:
  Appender(Log* log, Way way) : log_(log) {
    if (way == Way::kProducer) producer_ = log->NewProducer().value();
  }
  absl::StatusOr<SequenceNumber> Append(std::string_view payload, const AppendOptions& options) {
    return producer_ != nullptr ? producer_->Append(payload, options)
                                : log_->Append(payload, options);
  }

 private:
  Log* const log_;
  std::unique_ptr<Producer> producer_;
};

template <class Number>
std::string Encode(Number number) {
  return std::string(reinterpret_cast<const char*>(&number), sizeof number);
}

template <class Number>
Number Decode(std::string_view payload) {
  Number number;
  EXPECT_EQ(payload.size(), sizeof number);
  std::memcpy(&number, payload.data(), sizeof number);
  return number;
}

// Calls `visit` with each record of a closed log, in order.
template <class Visit>
void ForEachRecord(const std::string& directory, Visit visit) {
  auto log = Log::Open(directory).value();
  auto cursor = log->OpenCursor("check", {.checkpoint_records = 1u << 30}).value();
  const SequenceNumber last = log->last_durable();
  for (SequenceNumber s = 1; s <= last; ++s) {
    const Entry entry = cursor->Next().value();
    ASSERT_EQ(entry.kind, Entry::Kind::kRecord) << entry.lost.ToString();
    ASSERT_EQ(entry.record.sequence, s);
    visit(entry.record);
  }
}

// --- R1: causality ----------------------------------------------------------------

struct Relay {
  int threads;
  uint32_t hops;
  Way way;
  bool small_limits;
};

class LogRelayTest : public testing::TestWithParam<Relay> {};

TEST_P(LogRelayTest, RecordsAreInTheOrderOfTheBaton) {
  const Relay& relay = GetParam();
  const uint32_t hops = kUnderSanitizer ? std::min(relay.hops, 20000u) : relay.hops;
  TempDirectory temp;
  Options options;
  if (relay.small_limits) {
    options.queue_records = 64;
    options.queue_bytes = 64 << 10;
  }
  auto log = Log::Open(temp.Sub("log"), options).value();
  std::atomic<uint32_t> baton{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < relay.threads; ++t) {
    threads.emplace_back([&, t] {
      Appender appender(log.get(), relay.way);
      while (true) {
        const uint32_t hop = baton.load(std::memory_order_acquire);
        if (hop >= hops) return;
        if (hop % relay.threads != static_cast<uint32_t>(t)) {
          baton.wait(hop, std::memory_order_acquire);
          continue;
        }
        ASSERT_TRUE(appender.Append(Encode(hop), kBuffered).ok());
        baton.store(hop + 1, std::memory_order_release);
        baton.notify_all();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(log->Close().ok());
  ASSERT_EQ(log->last_durable(), hops);
  log = nullptr;
  uint32_t expected = 0;
  uint32_t violations = 0;
  ForEachRecord(temp.Sub("log"), [&](const Record& record) {
    violations += Decode<uint32_t>(record.payload) != expected++;
  });
  EXPECT_EQ(violations, 0u);
  EXPECT_EQ(expected, hops);
}

INSTANTIATE_TEST_SUITE_P(
    Threads, LogRelayTest,
    testing::Values(Relay{2, 300000, Way::kLog, false}, Relay{2, 300000, Way::kProducer, false},
                    Relay{2, 300000, Way::kLog, true}, Relay{2, 300000, Way::kProducer, true},
                    Relay{4, 300000, Way::kLog, false}, Relay{4, 300000, Way::kProducer, false},
                    Relay{4, 300000, Way::kLog, true}, Relay{4, 300000, Way::kProducer, true},
                    Relay{8, 20000, Way::kLog, false}, Relay{8, 20000, Way::kProducer, true},
                    Relay{32, 20000, Way::kLog, true}, Relay{32, 20000, Way::kProducer, false}),
    [](const testing::TestParamInfo<Relay>& info) {
      return std::to_string(info.param.threads) + "Threads" +
             (info.param.way == Way::kLog ? "Log" : "Producer") +
             (info.param.small_limits ? "SmallLimits" : "");
    });

// --- R2: no stall -----------------------------------------------------------------

class LogStallTest : public testing::TestWithParam<std::tuple<AppendStep, Way>> {};

TEST_P(LogStallTest, ParkedProducerDelaysNobody) {
  const AppendStep step = std::get<0>(GetParam());
  const Way way = std::get<1>(GetParam());
  constexpr uint64_t kOthersRecords = 10000;
  constexpr int kOthers = 4;
  TempDirectory temp;
  auto log = Log::Open(temp.Sub("log")).value();
  StepGate gate(step);
  std::atomic<uint64_t> parked_records{0};
  std::thread parked([&] {
    Appender appender(log.get(), way);
    StepGate::HoldThisThread();
    // Repeated for the one step that is only passed while the writer sleeps.
    while (!gate.arrived()) {
      ASSERT_TRUE(appender.Append("parked", kBuffered).ok());
      ++parked_records;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  gate.AwaitArrival();
  std::vector<std::thread> others;
  for (int t = 0; t < kOthers; ++t) {
    others.emplace_back([&] {
      Appender appender(log.get(), way);
      for (uint64_t i = 0; i < kOthersRecords / kOthers; ++i) {
        const bool last = i + 1 == kOthersRecords / kOthers;
        ASSERT_TRUE(appender.Append("other", last ? AppendOptions{} : kBuffered).ok());
      }
    });
  }
  for (std::thread& thread : others) thread.join();
  EXPECT_GE(log->last_durable(), kOthersRecords);
  EXPECT_TRUE(log->Flush().ok());
  gate.Open();
  parked.join();
  EXPECT_TRUE(log->Close().ok());
  EXPECT_EQ(log->last_durable(), kOthersRecords + parked_records);
}

std::string StallName(const testing::TestParamInfo<LogStallTest::ParamType>& info) {
  static constexpr const char* kNames[] = {
      "Borrowed",     "Admitted",   "Copied",     "BeforeStamp", "AfterStamp",
      "AfterEnqueue", "AfterFence", "BeforeWake", "AfterNotify", "Enqueued"};
  return std::string(kNames[static_cast<int>(std::get<0>(info.param))]) +
         (std::get<1>(info.param) == Way::kLog ? "Log" : "Producer");
}

INSTANTIATE_TEST_SUITE_P(
    Steps, LogStallTest,
    testing::Combine(testing::Values(AppendStep::kBorrowed, AppendStep::kAdmitted,
                                     AppendStep::kCopied, AppendStep::kBeforeStamp,
                                     AppendStep::kAfterStamp, AppendStep::kAfterEnqueue,
                                     AppendStep::kBeforeWake, AppendStep::kAfterNotify,
                                     AppendStep::kEnqueued),
                     testing::Values(Way::kLog, Way::kProducer)),
    StallName);

// --- Flush ------------------------------------------------------------------------

TEST(LogConcurrencyTest, FlushCoversAppendsOfOtherThreads) {
  constexpr uint64_t kRounds = kUnderSanitizer ? 200 : 2000;
  TempDirectory temp;
  auto log = Log::Open(temp.Sub("log")).value();
  std::atomic<uint64_t> appended{0};
  std::atomic<uint64_t> flushed{0};
  std::thread producer([&] {
    for (uint64_t round = 1; round <= kRounds; ++round) {
      for (int i = 0; i < 3; ++i) ASSERT_TRUE(log->Append("x", kBuffered).ok());
      appended.store(3 * round, std::memory_order_release);
      appended.notify_one();
      for (uint64_t f; (f = flushed.load(std::memory_order_acquire)) < round;) flushed.wait(f);
    }
  });
  for (uint64_t round = 1; round <= kRounds; ++round) {
    for (uint64_t a; (a = appended.load(std::memory_order_acquire)) < 3 * round;) appended.wait(a);
    ASSERT_TRUE(log->Flush().ok());
    ASSERT_EQ(log->last_durable(), 3 * round);
    flushed.store(round, std::memory_order_release);
    flushed.notify_one();
  }
  producer.join();
}

// --- Conservation -----------------------------------------------------------------

struct Tag {
  uint32_t thread;
  uint32_t index;
};

TEST(LogConcurrencyTest, EveryAcceptedRecordIsThereOnceInItsProducersOrder) {
  constexpr uint32_t kThreads = 8;
  constexpr uint32_t kRecords = kUnderSanitizer ? 500 : 5000;
  TempDirectory temp;
  Options options;
  options.queue_records = 256;
  options.queue_bytes = 256 << 10;
  options.segment_bytes = 256 << 10;
  auto log = Log::Open(temp.Sub("log"), options).value();
  // What each append, in its own way, was told about its number.
  std::vector<std::vector<SequenceNumber>> told(kThreads, std::vector<SequenceNumber>(kRecords));
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Appender appender(log.get(), t % 2 == 0 ? Way::kLog : Way::kProducer);
      std::mt19937_64 random(t);
      const std::string padding(20000, static_cast<char>(t));
      for (uint32_t i = 0; i < kRecords; ++i) {
        const std::string payload = Encode(Tag{t, i});
        AppendOptions append_options;
        append_options.durability = static_cast<Durability>(random() % 3);
        // Sizes up to what fits in no chunk that producers share.
        append_options.key =
            std::string_view(padding).substr(0, random() % (i % 50 == 0 ? 20000 : 200));
        if (random() % 4 == 0) {
          SequenceNumber* number = &told[t][i];
          ASSERT_TRUE(
              log->AppendAsync(payload, append_options, [number](auto s) { *number = s.value(); })
                  .ok());
        } else {
          told[t][i] = appender.Append(payload, append_options).value();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(log->Close().ok());
  EXPECT_GT(log->stats().rotations, 3u);
  log = nullptr;
  std::vector<uint32_t> next(kThreads, 0);
  ForEachRecord(temp.Sub("log"), [&](const Record& record) {
    const Tag tag = Decode<Tag>(record.payload);
    ASSERT_LT(tag.thread, kThreads);
    EXPECT_EQ(tag.index, next[tag.thread]++);
    for (char c : *record.key) ASSERT_EQ(c, static_cast<char>(tag.thread));
    const SequenceNumber number = told[tag.thread][tag.index];
    EXPECT_TRUE(number == kNoSequence || number == record.sequence);
  });
  for (uint32_t t = 0; t < kThreads; ++t) EXPECT_EQ(next[t], kRecords) << t;
}

TEST(LogConcurrencyTest, ProducersAreCountedAndReused) {
  TempDirectory temp;
  auto log = Log::Open(temp.Sub("log")).value();
  std::vector<std::unique_ptr<Producer>> producers;
  absl::Status status;
  while (status.ok() && producers.size() <= 5000) {
    auto producer = log->NewProducer();
    status = producer.status();
    if (producer.ok()) producers.push_back(std::move(*producer));
  }
  EXPECT_EQ(producers.size(), 4096u);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(absl::IsResourceExhausted(log->Append("no lane left").status()));
  EXPECT_TRUE(producers[4000]->Append("x").ok());
  producers.pop_back();
  EXPECT_TRUE(log->Append("x").ok());
  for (int i = 0; i < 10000; ++i) ASSERT_TRUE(log->NewProducer().ok());
}

}  // namespace
}  // namespace millrace
