// Goal: whoever gets an error from an append, a ticket, a flush, a truncation or a close can act on
// it without reading our source.
// Method: rows of what provokes each error and what it must say, over a log whose writer is held.

#include <cstdint>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/event_listener.h"
#include "millrace/log.h"
#include "tests/error_row.h"
#include "tests/held_log.h"

namespace millrace {
namespace {

using Code = absl::StatusCode;

constexpr AppendOptions kDrop = {.durability = Durability::kBuffered,
                                 .when_full = WhenFull::kDropNewest};

class ErrorMessagesAppendTest : public HeldLogTest {
 protected:
  void OpenSmall() {
    options_.queue_records = 64;
    options_.queue_bytes = 65536;
    options_.segment_bytes = options_.initial_segment_bytes = 65536;
    Open();
  }
  // A batch of records that hold `bytes` each.
  absl::Status AppendBatchOf(size_t count, size_t bytes = 1, const AppendOptions& options = {}) {
    const std::string payload(bytes, 'x');
    std::vector<NewRecord> records(count);
    for (NewRecord& record : records) record.payload = payload;
    return log_->AppendBatch(records, options).status();
  }
  absl::Status AppendWith(const AppendOptions& options) {
    return log_->Append("x", options).status();
  }
};

TEST_F(ErrorMessagesAppendTest, OptionsOfACallNameFieldValueAndWhatToUse) {
  Open();
  const Attribute attributes[] = {{"name", "value"}};
  ExpectErrors({
      {[&] { return AppendWith({.durability = static_cast<Durability>(7)}); },
       Code::kInvalidArgument,
       {"log /log", "AppendOptions::durability is 7", "use one of the enumerators"}},
      {[&] { return AppendWith({.when_full = static_cast<WhenFull>(9)}); },
       Code::kInvalidArgument,
       {"log /log", "AppendOptions::when_full is 9", "use one of the enumerators"}},
      {[&] { return AppendWith({.when_full = WhenFull::kDropNewest}); },
       Code::kInvalidArgument,
       {"log /log", "AppendOptions::when_full is kDropNewest, and durability is not kBuffered",
        "use kFail, or Durability::kBuffered"}},
      {[&] { return log_->Flush({.durability = static_cast<Durability>(8)}); },
       Code::kInvalidArgument,
       {"log /log", "FlushOptions::durability is 8", "use one of the enumerators"}},
      {[&] { return log_->Flush({.durability = Durability::kBuffered}); },
       Code::kInvalidArgument,
       {"log /log", "FlushOptions::durability is kBuffered", "use kWritten or kDurable"}},
      {[&] { return AppendBatchOf(1, 1, {.key = "k"}); },
       Code::kInvalidArgument,
       {"log /log", "AppendOptions::key and attributes are set for a batch", "NewRecord::key"}},
      {[&] { return AppendBatchOf(1, 1, {.attributes = attributes}); },
       Code::kInvalidArgument,
       {"log /log", "AppendOptions::key and attributes are set for a batch", "NewRecord::key"}},
      {[&] { return AppendBatchOf(0); },
       Code::kInvalidArgument,
       {"log /log", "a batch of 0 records: give it at least 1"}},
      {[&] { return AppendBatchOf(log_->max_batch_records() + 1); },
       Code::kInvalidArgument,
       {"log /log", "a batch of 16385 records is over the limit of 16384",
        "a quarter of Options::queue_records = 65536 sets: split the batch or raise that option"}},
  });
}

TEST_F(ErrorMessagesAppendTest, WhatIsTooLargeNamesTheOptionThatBoundsIt) {
  OpenSmall();
  const uint64_t most = log_->max_payload_bytes();
  ExpectErrors({
      {[&] { return log_->Append(std::string(most + 1, 'x')).status(); },
       Code::kInvalidArgument,
       {"log /log: a record of " + std::to_string(most + 1) + " bytes (payload, key and attributes",
        "is over the limit of " + std::to_string(most),
        "a quarter of Options::queue_bytes = 65536 sets",
        ": split the record or raise that option"}},
      {[&] { return AppendBatchOf(2, most); },
       Code::kInvalidArgument,
       {"log /log: a batch of 2 records and " + std::to_string(2 * most + 8) + " bytes",
        ", and 4 for each record", "is over the limit of " + std::to_string(most),
        ": split the batch or raise that option"}},
  });
}

TEST_F(ErrorMessagesAppendTest, TheFormatBoundsABatchToo) {
  options_.queue_records = 1 << 22;
  Open();
  EXPECT_EQ(log_->max_batch_records(), 65535u);
  ExpectError(AppendBatchOf(65536), Code::kInvalidArgument,
              {"log /log: a batch of 65536 records is over the limit of 65535",
               "the format sets: split the batch"});
}

TEST_F(ErrorMessagesAppendTest, AProducerThatAloneIsFullIsToldWhatHelps) {
  Open();
  HoldWriter();
  absl::Status status;
  int accepted = 0;
  for (; status.ok() && accepted < 10'000; ++accepted) {
    status = AppendWith({.durability = Durability::kBuffered, .when_full = WhenFull::kFail});
  }
  EXPECT_GE(accepted, 1024);
  ExpectError(status, Code::kResourceExhausted,
              {"as many records of this thread or Producer wait for the writer as one may have",
               " records of 65536", "try again later, or append from several threads"});
  ExpectError(AppendWith({.timeout = absl::Milliseconds(2)}), Code::kDeadlineExceeded,
              {"as many records of this thread", "wait longer, or append from several threads"});
  ReleaseWriter();
}

TEST_F(ErrorMessagesAppendTest, AFullQueueNamesDepthLimitsAndOptions) {
  OpenSmall();
  HoldWriter();
  FillQueue();
  const std::vector<std::string> full = {"log /log: the queue is full: it holds ", " records of 64",
                                         "Options::queue_records", " bytes of 65536 (queue_bytes)"};
  const auto with = [&](std::vector<std::string> says) {
    says.insert(says.end(), full.begin(), full.end());
    return says;
  };
  ExpectErrors({
      {[&] { return log_->TryAppend("x").status(); }, Code::kResourceExhausted,
       with({"the append does not wait (WhenFull::kFail): try again later, or raise them"})},
      {[&] { return AppendWith({.timeout = absl::Milliseconds(2)}); }, Code::kDeadlineExceeded,
       with({"no space came within 2ms (AppendOptions::timeout)", "wait longer, or raise them"})},
      {[&] { return log_->AppendAsync("x", kDrop).value().Wait().status(); },
       Code::kResourceExhausted,
       {"log /log: the queue was full, and the append was dropped (WhenFull::kDropNewest): raise",
        "Options::queue_records = 64", "queue_bytes = 65536"}},
  });
  absl::Status told;
  ASSERT_TRUE(log_->AppendAsync("x", kDrop, [&](auto result) { told = result.status(); }).ok());
  ReleaseWriter();
  ASSERT_TRUE(log_->Close().ok());
  ExpectError(told, Code::kResourceExhausted, {"log /log", "the append was dropped", "raise"});
}

TEST_F(ErrorMessagesAppendTest, ACallbackThatMeetsAFullQueueIsToldToUseAnotherThread) {
  OpenSmall();
  HoldWriter(FileOp::kSync);
  absl::Status refused;
  std::latch done{1};
  ASSERT_TRUE(log_->AppendAsync("x", {.durability = Durability::kBuffered},
                                [&](auto) {
                                  // Each holds space until its callback has run, which is behind
                                  // this one.
                                  do {
                                    refused =
                                        log_->AppendAsync(std::string(10000, 'x'), {}, [](auto) {});
                                  } while (refused.ok());
                                  done.count_down();
                                })
                  .ok());
  ReleaseWriter();
  done.wait();
  ASSERT_TRUE(log_->Close().ok());
  ExpectError(refused, Code::kResourceExhausted,
              {"log /log: the queue is full: it holds ", "an append from a callback does not wait",
               "append from another thread"});
}

TEST_F(ErrorMessagesAppendTest, ADeadlineSaysWhetherTheRecordMayBeInTheLog) {
  Open();
  HoldWriter(FileOp::kSync);
  const AppendOptions brief = {.timeout = absl::Milliseconds(2)};
  ExpectErrors({
      {[&] { return AppendWith(brief); },
       Code::kDeadlineExceeded,
       {"log /log: not done within 2ms (AppendOptions::timeout), and withdrawn: it is not in the "
        "log; append it again"}},
      {[&] { return log_->AppendAsync("x").value().Wait(absl::Milliseconds(3)).status(); },
       Code::kDeadlineExceeded,
       {"log /log: the append is not done after 3ms; it goes on: wait again"}},
      {[&] {
         Ticket ticket = log_->AppendAsync("x").value();
         EXPECT_TRUE(ticket.Withdraw());
         return ticket.Wait().status();
       },
       Code::kCancelled,
       {"log /log: the append was withdrawn: it is not in the log",
        "append it again if it is wanted"}},
      {[&] { return log_->Flush({.timeout = absl::Milliseconds(2)}); },
       Code::kDeadlineExceeded,
       {"log /log: not flushed within 2ms (FlushOptions::timeout); it goes on: flush again"}},
      {[&] { return log_->WaitDurable(4, absl::Milliseconds(2)); },
       Code::kDeadlineExceeded,
       {"log /log: record 4 is not durable after 2ms, only those up to 0 are; flush to make it "
        "so"}},
      {[&] { return log_->Close(absl::Milliseconds(2)); },
       Code::kDeadlineExceeded,
       {"log /log is still closing after 2ms: ", "appends and flushes are under way; call Close"}},
  });
}

TEST_F(ErrorMessagesAppendTest, ADeadlineBehindTheWritersBackSaysSo) {
  Open();
  // The writer is held with this very append.
  held_op_ = FileOp::kSync;
  open_ = false;
  ExpectError(AppendWith({.timeout = absl::Milliseconds(200)}), Code::kDeadlineExceeded,
              {"log /log: not done within 200ms (AppendOptions::timeout), but the writer has begun "
               "with it: it may be in the log; read the log before it is appended again"});
}

TEST_F(ErrorMessagesAppendTest, TooManyFlushesSayHowManyThereAre) {
  options_.queue_records = 64;
  Open();
  HoldWriter();
  absl::Status status;
  while (absl::IsDeadlineExceeded(status = log_->Flush({.timeout = absl::ZeroDuration()}))) {
  }
  ExpectError(status, Code::kResourceExhausted,
              {"log /log: 32769 records, flushes and dropped callbacks are under way, which is the "
               "most: wait for some"});
}

TEST_F(ErrorMessagesAppendTest, TruncatingAndTrimmingNameNumberAndBounds) {
  Open();
  ASSERT_TRUE(AppendBatchOf(5).ok());
  auto cursor = log_->OpenCursor("slow").value();
  ExpectErrors({
      {[&] { return log_->TruncateAfter(9); },
       Code::kOutOfRange,
       {"log /log: cannot truncate after record 9: choose one from 0 (drops all) to 5 (drops"}},
      {[&] { return log_->TruncateAfter(3); },
       Code::kInvalidArgument,
       {"log /log: cannot truncate after record 3: it is inside the batch of records 1 to 5",
        "truncate after 0 or 5"}},
      {[&] { return log_->TrimBefore(8); },
       Code::kOutOfRange,
       {"log /log: cannot trim before 8: only records up to 5 are durable; flush first, or trim"}},
      {[&] { return log_->TrimBefore(3); },
       Code::kFailedPrecondition,
       {"log /log: cannot trim before 3: cursor slow has durably committed only up to 0",
        "let it commit and checkpoint, trim less, or use TrimMode::kForce"}},
  });
}

// --- Closing --------------------------------------------------------------------------

class ClosingListener : public EventListener {
 public:
  void OnEvent(const Event& event) override {
    if (event.name != "truncated") return;
    tried_ = log_->Close();
    reached_.count_down();
    going_on_.wait();
  }
  Log* log_ = nullptr;
  absl::Status tried_;
  std::latch reached_{1}, going_on_{1};
};

TEST_F(ErrorMessagesAppendTest, ClosingInACallbackOrBehindOneSaysWhatToDo) {
  Open();
  std::latch reached{1}, going_on{1};
  absl::Status inside;
  ASSERT_TRUE(log_->AppendAsync("x", {},
                                [&](auto) {
                                  inside = log_->Close();
                                  reached.count_down();
                                  going_on.wait();
                                })
                  .ok());
  reached.wait();
  ExpectError(inside, Code::kFailedPrecondition,
              {"log /log: closing waits for callbacks to end", "close it in another thread"});
  ExpectError(log_->Close(absl::Milliseconds(50)), Code::kDeadlineExceeded,
              {"log /log: a callback has not returned after 50ms; call Close again"});
  going_on.count_down();
  EXPECT_TRUE(log_->Close().ok());
}

TEST_F(ErrorMessagesAppendTest, ClosingInTheListenerOrBehindItSaysWhatToDo) {
  auto listener = std::make_shared<ClosingListener>();
  options_.event_listener = listener;
  Open();
  listener->log_ = log_.get();
  ASSERT_TRUE(log_->Append("x").ok());
  ASSERT_TRUE(log_->TruncateAfter(0).ok());
  listener->reached_.wait();
  ExpectError(listener->tried_, Code::kFailedPrecondition,
              {"log /log: closing waits for the event listener", "close it in another thread"});
  ExpectError(log_->Close(absl::Milliseconds(50)), Code::kDeadlineExceeded,
              {"log /log: the event listener has not returned after 50ms; call Close again"});
  listener->going_on_.count_down();
  EXPECT_TRUE(log_->Close().ok());
}

}  // namespace
}  // namespace millrace
