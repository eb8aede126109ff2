#ifndef MILLRACE_QUEUE_WAIT_STRATEGY_H_
#define MILLRACE_QUEUE_WAIT_STRATEGY_H_

#include <chrono>
#include <cstdint>

#include "queue/atomics.h"
#include "queue/sabotage.h"

namespace millrace {

// How one thread sleeps until any other has work or news for it. A thread with work pays a fence
// and a load while the sleeper is awake, a system call only when it sleeps.
//
// Sleep(), or Begin(), Await() and End(), belong to one thread; the rest is thread-safe.
template <class Atomics>
class Sleeper {
 public:
  // Sleeps until WakeIfAsleep() or Notify(), or until `deadline`. `find_work` looks for work once
  // after the sleeper has announced itself; it is what makes WakeIfAsleep() safe, so it must find
  // all work that was visible before. Returns true if there was work or a wake-up.
  template <class FindWork>
  bool Sleep(FindWork find_work, Deadline deadline) {
    if (!Begin()) return true;
    // seq_cst: the flag is up before the search; pairs with the fence in WakeIfAsleep().
    Atomics::Fence(Atomics::Orders::kSleeperFence);
    const bool found = find_work();
    if (!found) Await(deadline);
    return End() || found;
  }

  // Announces that the caller is about to sleep; End() follows. False: it was notified, and there
  // is nothing to end.
  bool Begin() {
    uint32_t state = kAwake;
    // relaxed: whoever looks for a sleeper is ordered by the fence in Sleep(), or by the word in
    // which the caller says next that it sleeps.
    if (word_.compare_exchange_strong(state, kAsleep, std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
      return true;
    }
    // acquire: shows what the notifier did before; pairs with Notify().
    word_.exchange(kAwake, Atomics::Orders::kAwaken);
    return false;
  }

  // True once it was woken or notified.
  bool Told() const {
    // relaxed: only decides whether to sleep on; End() acquires.
    return word_.load(std::memory_order_relaxed) != kAsleep;
  }

  // Waits until Told(). False if `deadline` comes first.
  bool Await(Deadline deadline) {
    while (!Told()) {
      if (!Atomics::Wait(word_, kAsleep, deadline)) return false;
    }
    return true;
  }

  // The same for `longest` at most, and true then, too.
  bool AwaitAtMost(std::chrono::microseconds longest, Deadline deadline) {
    return Told() || Atomics::WaitAtMost(word_, kAsleep, longest, deadline);
  }

  // Returns true if it was woken or notified.
  bool End() {
    // acquire: shows what the notifier did before; pairs with Notify() and Wake().
    return word_.exchange(kAwake, Atomics::Orders::kAwaken) == kNotified;
  }

  // Call after work was made visible: wakes the sleeper unless its own search is sure to find it.
  void WakeIfAsleep() {
    // seq_cst: the work is visible before the flag is read; pairs with the fence in Sleep().
    Atomics::Fence(Atomics::Orders::kWorkerFence);
    // relaxed: ordered by the fence above; nothing is read through the flag.
    if (word_.load(std::memory_order_relaxed) != kAwake) Wake();
  }

  // For whoever knows that the sleeper had begun to sleep.
  void Wake() {
    if (MILLRACE_SABOTAGE(lost_wake_up)) return;
    Atomics::Step(EnqueueStep::kBeforeWake);
    // Everybody who finds the sleeper not yet awake makes the system call: whoever notified it
    // first may have been stopped before his own.
    // release: as in Notify().
    word_.exchange(kNotified, Atomics::Orders::kNotify);
    Atomics::Step(EnqueueStep::kAfterNotify);
    Atomics::WakeOne(word_);
  }

  // Makes the present or else the next Sleep() return, for news that its search does not see.
  void Notify() {
    // release: passes on what the caller did before; pairs with acquire in End(). Who finds the
    // sleeper awake needs no system call: it looks at the word before it sleeps.
    if (word_.exchange(kNotified, Atomics::Orders::kNotify) != kAwake) Atomics::WakeOne(word_);
  }

 private:
  static constexpr uint32_t kAwake = 0;
  static constexpr uint32_t kAsleep = 1;
  static constexpr uint32_t kNotified = 2;

  typename Atomics::template Atomic<uint32_t> word_{kAwake};
};

// How any number of threads wait until some condition holds that other threads bring about. A
// thread that changes the condition pays a fence and a load while nobody waits.
//
// Thread-safe.
template <class Atomics>
class Waiters {
 public:
  // Waits until `ready()` returns true. Returns false if `deadline` passes first.
  template <class Ready>
  bool Await(Ready ready, Deadline deadline) {
    for (int i = 0; i < Atomics::kSpins; ++i) {
      if (ready()) return true;
      Atomics::Relax();
    }
    // relaxed: the fence below orders it before the look at the condition; pairs with Notify().
    count_.fetch_add(1, std::memory_order_relaxed);
    bool is_ready = false;
    bool in_time = true;
    while (true) {
      // relaxed: the fences here and in Notify() order it against the condition.
      uint32_t round = round_.load(std::memory_order_relaxed);
      // seq_cst: count_ is raised before the condition is read; pairs with Notify().
      Atomics::Fence(Atomics::Orders::kWaiterFence);
      is_ready = ready();
      if (is_ready || !in_time) break;
      in_time = Atomics::Wait(round_, round, deadline);
    }
    // relaxed: a notifier that still sees this waiter makes one needless call.
    count_.fetch_sub(1, std::memory_order_relaxed);
    return is_ready;
  }

  // Call after a change that may make a condition true.
  void Notify() {
    // seq_cst: the change is visible before count_ is read; pairs with the fence in Await().
    Atomics::Fence(Atomics::Orders::kGiverFence);
    // relaxed: ordered by the fence above; nothing is read through it.
    if (count_.load(std::memory_order_relaxed) == 0) return;
    // relaxed: the fence above already orders the change before it.
    round_.fetch_add(1, std::memory_order_relaxed);
    Atomics::WakeAll(round_);
  }

 private:
  typename Atomics::template Atomic<uint32_t> count_{0};
  typename Atomics::template Atomic<uint32_t> round_{0};
};

}  // namespace millrace

#endif  // MILLRACE_QUEUE_WAIT_STRATEGY_H_
