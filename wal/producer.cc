#include "millrace/producer.h"

#include <utility>

#include "wal/log_core.h"

namespace millrace {

Producer::Producer(std::shared_ptr<LogCore> core, ProducerSlot* slot)
    : core_(std::move(core)), slot_(slot) {}

Producer::~Producer() { core_->Return(slot_); }

absl::StatusOr<SequenceNumber> Producer::Append(std::string_view payload,
                                                const AppendOptions& options) {
  return core_->Append(*slot_, payload, options);
}

absl::Status Producer::AppendAsync(std::string_view payload, const AppendOptions& options,
                                   AppendCallback callback) {
  return core_->AppendAsync(*slot_, payload, options, std::move(callback));
}

}  // namespace millrace
