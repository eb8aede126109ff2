// LogCore's appends: from the caller's bytes to a PendingAppend in the queue, and back to a result.

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "wal/append_outcome.h"
#include "wal/check.h"
#include "wal/check_options.h"
#include "wal/deadline.h"
#include "wal/log_core.h"

namespace millrace {
namespace {

using Answer = PendingAppend::Answer;

// Of buffered appends one in so many has its time taken: reading the clock takes a quarter of such
// a call.
constexpr uint32_t kSampleOneIn = 64;

// The markers that dropped callbacks leave to flushes and truncations, however slow they are: for
// each thread that can be in a call.
constexpr uint32_t kMarkersLeft = SlotPool<ProducerSlot>::kMostSlots;

// What is in front of a body in a producer's memory.
constexpr uint64_t NodeBytes(Answer answer) {
  return answer == Answer::kCallback ? sizeof(CallbackAppend) : sizeof(PendingAppend);
}

}  // namespace

// --- Results --------------------------------------------------------------------------

absl::StatusOr<SequenceNumber> LogCore::Append(ProducerSlot& slot, const AppendContent& content,
                                               const AppendOptions& options) {
  // The same ones as Compose() stamps.
  const bool is_timed =
      options.durability != Durability::kBuffered || slot.unsampled + 1 == kSampleOneIn;
  if (!is_timed) return AppendAndWait(slot, content, options);
  const Deadline began = std::chrono::steady_clock::now();
  absl::StatusOr<SequenceNumber> result = AppendAndWait(slot, content, options);
  const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - began;
  stats_.RecordAppend(static_cast<uint64_t>(took.count()));
  return result;
}

absl::StatusOr<SequenceNumber> LogCore::AppendAndWait(ProducerSlot& slot,
                                                      const AppendContent& content,
                                                      const AppendOptions& options) {
  Request request = {content, options, DeadlineAfter(options.timeout), Answer::kNobody};
  if (options.durability == Durability::kBuffered) {
    const absl::StatusOr<Intake> intake = Submit(slot, request);
    if (!intake.ok()) return intake.status();
    return kNoSequence;
  }
  if (request.deadline != kNoDeadline) return AppendInTime(slot, request);
  request.answer = Answer::kThread;
  const absl::StatusOr<Intake> intake = Submit(slot, request);
  if (!intake.ok()) return intake.status();
  const SequenceNumber sequence = slot.completion.Await();
  if (sequence == kNoSequence) return AfterAcceptance(EndError());
  return sequence;
}

// With a ticket that this call holds: it can be taken back.
absl::StatusOr<SequenceNumber> LogCore::AppendInTime(ProducerSlot& slot, const Request& request) {
  const absl::StatusOr<TicketCell*> cell = SubmitForTicket(slot, request);
  if (!cell.ok()) return cell.status();
  absl::StatusOr<SequenceNumber> result = kNoSequence;
  if (!(*cell)->Await(request.deadline) && Withdraw(**cell)) {
    result = absl::DeadlineExceededError(absl::StrCat(
        "log ", directory_, ": not done within ", absl::FormatDuration(request.options.timeout),
        " (AppendOptions::timeout), and withdrawn: it is not in the log; append it again"));
  } else if ((*cell)->Done()) {
    result = ResultOf(**cell);
  } else {
    result = AfterAcceptance(absl::DeadlineExceededError(absl::StrCat(
        "log ", directory_, ": not done within ", absl::FormatDuration(request.options.timeout),
        " (AppendOptions::timeout), but the writer has begun with it: it may be in the log; read "
        "the log before it is appended again")));
  }
  (*cell)->Drop();
  return result;
}

absl::Status LogCore::AppendAsync(ProducerSlot& slot, const AppendContent& content,
                                  const AppendOptions& options, AppendCallback callback) {
  return Submit(slot,
                {content, options, DeadlineAfter(options.timeout), Answer::kCallback, &callback})
      .status();
}

absl::StatusOr<TicketCell*> LogCore::AppendForTicket(ProducerSlot& slot,
                                                     const AppendContent& content,
                                                     const AppendOptions& options) {
  return SubmitForTicket(slot, {content, options, DeadlineAfter(options.timeout)});
}

absl::StatusOr<TicketCell*> LogCore::SubmitForTicket(ProducerSlot& slot, Request request) {
  absl::StatusOr<TicketCell*> cell = NewCell(static_cast<uint32_t>(request.content.count()));
  if (!cell.ok()) return cell;
  request.answer = Answer::kTicket;
  request.cell = *cell;
  const absl::StatusOr<Intake> intake = Submit(slot, request);
  if (!intake.ok()) {
    tickets_.Release(*cell);
    return intake.status();
  }
  if (*intake == Intake::kDropped) (*cell)->ResolveDropped();
  return cell;
}

absl::StatusOr<TicketCell*> LogCore::NewCell(uint32_t records) {
  TicketCell* cell = tickets_.Acquire([this] { return TicketCell(&tickets_); });
  if (cell != nullptr) {
    cell->Begin(records);
    return cell;
  }
  if (tickets_.size() < TicketPool::kMostSlots) return out_of_memory_;
  return absl::ResourceExhaustedError(absl::StrCat("log ", directory_, ": ", TicketPool::kMostSlots,
                                                   " tickets are held: drop some"));
}

absl::StatusOr<SequenceNumber> LogCore::ResultOf(const TicketCell& cell) const {
  switch (cell.outcome()) {
    case TicketCell::Outcome::kWithdrawn:
      return absl::CancelledError(absl::StrCat("log ", directory_,
                                               ": the append was withdrawn: it is not in the log; "
                                               "append it again if it is wanted"));
    case TicketCell::Outcome::kDropped:
      return dropped_;
    case TicketCell::Outcome::kFinished:
      break;
  }
  if (cell.sequence() == kNoSequence) return AfterAcceptance(EndError());
  return cell.sequence();
}

absl::StatusOr<SequenceNumber> LogCore::Wait(TicketCell& cell, absl::Duration timeout) const {
  absl::Status status = CheckProcess();
  if (!status.ok()) return status;
  // The append was accepted, and goes on.
  if (!cell.Done() && !cell.Await(DeadlineAfter(timeout))) {
    return AfterAcceptance(absl::DeadlineExceededError(
        absl::StrCat("log ", directory_, ": the append is not done after ",
                     absl::FormatDuration(timeout), "; it goes on: wait again")));
  }
  return ResultOf(cell);
}

bool LogCore::Withdraw(TicketCell& cell) {
  // A forked child's copy decides nothing.
  if (!CheckProcess().ok()) return false;
  if (cell.Withdraw()) {
    // release: the record was counted as accepted before; pairs with acquire in stats().
    withdrawn_.fetch_add(cell.records(), std::memory_order_release);
    return true;
  }
  return cell.Done() && cell.outcome() == TicketCell::Outcome::kWithdrawn;
}

// --- Submission -----------------------------------------------------------------------

absl::StatusOr<LogCore::Intake> LogCore::Submit(ProducerSlot& slot, const Request& request) {
  AtAppendStep(AppendStep::kBorrowed);
  absl::Status status = CheckProcess();
  if (status.ok()) status = Check(request.content, request.options);
  if (status.ok() && options_.when_disk_full == WhenDiskFull::kRefuse && committer_->holding()) {
    status = DiskFull();
  }
  if (!status.ok()) return status;
  const auto count = static_cast<uint32_t>(request.content.count());
  const uint64_t bytes = NodeBytes(request.answer) + request.content.body_bytes();
  // Before the copy: what a thread waits with is the caller's memory, not the log's.
  const uint64_t charge = slot.memory.Charge(bytes) + kArrayBytesPerAppend;
  absl::StatusOr<Intake> intake = Admit(slot, request, charge);
  if (!intake.ok() || *intake == Intake::kDropped) return intake;
  AtAppendStep(AppendStep::kAdmitted);
  PendingAppend* append = Compose(slot, request, bytes);
  if (append == nullptr) {
    queue_.Return(count, charge);
    return out_of_memory_;
  }
  append->charged_bytes = charge;
  AtAppendStep(AppendStep::kCopied);
  // Before the writer can meet it; see ProducerCounters.
  slot.counters.accepted.Add(count);
  if (!queue_.Enqueue(slot.lane, append)) {
    slot.counters.accepted.Subtract(count);
    MemoryChunk* chunk = append->chunk;
    if (request.callback != nullptr) static_cast<CallbackAppend*>(append)->~CallbackAppend();
    chunk->Free(1);
    queue_.Return(count, charge);
    return out_of_memory_;
  }
  AtAppendStep(AppendStep::kEnqueued);
  return Intake::kAccepted;
}

absl::Status LogCore::DiskFull() const {
  return absl::ResourceExhaustedError(absl::StrCat(
      "log ", directory_,
      ": there is no space for what was accepted before, and Options::when_disk_full is kRefuse: "
      "free space, trim the log, or append again later"));
}

absl::Status LogCore::Check(const AppendContent& content, const AppendOptions& options) const {
  absl::Status status = CheckAppendOptions(options);
  if (!status.ok()) return Named(status);
  if (content.type() == FrameType::kBatch) {
    const bool extras = options.key.has_value() || !options.attributes.empty();
    const size_t count = content.count();
    if (count == 0 || count > max_batch_records_ || extras) return BadBatch(content);
  }
  if (content.body_bytes() > max_body_bytes_) return TooLarge(content);
  return absl::OkStatus();
}

absl::StatusOr<LogCore::Intake> LogCore::Admit(ProducerSlot& slot, const Request& request,
                                               uint64_t bytes) {
  const auto count = static_cast<uint32_t>(request.content.count());
  switch (queue_.TryAdmit(slot.lane, count, bytes)) {
    case Admission::kAdmitted:
      return Intake::kAccepted;
    case Admission::kClosed:
      return EndError();
    default:
      return MeetFullQueue(slot, request, bytes);
  }
}

absl::StatusOr<LogCore::Intake> LogCore::MeetFullQueue(ProducerSlot& slot, const Request& request,
                                                       uint64_t bytes) {
  const AppendOptions& options = request.options;
  const auto count = static_cast<uint32_t>(request.content.count());
  // The lane alone may be full, of a queue that is closed.
  if (queue_.Closed()) return EndError();
  if (options.when_full == WhenFull::kDropNewest) {
    if (request.answer == Answer::kCallback) return SubmitDropped(slot, request);
    slot.counters.dropped_records.Add(count);
    return Intake::kDropped;
  }
  // The callback thread gives credits back: if it waited for some it could wait for itself.
  if (options.when_full == WhenFull::kWait && options.timeout > absl::ZeroDuration() &&
      !OnCallbackThread()) {
    slot.counters.waited_appends.Add(1);
    const Admission admission = queue_.Admit(slot.lane, count, bytes, request.deadline);
    if (admission == Admission::kAdmitted) return Intake::kAccepted;
    if (admission == Admission::kClosed) return EndError();
    // kFull would be an append above the limits, which Check() refuses.
    WAL_CHECK(admission == Admission::kTimedOut);
  }
  slot.counters.refused_records.Add(count);
  return QueueFull(slot, request);
}

// A dropped append whose callback is still to be told. It goes to the writer as a marker, which is
// in flight until the callback is about to run, so that closing waits for it. It takes no space:
// else dropping would keep the queue full.
absl::StatusOr<LogCore::Intake> LogCore::SubmitDropped(ProducerSlot& slot, const Request& request) {
  const auto count = static_cast<uint32_t>(request.content.count());
  absl::Status status = AdmitMarker(kMarkersLeft);
  if (!status.ok()) {
    if (absl::IsResourceExhausted(status)) slot.counters.refused_records.Add(count);
    return status;
  }
  MemoryChunk* chunk = nullptr;
  void* memory = slot.memory.Allocate(sizeof(CallbackAppend), &chunk);
  if (memory == nullptr) {
    queue_.ReturnMarkers(1);
    return out_of_memory_;
  }
  PendingAppend* append = ComposeCallback(request, memory);
  append->kind = PendingAppend::Kind::kDropped;
  append->durability = Durability::kBuffered;
  append->chunk = chunk;
  if (!queue_.Enqueue(slot.lane, append)) {
    static_cast<CallbackAppend*>(append)->~CallbackAppend();
    chunk->Free(1);
    queue_.ReturnMarkers(1);
    return out_of_memory_;
  }
  slot.counters.dropped_records.Add(count);
  return Intake::kDropped;
}

PendingAppend* LogCore::ComposeCallback(const Request& request, void* memory) {
  auto* append = new (memory) CallbackAppend;
  append->answer = Answer::kCallback;
  // The analyzer thinks that after a dropped append it may come here once more.
  append->callback = std::move(*request.callback);  // NOLINT(clang-analyzer-cplusplus.Move)
  return append;
}

// The record or batch, complete, in the slot's memory; null if there is none.
PendingAppend* LogCore::Compose(ProducerSlot& slot, const Request& request, uint64_t bytes) {
  MemoryChunk* chunk = nullptr;
  void* memory = slot.memory.Allocate(bytes, &chunk);
  if (memory == nullptr) return nullptr;
  PendingAppend* append;
  if (request.answer == Answer::kCallback) {
    append = ComposeCallback(request, memory);
  } else {
    append = new (memory) PendingAppend;
    append->answer = request.answer;
    if (request.answer == Answer::kThread) {
      slot.completion.Begin(&gates_);
      append->completion = &slot.completion;
    } else if (request.answer == Answer::kTicket) {
      append->ticket = request.cell;
    }
  }
  const bool buffered = request.options.durability == Durability::kBuffered;
  if (!buffered || ++slot.unsampled == kSampleOneIn) {
    append->accepted_us = MicrosecondStamp(std::chrono::steady_clock::now());
    if (buffered) slot.unsampled = 0;
  }
  const AppendContent& content = request.content;
  char* body = static_cast<char*>(memory) + NodeBytes(request.answer);
  content.CopyTo(body);
  append->chunk = chunk;
  append->durability = request.options.durability;
  append->count = static_cast<uint16_t>(content.count());
  append->type = content.type();
  append->flags = content.flags();
  append->body = body;
  append->body_bytes = static_cast<uint32_t>(content.body_bytes());
  append->body_checksum = BodyChecksum(body_seed_, std::string_view(body, append->body_bytes));
  return append;
}

// --- Errors ---------------------------------------------------------------------------

absl::Status LogCore::QueueFull(ProducerSlot& slot, const Request& request) {
  const AppendOptions& options = request.options;
  const InFlight queued = queue_.Depth();
  const bool has_room = queue_.HasRoom(slot.lane);
  const std::string full = absl::StrCat(
      "log ", directory_,
      has_room ? ": the queue is full: it holds "
               : ": as many records of this thread or Producer wait for the writer as one may have "
                 "in the queue (LIMITS.md), which holds ",
      queued.records, " records of ", options_.queue_records, " (Options::queue_records) and ",
      queued.bytes, " bytes of ", options_.queue_bytes, " (queue_bytes)");
  const absl::string_view remedy =
      has_room ? "raise them" : "append from several threads or Producers";
  if (options.when_full == WhenFull::kWait && !OnCallbackThread()) {
    return absl::DeadlineExceededError(absl::StrCat(
        full, ", and no space came within ", absl::FormatDuration(options.timeout),
        " (AppendOptions::timeout): the append was not accepted; wait longer, or ", remedy));
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      full,
      OnCallbackThread() ? ", and an append from a callback does not wait: "
                         : ", and the append does not wait (WhenFull::kFail): try again later, or ",
      remedy, OnCallbackThread() && has_room ? ", or append from another thread" : ""));
}

