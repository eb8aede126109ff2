// Goal: while the disk is full a log holds what it accepted, in its order, says so, and goes on by
// itself once there is space; nothing accepted fails by it, and whoever waits can give up.
// Method: a log over the simulated disk whose segments refuse writes with ENOSPC until told
// otherwise. Also what a failed sync looks like from outside: an event, and no error.

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/recording_listener.h"

namespace millrace {
namespace {

constexpr AppendOptions kBuffered = {.durability = Durability::kBuffered};

class LogDiskFullTest : public testing::Test {
 protected:
  LogDiskFullTest() {
    options_.file_system = &disk_;
    options_.idle_mark_delay = absl::Hours(1);
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
    options_.event_listener = listener_;
  }
  void Open() { log_ = Log::Open("/log", options_).value(); }
  void Fill() {
    disk_.AddRule(
        {.op = FileOp::kWrite, .error = ENOSPC, .name = "*.seg", .count = SimRule::kForever});
  }
  // An append that has found the disk full.
  Ticket Held(const std::string& payload = "held") {
    Ticket ticket = log_->AppendAsync(payload).value();
    while (!log_->stats().disk_full) std::this_thread::yield();
    return ticket;
  }
  std::vector<std::string> Payloads() {
    std::vector<std::string> payloads;
    auto cursor = log_->OpenCursor("reader").value();
    for (auto entry = cursor->Next(absl::ZeroDuration()); entry.ok();
         entry = cursor->Next(absl::ZeroDuration())) {
      payloads.emplace_back(entry->record.payload);
    }
    return payloads;
  }

  SimFileSystem disk_{SimOptions{.seed = 1}};
  std::shared_ptr<RecordingListener> listener_ = std::make_shared<RecordingListener>();
  Options options_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogDiskFullTest, AcceptedRecordsAreHeldAndGoOnByThemselves) {
  Open();
  ASSERT_TRUE(log_->Append("before").ok());
  Fill();
  Ticket held = Held();
  // Accepted behind it, as long as the queue has room.
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(log_->Append(std::to_string(i), kBuffered).ok());
  EXPECT_FALSE(held.Done());
  EXPECT_EQ(log_->last_durable(), 1u);
  disk_.ClearRules();
  EXPECT_EQ(held.Wait().value(), 2u);
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_FALSE(log_->stats().disk_full);
  EXPECT_EQ(log_->stats().failed, 0u);
  EXPECT_EQ(Payloads(), (std::vector<std::string>{"before", "held", "0", "1", "2", "3", "4"}));
  ASSERT_TRUE(log_->Close().ok());
  ASSERT_EQ(listener_->Named("disk_full").size(), 1u);
  EXPECT_NE(listener_->Named("disk_full")[0].fields.at("error").find("ENOSPC"), std::string::npos);
  EXPECT_EQ(listener_->Named("disk_full_over").size(), 1u);
  EXPECT_TRUE(listener_->Named("log_failed").empty());
}

TEST_F(LogDiskFullTest, DeadlinesHoldMeanwhile) {
  Open();
  Fill();
  Ticket held = Held();
  // Not begun with: it is taken back.
  const absl::Status late = log_->Append("late", {.timeout = absl::Milliseconds(30)}).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_FALSE(MayHaveBeenAppended(late)) << late;
  // Begun with: it may be written yet.
  const absl::Status begun = held.Wait(absl::Milliseconds(30)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(begun)) << begun;
  EXPECT_TRUE(MayHaveBeenAppended(begun)) << begun;
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_->Flush({.timeout = absl::Milliseconds(10)})));
  disk_.ClearRules();
  EXPECT_EQ(held.Wait().value(), 1u);
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_EQ(Payloads(), std::vector<std::string>{"held"});
}

TEST_F(LogDiskFullTest, NewAppendsMeetTheFullQueue) {
  options_.queue_records = 64;
  Open();
  Fill();
  Ticket held = Held();
  const AppendOptions fail = {.durability = Durability::kBuffered, .when_full = WhenFull::kFail};
  int accepted = 0;
  absl::Status status;
  while ((status = log_->Append("x", fail).status()).ok()) ++accepted;
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_GT(accepted, 0);
  disk_.ClearRules();
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_EQ(Payloads().size(), 1u + accepted);
  const LogStats stats = log_->stats();
  EXPECT_EQ(stats.accepted, stats.acknowledged);
}

TEST_F(LogDiskFullTest, NewAppendsAreRefusedAtOnceByOption) {
  options_.when_disk_full = WhenDiskFull::kRefuse;
  Open();
  Fill();
  Ticket held = Held();
  const absl::Status refused = log_->Append("new").status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_FALSE(MayHaveBeenAppended(refused));
  disk_.ClearRules();
  EXPECT_EQ(held.Wait().value(), 1u);
  while (log_->stats().disk_full) std::this_thread::yield();
  EXPECT_EQ(log_->Append("new").value(), 2u);
}

