#include "wal/cursor_state.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "queue/sabotage.h"
#include "wal/cursor_lag.h"
#include "wal/cursor_time.h"
#include "wal/deadline.h"
#include "wal/io_status.h"
#include "wal/strings.h"

namespace millrace {
namespace {

Entry TruncatedEntry(SequenceNumber after) {
  return {.kind = Entry::Kind::kTruncated, .record = {}, .lost = {}, .truncated_after = after};
}

}  // namespace

CursorState::CursorState(CursorContext context, const CursorOptions& options,
                         std::shared_ptr<CursorCommit> commit, const Watermark::Truncations& seen)
    : context_(std::move(context)),
      options_(options),
      commit_(std::move(commit)),
      seen_(seen.count),
      epoch_(seen.epoch),
      last_checkpoint_(std::chrono::steady_clock::now()) {
  const CursorCheckpoint from = commit_->posted();
  shown_ = delivered_ = committed_ = from.committed;
  position_ = ReadPosition{from.segment, from.incarnation, from.offset, kNoSequence};
  ReadFrom(committed_ + 1, position_);
}

CursorState::~CursorState() {
  // In a forked child a thread that is not there may hold the locks.
  if (context_.process->Forked()) return;
  Checkpoint().IgnoreError();
  context_.registry->Close(*commit_);
}

// In a forked child nobody would ever wake it, and the file is the parent's.
absl::Status CursorState::CheckProcess() const {
  if (!context_.process->Forked()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("cursor %s was opened by the process that this one was forked from, and is "
                      "that one's: open the log after the fork",
                      name()));
}

absl::Status CursorState::Named(const absl::Status& status) const {
  if (status.ok()) return status;
  const std::string cursor = "cursor " + name();
  // Some say it themselves.
  return ToStd(status.message()).starts_with(cursor) ? status : InFront(cursor, status);
}

// --- Reading ----------------------------------------------------------------------

// Sets the cursor back to where the log was cut, if it was since we looked.
void CursorState::FollowTruncation() {
  if (context_.watermark->truncations() == seen_) return;
  const Watermark::Truncations news = context_.watermark->TruncationsSince(seen_);
  seen_ = news.count;
  epoch_ = news.epoch;
  limit_ = 0;
  const SequenceNumber after = news.lowest;
  SequenceNumber told = after;
  const SequenceNumber furthest = std::max({shown_, delivered_, committed_});
  bool tell = furthest > after;
  if (tell && context_.events != nullptr) context_.events->SetBack(name(), furthest, after);
  if (!peeked_.empty() && peeked_.front().kind == Entry::Kind::kTruncated) {
    // Its owner has yet to hear of an earlier one, and may have moved on since.
    told = std::min(told, peeked_.front().truncated_after);
    tell = true;
  }
  shown_ = std::min(shown_, after);
  delivered_ = std::min(delivered_, after);
  committed_ = std::min(committed_, after);
  // A place behind the cut is that of a record that is gone.
  if (place_.sequence > delivered_ + 1) place_ = {};
  if (position_.sequence > committed_ + 1) position_ = {};
  Post();
  // Also in a call such as Lag, before which views may be held.
  peeked_.Forget();
  if (tell) peeked_.Push(TruncatedEntry(told), {});
  ReadFrom(delivered_ + 1, place_);
}

// Has the reader read on, without waiting.
CursorState::Step CursorState::ReadOne() {
  const RecordReader::Kind kind = reader_->Next(limit_);
  // Also if the truncation came while it was read: the writer publishes it before anything is
  // written in place of what it dropped, and before a dropped file is used again.
  if (context_.watermark->truncations() != seen_) return Step::kAgain;
  switch (kind) {
    case RecordReader::Kind::kRecord:
    case RecordReader::Kind::kLost:
      read_ = kind;
      return Step::kEntry;
    case RecordReader::Kind::kError:
      return Step::kError;
    case RecordReader::Kind::kAtLimit:
      break;
  }
  const SequenceNumber limit = context_.watermark->last_durable();
  if (limit < reader_->next_sequence()) return Step::kNothing;
  limit_ = limit;
  return Step::kAgain;
}

// True if there is a next entry, for Show and Take.
absl::StatusOr<bool> CursorState::Look() {
  while (true) {
    FollowTruncation();
    if (!peeked_.empty()) return true;
    peeked_.Clear();
    if (read_.has_value()) return true;
    switch (ReadOne()) {
      case Step::kEntry:
        return true;
      case Step::kAgain:
        break;
      case Step::kNothing:
        return false;
      case Step::kError:
        return Named(reader_->status());
    }
  }
}

absl::Status CursorState::Await(absl::Duration timeout) {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  std::optional<Deadline> deadline;
  while (true) {
    const absl::StatusOr<bool> found = Look();
    if (!found.ok()) return found.status();
    if (*found) return absl::OkStatus();
    if (!deadline.has_value()) deadline = DeadlineAfter(timeout);
    const Watermark::Wait wait =
        context_.watermark->WaitDurable(reader_->next_sequence(), seen_, *deadline);
    if (wait != Watermark::Wait::kReached && wait != Watermark::Wait::kTruncated) {
      return EndOfWait(wait);
    }
  }
}

absl::Status CursorState::EndOfWait(Watermark::Wait wait) const {
  if (wait == Watermark::Wait::kTimedOut) {
    return absl::DeadlineExceededError(absl::StrFormat(
        "cursor %s: record %d is not durable yet; call again", name(), delivered_ + 1));
  }
  absl::Status status = context_.watermark->status();
  if (wait == Watermark::Wait::kClosed) return status;
  return absl::FailedPreconditionError(
      absl::StrFormat("cursor %s has read all that is durable, and the log has failed: %s", name(),
                      std::string(status.message())));
}

// --- The position -----------------------------------------------------------------

void CursorState::ReadFrom(SequenceNumber next, const ReadPosition& from) {
  read_.reset();
  reader_.emplace(*context_.directory, context_.log_id, context_.FindSegment(next), next,
                  context_.first_retained());
  reader_->UseHint(from);
}

// That records were taken back is told all the same.
void CursorState::ForgetPeeked() {
  std::optional<Entry> truncated;
  if (!peeked_.empty() && peeked_.front().kind == Entry::Kind::kTruncated) {
    truncated = peeked_.front();
  }
  peeked_.Clear();
  if (truncated.has_value()) peeked_.Push(*std::move(truncated), {});
}

void CursorState::MoveTo(SequenceNumber next, const ReadPosition& from) {
  ForgetPeeked();
  delivered_ = next - 1;
  place_ = from;
  ReadFrom(next, from);
}

absl::Status CursorState::CheckTarget(std::string_view operation, SequenceNumber next) const {
  const SequenceNumber first = context_.watermark->first_retained();
  const SequenceNumber durable = context_.watermark->last_durable();
  if (next >= first && next <= durable + 1) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrFormat(
      "cursor %s: cannot %s to record %d: choose one from %d (the oldest kept) to %d (the next to "
      "become durable)",
      name(), operation, next, first, durable + 1));
}