absl::Status LogCore::TooLarge(const AppendContent& content) const {
  const bool by_segment = max_body_bytes_ == WalCore::MaxBodyBytes(options_);
  const bool batch = content.type() == FrameType::kBatch;
  return absl::InvalidArgumentError(absl::StrCat(
      "log ", directory_, ": ",
      batch ? absl::StrCat("a batch of ", content.count(), " records and ") : "a record of ",
      content.body_bytes(), " bytes (payload, key and attributes",
      batch ? ", and 4 for each record" : "", ") is over the limit of ", max_body_bytes_,
      ", which ",
      by_segment
          ? absl::StrCat("Options::segment_bytes = ", options_.segment_bytes, " sets")
          : absl::StrCat("a quarter of Options::queue_bytes = ", options_.queue_bytes, " sets"),
      batch ? ": split the batch or raise that option"
            : ": split the record or raise that option"));
}

absl::Status LogCore::BadBatch(const AppendContent& content) const {
  const size_t count = content.count();
  if (count == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("log ", directory_, ": a batch of 0 records: give it at least 1"));
  }
  if (count <= max_batch_records_) {
    return absl::InvalidArgumentError(
        absl::StrCat("log ", directory_,
                     ": AppendOptions::key and attributes are set for a batch: set them in its "
                     "records, NewRecord::key and attributes"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "log ", directory_, ": a batch of ", count, " records is over the limit of ",
      max_batch_records_, ", which ",
      max_batch_records_ == kMaxBatchRecords
          ? std::string("the format sets: split the batch")
          : absl::StrCat("a quarter of Options::queue_records = ", options_.queue_records,
                         " sets: split the batch or raise that option")));
}

}  // namespace millrace
