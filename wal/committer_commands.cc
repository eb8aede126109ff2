// What the writer does on command, between the appends: trimming and truncating.

#include <optional>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "queue/sabotage.h"
#include "wal/check.h"
#include "wal/committer.h"
#include "wal/io_status.h"

namespace millrace {

absl::Status Committer::TrimBefore(SequenceNumber first_to_keep, TrimMode mode) {
  Command command{first_to_keep, mode, absl::OkStatus(), {}};
  command.completion.Begin(parts_.gates);
  {
    MutexLock lock(&mu_);
    if (ended_) return parts_.watermark->status();
    commands_.push_back(&command);
  }
  // relaxed: the mutex passes the command on, and WakeConsumer() sees to the look at it.
  has_commands_.store(true, std::memory_order_relaxed);
  parts_.queue->WakeConsumer();
  command.completion.Await();
  return command.result;
}

void Committer::RunCommands() {
  // relaxed, both: a hint to look under the mutex.
  if (!has_commands_.load(std::memory_order_relaxed)) return;
  has_commands_.store(false, std::memory_order_relaxed);
  std::vector<Command*> commands;
  {
    MutexLock lock(&mu_);
    commands.swap(commands_);
  }
  for (Command* command : commands) {
    command->result = Trim(*command);
    command->completion.Finish(kNoSequence);
  }
}

absl::Status Committer::Trim(const Command& command) {
  if (failed_) return parts_.watermark->status();
  WalCore& core = *parts_.core;
  if (command.first_to_keep > core.last_durable() + 1) {
    return absl::OutOfRangeError(absl::StrCat("cannot trim before ", command.first_to_keep,
                                              ": only records up to ", core.last_durable(),
                                              " are durable; flush first, or trim less"));
  }
  const std::optional<CursorRegistry::Checkpoint> lowest = parts_.cursors->BeginTrim();
  const absl::Cleanup end = [this] { parts_.cursors->EndTrim(); };
  if (command.mode == TrimMode::kRespectCursors && lowest.has_value() &&
      !MILLRACE_SABOTAGE(trim_before_checkpoint) && lowest->committed + 1 < command.first_to_keep) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot trim before ", command.first_to_keep, ": cursor ", lowest->name,
                     " has durably committed only up to ", lowest->committed,
                     "; let it commit and checkpoint, trim less, or use TrimMode::kForce"));
  }
  core.SetTime(absl::GetCurrentTimeNanos());
  absl::Status status = TrimUnheld(command);
  if (!core.status().ok()) {
    // Who is held meets the error by himself.
    if (holding()) return HasFailed(core.status());
    Fail(core.status());
    return parts_.watermark->status();
  }
  if (!status.ok()) return InFront(absl::StrCat("log ", parts_.log), status);
  sync_deadline_ = kNoDeadline;
  parts_.watermark->PublishDurable(core.last_durable());
  parts_.watermark->PublishFirstRetained(core.first_retained());
  if (const size_t segments = core.trimmed_segments(); segments != 0) {
    parts_.events->Trimmed(core.first_retained(), segments);
  }
  core.ReleaseTrimmed();
  PublishStats();
  return status;
}

// What is being copied is kept, unless it is to go by force.
absl::Status Committer::TrimUnheld(const Command& command) const {
  if (parts_.trim_holds == nullptr) return parts_.core->TrimBefore(command.first_to_keep);
  MutexLock lock(&parts_.trim_holds->mu());
  SequenceNumber first_to_keep = command.first_to_keep;
  if (command.mode == TrimMode::kRespectCursors) {
    first_to_keep = parts_.trim_holds->Lowered(first_to_keep);
  }
  return parts_.core->TrimBefore(first_to_keep);
}

// Carries out drained_[i], a TruncateCommand, in its place among the appends. False if the log
// has failed.
bool Committer::Truncate(size_t i) {
  // What came before it is finished first, as durable as it asked to be: it happened, even if its
  // records are dropped now.
  if (!WriteGathered(i)) return false;
  Sync(SyncReason::kTrim);
  if (failed_) return false;
  auto* command = static_cast<TruncateCommand*>(drained_[i]);
  command->status = TruncateLog(command->last_to_keep);
  if (!parts_.core->status().ok()) {
    Fail(parts_.core->status());
    return false;
  }
  command->sequence = kDoneWithoutNumber;
  finished_ = i + 1;
  Finish(command);
  return true;
}

absl::Status Committer::TruncateLog(SequenceNumber last_to_keep) {
  WalCore& core = *parts_.core;
  core.SetTime(absl::GetCurrentTimeNanos());
  const SequenceNumber last = core.last_written();
  absl::Status status = Persist([&core, last_to_keep] { return core.TruncateAfter(last_to_keep); });
  if (!status.ok() || last == last_to_keep) return status;
  // Before any file goes: who finds one gone finds why.
  parts_.watermark->PublishTruncation(last_to_keep, core.epoch());
  status = parts_.cursors->Truncate(last_to_keep, core.epoch());
  core.ReleaseTrimmed();
  parts_.events->Truncated(last_to_keep, core.epoch(), last - last_to_keep);
  PublishStats();
  return status;
}

}  // namespace millrace
