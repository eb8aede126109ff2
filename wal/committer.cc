#include "wal/committer.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "queue/sabotage.h"
#include "wal/check.h"
#include "wal/deadline.h"
#include "wal/io_status.h"
#include "wal/memory_hold.h"

namespace millrace {
namespace {

// What an idle log keeps for the next records.
constexpr uint64_t kIdleChunkBytes = uint64_t{128} << 10;
constexpr size_t kIdleElements = 4096;

// How long the writer sleeps at most while no thread can be had that runs callbacks.
constexpr std::chrono::milliseconds kThreadRetry{100};

Deadline SteadyNow() { return std::chrono::steady_clock::now(); }

}  // namespace

Committer::Committer(Parts parts, const Options& options, absl::Status closed)
    : parts_(std::move(parts)),
      options_(options),
      closed_(std::move(closed)),
      releaser_(parts_.queue),
      wake_thread_(parts_.gates),
      lagging_(options.lagging_cursor_bytes) {
  WAL_CHECK(absl::IsCancelled(closed_));
}

Committer::~Committer() { WAL_CHECK(!thread_.started()); }

absl::Status Committer::Start() {
  parts_.stats->pending_age().Wakes(SteadyNow());
  PublishStats();
  return thread_.Start("millrace-writer", [this] { Run(); });
}

void Committer::Run() {
  const MemoryHold hold;
  while (true) {
    drained_.clear();
    finished_ = 0;
    Gather();
    parts_.stats->pending_age().DrainBegins(SteadyNow());
    parts_.gates->BeginGroup();
    parts_.queue->Drain(&drained_);
    RunCommands();
    if (failed_) {
      FailUnfinished();
    } else if (!drained_.empty()) {
      CommitDrained();
    }
    parts_.stats->pending_age().DrainFinished();
    if (!drained_.empty()) continue;
    AnnounceDurable();
    if (parts_.queue->Finished()) break;
    Rest();
  }
  End();
}

// Before a group: lets threads that were just told append once more.
void Committer::Gather() {
  if (!gathering_.Begin(SteadyNow())) return;
  // They need the processors, and this thread does not know when the last of them has come.
  while (gathering_.Waits(parts_.queue->Depth().records, SteadyNow())) sched_yield();
}

void Committer::CommitDrained() {
  // One reading of the clock for all of them: a group has one time.
  parts_.core->SetTime(absl::GetCurrentTimeNanos());
  for (size_t i = 0; i < drained_.size(); ++i) {
    PendingAppend* append = drained_[i];
    if (append->kind == PendingAppend::Kind::kTruncate) {
      if (!Truncate(i)) return;
      continue;
    }
    if (append->kind == PendingAppend::Kind::kFlush) append->sequence = kDoneWithoutNumber;
    if (append->kind != PendingAppend::Kind::kRecords || !Claim(i)) continue;
    PendingFrame frame;
    frame.body = std::string_view(append->body, append->body_bytes);
    frame.body_checksum = append->body_checksum;
    frame.type = append->type;
    frame.flags = append->flags;
    frame.count = append->count;
    frame.durability = append->durability;
    absl::StatusOr<SequenceNumber> sequence = parts_.core->Add(frame);
    if (IsPassing(sequence.status())) {
      // What came before it need not wait for space, too.
      if (!WriteGathered(i)) return;
      Sync(SyncReason::kUnsyncedBytes);
      if (failed_) return;
      Persist([&] { return (sequence = parts_.core->Add(frame)).status(); }).IgnoreError();
    }
    if (!sequence.ok()) return Fail(sequence.status());
    append->sequence = *sequence;
    if (parts_.core->gathered_bytes() < options_.group_bytes) continue;
    AnnounceDurable();
    if (!WriteGathered(i + 1)) return;
    if (!HasRoomUnsynced()) Sync(SyncReason::kUnsyncedBytes);
    if (failed_) return;
  }
  if (!WriteGathered(drained_.size())) return;
  if (const std::optional<SyncReason> reason = SyncReasonNow()) {
    Sync(*reason);
  } else {
    AnnounceDurable();
  }
  FinishGroup();
}

// From now on drained_[i] cannot be withdrawn. False if it was: it is gone then.
bool Committer::Claim(size_t i) {
  PendingAppend* append = drained_[i];
  if (append->answer != PendingAppend::Answer::kTicket || append->ticket->Claim()) return true;
  // Who withdrew it has counted it.
  TicketCell* ticket = append->ticket;
  releaser_.Add(append);
  ticket->Finish(kNoSequence);
  drained_[i] = nullptr;
  return false;
}

// Writes what was gathered of drained_[0, end) and finishes what needs no more
// than that. False if the log has failed.
bool Committer::WriteGathered(size_t end) {
  absl::Status status = Persist([this] { return parts_.core->Write(); });
  if (!status.ok()) {
    Fail(std::move(status));
    return false;
  }
  parts_.watermark->PublishWritten(parts_.core->last_written());
  // After a fail-over it is durable, too.
  if (parts_.core->last_durable() != parts_.watermark->last_durable()) {
    parts_.watermark->PublishDurable(parts_.core->last_durable());
  }
  PublishStats();
  now_us_ = MicrosecondStamp(SteadyNow());
  for (; finished_ < end; ++finished_) {
    PendingAppend* append = drained_[finished_];
    if (append == nullptr) continue;
    if (append->durability == Durability::kDurable) {
      unsynced_.push_back(append);
    } else {
      Finish(append);
    }
  }
  OpenGates();
  if (end < drained_.size()) releaser_.Flush();
  return true;
}

// Before anybody hears how it ended.
void Committer::Count(const PendingAppend& append) {
  if (append.kind != PendingAppend::Kind::kRecords) return;
  if (MILLRACE_SABOTAGE(double_acknowledgement)) outcomes_.acknowledged.Add(append.count);
  if (append.sequence == kNoSequence) {
    outcomes_.failed.Add(append.count);
    return;
  }
  outcomes_.acknowledged.Add(append.count);
  parts_.stats->RecordAcknowledged(append.accepted_us, now_us_);
}

// Tells the append's owner its number, or that the log has failed; the append is
// gone then.
void Committer::Finish(PendingAppend* append) {
  Count(*append);
  const SequenceNumber sequence = append->sequence;
  switch (append->answer) {
    case PendingAppend::Answer::kNobody:
      releaser_.Add(append);
      break;
    case PendingAppend::Answer::kThread: {
      Completion* completion = append->completion;
      releaser_.Add(append);
      gates_ |= completion->Set(sequence);
      break;
    }
    case PendingAppend::Answer::kTicket: {
      TicketCell* ticket = append->ticket;
      releaser_.Add(append);
      ticket->Finish(sequence);
      break;
    }
    case PendingAppend::Answer::kCallback: {
      auto* with_callback = static_cast<CallbackAppend*>(append);
      if (newest_callback_ == nullptr) {
        oldest_callback_ = with_callback;
      } else {
        newest_callback_->next = with_callback;
      }
      newest_callback_ = with_callback;
      break;
    }
  }
}

void Committer::FinishGroup() {
  OpenGates();
  releaser_.Flush();
  if (newest_callback_ != nullptr) {
    parts_.callbacks->Push(oldest_callback_, newest_callback_);
    oldest_callback_ = newest_callback_ = nullptr;
  }
  if (failed_) return;
  const Deadline now = SteadyNow();
  Watch(now);
  watch_again_ = true;
  idle_deadline_ = now + absl::ToChronoNanoseconds(options_.idle_mark_delay);
  const absl::Duration interval = options_.sync_policy.interval;
  if (interval > absl::ZeroDuration() && sync_deadline_ == kNoDeadline &&
      parts_.core->unsynced_records() != 0) {
    sync_deadline_ = now + absl::ToChronoNanoseconds(interval);
  }
}

// Nothing is drained: does what time demands, or sleeps.
void Committer::Rest() {
  const Deadline now = SteadyNow();
  if (now >= sync_deadline_) {
    Sync(SyncReason::kPolicyInterval);
    FinishGroup();
    return;
  }
  if (now >= idle_deadline_) {
    idle_deadline_ = kNoDeadline;
    absl::Status status = Persist([this] { return parts_.core->WriteIdleMark(); });
    if (!status.ok()) return Fail(std::move(status));
    // After a fail-over there is one to be written again.
    if (parts_.core->NeedsIdleMark()) {
      idle_deadline_ = now + absl::ToChronoNanoseconds(options_.idle_mark_delay);
    }
    PublishStats();
    parts_.chunks->Trim(kIdleChunkBytes);
    if (drained_.capacity() > kIdleElements) std::vector<PendingAppend*>().swap(drained_);
    return;
  }
  Deadline until = std::min(sync_deadline_, idle_deadline_);
  if (!parts_.callbacks->Serve()) until = std::min<Deadline>(until, now + kThreadRetry);
  // What is in flight now waits for callbacks, which may keep the queue full while this sleeps.
  if (parts_.events->enabled() && (watch_again_ || !parts_.queue->Idle())) {
    until = std::min(until, next_watch_);
  }
  until = std::min(until, queue_full_.due());
  parts_.stats->pending_age().Sleeps();
  parts_.queue->WaitForWork(until);
  const Deadline woken = SteadyNow();
  parts_.stats->pending_age().Wakes(woken);
  Watch(woken);
}

void Committer::Fail(absl::Status status) {
  WAL_CHECK(!failed_);
  failed_ = true;
  sync_deadline_ = idle_deadline_ = kNoDeadline;
  parts_.events->LogFailed(status);
  failure_ = std::move(status);
  parts_.watermark->End(HasFailed(failure_));
  // release: whoever finds the queue closed finds the error; pairs with the fence in
  // LogCore::EndError().
  std::atomic_thread_fence(std::memory_order_release);
  parts_.queue->Close();
  FailUnfinished();
}

// What everybody is told from then on; events name the log by themselves.
absl::Status Committer::HasFailed(const absl::Status& status) const {
  return InFront(absl::StrCat("log ", parts_.log, " has failed (close it, and open it again)"),
                 status);
}

void Committer::FailUnfinished() {
  for (PendingAppend* append : unsynced_) {
    append->sequence = kNoSequence;
    Finish(append);
  }
  unsynced_.clear();
  for (; finished_ < drained_.size(); ++finished_) {
    PendingAppend* append = drained_[finished_];
    if (append == nullptr || !Claim(finished_)) continue;
    append->sequence = kNoSequence;
    Finish(append);
  }
  FinishGroup();
}

void Committer::End() {
  wake_thread_.Stop();
  // While the log's lock is still held.
  if (parts_.shared_checkpoints != nullptr) parts_.shared_checkpoints->Close();
  // Space for records is waited for; for the footer it is not.
  if (!failed_) {
    Persist([this] { return parts_.core->Sync(SyncReason::kClose); }).IgnoreError();
  }
  // Also after a failure: it gives the directory free and writes nothing then.
  absl::Status status = parts_.core->Close();
  if (!failed_ && status.ok()) {
    parts_.watermark->PublishWritten(parts_.core->last_written());
    parts_.watermark->PublishDurable(parts_.core->last_durable());
    status = closed_;
  }
  if (failed_) status = failure_;
  const bool in_order = absl::IsCancelled(status);
  parts_.watermark->End(in_order ? status : HasFailed(status));
  WatchForTheLastTime();
  parts_.events->Closed(parts_.core->last_durable(), in_order ? absl::OkStatus() : status);
  PublishStats();
  std::vector<Command*> commands;
  {
    MutexLock lock(&mu_);
    ended_ = true;
    commands.swap(commands_);
  }
  for (Command* command : commands) {
    command->result = parts_.watermark->status();
    command->completion.Finish(kNoSequence);
  }
  // relaxed: joining the thread orders what it did.
  done_.store(true, std::memory_order_relaxed);
  done_waiters_.Notify();
}

bool Committer::AwaitEnd(Deadline deadline) {
  // relaxed: says only that joining will not take long.
  return done_waiters_.Await([this] { return done_.load(std::memory_order_relaxed); }, deadline);
}

void Committer::PublishStats() const {
  const CoreCounters now = parts_.core->counters();
  parts_.stats->Publish({.records = now.records,
                         .groups = now.groups,
                         .syncs = now.syncs,
                         .bytes_written = now.bytes_written,
                         .rotations = now.rotations,
                         .recycled_segments = now.recycled_segments,
                         .fail_overs = now.fail_overs,
                         .unsynced_records = parts_.core->unsynced_records(),
                         .unsynced_bytes = parts_.core->unsynced_bytes(),
                         .active_bytes = parts_.core->active_bytes()});
}

}  // namespace millrace
