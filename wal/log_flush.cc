// LogCore's calls that take their place among the appends, or wait for them: flushing,
// waiting for durability, trimming, truncating.

#include "absl/strings/str_cat.h"
#include "wal/check_options.h"
#include "wal/deadline.h"
#include "wal/log_core.h"

namespace millrace {

// Ok: a marker is in flight.
absl::Status LogCore::AdmitMarker(uint32_t leave) {
  switch (queue_.AdmitMarker(leave)) {
    case Admission::kAdmitted:
      return absl::OkStatus();
    case Admission::kFull:
      return absl::ResourceExhaustedError(
          absl::StrCat("log ", directory_, ": ", queue_.Depth().records,
                       " records, flushes and dropped callbacks are under way, which is the most: "
                       "wait for some"));
    default:
      return EndError();
  }
}

absl::Status LogCore::Flush(ProducerSlot& slot, const FlushOptions& options) {
  absl::Status status = CheckProcess();
  if (status.ok()) status = Named(CheckFlushOptions(options));
  if (!status.ok()) return status;
  const Deadline deadline = DeadlineAfter(options.timeout);
  const absl::StatusOr<TicketCell*> cell = NewCell(0);
  if (!cell.ok()) return cell.status();
  status = AdmitMarker();
  if (!status.ok()) {
    tickets_.Release(*cell);
    return status;
  }
  PendingAppend& marker = (*cell)->marker;
  marker = PendingAppend();
  marker.kind = PendingAppend::Kind::kFlush;
  marker.durability = options.durability;
  marker.answer = PendingAppend::Answer::kTicket;
  marker.ticket = *cell;
  if (!queue_.Enqueue(slot.lane, &marker)) {
    queue_.ReturnMarkers(1);
    tickets_.Release(*cell);
    return out_of_memory_;
  }
  if (!(*cell)->Await(deadline)) {
    status = absl::DeadlineExceededError(absl::StrCat("log ", directory_, ": not flushed within ",
                                                      absl::FormatDuration(options.timeout),
                                                      " (FlushOptions::timeout); it goes on: flush "
                                                      "again to wait for it"));
  } else if ((*cell)->sequence() == kNoSequence) {
    status = EndError();
  }
  (*cell)->Drop();
  return status;
}

absl::Status LogCore::WaitDurable(SequenceNumber sequence, absl::Duration timeout) const {
  absl::Status status = CheckProcess();
  if (!status.ok()) return status;
  switch (watermark_.WaitDurable(sequence, DeadlineAfter(timeout))) {
    case Watermark::Wait::kReached:
      return absl::OkStatus();
    case Watermark::Wait::kTimedOut:
      return absl::DeadlineExceededError(
          absl::StrCat("log ", directory_, ": record ", sequence, " is not durable after ",
                       absl::FormatDuration(timeout), ", only those up to ",
                       watermark_.last_durable(), " are; flush to make it so"));
    default:
      return EndError();
  }
}

absl::Status LogCore::TrimBefore(SequenceNumber first_to_keep, TrimMode mode) {
  absl::Status status = CheckProcess();
  if (status.ok()) status = EndError();
  if (!status.ok()) return status;
  return Named(committer_->TrimBefore(first_to_keep, mode));
}

absl::Status LogCore::TruncateAfter(ProducerSlot& slot, SequenceNumber last_to_keep) {
  absl::Status status = CheckProcess();
  if (status.ok()) status = AdmitMarker();
  if (!status.ok()) return status;
  TruncateCommand command;
  command.kind = PendingAppend::Kind::kTruncate;
  command.answer = PendingAppend::Answer::kThread;
  command.completion = &slot.completion;
  command.last_to_keep = last_to_keep;
  slot.completion.Begin(&gates_);
  if (!queue_.Enqueue(slot.lane, &command)) {
    queue_.ReturnMarkers(1);
    return out_of_memory_;
  }
  if (slot.completion.Await() == kNoSequence) return EndError();
  return Named(command.status);
}

}  // namespace millrace
