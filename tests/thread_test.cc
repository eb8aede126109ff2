// Goal: the log's threads take no signal, can be told from others, and one that cannot be started
// says which and why.
// Method: what the kernel says of the thread; a child without room for another stack.

#include "wal/thread.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(ThreadTest, RunsItsBodyUnderItsNameUntilJoined) {
  Thread thread;
  std::string name;
  ASSERT_TRUE(thread
                  .Start("millrace-fiftee",
                         [&] {
                           char text[16] = {};
                           pthread_getname_np(pthread_self(), text, sizeof text);
                           name = text;
                         })
                  .ok());
  EXPECT_TRUE(thread.started());
  thread.Join();
  EXPECT_FALSE(thread.started());
  EXPECT_EQ(name, "millrace-fiftee");
}

TEST(ThreadTest, BlocksEverySignalAndLeavesItsCreatorsMaskAlone) {
  sigset_t before;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
  Thread thread;
  sigset_t inside;
  sigemptyset(&inside);
  ASSERT_TRUE(thread.Start("blocks", [&] { pthread_sigmask(SIG_SETMASK, nullptr, &inside); }).ok());
  thread.Join();
  sigset_t after;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
  for (const int signal : {SIGINT, SIGTERM, SIGALRM, SIGCHLD, SIGUSR1, SIGXFSZ, SIGRTMIN}) {
    EXPECT_EQ(sigismember(&inside, signal), 1) << signal;
    EXPECT_EQ(sigismember(&after, signal), sigismember(&before, signal)) << signal;
  }
}

TEST(ThreadTest, CanBeStartedAgainOnceJoined) {
  Thread thread;
  int runs = 0;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(thread.Start("again", [&] { ++runs; }).ok());
    thread.Join();
  }
  EXPECT_EQ(runs, 3);
}

TEST(ThreadTest, JoinWithoutStartIsNothing) {
  Thread thread;
  thread.Join();
  EXPECT_FALSE(thread.started());
}

TEST(ThreadTest, FailureToStartNamesTheThreadAndTheReason) {
  const pid_t child = fork();
  if (child == 0) {
    // No new mapping, so no new stack; the C library keeps a few old ones.
    const rlimit none = {0, 0};
    if (setrlimit(RLIMIT_AS, &none) != 0) _exit(1);
    std::array<Thread, 64> threads;
    absl::Status status;
    for (size_t i = 0; i < threads.size() && status.ok(); ++i) {
      status = threads[i].Start("millrace-writer", [] { pause(); });
      if (threads[i].started() != status.ok()) _exit(2);
    }
    if (status.code() != absl::StatusCode::kResourceExhausted) _exit(3);
    if (status.message() !=
        "cannot start the thread millrace-writer: Resource temporarily unavailable; raise the "
        "limit on threads, or free memory") {
      _exit(4);
    }
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    _exit(sigismember(&mask, SIGTERM) == 0 ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(ThreadDeathTest, MisuseIsCaught) {
  EXPECT_DEATH(
      {
        Thread thread;
        (void)thread.Start("a name of 16 byt", [] {});
      },
      "check failed");
  EXPECT_DEATH(
      {
        Thread thread;
        (void)thread.Start("twice", [] {});
        (void)thread.Start("twice", [] {});
      },
      "check failed");
  EXPECT_DEATH(
      {
        Thread thread;
        (void)thread.Start("not joined", [] {});
      },
      "check failed");
}

}  // namespace
}  // namespace millrace
