#include "wal/ticket_cell.h"

namespace millrace {

bool TicketCell::Await(Deadline deadline) {
  // No spinning: a write is the least that is waited for, and the writer may need this processor.
  bool in_time = true;
  while (true) {
    // acquire: as in Done().
    uint32_t seen = word_.load(std::memory_order_acquire);
    if ((seen & (kDone | kWithdrawn)) != 0) return true;
    if (!in_time) return false;
    // relaxed, both: announces a sleeper in the word itself; the result is acquired above.
    if ((seen & kAsleep) == 0 &&
        !word_.compare_exchange_weak(seen, seen | kAsleep, std::memory_order_relaxed,
                                     std::memory_order_relaxed)) {
      continue;
    }
    in_time = StdAtomics::Wait(word_, seen | kAsleep, deadline);
  }
}

bool TicketCell::Withdraw() {
  // relaxed, all: the word alone decides; nothing is read through it. What the holder did before
  // reaches the writer with kUnheld.
  uint32_t seen = word_.load(std::memory_order_relaxed);
  do {
    if ((seen & (kClaimed | kWithdrawn | kDone)) != 0) return false;
  } while (!word_.compare_exchange_weak(seen, seen | kWithdrawn, std::memory_order_relaxed,
                                        std::memory_order_relaxed));
  return true;
}

void TicketCell::Drop() {
  // release: the holder's last use comes before the cell is used again; acquire: so does the
  // writer's. Pairs with Finish().
  const uint32_t before = word_.fetch_or(kUnheld, std::memory_order_acq_rel);
  if ((before & kDone) != 0) pool_->Release(this);
}

bool TicketCell::Claim() {
  // relaxed, all: the word alone decides; nothing is read through it.
  uint32_t seen = word_.load(std::memory_order_relaxed);
  do {
    if ((seen & kWithdrawn) != 0) return false;
  } while (!word_.compare_exchange_weak(seen, seen | kClaimed, std::memory_order_relaxed,
                                        std::memory_order_relaxed));
  return true;
}

void TicketCell::Finish(SequenceNumber sequence) {
  sequence_ = sequence;
  TicketPool* const pool = pool_;
  // release: publishes the result and all that the writer did before; pairs with acquire in Done()
  // and Await(). acquire: the holder's last use comes before the cell is used again; pairs with
  // Drop().
  const uint32_t before = word_.fetch_or(kDone, std::memory_order_acq_rel);
  if ((before & kUnheld) != 0) {
    pool->Release(this);
  } else if ((before & kAsleep) != 0) {
    // The holder may be gone by now, and the cell in other hands: a needless wake-up there.
    StdAtomics::WakeOne(word_);
  }
}

}  // namespace millrace
