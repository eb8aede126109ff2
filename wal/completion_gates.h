#ifndef MILLRACE_WAL_COMPLETION_GATES_H_
#define MILLRACE_WAL_COMPLETION_GATES_H_

#include <sched.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "queue/atomics.h"
#include "queue/cache_line.h"

namespace millrace {

// The words on which threads sleep until their appends are done. Those that begin to wait
// while the same group is gathered share one, so that a single system call wakes them all: one
// for each thread cost as much as the sync that they had waited for.
//
// Thread-safe.
class CompletionGates {
 public:
  // A group is finished while the next one or two gather; with more gates than that nobody is
  // woken for the sake of others.
  static constexpr uint32_t kGates = 4;
  using Mask = uint32_t;  // bit i: gate i

  // So many threads told at once are a crowd.
  static constexpr uint64_t kCrowd = 3;

  // In a crowd each thread yields so often before it sleeps (Options::wait_yields).
  explicit CompletionGates(uint32_t yields = 0) : yields_(yields) {}

  // Before which gate who begins to wait now does so.
  uint32_t current() const {
    // relaxed: any gate will do; which one it is goes to the writer with the append.
    return group_.load(std::memory_order_relaxed) % kGates;
  }

  // The next group begins to gather. One thread only, the writer.
  void BeginGroup() {
    // relaxed: as in current().
    group_.store(group_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  // So many threads are told at once. One thread only, the writer.
  void Told(uint64_t threads) {
    // relaxed: a hint.
    crowded_.store(threads >= kCrowd, std::memory_order_relaxed);
  }

  // What a thread does before it sleeps. In a crowd it lets the others run first, until `done` or
  // for a while: putting a thread to sleep and waking it takes more of a processor than an append.
  // Where no other thread wants the processor that while is some microseconds. True: `done`.
  template <class Done>
  bool YieldUntil(Done done) const {
    // relaxed: as in Told().
    if (!crowded_.load(std::memory_order_relaxed)) return false;
    for (uint32_t i = 0; i < yields_; ++i) {
      sched_yield();
      if (done()) return true;
    }
    return false;
  }

  // Waits before `gate` until `done`, which some thread brings about before it opens the gate.
  template <class Done>
  void Await(uint32_t gate, Done done) {
    std::atomic<uint32_t>& round = gates_[gate].round;
    while (true) {
      // acquire: if the gate was opened, shows what had been done before; pairs with release in
      // Open(). If it is opened only after this, the word differs when the kernel compares it.
      const uint32_t seen = round.load(std::memory_order_acquire);
      if (done()) return;
      StdAtomics::Wait(round, seen, kNoDeadline);
    }
  }

  void Open(Mask mask) {
    for (uint32_t gate = 0; mask != 0; ++gate, mask >>= 1) {
      if ((mask & 1) == 0) continue;
      // release: publishes what was done before; pairs with acquire in Await().
      gates_[gate].round.fetch_add(1, std::memory_order_release);
      StdAtomics::WakeAll(gates_[gate].round);
    }
  }

 private:
  struct alignas(kCacheLineBytes) Gate {
    std::atomic<uint32_t> round{0};
  };

  const uint32_t yields_;
  // Written by the writer once a group.
  alignas(kCacheLineBytes) std::atomic<uint32_t> group_{0};
  std::atomic<bool> crowded_{false};  // as well
  std::array<Gate, kGates> gates_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_COMPLETION_GATES_H_
