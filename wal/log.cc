#include "millrace/log.h"

#include <new>
#include <utility>

#include "wal/append_content.h"
#include "wal/check.h"
#include "wal/cursor_state.h"
#include "wal/log_core.h"

namespace millrace {
namespace {

// A slot of the log, for one call.
class BorrowedSlot {
 public:
  explicit BorrowedSlot(LogCore* core) : core_(core), slot_(core->Borrow()) {}
  BorrowedSlot(const BorrowedSlot&) = delete;
  BorrowedSlot& operator=(const BorrowedSlot&) = delete;
  ~BorrowedSlot() {
    if (slot_.ok()) core_->Return(*slot_);
  }

  absl::Status status() const { return slot_.status(); }
  ProducerSlot& operator*() { return **slot_; }

 private:
  LogCore* const core_;
  const absl::StatusOr<ProducerSlot*> slot_;
};

}  // namespace

Log::Log(std::shared_ptr<LogCore> core) : core_(std::move(core)) {}

Log::~Log() {
  // In a forked child there is nothing to wait for, even if a callback forked it.
  if (!core_->CheckProcess().ok()) return;
  // Destroyed in one of its own callbacks it could only wait for itself.
  WAL_CHECK(!core_->OnCallbackThread());
  // Nor in its listener.
  WAL_CHECK(!core_->OnEventThread());
  // Who wants to know of an error, or to wait for space, calls Close.
  core_->StopHolding();
  Close(absl::InfiniteDuration()).IgnoreError();
}

absl::StatusOr<std::unique_ptr<Log>> Log::Open(std::string directory, const Options& options) {
  absl::StatusOr<std::shared_ptr<LogCore>> core = LogCore::Open(std::move(directory), options);
  if (!core.ok()) return core.status();
  return std::unique_ptr<Log>(new Log(std::move(*core)));
}

const RecoveryReport& Log::recovery() const { return core_->recovery(); }
const std::string& Log::directory() const { return core_->directory(); }
uint64_t Log::max_payload_bytes() const { return core_->max_body_bytes(); }

uint32_t Log::max_batch_records() const { return core_->max_batch_records(); }

absl::StatusOr<SequenceNumber> Log::Append(std::string_view payload, const AppendOptions& options) {
  BorrowedSlot slot(core_.get());
  if (!slot.status().ok()) return slot.status();
  return core_->Append(*slot, AppendContent::Record(payload, options), options);
}

absl::StatusOr<SequenceNumber> Log::TryAppend(std::string_view payload, AppendOptions options) {
  options.when_full = WhenFull::kFail;
  return Append(payload, options);
}

absl::StatusOr<SequenceNumber> Log::AppendBatch(std::span<const NewRecord> records,
                                                const AppendOptions& options) {
  BorrowedSlot slot(core_.get());
  if (!slot.status().ok()) return slot.status();
  return core_->Append(*slot, AppendContent::Batch(records), options);
}

absl::Status Log::AppendAsync(std::string_view payload, const AppendOptions& options,
                              AppendCallback callback) {
  BorrowedSlot slot(core_.get());
  if (!slot.status().ok()) return slot.status();
  return core_->AppendAsync(*slot, AppendContent::Record(payload, options), options,
                            std::move(callback));
}

absl::Status Log::AppendBatchAsync(std::span<const NewRecord> records, const AppendOptions& options,
                                   AppendCallback callback) {
  BorrowedSlot slot(core_.get());
  if (!slot.status().ok()) return slot.status();
  return core_->AppendAsync(*slot, AppendContent::Batch(records), options, std::move(callback));
}

absl::StatusOr<Ticket> Log::AppendAsync(std::string_view payload, const AppendOptions& options) {
  BorrowedSlot slot(core_.get());
  if (!slot.status().ok()) return slot.status();
  const absl::StatusOr<TicketCell*> cell =
      core_->AppendForTicket(*slot, AppendContent::Record(payload, options), options);
  if (!cell.ok()) return cell.status();
  return Ticket(core_, *cell);
}

absl::StatusOr<Ticket> Log::AppendBatchAsync(std::span<const NewRecord> records,
                                             const AppendOptions& options) {
  BorrowedSlot slot(core_.get());
  if (!slot.status().ok()) return slot.status();
  const absl::StatusOr<TicketCell*> cell =
      core_->AppendForTicket(*slot, AppendContent::Batch(records), options);
  if (!cell.ok()) return cell.status();
  return Ticket(core_, *cell);
}

absl::Status Log::Flush(const FlushOptions& options) {
  BorrowedSlot slot(core_.get());
  if (!slot.status().ok()) return slot.status();
  return core_->Flush(*slot, options);
}

absl::Status Log::WaitDurable(SequenceNumber sequence, absl::Duration timeout) {
  return core_->WaitDurable(sequence, timeout);
}

absl::StatusOr<std::unique_ptr<Producer>> Log::NewProducer() {
  absl::Status status = core_->CheckProcess();
  if (status.ok()) status = core_->EndError();
  if (!status.ok()) return status;
  absl::StatusOr<ProducerSlot*> slot = core_->Borrow();
  if (!slot.ok()) return slot.status();
  std::unique_ptr<Producer> producer(new (std::nothrow) Producer(core_, *slot));
  if (producer != nullptr) return producer;
  core_->Return(*slot);
  return core_->out_of_memory();
}

absl::StatusOr<std::unique_ptr<Cursor>> Log::OpenCursor(std::string_view name,
                                                        const CursorOptions& options) {
  absl::Status status = core_->CheckProcess();
  if (status.ok()) status = core_->EndError();
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Cursor>> cursor =
      millrace::OpenCursor(LogCore::ContextFor(core_), name, options);
  if (!cursor.ok()) return core_->Named(cursor.status());
  return cursor;
}

absl::Status Log::TrimBefore(SequenceNumber first_to_keep, TrimMode mode) {
  return core_->TrimBefore(first_to_keep, mode);
}

absl::Status Log::TruncateAfter(SequenceNumber last_to_keep) {
  BorrowedSlot slot(core_.get());
  if (!slot.status().ok()) return slot.status();
  return core_->TruncateAfter(*slot, last_to_keep);
}

SequenceNumber Log::last_written() const { return core_->watermark().last_written(); }
SequenceNumber Log::last_durable() const { return core_->watermark().last_durable(); }
SequenceNumber Log::first_retained() const { return core_->watermark().first_retained(); }

LogStats Log::stats() const { return core_->stats(); }

absl::Status Log::Close(absl::Duration timeout) { return core_->Close(timeout); }

}  // namespace millrace