TEST_F(LogDiskFullTest, TrimmingWorksMeanwhileAndMakesSpace) {
  Open();
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(log_->Append(std::string(1000, 'x')).ok());
  uint64_t bytes = 0;
  for (const std::string& name : disk_.FileNames("/log")) {
    bytes += disk_.ReadFileBytes("/log/" + name)->size();
  }
  disk_.SetCapacity(bytes);
  std::vector<Ticket> tickets;
  while (!log_->stats().disk_full) {
    ASSERT_LT(tickets.size(), 100u);
    tickets.push_back(log_->AppendAsync(std::string(1000, 'y')).value());
    tickets.back().Wait(absl::Milliseconds(20)).IgnoreError();
  }
  ASSERT_TRUE(log_->TrimBefore(log_->last_durable()).ok());
  for (Ticket& ticket : tickets) EXPECT_TRUE(ticket.Wait().ok());
  EXPECT_GT(log_->first_retained(), 1u);
}

TEST_F(LogDiskFullTest, CloseWaitsForSpaceUpToItsTimeout) {
  Open();
  Fill();
  Ticket held = Held();
  const absl::Status status = log_->Close(absl::Milliseconds(30));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  disk_.ClearRules();
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_EQ(held.Wait().value(), 1u);
}

TEST_F(LogDiskFullTest, DestructorDoesNotWaitForSpace) {
  Open();
  Fill();
  Ticket held = Held();
  log_ = nullptr;
  const absl::Status status = held.Wait().status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_NE(status.message().find("ENOSPC"), absl::string_view::npos) << status;
}

TEST_F(LogDiskFullTest, RotationWithoutDescriptorsIsHeldOut) {
  Open();
  disk_.AddRule(
      {.op = FileOp::kCreate, .error = EMFILE, .name = "*.seg", .count = SimRule::kForever});
  std::vector<Ticket> tickets;
  while (!log_->stats().disk_full) {
    ASSERT_LT(tickets.size(), 100u);
    tickets.push_back(log_->AppendAsync(std::string(1000, 'y')).value());
    tickets.back().Wait(absl::Milliseconds(20)).IgnoreError();
  }
  disk_.ClearRules();
  for (Ticket& ticket : tickets) EXPECT_TRUE(ticket.Wait().ok());
}

TEST_F(LogDiskFullTest, FailedSyncIsAnEventAndNoError) {
  Open();
  ASSERT_TRUE(log_->Append("one").ok());
  disk_.AddRule(
      {.op = FileOp::kSync, .action = SimRule::Action::kLosePages, .error = EIO, .name = "*.seg"});
  EXPECT_EQ(log_->Append("two").value(), 2u);
  EXPECT_EQ(log_->Append("three").value(), 3u);
  EXPECT_EQ(log_->stats().fail_overs, 1u);
  EXPECT_EQ(Payloads(), (std::vector<std::string>{"one", "two", "three"}));
  ASSERT_TRUE(log_->Close().ok());
  const auto events = listener_->Named("failed_over");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].fields.at("last"), "2");
  EXPECT_NE(events[0].fields.at("error").find("EIO"), std::string::npos);
  EXPECT_TRUE(listener_->Named("data_loss_risk").empty());
}

// Readers at work while segments are given up under them.
TEST_F(LogDiskFullTest, CursorsReadOnThroughFailOvers) {
  Open();
  auto cursor = log_->OpenCursor("tail").value();
  for (int i = 0; i < 40; ++i) {
    if (i % 3 == 0) {
      disk_.AddRule({.op = i % 2 == 0 ? FileOp::kSync : FileOp::kWrite,
                     .action = i % 2 == 0 ? SimRule::Action::kLosePages : SimRule::Action::kFail,
                     .error = EIO,
                     .name = "*.seg"});
    }
    const std::string payload = std::to_string(i) + std::string(500, '.');
    ASSERT_TRUE(log_->Append(payload).ok());
    auto entry = cursor->Next();
    ASSERT_TRUE(entry.ok()) << entry.status();
    ASSERT_EQ(entry->kind, Entry::Kind::kRecord);
    EXPECT_EQ(entry->record.payload, payload);
  }
  EXPECT_GT(log_->stats().fail_overs, 10u);
}

// The records that are logged again are not shown again.
TEST_F(LogDiskFullTest, ReadersOutsideReadOnThroughFailOvers) {
  Open();
  ASSERT_TRUE(log_->Append("0").ok());
  auto reader =
      LogReader::Open("/log", {.file_system = &disk_, .limit = LogReaderOptions::Limit::kReadable})
          .value();
  std::vector<std::string> shown;
  for (int i = 1; i <= 30; ++i) {
    if (i % 4 == 0) {
      disk_.AddRule({.op = FileOp::kSync,
                     .action = SimRule::Action::kLosePages,
                     .error = EIO,
                     .name = "*.seg"});
    }
    ASSERT_TRUE(log_->Append(std::to_string(i)).ok());
    ASSERT_TRUE(reader->Refresh().ok());
    for (auto entry = reader->Next(); entry.ok(); entry = reader->Next()) {
      ASSERT_EQ(entry->kind, Entry::Kind::kRecord) << entry->lost.ToString();
      shown.emplace_back(entry->record.payload);
    }
  }
  std::vector<std::string> all;
  for (int i = 0; i <= 30; ++i) all.push_back(std::to_string(i));
  EXPECT_EQ(shown, all);
  EXPECT_GT(log_->stats().fail_overs, 5u);
}

}  // namespace
}  // namespace millrace
