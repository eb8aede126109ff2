// Appending without waiting, in batches, and with tickets.

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/log_model_appends.h"
#include "tests/log_model_run.h"

namespace millrace {
namespace {

using Fate = PendingResult::Fate;

void RunTryAppend(ModelRun& run) {
  DrawnAppend append = DrawRecord(run, Waits::kForResult);
  // Instead of waiting it fails, whatever was asked for.
  append.options.when_full = WhenFull::kFail;
  CheckAppend(run, append,
              append.producer != nullptr
                  ? append.producer->producer->TryAppend(append.payload(), append.given)
                  : run.log->TryAppend(append.payload(), append.given));
}

void RunAppendBatch(ModelRun& run) {
  const DrawnAppend append = DrawBatch(run, Waits::kForResult);
  CheckAppend(run, append,
              append.producer != nullptr
                  ? append.producer->producer->AppendBatch(append.records, append.given)
                  : run.log->AppendBatch(append.records, append.given));
}

void RunAppendBatchAsync(ModelRun& run) {
  const DrawnAppend append = DrawBatch(run, Waits::kForSpaceOnly);
  AppendCallback callback = CallbackFor(run, append);
  CheckAccepted(run, append,
                append.producer != nullptr
                    ? append.producer->producer->AppendBatchAsync(append.records, append.given,
                                                                  std::move(callback))
                    : run.log->AppendBatchAsync(append.records, append.given, std::move(callback)));
}

void KeepTicket(ModelRun& run, const DrawnAppend& append, absl::StatusOr<Ticket> ticket) {
  PendingResult* result = CheckAccepted(run, append, ticket.status());
  if (result != nullptr) result->ticket = *std::move(ticket);
}

void RunAppendForTicket(ModelRun& run) {
  const DrawnAppend append = DrawRecord(run, Waits::kForSpaceOnly);
  KeepTicket(run, append,
             append.producer != nullptr
                 ? append.producer->producer->AppendAsync(append.payload(), append.given)
                 : run.log->AppendAsync(append.payload(), append.given));
}

void RunAppendBatchForTicket(ModelRun& run) {
  const DrawnAppend append = DrawBatch(run, Waits::kForSpaceOnly);
  KeepTicket(run, append,
             append.producer != nullptr
                 ? append.producer->producer->AppendBatchAsync(append.records, append.given)
                 : run.log->AppendBatchAsync(append.records, append.given));
}

// One whose ticket is held.
std::list<PendingResult>::iterator PickTicket(ModelRun& run) {
  std::list<PendingResult>& pending = run.pending;
  auto picked = pending.end();
  uint64_t skip = run.choices.Below(4);
  for (auto it = pending.begin(); it != pending.end(); ++it) {
    if (!it->ticket.has_value()) continue;
    picked = it;
    if (skip-- == 0) break;
  }
  if (picked != pending.end()) run.Describe(absl::StrCat("of id ", picked->id));
  return picked;
}

void RunTicketWait(ModelRun& run) {
  const auto picked = PickTicket(run);
  if (picked == run.pending.end()) return;
  const bool done = picked->ticket->Done();
  const absl::Duration timeout = run.choices.Of({absl::ZeroDuration(), absl::InfiniteDuration()});
  const absl::StatusOr<SequenceNumber> result = picked->ticket->Wait(timeout);
  if (absl::IsDeadlineExceeded(result.status())) {
    if (!done && timeout == absl::ZeroDuration() && picked->fate == Fate::kExpected) return;
    return run.Differ(absl::StrCat("the ticket of id ", picked->id, " has its result"),
                      result.status().ToString());
  }
  run.Resolve(&*picked, result);
  // May be called again.
  const absl::StatusOr<SequenceNumber> again = picked->ticket->Wait(absl::ZeroDuration());
  if (again != result) {
    run.Differ(absl::StrCat("the ticket of id ", picked->id, " keeps its result"),
               again.ok() ? absl::StrCat(*again) : again.status().ToString());
  }
  if (run.choices.OneIn(2)) run.pending.erase(picked);
}

void RunTicketDrop(ModelRun& run) {
  const auto picked = PickTicket(run);
  if (picked != run.pending.end()) run.pending.erase(picked);
}

void RunTicketWithdraw(ModelRun& run) {
  const auto picked = PickTicket(run);
  if (picked == run.pending.end()) return;
  const bool done = picked->ticket->Done();
  const bool withdrawn = picked->ticket->Withdraw();
  run.Describe(withdrawn ? "-> withdrawn" : "-> too late");
  if (picked->fate == Fate::kWithdrawn) {
    if (!withdrawn) run.Differ("a second Withdraw says the same", "false");
    return;
  }
  if (!withdrawn) return;
  // Who was told of it, or of one after it, knows that the writer had begun.
  if (done || picked->fate != Fate::kExpected || picked->first <= run.model.written()) {
    return run.Differ(absl::StrCat("id ", picked->id, ", record ", picked->first,
                                   ", is done or under way; written is ", run.model.written()),
                      "it was withdrawn");
  }
  picked->fate = Fate::kWithdrawn;
  ++run.tally.withdrawn;
  run.counters.withdrawn += picked->count;
  run.Withdrawn(picked->first, picked->count);
}

void RunWrongOptions(ModelRun& run) {
  AppendOptions options;
  options.durability = run.choices.Of({Durability::kDurable, Durability::kWritten});
  options.when_full = WhenFull::kDropNewest;
  run.ExpectCode("dropping a record that is waited for",
                 run.log->Append("never accepted", options).status(),
                 absl::StatusCode::kInvalidArgument);
}

void RunWaitForAll(ModelRun& run) {
  if (run.producers.empty()) return;
  const ModelProducer& producer = run.producers[run.choices.Below(run.producers.size())];
  FlushOptions options;
  options.durability = run.choices.Of({Durability::kDurable, Durability::kWritten});
  if (run.choices.OneIn(2)) options.timeout = absl::Microseconds(30);
  const absl::Status status = producer.producer->WaitForAll(options);
  if (absl::IsDeadlineExceeded(status) && options.timeout != absl::InfiniteDuration()) return;
  if (!run.ExpectOk("WaitForAll", status)) return;
  if (options.durability == Durability::kDurable) run.model.KnowDurable(producer.last);
  run.model.KnowWritten(producer.last);
}

constexpr ModelOperation kSteps[] = {
    {"TryAppend", 1, RunTryAppend},
    {"AppendBatch", 1, RunAppendBatch},
    {"AppendBatchAsync with a callback", 1, RunAppendBatchAsync},
    {"AppendAsync for a ticket", 1, RunAppendForTicket},
    {"AppendBatchAsync for a ticket", 1, RunAppendBatchForTicket},
    {"Ticket::Withdraw", 1, RunTicketWithdraw},
    {"drop a ticket", 1, RunTicketDrop},
};

constexpr ModelOperation kOperations[] = {
    {"TryAppend", 40, RunTryAppend},
    {"AppendBatch", 50, RunAppendBatch},
    {"AppendBatchAsync with a callback", 30, RunAppendBatchAsync},
    {"AppendAsync for a ticket", 60, RunAppendForTicket},
    {"AppendBatchAsync for a ticket", 30, RunAppendBatchForTicket},
    {"Ticket::Wait", 60, RunTicketWait},
    {"drop a ticket", 20, RunTicketDrop},
    {"Ticket::Withdraw", 40, RunTicketWithdraw},
    {"wrong options", 2, RunWrongOptions},
    {"WaitForAll", 6, RunWaitForAll},
};

}  // namespace

std::span<const ModelOperation> TicketSteps() { return kSteps; }
std::span<const ModelOperation> TicketOperations() { return kOperations; }

}  // namespace millrace
