#include "millrace/cursor.h"

#include <utility>

#include "wal/cursor_state.h"

namespace millrace {

Cursor::Cursor(std::unique_ptr<CursorState> state) : state_(std::move(state)) {}
Cursor::~Cursor() = default;

const std::string& Cursor::name() const { return state_->name(); }

absl::StatusOr<Entry> Cursor::Next(absl::Duration timeout) { return state_->Next(timeout); }

absl::StatusOr<size_t> Cursor::NextBatch(std::span<char> memory, std::vector<Entry>* entries,
                                         absl::Duration timeout) {
  return state_->NextBatch(memory, entries, timeout);
}

absl::StatusOr<std::span<const Entry>> Cursor::Peek(size_t n) { return state_->Peek(n); }

absl::Status Cursor::Seek(SequenceNumber next) { return state_->Seek(next); }
absl::Status Cursor::Rewind() { return state_->Rewind(); }
absl::Status Cursor::SeekToTime(absl::Time t) { return state_->SeekToTime(t); }
absl::Status Cursor::Reset(SequenceNumber next) { return state_->Reset(next); }
absl::Status Cursor::Commit(SequenceNumber through) { return state_->Commit(through); }
absl::Status Cursor::Checkpoint() { return state_->Checkpoint(); }
absl::StatusOr<CursorLag> Cursor::Lag() { return state_->Lag(); }

SequenceNumber Cursor::delivered() const { return state_->delivered(); }
SequenceNumber Cursor::committed() const { return state_->committed(); }
SequenceNumber Cursor::checkpointed() const { return state_->checkpointed(); }

}  // namespace millrace
