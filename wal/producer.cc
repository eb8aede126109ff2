#include "millrace/producer.h"

#include <utility>

#include "wal/append_content.h"
#include "wal/log_core.h"

namespace millrace {

Producer::Producer(std::shared_ptr<LogCore> core, ProducerSlot* slot)
    : core_(std::move(core)), slot_(slot) {}

Producer::~Producer() { core_->Return(slot_); }

absl::StatusOr<SequenceNumber> Producer::Append(std::string_view payload,
                                                const AppendOptions& options) {
  return core_->Append(*slot_, AppendContent::Record(payload, options), options);
}

absl::StatusOr<SequenceNumber> Producer::TryAppend(std::string_view payload,
                                                   AppendOptions options) {
  options.when_full = WhenFull::kFail;
  return Append(payload, options);
}

absl::StatusOr<SequenceNumber> Producer::AppendBatch(std::span<const NewRecord> records,
                                                     const AppendOptions& options) {
  return core_->Append(*slot_, AppendContent::Batch(records), options);
}

absl::Status Producer::AppendAsync(std::string_view payload, const AppendOptions& options,
                                   AppendCallback callback) {
  return core_->AppendAsync(*slot_, AppendContent::Record(payload, options), options,
                            std::move(callback));
}

absl::Status Producer::AppendBatchAsync(std::span<const NewRecord> records,
                                        const AppendOptions& options, AppendCallback callback) {
  return core_->AppendAsync(*slot_, AppendContent::Batch(records), options, std::move(callback));
}

absl::StatusOr<Ticket> Producer::AppendAsync(std::string_view payload,
                                             const AppendOptions& options) {
  const absl::StatusOr<TicketCell*> cell =
      core_->AppendForTicket(*slot_, AppendContent::Record(payload, options), options);
  if (!cell.ok()) return cell.status();
  return Ticket(core_, *cell);
}

absl::StatusOr<Ticket> Producer::AppendBatchAsync(std::span<const NewRecord> records,
                                                  const AppendOptions& options) {
  const absl::StatusOr<TicketCell*> cell =
      core_->AppendForTicket(*slot_, AppendContent::Batch(records), options);
  if (!cell.ok()) return cell.status();
  return Ticket(core_, *cell);
}

// A flush covers what happened before it, and what this producer appended did.
absl::Status Producer::WaitForAll(const FlushOptions& options) {
  return core_->Flush(*slot_, options);
}

}  // namespace millrace
