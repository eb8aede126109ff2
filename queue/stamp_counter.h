#ifndef MILLRACE_QUEUE_STAMP_COUNTER_H_
#define MILLRACE_QUEUE_STAMP_COUNTER_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "queue/atomics.h"
#include "queue/cache_line.h"
#include "queue/sabotage.h"
#include "queue/wait_strategy.h"

namespace millrace {

// The counter from which producers draw stamps, and in which the consumer says that it sleeps. So a
// producer learns it with its stamp, and needs neither a fence nor a look at another word.
//
// Who drew a stamp before the consumer said so does not know. But they can be counted: once as many
// elements were found as stamps were drawn, whoever comes draws a later one, and will wake the
// consumer. Until then a producer is between its stamp and its enqueue, stopped there perhaps, and
// the consumer looks again now and then.
//
// Sleep() belongs to one thread, the consumer; the rest is thread-safe. tests/model explores it.
template <class Atomics>
class StampCounter {
 public:
  struct Drawn {
    uint64_t stamp;        // from 1 on
    bool consumer_sleeps;  // WakeConsumer() is to be called once the element can be found
  };

  Drawn Draw() {
    // acq_rel: chains the stamps, so that what happened before a smaller stamp is visible to
    // whoever sees a larger one; pairs with itself in other producers and with the scan in
    // CausalQueue::Drain().
    const uint64_t drawn = word_.fetch_add(1, Atomics::Orders::kStamp);
    return {drawn & ~kAsleepBit, (drawn & kAsleepBit) != 0};
  }

  void WakeConsumer() { sleeper_.Wake(); }

  // The stamp that was drawn last will have no element.
  void GiveUp() {
    // relaxed: a count; a consumer that sleeps by another one is told now.
    unused_.fetch_add(1, std::memory_order_relaxed);
    sleeper_.Notify();
  }

  // Makes the present or else the next Sleep() return.
  void Notify() { sleeper_.Notify(); }

  // True if a stamp above `stamp` was drawn. A hint, while the consumer is awake.
  bool DrewAbove(uint64_t stamp) const {
    // relaxed: see above.
    return word_.load(std::memory_order_relaxed) > stamp + 1;
  }

  // Sleeps until `find()` finds an element, or whoever enqueued one says so, or Notify(), or
  // `deadline`. `found`: how many were found before, in all. Returns false only for the deadline.
  template <class Find>
  bool Sleep(Find find, uint64_t found, Deadline deadline) {
    if (!sleeper_.Begin()) return true;
    // relaxed: whoever raises it notifies afterwards, whichever count is read here: one that is too
    // high, of a stamp drawn after the bit, is corrected by the wake-up.
    const uint64_t unused = unused_.load(std::memory_order_relaxed);
    // relaxed: each stamp is drawn either before or after the bit is set, in the counter's own
    // order. Those of found elements were drawn before, as finding them shows. And whoever sees the
    // bit was not told to End() an earlier sleep: what that acquired (kAwaken, of kNotify) was
    // drawn before this, too. So his call ends this sleep.
    const uint64_t drawn = word_.fetch_or(kAsleepBit, std::memory_order_relaxed) - 1;
    bool found_one = false;
    bool in_time = true;
    std::chrono::microseconds patience = kLeastPatience;
    while (!(found_one = find()) && in_time && !sleeper_.Told()) {
      if (found + unused == drawn || MILLRACE_SABOTAGE(forgotten_stamp)) {
        in_time = sleeper_.Await(deadline);
        break;
      }
      in_time = sleeper_.AwaitAtMost(patience, deadline);
      patience = std::min(2 * patience, kMostPatience);
    }
    // relaxed: who sees the bit still makes a needless call.
    word_.fetch_and(~kAsleepBit, std::memory_order_relaxed);
    return sleeper_.End() || found_one;
  }

 private:
  static constexpr uint64_t kAsleepBit = uint64_t{1} << 63;

  // How long the consumer sleeps at a time while an element is on its way that nobody will tell of.
  // It is found so much later, unless somebody else enqueues one.
  static constexpr std::chrono::microseconds kLeastPatience{20};
  static constexpr std::chrono::microseconds kMostPatience{1000};

  // Written by every producer: the next stamp, and whether the consumer sleeps.
  alignas(kCacheLineBytes) typename Atomics::template Atomic<uint64_t> word_{1};
  // Written around a sleep.
  alignas(kCacheLineBytes) Sleeper<Atomics> sleeper_;
  // Written by producers without memory.
  typename Atomics::template Atomic<uint64_t> unused_{0};
};

}  // namespace millrace

#endif  // MILLRACE_QUEUE_STAMP_COUNTER_H_
