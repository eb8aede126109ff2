#include "millrace/ticket.h"

#include <utility>

#include "wal/log_core.h"
#include "wal/ticket_cell.h"

namespace millrace {

Ticket::Ticket(std::shared_ptr<LogCore> core, TicketCell* cell)
    : core_(std::move(core)), cell_(cell) {}

Ticket::Ticket(Ticket&& other) noexcept
    : core_(std::move(other.core_)), cell_(std::exchange(other.cell_, nullptr)) {}

Ticket& Ticket::operator=(Ticket&& other) noexcept {
  if (this == &other) return *this;
  const Ticket before(std::move(*this));
  core_ = std::move(other.core_);
  cell_ = std::exchange(other.cell_, nullptr);
  return *this;
}

Ticket::~Ticket() {
  if (cell_ != nullptr) cell_->Drop();
}

bool Ticket::Done() const { return cell_->Done(); }

absl::StatusOr<SequenceNumber> Ticket::Wait(absl::Duration timeout) const {
  return core_->Wait(*cell_, timeout);
}

bool Ticket::Withdraw() { return core_->Withdraw(*cell_); }

}  // namespace millrace
