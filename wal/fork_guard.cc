#include "wal/fork_guard.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace millrace {
namespace {

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

ForkGuard::ForkGuard() : owner_(getpid()) {
  void* page =
      mmap(nullptr, PageBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (madvise(page, PageBytes(), MADV_WIPEONFORK) != 0) {
    munmap(page, PageBytes());
    return;
  }
  alive_ = new (page) std::atomic<uint32_t>(1);
}

ForkGuard::~ForkGuard() {
  if (alive_ != nullptr) munmap(alive_, PageBytes());
}

bool ForkGuard::OtherProcess() const { return getpid() != owner_; }

}  // namespace millrace
