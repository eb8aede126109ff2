// When the writer syncs, and who is told then.

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "queue/sabotage.h"
#include "wal/committer.h"

namespace millrace {
namespace {

// From this many on, waking those who wait is left to a thread of its own: below,
// handing over costs more than it saves.
constexpr size_t kManyWaiters = 16;

Deadline SteadyNow() { return std::chrono::steady_clock::now(); }

}  // namespace

// Why a sync is due; nullopt if none is.
std::optional<SyncReason> Committer::SyncReasonNow() const {
  for (const PendingAppend* append : unsynced_) {
    if (append->kind != PendingAppend::Kind::kFlush) return SyncReason::kDurableAppend;
  }
  if (!unsynced_.empty()) return SyncReason::kFlush;
  const uint64_t records = parts_.core->unsynced_records();
  if (records == 0) return std::nullopt;
  const SyncPolicy& policy = options_.sync_policy;
  const uint64_t bytes = parts_.core->unsynced_bytes();
  if (policy.records != 0 && records >= policy.records) return SyncReason::kPolicyRecords;
  if (policy.bytes != 0 && bytes >= policy.bytes) return SyncReason::kPolicyBytes;
  if (sync_deadline_ != kNoDeadline && SteadyNow() >= sync_deadline_) {
    return SyncReason::kPolicyInterval;
  }
  if (!HasRoomUnsynced()) return SyncReason::kUnsyncedBytes;
  return std::nullopt;
}

// False if with one more group, of the usual size, more than unsynced_bytes could wait for a sync.
// What memory holds beside that counts as well: what is kept beyond its sync, and pieces that are
// not full. But no more than a part of the bound, or a small one would mean a sync for every group.
bool Committer::HasRoomUnsynced() const {
  const uint64_t bound = options_.unsynced_bytes;
  const uint64_t group = std::min(options_.group_bytes, bound / 2);
  const uint64_t unsynced = parts_.core->unsynced_bytes();
  const uint64_t held = std::max(unsynced, parts_.core->memory_bytes());
  const uint64_t beside = std::min(held - unsynced, bound / 8 + bound / 16);
  return unsynced + beside + group < bound;
}

void Committer::Sync(SyncReason reason) {
  if (MILLRACE_SABOTAGE(acknowledge_before_sync)) {
    parts_.watermark->PublishDurable(parts_.core->last_written());
  }
  if (unannounced_) {
    // While the device is at work there is time for readers.
    parts_.core->BeginSync();
    AnnounceDurable();
  }
  const Deadline begun = SteadyNow();
  absl::Status status = Persist([this, reason] { return parts_.core->Sync(reason); });
  if (!status.ok()) return Fail(std::move(status));
  gathering_.Synced(SteadyNow() - begun);
  sync_deadline_ = kNoDeadline;
  // Raised before anybody is told: whoever hears of a record also finds it.
  parts_.watermark->RaiseDurable(parts_.core->last_durable());
  unannounced_ = true;
  PublishStats();
  now_us_ = MicrosecondStamp(SteadyNow());
  for (PendingAppend* append : unsynced_) {
    if (append->answer == PendingAppend::Answer::kThread) {
      Count(*append);
      durable_.push_back({append->completion, append->sequence});
      releaser_.Add(append);
    } else if (append->answer == PendingAppend::Answer::kTicket) {
      Count(*append);
      durable_.push_back({nullptr, append->sequence, append->ticket});
      releaser_.Add(append);
    } else {
      Finish(append);
    }
  }
  unsynced_.clear();
  // A crowd is told first: its next records are to be under way when readers want the processors.
  if (durable_.size() < CompletionGates::kCrowd) AnnounceDurable();
  parts_.gates->Told(durable_.size());
  // Those of this group have not given their space back.
  const uint64_t in_flight = parts_.queue->Depth().records;
  gathering_.Told(durable_.size(), in_flight - std::min(in_flight, releaser_.held()));
  WakeDurable();
}

// Wakes those who wait for the watermark: readers, mostly. At the latest before the writer waits,
// for work, for space or for a sync.
void Committer::AnnounceDurable() {
  if (std::exchange(unannounced_, false)) parts_.watermark->WakeWaiters();
}

// With many to wake, the next group begins meanwhile.
void Committer::WakeDurable() {
  if (durable_.size() >= kManyWaiters && wake_thread_.Take(&durable_)) return;
  for (const WakeThread::Finished& f : durable_) gates_ |= f.Tell();
  durable_.clear();
  OpenGates();
}

// Wakes those who were told.
void Committer::OpenGates() { parts_.gates->Open(std::exchange(gates_, 0)); }

}  // namespace millrace
