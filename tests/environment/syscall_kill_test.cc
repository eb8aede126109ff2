// Goal: a process may die before any of its system calls that change files, and what its log had
// acknowledged is there; so for one generation after the other on the same log.
// Method: strace kills a writer (RunSyscallKillChild) as it enters its N-th call of one kind, for
// each kind and each N until the writer comes to its end. What it was told stands in a mapped file
// outside of the log. After each kill the log is read from outside and held against that, and the
// next writer goes on on the same log, through that much of recovery. By default every 4th N,
// beginning at the seed; MILLRACE_STRIDE=1 is all. MILLRACE_SEED repeats.

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/environment/syscall_kill_child.h"
#include "tests/kill_test_check.h"
#include "tests/kill_test_oracle.h"
#include "tests/temp_directory.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

// Those by which the log changes files; and opening, since a file may be made by it.
constexpr const char* kCalls[] = {"pwritev",   "fdatasync", "fsync",    "fallocate",
                                  "ftruncate", "renameat",  "unlinkat", "openat"};
constexpr uint32_t kMostCalls = 400;  // of one kind in one run

uint64_t seed;
uint32_t stride = kUnderSanitizer ? 16 : 4;

std::string OwnProgram() {
  char path[PATH_MAX];
  const ssize_t bytes = readlink("/proc/self/exe", path, sizeof path);
  return {path, static_cast<size_t>(bytes > 0 ? bytes : 0)};
}

int RunProgram(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = -1;
  if (posix_spawnp(&child, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return -1;
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

// To the next call at which to kill: the first few one by one, some kinds have no more.
uint32_t Step(const std::string& call, uint32_t last) {
  if (stride == 1 || last < 3) return 1;
  const uint32_t step = call == "openat" ? 8 * stride : stride;  // most of them read
  return last == 3 ? 1 + seed % step : step;
}

bool StraceWorks() {
  return RunProgram({"strace", "-f", "-qq", "-o", "/dev/null", "-e",
                     "inject=getpid:signal=SIGKILL:when=1", "true"}) == 0;
}

class SyscallKillTest : public testing::Test {
 protected:
  // Runs the next writer, killed as it enters its `n`-th `call`; true if it was.
  bool Kill(const std::string& call, uint32_t n) {
    ++generation_;
    const int status = RunProgram(
        {"strace", "-f", "-qq", "-o", "/dev/null", "-e", absl::StrCat("trace=", call), "-e",
         absl::StrCat("inject=", call, ":signal=SIGKILL:when=", n), OwnProgram(), "--child", log_,
         directory_.Sub("oracle"), absl::StrCat(seed), absl::StrCat(generation_)});
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    EXPECT_TRUE(killed || status == 0) << call << " " << n << ": wait status " << status;
    const KillCheck check = CheckLog(log_, *oracle_, seed);
    EXPECT_TRUE(check.verdict.ok())
        << "killed at " << call << " " << n << ": " << check.verdict.ToString();
    lost_ += check.verdict.lost_acknowledged;
    invented_ += check.verdict.invented;
    if (killed) ++kills_;
    return killed;
  }

  uint64_t acknowledged() const {
    uint64_t acknowledged = 0;
    for (const ProducerHistory& history : Histories(*oracle_)) {
      for (uint64_t i = 0; i < history.issued; ++i) {
        if (history.acknowledged[i] != kNoSequence) ++acknowledged;
      }
    }
    return acknowledged;
  }

  const TempDirectory directory_;
  const std::string log_ = directory_.Sub("log");
  KillOracle* const oracle_ = MapKillOracle(directory_.Sub("oracle"));
  uint32_t generation_ = 0;
  uint64_t kills_ = 0;
  uint64_t lost_ = 0;
  uint64_t invented_ = 0;
};

TEST_F(SyscallKillTest, KeepsWhatWasAcknowledgedAtEveryCall) {
  if (!StraceWorks()) GTEST_SKIP() << "strace is not installed, or may not trace here";
  for (const std::string call : kCalls) {
    uint32_t n = 1;
    uint32_t last = 0;
    while (n < kMostCalls && !HasFailure() && Kill(call, n))
      n += Step(call, std::exchange(last, n));
    std::printf("%s: killed up to call %u\n", call.c_str(), last);
    ASSERT_LT(n, kMostCalls) << "the writer is too long, or never ends";
    if (HasFailure()) break;
  }
  EXPECT_GT(kills_, 100u / stride);
  std::printf(
      "RELIABILITY target=syscall_kill_test seed=%llu states=%llu acked=%llu "
      "lost_acked=%llu invented=%llu silent=%llu hangs=0\n",
      static_cast<unsigned long long>(seed), static_cast<unsigned long long>(kills_),
      static_cast<unsigned long long>(acknowledged()), static_cast<unsigned long long>(lost_),
      static_cast<unsigned long long>(invented_), static_cast<unsigned long long>(lost_));
}

uint64_t NumberFrom(const char* text) { return std::strtoull(text, nullptr, 10); }

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  using millrace::NumberFrom;
  if (argc == 6 && std::string_view(argv[1]) == "--child") {
    millrace::RunSyscallKillChild({.directory = argv[2],
                                   .oracle = argv[3],
                                   .seed = NumberFrom(argv[4]),
                                   .generation = static_cast<uint32_t>(NumberFrom(argv[5]))});
  }
  testing::InitGoogleTest(&argc, argv);
  millrace::seed =
      static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  if (const char* text = std::getenv("MILLRACE_SEED")) millrace::seed = NumberFrom(text);
  if (const char* text = std::getenv("MILLRACE_STRIDE")) {
    millrace::stride = static_cast<uint32_t>(NumberFrom(text));
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(millrace::seed));
  return RUN_ALL_TESTS();
}
