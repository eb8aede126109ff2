#ifndef MILLRACE_TICKET_H_
#define MILLRACE_TICKET_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/language.h"
#include "millrace/sequence.h"

namespace millrace {

class LogCore;
class TicketCell;

// The result to come of one asynchronous append or batch.
//
//   absl::StatusOr<Ticket> ticket = log->AppendAsync("payload");
//   ...
//   absl::StatusOr<SequenceNumber> s = ticket->Wait();
//
// May be dropped: the append goes on without it. May outlive the Log: closing
// resolves every ticket. Costs the log some 200 bytes while it is held, which later tickets
// use again.
//
// Movable. Used by one thread at a time; a moved-from ticket may only be destroyed or
// assigned to.
class Ticket {
 public:
  Ticket(std::shared_ptr<LogCore> core, TicketCell* cell);
  Ticket(Ticket&& other) noexcept;
  Ticket& operator=(Ticket&& other) noexcept;
  ~Ticket();

  // True once Wait() would return the result without waiting. Never blocks.
  bool Done() const;

  // What Append would have returned: the sequence number (also for kBuffered; of a batch,
  // its first record's), or the error. May be called again.
  //
  // Everything the writer did to make the record as durable as was asked happened
  // before this returns it.
  // Errors: DeadlineExceeded (not done in `timeout`; the append goes on); those of Append.
  absl::StatusOr<SequenceNumber> Wait(absl::Duration timeout = absl::InfiniteDuration()) const;

  // Takes the append back if the writer has not begun with it. True: it was, now or before; it
  // will never be in the log, and Wait() returns Cancelled. False: it is done or under way.
  // Never blocks.
  bool Withdraw();

 private:
  std::shared_ptr<LogCore> core_;
  TicketCell* cell_ = nullptr;
};

}  // namespace millrace

#endif  // MILLRACE_TICKET_H_
