// Goal: a forked child is told from the process that made the guard, also where the kernel does not
// know MADV_WIPEONFORK or has no page left, and process ids are compared.
// Method: fork; madvise() replaced; a limit on the address space.

#include "wal/fork_guard.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "gtest/gtest.h"

namespace {

bool old_kernel = false;

}  // namespace

// In place of the C library's.
extern "C" int madvise(void* address, size_t length, int advice) noexcept {
  if (old_kernel && advice == MADV_WIPEONFORK) {
    errno = EINVAL;
    return -1;
  }
  return static_cast<int>(syscall(SYS_madvise, address, length, advice));
}

namespace millrace {
namespace {

int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// 0: only a child counts as forked. Else which of the steps failed.
int TellsAChild() {
  const ForkGuard guard;
  if (guard.Forked()) return 1;
  if (InChild([&] { return guard.Forked() ? 0 : 1; }) != 0) return 2;
  if (InChild([&] { return InChild([&] { return guard.Forked() ? 0 : 1; }); }) != 0) return 3;
  // A guard that the child made is the child's.
  if (InChild([] { return ForkGuard().Forked() ? 1 : 0; }) != 0) return 4;
  return guard.Forked() ? 5 : 0;
}

TEST(ForkGuardTest, TellsEveryDescendantFromItsOwner) { EXPECT_EQ(TellsAChild(), 0); }

TEST(ForkGuardTest, TellsThemOnAKernelThatCannotWipePages) {
  old_kernel = true;
  EXPECT_EQ(TellsAChild(), 0);
  old_kernel = false;
}

TEST(ForkGuardTest, TellsThemWhereThereIsNoPageLeft) {
  const int step = InChild([] {
    rlimit limit = {};
    if (getrlimit(RLIMIT_AS, &limit) != 0) return 5;
    const rlimit none = {0, limit.rlim_max};
    if (setrlimit(RLIMIT_AS, &none) != 0) return 6;
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED) return 7;
    const ForkGuard guard;
    const rlimit enough = {limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_AS, &enough) != 0) return 8;
    if (guard.Forked()) return 9;
    return InChild([&] { return guard.Forked() ? 0 : 10; });
  });
  EXPECT_EQ(step, 0);
}

}  // namespace
}  // namespace millrace
