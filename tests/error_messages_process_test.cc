// Goal: whoever has a log in a process that cannot carry it (no thread, no memory, a forked child)
// learns so, and what to do about it.
// Method: this program defines pthread_create itself, and lets it fail; a child of it bounds its
// memory; another one uses the log of its parent.

#include <dlfcn.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/error_row.h"
#include "tests/temp_directory.h"

namespace {

std::atomic<bool> refuse{false};

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* argument) {
  using Function = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static auto* const real = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, "pthread_create"));
  return refuse ? EAGAIN : real(thread, attributes, body, argument);
}

namespace millrace {
namespace {

using Code = absl::StatusCode;

class ErrorMessagesProcessTest : public testing::Test {
 protected:
  // Runs `body` in a forked child; returns its status.
  static absl::Status InChild(const std::function<absl::Status()>& body) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      const absl::Status status = body();
      const std::string text(status.message());
      const ssize_t written = write(ends[1], text.data(), text.size());
      _exit(written == static_cast<ssize_t>(text.size()) ? static_cast<int>(status.code()) : 99);
    }
    close(ends[1]);
    std::string text;
    char bytes[512];
    for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;) text.append(bytes, got);
    close(ends[0]);
    int result = 0;
    EXPECT_EQ(waitpid(child, &result, 0), child);
    EXPECT_TRUE(WIFEXITED(result));
    return absl::Status(static_cast<Code>(WEXITSTATUS(result)), text);
  }

  TempDirectory temp_;
  const std::string path_ = temp_.Sub("log");
};

TEST_F(ErrorMessagesProcessTest, AThreadThatCannotBeHadIsNamed) {
  refuse = true;
  const absl::Status status = Log::Open(path_).status();
  refuse = false;
  ExpectError(status, Code::kResourceExhausted,
              {"log " + path_ + ": cannot start the thread millrace-writer",
               "Resource temporarily unavailable; raise the limit on threads, or free memory"});
}

TEST_F(ErrorMessagesProcessTest, MemoryThatCannotBeHadIsBlamedOnTheOptionsOfTheQueue) {
  const absl::Status status = InChild([&] {
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_AS, &none);
    Options options;
    options.queue_records = 1 << 22;
    return Log::Open(path_, options).status();
  });
  ExpectError(status, Code::kResourceExhausted,
              {"log " + path_ +
               ": out of memory: free some, or lower Options::queue_records = "
               "4194304 and queue_bytes = 16777216"});
}

TEST_F(ErrorMessagesProcessTest, AForkedChildIsToldWhoseTheLogIs) {
  const std::unique_ptr<Log> log = Log::Open(path_).value();
  const auto producer = log->NewProducer().value();
  const auto cursor = log->OpenCursor("c").value();
  Ticket ticket = log->AppendAsync("x").value();
  ASSERT_TRUE(log->Flush().ok());
  ASSERT_TRUE(cursor->Next().ok());
  const std::string of_log = "log " + path_ +
                             " was opened by the process that this one was forked from, and is "
                             "that one's: open it after the fork";
  const std::string of_cursor =
      "cursor c was opened by the process that this one was forked from, and is that one's: open "
      "the log after the fork";
  const auto in_child = [&](std::function<absl::Status()> call, const std::string& says) {
    return ErrorRow{[call] { return InChild(call); }, Code::kFailedPrecondition, {says}};
  };
  ExpectErrors({
      in_child([&] { return log->Append("x").status(); }, of_log),
      in_child([&] { return log->AppendAsync("x", {}, [](auto) {}); }, of_log),
      in_child([&] { return log->AppendAsync("x").status(); }, of_log),
      in_child([&] { return ticket.Wait().status(); }, of_log),
      in_child([&] { return log->Flush(); }, of_log),
      in_child([&] { return log->WaitDurable(1); }, of_log),
      in_child([&] { return log->NewProducer().status(); }, of_log),
      in_child([&] { return log->OpenCursor("d").status(); }, of_log),
      in_child([&] { return log->DeleteCursor("d"); }, of_log),
      in_child([&] { return log->CheckpointCursors(); }, of_log),
      in_child([&] { return log->TrimBefore(1); }, of_log),
      in_child([&] { return log->TruncateAfter(0); }, of_log),
      in_child([&] { return log->Close(); }, of_log),
      in_child([&] { return producer->WaitForAll(); }, of_log),
      in_child([&] { return cursor->Next().status(); }, of_cursor),
      in_child([&] { return cursor->Peek(1).status(); }, of_cursor),
      in_child([&] { return cursor->Seek(1); }, of_cursor),
      in_child([&] { return cursor->SeekToTime(absl::InfinitePast()); }, of_cursor),
      in_child([&] { return cursor->Rewind(); }, of_cursor),
      in_child([&] { return cursor->Reset(1); }, of_cursor),
      in_child([&] { return cursor->Commit(1); }, of_cursor),
      in_child([&] { return cursor->Checkpoint(); }, of_cursor),
      in_child([&] { return cursor->Lag().status(); }, of_cursor),
  });
}

}  // namespace
}  // namespace millrace
