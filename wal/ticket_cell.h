#ifndef MILLRACE_WAL_TICKET_CELL_H_
#define MILLRACE_WAL_TICKET_CELL_H_

#include <atomic>
#include <cstdint>

#include "millrace/sequence.h"
#include "queue/atomics.h"
#include "queue/slot_pool.h"
#include "wal/append_queue.h"

namespace millrace {

class TicketCell;

// The cells of one log. Made on demand and used again; outlives every holder.
using TicketPool = SlotPool<TicketCell, StdAtomics, uint32_t{1} << 22>;

// Where the result of one append or flush arrives that may be waited for with a deadline,
// taken back, or left alone. Shared by its holder, one thread at a time, and the writer.
// Whoever lets go last returns it to the pool.
//
// The holder: Begin(), then hand it over; then Done(), Await(), Withdraw() as often as it likes;
// Drop() at last. The writer: Claim(), and Finish() at last.
class TicketCell {
 public:
  enum class Outcome : uint8_t {
    kFinished,   // sequence() is the number, or kNoSequence: the log has failed
    kWithdrawn,  // taken back by its holder
    kDropped,    // given up because the queue was full
  };

  explicit TicketCell(TicketPool* pool) : pool_(pool) {}

  // ---- The holder. ----

  // Makes it ready for an append of `records`. The hand-over publishes it.
  void Begin(uint32_t records) {
    records_ = records;
    dropped_ = false;
    // relaxed: no other thread looks until the hand-over.
    word_.store(0, std::memory_order_relaxed);
  }

  // Instead of handing it over: the append was given up.
  void ResolveDropped() {
    dropped_ = true;
    // relaxed: the holder alone has it.
    word_.store(kDone, std::memory_order_relaxed);
  }

  // True once there is an outcome.
  bool Done() const {
    // acquire: shows the result and all that the writer did before; pairs with Finish().
    return (word_.load(std::memory_order_acquire) & (kDone | kWithdrawn)) != 0;
  }

  // Waits until Done(). False if `deadline` passes first.
  bool Await(Deadline deadline);

  // Takes the append back. False if the writer has begun with it, or it was taken back before.
  bool Withdraw();

  // If Done().
  Outcome outcome() const {
    // relaxed: Done() has acquired, and only the holder withdraws.
    if ((word_.load(std::memory_order_relaxed) & kWithdrawn) != 0) return Outcome::kWithdrawn;
    return dropped_ ? Outcome::kDropped : Outcome::kFinished;
  }
  SequenceNumber sequence() const { return sequence_; }
  uint32_t records() const { return records_; }

  // The holder's last use.
  void Drop();

  // ---- The writer. ----

  // Decides that the append gets a number; from now on it cannot be withdrawn. False: it was, and
  // is to be Finish()ed without. May be called again.
  bool Claim();

  // The writer's last use of it.
  void Finish(SequenceNumber sequence);

  // For a flush: what goes through the queue.
  PendingAppend marker;

 private:
  // The bits of word_. None: handed over, and nobody has done anything yet.
  static constexpr uint32_t kClaimed = 1;
  static constexpr uint32_t kWithdrawn = 2;  // never together with kClaimed
  static constexpr uint32_t kDone = 4;       // the writer has let go
  static constexpr uint32_t kUnheld = 8;     // the holder has let go
  static constexpr uint32_t kAsleep = 16;    // the holder may sleep on word_

  TicketPool* const pool_;
  std::atomic<uint32_t> word_{kDone};
  bool dropped_ = false;
  uint32_t records_ = 0;
  SequenceNumber sequence_ = kNoSequence;  // written before kDone
};

}  // namespace millrace

#endif  // MILLRACE_WAL_TICKET_CELL_H_
