#ifndef MILLRACE_QUEUE_ATOMICS_H_
#define MILLRACE_QUEUE_ATOMICS_H_

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <ctime>

#include "queue/sabotage.h"

#if defined(__SANITIZE_THREAD__)
#define MILLRACE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MILLRACE_TSAN 1
#endif
#endif

namespace millrace {

// A point in time after which a wait gives up.
using Deadline = std::chrono::steady_clock::time_point;

// Waits with this deadline never give up.
inline constexpr Deadline kNoDeadline = Deadline::max();

// The places inside an enqueue at which a test can hold a producer.
enum class EnqueueStep {
  kBeforeStamp,
  kAfterStamp,
  kAfterEnqueue,
  kBeforeWake,
  kAfterNotify,  // the flag is down, the system call not yet made
};

// The memory orders on which the queue's correctness rests, each with the pair that needs it. They
// have names so that tests/model can weaken them one at a time and show that each is needed; what
// stands at a call as plain `relaxed` was found to need no more.
struct Orders {
  // acq_rel: stamps form one chain, so whoever sees a stamp (through its element) also sees every
  // enqueue that happened before any smaller stamp was drawn. The two-pass drain rests on it.
  static constexpr std::memory_order kStamp = std::memory_order_acq_rel;

  // seq_cst fences, Dekker's protocol: whoever has work makes it visible, fences, looks for a
  // sleeper; the sleeper raises its flag, fences, looks for work. One of the two sees the other.
  static constexpr std::memory_order kWorkerFence = std::memory_order_seq_cst;
  static constexpr std::memory_order kSleeperFence = std::memory_order_seq_cst;

  // release and acquire: what a thread did before it woke a sleeper is visible to that; and the
  // draw of its stamp comes before the next time that the consumer says that it sleeps.
  static MILLRACE_SABOTAGED_CONSTANT std::memory_order kNotify =
      MILLRACE_SABOTAGE(relaxed_notify) ? std::memory_order_relaxed : std::memory_order_release;
  static constexpr std::memory_order kAwaken = std::memory_order_acquire;

  // seq_cst fences, Dekker's protocol again: a giver makes room, fences, looks for waiters; a
  // waiter announces itself, fences, looks for room.
  static constexpr std::memory_order kGiverFence = std::memory_order_seq_cst;
  static constexpr std::memory_order kWaiterFence = std::memory_order_seq_cst;

  // release and acquire: who sees nothing in flight sees all that was done with what was in flight.
  static constexpr std::memory_order kReturn = std::memory_order_release;
  static constexpr std::memory_order kIdle = std::memory_order_acquire;

  // release and acquire: a pooled slot's contents pass from one borrower to the next.
  static constexpr std::memory_order kPoolPush = std::memory_order_release;
  static constexpr std::memory_order kPoolPop = std::memory_order_acquire;
};

// The atomics policy of shipping code: std::atomic and the futex system call. Tests put their own
// in its place, to explore weak memory or to hold a thread at a step.
struct StdAtomics {
  template <class T>
  using Atomic = std::atomic<T>;

  using Orders = millrace::Orders;

  // How often a waiter looks again before it parks. Short: the machine may have few cores, and the
  // one who is waited for needs one of them.
  static constexpr int kSpins = 64;

  static void Fence(std::memory_order order) {
#if defined(__x86_64__) && defined(__clang__) && !defined(MILLRACE_TSAN)
    // Clang emits mfence, twice as slow here as the locked instruction that GCC and Linux use.
    if (order == std::memory_order_seq_cst) {
      asm volatile("lock; orl $0, (%%rsp)" ::: "memory", "cc");
      return;
    }
#endif
    std::atomic_thread_fence(order);
  }

  static void Relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  static void Step(EnqueueStep) {}

  // Sleeps while `word` holds `expected`. Returns false once `deadline` has passed, true otherwise:
  // woken, the word changed, or for no reason.
  static bool Wait(Atomic<uint32_t>& word, uint32_t expected, Deadline deadline) {
    timespec until{};
    timespec* limit = nullptr;
    if (deadline != kNoDeadline) {
      auto since_boot = deadline.time_since_epoch();
      if (since_boot < Deadline::duration::zero())
        return false;  // The kernel refuses negative times.
      auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
      until.tv_sec = static_cast<std::time_t>(seconds.count());
      until.tv_nsec = std::chrono::nanoseconds(since_boot - seconds).count();
      limit = &until;
    }
    // Unlike FUTEX_WAIT, the bitset form takes an absolute time, of CLOCK_MONOTONIC.
    long result = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, expected, limit, nullptr,
                          FUTEX_BITSET_MATCH_ANY);
    return result == 0 || errno != ETIMEDOUT;
  }

  // As Wait(), but for `longest` at most: for what comes by itself, and nobody tells of. True also
  // when that has passed.
  static bool WaitAtMost(Atomic<uint32_t>& word, uint32_t expected,
                         std::chrono::microseconds longest, Deadline deadline) {
    const Deadline until = std::chrono::steady_clock::now() + longest;
    return Wait(word, expected, std::min(until, deadline)) || until < deadline;
  }

  static void WakeOne(Atomic<uint32_t>& word) { Wake(word, 1); }
  static void WakeAll(Atomic<uint32_t>& word) { Wake(word, INT_MAX); }

 private:
  static void Wake(Atomic<uint32_t>& word, int count) {
    static_assert(sizeof(word) == sizeof(uint32_t) && Atomic<uint32_t>::is_always_lock_free);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
  }
};

}  // namespace millrace

#endif  // MILLRACE_QUEUE_ATOMICS_H_
