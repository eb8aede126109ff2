// Goal: a log is a good guest in its process: its threads are named and take no
// signals, a forked child cannot harm it, and at rest it takes little memory and
// disk.
// Method: /proc, fork, and the sizes that the kernel reports.

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/temp_directory.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

struct ThreadInfo {
  std::string name;
  std::string blocked_signals;  // hexadecimal
};

std::vector<ThreadInfo> LogThreads() {
  std::vector<ThreadInfo> threads;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    ThreadInfo info;
    std::ifstream(task.path() / "comm") >> info.name;
    if (!info.name.starts_with("millrace")) continue;
    std::ifstream status(task.path() / "status");
    for (std::string word; status >> word;) {
      if (word == "SigBlk:") status >> info.blocked_signals;
    }
    threads.push_back(info);
  }
  return threads;
}

class LogProcessTest : public testing::Test {
 protected:
  void Open() { log_ = Log::Open(temp_.Sub("log"), options_).value(); }

  // Runs `body` in a forked child; returns its exit code, or -1 if it died otherwise.
  template <class Body>
  int InChild(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  TempDirectory temp_;
  Options options_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogProcessTest, ThreadsAreNamedAndBlockAllSignals) {
  options_.segment_bytes = options_.initial_segment_bytes = 8192;
  Open();
  ASSERT_TRUE(log_->AppendAsync("x", {}, [](auto) {}).ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(log_->Append(std::string(1000, 'x')).ok());
  std::vector<std::string> names;
  for (const ThreadInfo& thread : LogThreads()) {
    names.push_back(thread.name);
    // All 64 but KILL (9), STOP (19), and 32 and 33, which are the C library's own.
    EXPECT_EQ(thread.blocked_signals, "fffffffe7ffbfeff") << thread.name;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names,
            (std::vector<std::string>{"millrace-calls", "millrace-prep", "millrace-writer"}));
}

TEST_F(LogProcessTest, OnlyTheWriterRunsUntilMoreIsNeeded) {
  Open();
  ASSERT_TRUE(log_->Append("x").ok());
  EXPECT_EQ(LogThreads().size(), 1u);
}

TEST_F(LogProcessTest, ForkedChildIsRefusedAndHarmsNothing) {
  Open();
  auto producer = log_->NewProducer().value();
  ASSERT_EQ(producer->Append("before").value(), 1u);
  auto cursor = log_->OpenCursor("reader", {.checkpoint_records = 100}).value();
  ASSERT_EQ(cursor->Next().value().record.payload, "before");
  ASSERT_TRUE(cursor->Commit(1).ok());
  Ticket done = log_->AppendAsync("ticket").value();
  ASSERT_EQ(done.Wait().value(), 2u);
  const std::vector<NewRecord> batch(2);
  const int failed_check = InChild([&] {
    if (!absl::IsFailedPrecondition(log_->Append("child").status())) return 1;
    if (!absl::IsFailedPrecondition(producer->Append("child").status())) return 2;
    if (!absl::IsFailedPrecondition(log_->AppendAsync("child", {}, [](auto) {}))) return 3;
    if (!absl::IsFailedPrecondition(log_->Flush())) return 4;
    if (!absl::IsFailedPrecondition(log_->TrimBefore(1))) return 5;
    if (!absl::IsFailedPrecondition(log_->NewProducer().status())) return 6;
    if (!absl::IsFailedPrecondition(log_->OpenCursor("c").status())) return 7;
    if (!absl::IsFailedPrecondition(log_->Close())) return 8;
    if (!absl::IsFailedPrecondition(cursor->Next().status())) return 9;
    if (!absl::IsFailedPrecondition(cursor->Checkpoint())) return 10;
    if (!absl::IsFailedPrecondition(log_->TryAppend("child").status())) return 11;
    if (!absl::IsFailedPrecondition(log_->AppendBatch(batch).status())) return 12;
    if (!absl::IsFailedPrecondition(log_->AppendBatchAsync(batch).status())) return 13;
    if (!absl::IsFailedPrecondition(log_->AppendAsync("child").status())) return 14;
    if (!absl::IsFailedPrecondition(producer->WaitForAll())) return 15;
    if (!absl::IsFailedPrecondition(log_->WaitDurable(2))) return 16;
    if (!absl::IsFailedPrecondition(log_->TruncateAfter(0))) return 17;
    if (!absl::IsFailedPrecondition(done.Wait().status())) return 18;
    if (done.Withdraw()) return 19;
    const AppendOptions in_time = {.timeout = absl::Seconds(1)};
    if (!absl::IsFailedPrecondition(log_->Append("child", in_time).status())) return 20;
    // Without the locks, which a thread that is not there may hold.
    if (log_->stats().accepted != 0 || !log_->ListCursors().empty()) return 21;
    // The destructors of what belongs to the parent do nothing.
    cursor.reset();
    log_.reset();
    producer.reset();
    const Ticket dropped(std::move(done));
    return 0;
  });
  EXPECT_EQ(failed_check, 0);
  EXPECT_EQ(cursor->checkpointed(), 0u);
  EXPECT_TRUE(cursor->Checkpoint().ok());
  EXPECT_EQ(done.Wait().value(), 2u);
  EXPECT_EQ(producer->Append("after").value(), 3u);
  EXPECT_TRUE(log_->Close().ok());
}

TEST_F(LogProcessTest, ChildForkedInACallbackMayDestroyTheLog) {
  Open();
  std::promise<int> failed_check;
  ASSERT_TRUE(log_->AppendAsync("x", {},
                                [&](auto) {
                                  failed_check.set_value(InChild([&] {
                                    log_.reset();
                                    return 0;
                                  }));
                                })
                  .ok());
  EXPECT_EQ(failed_check.get_future().get(), 0);
  EXPECT_TRUE(log_->Close().ok());
}

TEST_F(LogProcessTest, ForkedChildCannotDecideAPendingTicket) {
  Open();
  std::vector<Ticket> tickets;
  for (int i = 0; i < 100; ++i) tickets.push_back(log_->AppendAsync("x").value());
  const int failed_check = InChild([&] {
    for (Ticket& ticket : tickets) {
      if (ticket.Withdraw()) return 1;
      if (!absl::IsFailedPrecondition(ticket.Wait().status())) return 2;
    }
    tickets.clear();
    return 0;
  });
  EXPECT_EQ(failed_check, 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(tickets[i].Wait().value(), i + 1u);
}

uint64_t ResidentBytes() {
  uint64_t pages = 0;
  std::ifstream file("/proc/self/statm");
  file >> pages >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t DiskBytes(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    struct stat info;
    EXPECT_EQ(stat(entry.path().c_str(), &info), 0);
    bytes += static_cast<uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

TEST_F(LogProcessTest, NewLogTakesLittleMemoryAndDisk) {
  if (kUnderSanitizer) GTEST_SKIP() << "a sanitizer's own memory is not the log's";
  constexpr int kLogs = 8;
  Open();  // what is paid once
  std::vector<std::unique_ptr<Log>> logs;
  const uint64_t before = ResidentBytes();
  for (int i = 0; i < kLogs; ++i) {
    const std::string directory = temp_.Sub("log" + std::to_string(i));
    logs.push_back(Log::Open(directory).value());
    ASSERT_TRUE(logs.back()->Append("x").ok());
    EXPECT_LT(DiskBytes(directory), uint64_t{1} << 20);
  }
  EXPECT_LT((ResidentBytes() - before) / kLogs, uint64_t{1} << 20);
}

}  // namespace
}  // namespace millrace
