// Goal: a ticket yields what its append came to, however late it is asked, can be waited on
// with a deadline, taken back, dropped, moved, and kept beyond the log.
// Method: a log over the simulated disk whose writer is held; then threads that do all of it at
// random, and the log's content compared with what they were told.

#include "millrace/ticket.h"

#include <atomic>
#include <map>
#include <memory>
#include <optional>
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

namespace millrace {
namespace {

constexpr Durability kAll[] = {Durability::kBuffered, Durability::kWritten, Durability::kDurable};

using TicketTest = HeldLogTest;

TEST_F(TicketTest, YieldsTheNumberForEveryDurability) {
  Open();
  auto producer = log_->NewProducer().value();
  SequenceNumber s = 0;
  for (Durability durability : kAll) {
    const Ticket by_log = log_->AppendAsync("x", {.durability = durability}).value();
    EXPECT_EQ(by_log.Wait().value(), ++s);
    const Ticket by_producer = producer->AppendAsync("x", {.durability = durability}).value();
    EXPECT_EQ(by_producer.Wait().value(), ++s);
    EXPECT_TRUE(by_producer.Done());
    EXPECT_EQ(by_producer.Wait(absl::ZeroDuration()).value(), s);
    EXPECT_GE(log_->last_written(), s);
  }
  EXPECT_EQ(log_->last_durable(), s);
}

TEST_F(TicketTest, WaitEndsAtItsDeadlineAndTheAppendGoesOn) {
  Open();
  HoldWriter();
  const Ticket ticket = log_->AppendAsync("x").value();
  EXPECT_FALSE(ticket.Done());
  for (absl::Duration timeout : {absl::Milliseconds(10), absl::ZeroDuration(), absl::Seconds(-1)}) {
    const absl::Status status = ticket.Wait(timeout).status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    EXPECT_TRUE(Names(status, "log /log: ")) << status;
    EXPECT_TRUE(MayHaveBeenAppended(status));
  }
  ReleaseWriter();
  EXPECT_EQ(ticket.Wait().value(), 2u);
}

TEST_F(TicketTest, SleepingHolderIsWoken) {
  Open();
  HoldWriter();
  const Ticket ticket = log_->AppendAsync("x").value();
  std::thread holder([&] { EXPECT_EQ(ticket.Wait().value(), 2u); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ReleaseWriter();
  holder.join();
}

TEST_F(TicketTest, DroppedTicketLeavesTheAppendAlone) {
  Open();
  HoldWriter();
  log_->AppendAsync("before its end").value();
  ReleaseWriter();
  {
    const Ticket ticket = log_->AppendAsync("after its end").value();
    EXPECT_TRUE(ticket.Wait().ok());
  }
  EXPECT_EQ(Reread(), (std::vector<std::string>{"before its end", "after its end"}));
}

TEST_F(TicketTest, WithdrawnAppendIsNotInTheLogAndUsesNoNumber) {
  Open();
  HoldWriter();
  std::vector<Ticket> withdrawn;
  for (Durability durability : kAll) {
    withdrawn.push_back(log_->AppendAsync("withdrawn", {.durability = durability}).value());
    ASSERT_TRUE(withdrawn.back().Withdraw());
    EXPECT_TRUE(withdrawn.back().Withdraw());
    EXPECT_TRUE(withdrawn.back().Done());
  }
  withdrawn.push_back(log_->AppendBatchAsync(std::vector<NewRecord>(5)).value());
  EXPECT_TRUE(withdrawn.back().Withdraw());
  EXPECT_EQ(log_->stats().withdrawn, 8u);
  const Ticket kept = log_->AppendAsync("kept").value();
  ReleaseWriter();
  EXPECT_EQ(kept.Wait().value(), 2u);
  for (const Ticket& ticket : withdrawn) {
    const absl::Status status = ticket.Wait().status();
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
    EXPECT_TRUE(Names(status, "log /log: ")) << status;
    EXPECT_FALSE(MayHaveBeenAppended(status));
  }
  const LogStats stats = log_->stats();
  EXPECT_EQ(stats.accepted, 10u);
  EXPECT_EQ(stats.acknowledged, 2u);
  EXPECT_EQ(stats.failed, 8u);
  EXPECT_EQ(stats.pending, 0u);
  EXPECT_EQ(stats.records, 2u);
  EXPECT_EQ(Reread(), (std::vector<std::string>{"kept"}));
}

TEST_F(TicketTest, WithdrawnAppendGivesItsSpaceBackWhenTheWriterMeetsIt) {
  options_.queue_records = 64;
  Open();
  HoldWriter();
  for (int i = 0; i < 63; ++i) EXPECT_TRUE(log_->AppendAsync("x").value().Withdraw());
  EXPECT_TRUE(absl::IsResourceExhausted(log_->TryAppend("full").status()));
  ReleaseWriter();
  EXPECT_TRUE(Eventually([&] { return log_->stats().queue_records == 0; }));
  EXPECT_EQ(Reread(), std::vector<std::string>());
}

TEST_F(TicketTest, NothingIsWithdrawnThatTheWriterHasBegun) {
  Open();
  Ticket done = log_->AppendAsync("done").value();
  EXPECT_TRUE(done.Wait().ok());
  EXPECT_FALSE(done.Withdraw());
  EXPECT_EQ(done.Wait().value(), 1u);
  held_op_ = FileOp::kSync;
  open_ = false;
  Ticket begun = log_->AppendAsync("begun").value();
  arrived_.wait(false);
  EXPECT_FALSE(begun.Withdraw());
  EXPECT_FALSE(begun.Done());
  ReleaseWriter();
  EXPECT_EQ(begun.Wait().value(), 2u);
  EXPECT_EQ(log_->stats().withdrawn, 0u);
}

TEST_F(TicketTest, MovesAndIsAssigned) {
  Open();
  Ticket a = log_->AppendAsync("a").value();
  Ticket b = log_->AppendAsync("b").value();
  Ticket c(std::move(a));
  EXPECT_EQ(c.Wait().value(), 1u);
  c = std::move(b);
  EXPECT_EQ(c.Wait().value(), 2u);
  a = std::move(c);
  Ticket& self = a;
  a = std::move(self);
  EXPECT_EQ(a.Wait().value(), 2u);
}

TEST_F(TicketTest, OutlivesTheLog) {
  Open();
  HoldWriter();
  const Ticket pending = log_->AppendAsync("pending").value();
  Ticket withdrawn = log_->AppendAsync("withdrawn").value();
  ASSERT_TRUE(withdrawn.Withdraw());
  std::thread holder([&] { EXPECT_EQ(pending.Wait().value(), 2u); });
  std::thread closer([&] { log_ = nullptr; });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ReleaseWriter();
  closer.join();
  holder.join();
  EXPECT_EQ(pending.Wait().value(), 2u);
  EXPECT_TRUE(absl::IsCancelled(withdrawn.Wait().status()));
}

TEST_F(TicketTest, FailureOfTheLogResolvesEveryTicket) {
  Open();
  HoldWriter();
  std::vector<Ticket> tickets;
  for (int i = 0; i < 10; ++i) tickets.push_back(log_->AppendAsync("lost").value());
  ASSERT_TRUE(tickets[0].Withdraw());
  FailSegments(FileOp::kWrite);
  ReleaseWriter();
  for (int i = 1; i < 10; ++i) {
    const absl::Status status = tickets[i].Wait().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_TRUE(MayHaveBeenAppended(status));
    EXPECT_FALSE(tickets[i].Withdraw());
  }
  EXPECT_TRUE(absl::IsCancelled(tickets[0].Wait().status()));
  EXPECT_FALSE(log_->Close().ok());
  const LogStats stats = log_->stats();
  EXPECT_EQ(stats.accepted, 11u);
  EXPECT_EQ(stats.failed, 11u);
  EXPECT_EQ(stats.withdrawn, 1u);
  EXPECT_EQ(stats.pending, 0u);
}

TEST_F(TicketTest, ManyAreHeldAtOnce) {
  constexpr SequenceNumber kTickets = 20000;
  Open();
  std::vector<Ticket> tickets;
  for (SequenceNumber s = 1; s <= kTickets; ++s) {
    tickets.push_back(log_->AppendAsync("x", {.durability = Durability::kWritten}).value());
  }
  for (SequenceNumber s = 1; s <= kTickets; ++s) ASSERT_EQ(tickets[s - 1].Wait().value(), s);
}

// What every thread was told is what the log holds.
TEST_F(TicketTest, EveryTicketTellsTheTruth) {
  constexpr int kThreads = 6;
  constexpr int kAppends = kUnderSanitizer ? 1000 : 8000;
  options_.queue_records = 256;
  Open();
  std::vector<std::map<std::string, std::optional<SequenceNumber>>> told(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::vector<std::pair<std::string, Ticket>> held;
      auto settle = [&](std::pair<std::string, Ticket>& one) {
        const auto result = one.second.Wait();
        if (result.ok()) {
          told[t][one.first] = *result;
        } else {
          ASSERT_TRUE(absl::IsCancelled(result.status())) << result.status();
          told[t][one.first] = kNoSequence;
        }
      };
      for (int i = 0; i < kAppends; ++i) {
        std::string name = std::to_string(t) + ":" + std::to_string(i);
        Ticket ticket = log_->AppendAsync(name, {.durability = kAll[random() % 3]}).value();
        switch (random() % 4) {
          case 0:
            if (ticket.Withdraw()) told[t][name] = kNoSequence;
            break;  // dropped, done or not
          case 1:
            ticket.Wait(absl::Microseconds(random() % 50)).status().IgnoreError();
            [[fallthrough]];
          default:
            held.emplace_back(std::move(name), std::move(ticket));
        }
        if (held.size() > random() % 100) {
          settle(held.back());
          held.pop_back();
        }
      }
      for (auto& one : held) settle(one);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const LogStats stats = log_->stats();
  EXPECT_EQ(stats.accepted, static_cast<uint64_t>(kThreads) * kAppends);
  std::map<std::string, SequenceNumber> found;
  SequenceNumber s = 0;
  for (const std::string& payload : Reread()) found[payload] = ++s;
  EXPECT_EQ(found.size() + stats.withdrawn, stats.accepted);
  for (const auto& of_thread : told) {
    for (const auto& [name, number] : of_thread) {
      const auto it = found.find(name);
      EXPECT_EQ(*number, it == found.end() ? kNoSequence : it->second) << name;
    }
  }
}

}  // namespace
}  // namespace millrace