absl::Status CursorState::Seek(SequenceNumber next) {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  FollowTruncation();
  if (absl::Status status = CheckTarget("seek", next); !status.ok()) return status;
  MoveTo(next, {});
  return absl::OkStatus();
}

absl::Status CursorState::Rewind() {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  FollowTruncation();
  MoveTo(committed_ + 1, position_);
  return absl::OkStatus();
}

absl::Status CursorState::SeekToTime(absl::Time time) {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  FollowTruncation();
  const absl::StatusOr<TimePosition> found = FindTime(context_, time);
  if (!found.ok()) return Named(found.status());
  MoveTo(found->next, found->from);
  return absl::OkStatus();
}

absl::Status CursorState::Reset(SequenceNumber next) {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  FollowTruncation();
  if (absl::Status status = CheckTarget("reset", next); !status.ok()) return status;
  last_checkpoint_ = std::chrono::steady_clock::now();
  absl::Status status =
      context_.registry->Reset(*commit_, CursorCheckpoint{.epoch = epoch_, .committed = next - 1},
                               [this] { return context_.watermark->first_retained(); });
  if (!status.ok()) return Named(status);
  committed_ = next - 1;
  position_ = {};
  MoveTo(next, {});
  return absl::OkStatus();
}

// --- Commits ----------------------------------------------------------------------

// Returns what is checkpointed.
SequenceNumber CursorState::Post() {
  CursorCheckpoint commit;
  commit.epoch = epoch_;
  commit.committed = committed_;
  commit.segment = position_.segment;
  commit.incarnation = position_.incarnation;
  commit.offset = position_.offset;
  return commit_->Post(commit);
}

bool CursorState::CheckpointIsDue(SequenceNumber checkpointed) const {
  // Where the log was truncated, the checkpoint may be ahead for a moment.
  const uint64_t since = committed_ - std::min(committed_, checkpointed);
  if (options_.checkpoint_records != 0 && since >= options_.checkpoint_records) return true;
  return options_.checkpoint_interval != absl::InfiniteDuration() &&
         absl::FromChrono(std::chrono::steady_clock::now() - last_checkpoint_) >=
             options_.checkpoint_interval;
}

absl::Status CursorState::Commit(SequenceNumber through) {
  if (through > delivered_) {
    return absl::OutOfRangeError(
        absl::StrFormat("cursor %s: commit of %d, but the last entry delivered is %d; commit at "
                        "most that",
                        name(), through, delivered_));
  }
  if (through <= committed_) return absl::OkStatus();
  // A forked child must not wait for a lock.
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  committed_ = MILLRACE_SABOTAGE(cursor_saved_early) ? delivered_ : through;
  if (place_.segment != 0 && place_.sequence <= committed_ + 1) position_ = place_;
  return CheckpointIsDue(Post()) ? Checkpoint() : absl::OkStatus();
}

absl::Status CursorState::Checkpoint() {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  // Also after an error: the next try waits as long as it would have otherwise.
  last_checkpoint_ = std::chrono::steady_clock::now();
  return Named(context_.registry->Write(*commit_));
}

absl::StatusOr<CursorLag> CursorState::Lag() {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  FollowTruncation();
  absl::StatusOr<CursorLag> lag = LagBehind(context_, committed_, position_, absl::Now());
  if (!lag.ok()) return Named(lag.status());
  return lag;
}

}  // namespace millrace
