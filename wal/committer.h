#ifndef MILLRACE_WAL_COMMITTER_H_
#define MILLRACE_WAL_COMMITTER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "millrace/sequence.h"
#include "queue/atomics.h"
#include "queue/cache_line.h"
#include "wal/append_counters.h"
#include "wal/append_queue.h"
#include "wal/callback_thread.h"
#include "wal/completion.h"
#include "wal/completion_gates.h"
#include "wal/core_meter.h"
#include "wal/cursor_registry.h"
#include "wal/group_gathering.h"
#include "wal/lagging_cursor_watch.h"
#include "wal/log_events.h"
#include "wal/mutex.h"
#include "wal/producer_memory.h"
#include "wal/queue_full_watch.h"
#include "wal/shared_checkpoints.h"
#include "wal/stats_recorder.h"
#include "wal/sync_reason.h"
#include "wal/thread.h"
#include "wal/ticket_cell.h"
#include "wal/trim_holds.h"
#include "wal/wake_thread.h"
#include "wal/wal_core.h"
#include "wal/watermark.h"

namespace millrace {

// The writer thread around a WalCore: drains the queue, writes and syncs in
// groups, publishes how far it came, and finishes each append.
//
// A group is what the queue holds when the writer comes back for more. While a sync runs the next
// group gathers by itself, so groups grow with load. Waited for, a little, are only threads that
// were just told that theirs is durable (GroupGathering).
//
// It ends by itself once the queue is closed and everything admitted is finished.
// When the core fails for good it closes the queue and finishes everything with that
// error. While there is no space it holds what it has, and tries again.
//
// Thread-safe, but for Start() and Join(), which one thread calls at a time.
class Committer {
 public:
  // What it works with; all of it outlives the committer.
  struct Parts {
    WalCore* core;
    AppendQueue* queue;
    ChunkPool* chunks;
    Watermark* watermark;
    CallbackThread* callbacks;
    CursorRegistry* cursors;
    SharedCheckpoints* shared_checkpoints;  // null: there are none
    StatsRecorder* stats;
    LogEvents* events;
    CoreMeter* meter;
    CompletionGates* gates;
    absl::AnyInvocable<AdmissionCounts() const> admissions;
    std::string log = {};             // its directory, for errors
    TrimHolds* trim_holds = nullptr;  // null: there are none
  };

  // `closed` is what the watermark ends with after closing in order.
  Committer(Parts parts, const Options& options, absl::Status closed);
  ~Committer();

  absl::Status Start();

  // As Log::TrimBefore. Executed by the writer between two groups.
  absl::Status TrimBefore(SequenceNumber first_to_keep, TrimMode mode);

  // True while records are held because there is no space for them.
  bool holding() const {
    // relaxed: a state that may be over by the time somebody acts on it.
    return holding_.load(std::memory_order_relaxed);
  }
  // From now on want of space, after one more attempt, is an error as any other.
  void StopHolding() {
    // relaxed: nothing is read through it.
    stop_holding_.store(true, std::memory_order_relaxed);
  }

  // Waits until the writer has ended. False if `deadline` comes first.
  bool AwaitEnd(Deadline deadline);
  void Join() { thread_.Join(); }

  // Records that ended, without those that were withdrawn. Before anybody hears of it.
  uint64_t acknowledged() const { return outcomes_.acknowledged.value(); }
  uint64_t failed() const { return outcomes_.failed.value(); }

 private:
  struct Command {
    SequenceNumber first_to_keep;
    TrimMode mode;
    absl::Status result;
    Completion completion;
  };

  void Run();
  void Gather();
  void CommitDrained();
  absl::Status Persist(absl::FunctionRef<absl::Status()> call);
  bool AwaitSpace(Deadline until);
  bool Claim(size_t i);
  bool Truncate(size_t i);
  absl::Status TruncateLog(SequenceNumber last_to_keep);
  bool WriteGathered(size_t end);
  std::optional<SyncReason> SyncReasonNow() const;
  bool HasRoomUnsynced() const;
  void Sync(SyncReason reason);
  void Rest();
  void Count(const PendingAppend& append);
  void Finish(PendingAppend* append);
  void WakeDurable();
  void AnnounceDurable();
  void OpenGates();
  void FinishGroup();
  void Fail(absl::Status status);
  void FailUnfinished();
  void RunCommands();
  absl::Status Trim(const Command& command);
  absl::Status TrimUnheld(const Command& command) const;
  void End();
  absl::Status HasFailed(const absl::Status& status) const;
  void PublishStats() const;
  void Watch(Deadline now);
  void WatchForTheLastTime();

  const Parts parts_;
  const Options options_;
  const absl::Status closed_;
  Thread thread_;

  // The writer's own.
  std::vector<PendingAppend*> drained_;   // null: was withdrawn
  size_t finished_ = 0;                   // how many of drained_ are finished or in unsynced_
  std::vector<PendingAppend*> unsynced_;  // written, waiting for a sync, in order
  AppendReleaser releaser_;
  std::vector<WakeThread::Finished> durable_;  // threads to be told that theirs is
  WakeThread wake_thread_;
  GroupGathering gathering_;
  CompletionGates::Mask gates_ = 0;  // to be opened for those who are told
  bool unannounced_ = false;         // the watermark was raised, and who waits for it not woken
  CallbackAppend* oldest_callback_ = nullptr;
  CallbackAppend* newest_callback_ = nullptr;
  bool failed_ = false;
  absl::Status failure_;  // if so
  Deadline sync_deadline_ = kNoDeadline;
  Deadline idle_deadline_ = kNoDeadline;
  uint32_t now_us_ = 0;  // MicrosecondStamp() of the last write or sync
  QueueFullWatch queue_full_;
  LaggingCursorWatch lagging_;
  Deadline next_watch_ = Deadline::min();
  bool watch_again_ = false;  // something happened since, or after, the last look

  // Written by those who command, rarely.
  alignas(kCacheLineBytes) std::atomic<bool> has_commands_{false};
  std::atomic<bool> stop_holding_{false};
  Mutex mu_;
  std::vector<Command*> commands_ ABSL_GUARDED_BY(mu_);
  bool ended_ ABSL_GUARDED_BY(mu_) = false;

  // Written by the writer, read by whoever asks.
  alignas(kCacheLineBytes) OutcomeCounters outcomes_;
  std::atomic<bool> holding_{false};
  std::atomic<bool> done_{false};
  Waiters<StdAtomics> done_waiters_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_COMMITTER_H_
