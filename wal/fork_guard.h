#ifndef MILLRACE_WAL_FORK_GUARD_H_
#define MILLRACE_WAL_FORK_GUARD_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>

namespace millrace {

// Knows, for the price of a load, whether this process was forked from the one
// that made the guard. A log's threads do not exist in such a child, and its
// files belong to the parent.
//
// Thread-safe.
class ForkGuard {
 public:
  ForkGuard();
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
  ~ForkGuard();

  bool Forked() const {
    // relaxed: written before the guard is shared; a child's copy is its own.
    if (alive_ != nullptr) return alive_->load(std::memory_order_relaxed) == 0;
    return OtherProcess();
  }

 private:
  bool OtherProcess() const;

  // In a page of its own that the kernel gives to children as zeros; null on
  // kernels that cannot (before 4.14), where process ids are compared.
  std::atomic<uint32_t>* alive_ = nullptr;
  const pid_t owner_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_FORK_GUARD_H_
