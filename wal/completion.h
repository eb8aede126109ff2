#ifndef MILLRACE_WAL_COMPLETION_H_
#define MILLRACE_WAL_COMPLETION_H_

#include <atomic>
#include <cstdint>

#include "millrace/sequence.h"
#include "wal/completion_gates.h"

namespace millrace {

// How one thread waits for one result of the writer thread.
//
//   completion.Begin(&gates);
//   ... hand it over ...
//   SequenceNumber s = completion.Await();
//
// Reused for one call after another.
class Completion {
 public:
  // Makes it ready for one round. The hand-over publishes it. `gates` outlives the writer.
  void Begin(CompletionGates* gates) {
    gates_ = gates;
    gate_ = gates->current();
    // relaxed: no other thread looks until the hand-over.
    word_.store(kPending, std::memory_order_relaxed);
  }

  // Waits for Finish() and returns what it was given.
  SequenceNumber Await() {
    // No spinning: a write is the least that is waited for, and the writer may need this processor.
    // In a crowd the others do.
    if (Finished()) return result_;
    if (gates_->YieldUntil([this] { return Finished(); })) return result_;
    uint32_t seen = kPending;
    // relaxed, both: announces a sleeper in the word itself; the result is acquired below.
    word_.compare_exchange_strong(seen, kAsleep, std::memory_order_relaxed,
                                  std::memory_order_relaxed);
    gates_->Await(gate_, [this] { return Finished(); });
    return result_;
  }

  // Ends the round, and tells which gate must be opened for the waiter: none if it is awake.
  // After this it may be gone.
  [[nodiscard]] CompletionGates::Mask Set(SequenceNumber result) {
    const CompletionGates::Mask gate = CompletionGates::Mask{1} << gate_;
    result_ = result;
    // release: publishes the result and all that the writer did before; pairs with acquire in
    // Finished().
    return word_.exchange(kDone, std::memory_order_release) == kAsleep ? gate : 0;
  }
  // Set(), and opens that gate.
  void Finish(SequenceNumber result) {
    CompletionGates* const gates = gates_;
    gates->Open(Set(result));
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
  uint32_t gate_ = 0;
  SequenceNumber result_ = kNoSequence;
  CompletionGates* gates_ = nullptr;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_COMPLETION_H_
