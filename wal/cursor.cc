#include "millrace/cursor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "wal/cursor_state.h"
#include "wal/deadline.h"

namespace millrace {
namespace {

// What a new cursor counts as consumed.
absl::StatusOr<CursorCheckpoint> FirstCheckpoint(const CursorContext& context,
                                                 std::string_view name, const CursorStart& start) {
  CursorCheckpoint first;
  first.epoch = context.epoch;
  switch (start.kind) {
    case CursorStart::Kind::kEarliest:
      first.committed = context.watermark->first_retained() - 1;
      break;
    case CursorStart::Kind::kLatest:
      first.committed = context.watermark->last_durable();
      break;
    case CursorStart::Kind::kSequence:
      first.committed = std::max(start.sequence, SequenceNumber{1}) - 1;
      break;
    case CursorStart::Kind::kTime:
      return absl::UnimplementedError("by time: not yet");
  }
  // On disk a checkpoint says that its record is durable.
  const SequenceNumber durable = context.watermark->last_durable();
  if (first.committed <= durable) return first;
  return absl::OutOfRangeError(absl::StrFormat(
      "cursor %s: cannot start at record %d, the next to become durable is %d; start at that or at "
      "an earlier one",
      name, start.sequence, durable + 1));
}

// Published before any file goes, so who finds a file gone finds why.
RecordReader::FirstRetained FirstRetainedOf(const CursorContext& context) {
  return [watermark = context.watermark] { return watermark->first_retained(); };
}

}  // namespace

absl::Status RegisterCursors(Directory& directory, const LogId& log_id, SequenceNumber end,
                             CursorRegistry& registry) {
  const absl::StatusOr<std::vector<StoredCursor>> cursors = ReadCursors(directory);
  if (!cursors.ok()) return cursors.status();
  for (const StoredCursor& cursor : *cursors) {
    if (cursor.BelongsTo(log_id)) {
      const SequenceNumber written = cursor.checkpoint.committed;
      registry.Set(cursor.name, std::min(written, end), written);
    } else if (cursor.status != HeaderStatus::kValid) {
      registry.Set(cursor.name, kNoSequence);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Cursor>> OpenCursor(const CursorContext& context,
                                                   std::string_view name,
                                                   const CursorOptions& options) {
  if (absl::Status status = CheckCursorName(name); !status.ok()) return status;
  // First, so that nothing is trimmed from under a cursor that is being made.
  const bool is_new = context.registry->Add(name, kNoSequence);
  absl::StatusOr<std::unique_ptr<CursorFile>> file = CursorFile::Open(
      *context.directory, context.log_id, name, FirstCheckpoint(context, name, options.start));
  if (!file.ok()) {
    if (is_new) context.registry->Remove(name);
    return file.status();
  }
  // Beyond the end: the records that were consumed are gone, and their numbers were
  // given to others since the log was opened, or will be. It goes on at the end that
  // the log had then; for a file that was not yet there then, at the end there is.
  CursorCheckpoint checkpoint = (*file)->checkpoint();
  const SequenceNumber end = std::min(context.watermark->last_written(),
                                      context.registry->Counted(name, checkpoint.committed));
  if (checkpoint.committed > end) {
    checkpoint = CursorCheckpoint{.epoch = context.epoch, .committed = end};
    if (absl::Status status = (*file)->Write(checkpoint); !status.ok()) return status;
  }
  context.registry->Set(name, checkpoint.committed);
  return std::make_unique<Cursor>(
      std::make_unique<CursorState>(context, options, *std::move(file)));
}

// --- CursorState ------------------------------------------------------------------

CursorState::CursorState(const CursorContext& context, const CursorOptions& options,
                         std::unique_ptr<CursorFile> file)
    : context_(context),
      options_(options),
      file_(std::move(file)),
      reader_(*context_.directory, context_.log_id, context_.segments->Find(checkpointed() + 1),
              checkpointed() + 1, FirstRetainedOf(context_)),
      delivered_(checkpointed()),
      committed_(checkpointed()),
      last_checkpoint_(absl::Now()) {
  const CursorCheckpoint& from = file_->checkpoint();
  position_ = ReadPosition{from.segment, from.incarnation, from.offset, kNoSequence};
  reader_.UseHint(position_);
}

CursorState::~CursorState() { Checkpoint().IgnoreError(); }

// In a forked child nobody would ever wake it, and the file is the parent's.
absl::Status CursorState::CheckProcess() const {
  if (!context_.process->Forked()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("cursor %s was opened by the process that this one was forked from, and is "
                      "that one's: open the log after the fork",
                      name()));
}

absl::StatusOr<Entry> CursorState::Next(absl::Duration timeout) {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  SequenceNumber limit = context_.watermark->last_durable();
  while (true) {
    switch (reader_.Next(limit)) {
      case RecordReader::Kind::kRecord:
        return RecordEntry();
      case RecordReader::Kind::kLost:
        return LostEntry();
      case RecordReader::Kind::kError:
        return reader_.status();
      case RecordReader::Kind::kAtLimit:
        break;
    }
    const SequenceNumber wanted = reader_.next_sequence();
    const Watermark::Wait wait = context_.watermark->WaitDurable(wanted, DeadlineAfter(timeout));
    if (wait != Watermark::Wait::kReached) return EndOfWait(wait);
    limit = context_.watermark->last_durable();
  }
}

absl::StatusOr<Entry> CursorState::RecordEntry() {
  absl::StatusOr<Entry> entry(absl::in_place);
  ShowRecord(reader_.record(), &entry->record);
  delivered_ = entry->record.sequence;
  return entry;
}

Entry CursorState::LostEntry() {
  Entry entry;
  entry.kind = Entry::Kind::kLost;
  entry.lost = reader_.lost();
  // A cursor reads what is durable only.
  entry.lost.acknowledgement = Acknowledgement::kAcknowledged;
  delivered_ = entry.lost.last;
  return entry;
}

absl::Status CursorState::EndOfWait(Watermark::Wait wait) const {
  if (wait == Watermark::Wait::kTimedOut) {
    return absl::DeadlineExceededError(
        absl::StrFormat("cursor %s: record %d is not durable yet", name(), delivered_ + 1));
  }
  const absl::Status status = context_.watermark->status();
  if (wait == Watermark::Wait::kClosed) return status;
  return absl::FailedPreconditionError(
      absl::StrFormat("cursor %s has read all that is durable, and the log has failed: %s", name(),
                      std::string(status.message())));
}

absl::Status CursorState::Commit(SequenceNumber through) {
  if (through > delivered_) {
    return absl::OutOfRangeError(
        absl::StrFormat("cursor %s: commit of %d, but the last entry delivered is %d", name(),
                        through, delivered_));
  }
  if (through <= committed_) return absl::OkStatus();
  committed_ = through;
  const ReadPosition position = reader_.position();
  if (position.segment != 0 && position.sequence <= committed_ + 1) position_ = position;
  if (committed_ - checkpointed() < options_.checkpoint_records &&
      absl::Now() - last_checkpoint_ < options_.checkpoint_interval) {
    return absl::OkStatus();
  }
  return Checkpoint();
}

absl::Status CursorState::Checkpoint() {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  if (committed_ == checkpointed()) return absl::OkStatus();
  CursorCheckpoint checkpoint;
  checkpoint.epoch = context_.epoch;
  checkpoint.committed = committed_;
  checkpoint.segment = position_.segment;
  checkpoint.incarnation = position_.incarnation;
  checkpoint.offset = position_.offset;
  // Also after an error: the next try waits as long as it would have otherwise.
  last_checkpoint_ = absl::Now();
  if (absl::Status status = file_->Write(checkpoint); !status.ok()) return status;
  // Only now may what lies before be trimmed.
  context_.registry->Set(name(), committed_);
  return absl::OkStatus();
}

// --- Cursor -----------------------------------------------------------------------

Cursor::Cursor(std::unique_ptr<CursorState> state) : state_(std::move(state)) {}
Cursor::~Cursor() = default;

const std::string& Cursor::name() const { return state_->name(); }
absl::StatusOr<Entry> Cursor::Next(absl::Duration timeout) { return state_->Next(timeout); }
absl::Status Cursor::Commit(SequenceNumber through) { return state_->Commit(through); }
absl::Status Cursor::Checkpoint() { return state_->Checkpoint(); }
SequenceNumber Cursor::delivered() const { return state_->delivered(); }
SequenceNumber Cursor::committed() const { return state_->committed(); }
SequenceNumber Cursor::checkpointed() const { return state_->checkpointed(); }

}  // namespace millrace
