#ifndef MILLRACE_WAL_COMPLETION_H_
#define MILLRACE_WAL_COMPLETION_H_

#include <atomic>
#include <cstdint>

#include "millrace/sequence.h"
#include "queue/atomics.h"

namespace millrace {

// How one thread waits for one result of the writer thread.
//
//   completion.Begin();
//   ... hand it over ...
//   SequenceNumber s = completion.Await();
//
// Reused for one call after another. Its memory outlives the writer thread's
// last Finish(): that may still name its address, to the kernel only, after
// Await() has returned.
class Completion {
 public:
  // Makes it ready for one round. The hand-over publishes it.
  void Begin() {
    // relaxed: no other thread looks until the hand-over.
    word_.store(kPending, std::memory_order_relaxed);
  }

  // Waits for Finish() and returns what it was given.
  SequenceNumber Await() {
    // No spinning: a write is the least that is waited for, and the writer may need this processor.
    if (Finished()) return result_;
    uint32_t seen = kPending;
    // relaxed, both: announces a sleeper in the word itself; the result is acquired below.
    word_.compare_exchange_strong(seen, kAsleep, std::memory_order_relaxed,
                                  std::memory_order_relaxed);
    while (!Finished()) StdAtomics::Wait(word_, kAsleep, kNoDeadline);
    return result_;
  }

  // Ends the round. After this the waiter may be gone.
  void Finish(SequenceNumber result) {
    result_ = result;
    // release: publishes the result and all that the writer did before; pairs with acquire in
    // Finished().
    if (word_.exchange(kDone, std::memory_order_release) == kAsleep) StdAtomics::WakeOne(word_);
  }

 private:
  static constexpr uint32_t kPending = 0;
  static constexpr uint32_t kAsleep = 1;
  static constexpr uint32_t kDone = 2;

  bool Finished() const {
    // acquire: shows the result; pairs with release in Finish().
    return word_.load(std::memory_order_acquire) == kDone;
  }

  std::atomic<uint32_t> word_{kDone};
  SequenceNumber result_ = kNoSequence;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_COMPLETION_H_
