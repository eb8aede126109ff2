#include "wal/log_core.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "wal/check.h"
#include "wal/check_options.h"
#include "wal/cursor_lag.h"
#include "wal/deadline.h"
#include "wal/format.h"
#include "wal/io_status.h"
#include "wal/posix_file_system.h"
#include "wal/stored_cursor.h"
#include "wal/strings.h"

namespace millrace {
namespace {

// Beyond the queue's bound: the chunks that producers have just begun.
constexpr uint64_t kChunkSlackBytes = uint64_t{1} << 20;

// How often closing looks whether callbacks lack a thread.
constexpr std::chrono::milliseconds kCallbackCheck{20};

uint64_t MaxBodyBytes(const Options& options) {
  const uint64_t chunk = ChunkPool::RoundDownToClass(options.queue_bytes / 4);
  return std::min(WalCore::MaxBodyBytes(options),
                  chunk - ProducerMemory::overhead() - sizeof(CallbackAppend));
}

// What opening found of CURSORS that somebody should look at.
void TellOfCheckpoints(const SharedCheckpoints::Report& report, LogEvents* events) {
  if (!report.status.ok()) {
    events->CheckpointsLost(kSharedCheckpointsName, report.status);
  } else if (report.set_aside) {
    events->CheckpointsLost(kSharedCheckpointsName,
                            absl::DataLossError("the file is not this log's, or cannot be read; "
                                                "it was set aside"));
  }
  for (const std::string& cursor : report.lost) {
    events->CheckpointsLost(
        kSharedCheckpointsName,
        absl::DataLossError(absl::StrCat("those of cursor ", cursor, " are not there")));
  }
}

}  // namespace

LogCore::LogCore(std::string directory, const Options& options)
    : directory_(std::move(directory)),
      options_(options),
      closed_error_(absl::CancelledError(
          absl::StrCat("log ", directory_, " is closed: open it again to go on"))),
      out_of_memory_(absl::ResourceExhaustedError(absl::StrCat(
          "log ", directory_, ": out of memory: free some, or lower Options::queue_records = ",
          options.queue_records, " and queue_bytes = ", options.queue_bytes))),
      dropped_(absl::ResourceExhaustedError(
          absl::StrCat("log ", directory_,
                       ": the queue was full, and the append was dropped (WhenFull::kDropNewest): "
                       "raise Options::queue_records = ",
                       options.queue_records, " or queue_bytes = ", options.queue_bytes))),
      max_body_bytes_(MaxBodyBytes(options)),
      max_batch_records_(std::min(kMaxBatchRecords, options.queue_records / 4)),
      dispatcher_(directory_, options.event_listener),
      events_(&dispatcher_),
      meter_(&stats_, &events_, options.slow_sync),
      chunks_(options.queue_bytes + kChunkSlackBytes),
      queue_(Limits{.records = options.queue_records, .bytes = options.queue_bytes}),
      gates_(options.wait_yields),
      callbacks_(&queue_, &watermark_, dropped_) {}

void LogCore::StopHolding() { committer_->StopHolding(); }

LogCore::~LogCore() {
  if (committer_ == nullptr) return;
  // The Log has closed it, unless opening failed half way.
  Close(absl::InfiniteDuration()).IgnoreError();
}

absl::Status LogCore::Named(const absl::Status& status) const {
  if (status.ok()) return status;
  const std::string log = absl::StrCat("log ", directory_);
  // Some say it themselves.
  if (ToStd(status.message()).starts_with(log)) return status;
  return InFront(log, status);
}

absl::StatusOr<std::shared_ptr<LogCore>> LogCore::Open(std::string directory,
                                                       const Options& options) {
  absl::Status status = CheckOptions(options);
  if (!status.ok()) {
    return InFront(absl::StrCat("log ", directory), status);
  }
  // In a forked child the threads that the destructor would join do not exist.
  std::shared_ptr<LogCore> core(new LogCore(std::move(directory), options), [](LogCore* core) {
    if (!core->fork_guard_.Forked()) delete core;
  });
  FileSystem* file_system =
      options.file_system != nullptr ? options.file_system : PosixFileSystem();
  status = core->Start(*file_system);
  if (!status.ok()) return core->Named(status);
  return core;
}

absl::Status LogCore::Start(FileSystem& file_system) {
  if (!queue_.ok()) return out_of_memory_;
  const DirectoryMode mode = options_.create_mode == CreateMode::kMustExist
                                 ? DirectoryMode::kMustExist
                                 : DirectoryMode::kCreate;
  std::unique_ptr<Directory> opened;
  const IoResult result = file_system.OpenDirectory(directory_, mode, &opened);
  if (result < 0) return IoError("open", "the directory", result);
  // Before anything is changed on disk.
  absl::Status status = dispatcher_.Start();
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<WalCore>> core = WalCore::Open(
      file_system, std::move(opened), options_, &supply_, absl::GetCurrentTimeNanos(), &recovery_);
  if (!core.ok()) return core.status();
  core_ = std::move(*core);
  recovery_.doubtful_file_system = DoubtfulFileSystem(core_->directory().FileSystemType());
  core_->SetObserver(&meter_);
  body_seed_ = core_->body_seed();
  watermark_.Start(core_->last_durable(), core_->first_retained(), core_->epoch());
  const SequenceNumber last = core_->next_sequence() - 1;
  absl::StatusOr<std::unique_ptr<SharedCheckpoints>> shared =
      SharedCheckpoints::Open(file_system, core_->directory(), core_->log_id());
  if (!shared.ok()) return shared.status();
  shared_checkpoints_ = std::move(*shared);
  const LogExtent extent = {
      .last = last, .epoch = core_->epoch(), .epoch_base = core_->epoch_base()};
  status = RegisterCursors(core_->directory(), core_->log_id(), extent, cursors_,
                           shared_checkpoints_.get());
  if (!status.ok()) return status;
  Committer::Parts parts = {core_.get(),
                            &queue_,
                            &chunks_,
                            &watermark_,
                            &callbacks_,
                            &cursors_,
                            shared_checkpoints_.get(),
                            &stats_,
                            &events_,
                            &meter_,
                            &gates_,
                            [this] { return CountAdmissions(); },
                            directory_,
                            &trim_holds_};
  auto committer = std::make_unique<Committer>(std::move(parts), options_, closed_error_);
  // Before the writer can have something to say.
  events_.Opened(recovery_);
  TellOfCheckpoints(shared_checkpoints_->report(), &events_);
  status = committer->Start();
  if (!status.ok()) {
    events_.Closed(core_->last_durable(), status);
    return status;
  }
  committer_ = std::move(committer);
  return status;
}

absl::Status LogCore::CheckProcess() const {
  if (__builtin_expect(!fork_guard_.Forked(), 1)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("log ", directory_,
                   " was opened by the process that this one was forked from, and is that one's: "
                   "open it after the fork"));
}

absl::Status LogCore::EndError() const {
  // acquire: whoever found the queue closed finds the error; pairs with the fence in
  // Committer::Fail().
  std::atomic_thread_fence(std::memory_order_acquire);
  absl::Status status = watermark_.status();
  if (status.ok() && queue_.Closed()) status = closed_error_;
  return status;
}

absl::StatusOr<ProducerSlot*> LogCore::Borrow() {
  ProducerSlot* slot = slots_.Acquire([this] { return ProducerSlot(&queue_, &chunks_); });
  if (slot == nullptr) {
    constexpr uint32_t kMost = SlotPool<ProducerSlot>::kMostSlots;
    if (slots_.size() < kMost) return out_of_memory_;
    return absl::ResourceExhaustedError(
        absl::StrCat("log ", directory_, ": ", kMost,
                     " producers are in use; destroy one or append from fewer threads"));
  }
  if (!slot->lane.valid()) slot->lane = queue_.MakeProducer();
  if (slot->lane.valid()) return slot;
  slots_.Release(slot);
  return out_of_memory_;
}

// Waits until the writer has ended; it cannot while callbacks have not given their space back.
bool LogCore::AwaitWriter(Deadline deadline) {
  while (true) {
    const Deadline next = std::chrono::steady_clock::now() + kCallbackCheck;
    if (committer_->AwaitEnd(std::min(deadline, next))) return true;
    // Before giving up: whoever closes a bit at a time gets there too.
    callbacks_.RunWithoutThread();
    if (deadline <= next) return false;
  }
}

absl::Status LogCore::Close(absl::Duration timeout) {
  absl::Status status = CheckProcess();
  if (!status.ok()) return status;
  if (OnCallbackThread()) {
    return absl::FailedPreconditionError(
        absl::StrCat("log ", directory_,
                     ": closing waits for callbacks to end, so it cannot be done in one: close it "
                     "in another thread"));
  }
  if (OnEventThread()) {
    return absl::FailedPreconditionError(
        absl::StrCat("log ", directory_,
                     ": closing waits for the event listener, so it cannot be done in it: close "
                     "it in another thread"));
  }
  const Deadline deadline = DeadlineAfter(timeout);
  queue_.Close();
  if (!AwaitWriter(deadline)) {
    return absl::DeadlineExceededError(absl::StrCat(
        "log ", directory_, " is still closing after ", absl::FormatDuration(timeout), ": ",
        queue_.Depth().records, " appends and flushes are under way; call Close again"));
  }
  if (!callbacks_.Stop(deadline)) {
    return absl::DeadlineExceededError(
        absl::StrCat("log ", directory_, ": a callback has not returned after ",
                     absl::FormatDuration(timeout), "; call Close again"));
  }
  {
    MutexLock lock(&close_mu_);
    committer_->Join();
  }
  if (!dispatcher_.Stop(deadline)) {
    return absl::DeadlineExceededError(
        absl::StrCat("log ", directory_, ": the event listener has not returned after ",
                     absl::FormatDuration(timeout), "; call Close again"));
  }
  status = watermark_.status();
  return absl::IsCancelled(status) ? absl::OkStatus() : status;
}

AdmissionCounts LogCore::CountAdmissions() const {
  AdmissionCounts counts;
  slots_.ForEach([&counts](const ProducerSlot& slot) {
    counts.waited_appends += slot.counters.waited_appends.value();
    counts.refused_records += slot.counters.refused_records.value();
    counts.dropped_records += slot.counters.dropped_records.value();
  });
  return counts;
}

LogStats LogCore::stats() const {
  LogStats stats;
  // In a forked child a thread that is not there may hold the locks.
  if (fork_guard_.Forked()) return stats;
  // How records ended before how they were accepted: see ProducerCounters.
  stats.acknowledged = committer_->acknowledged();
  stats.failed = committer_->failed();
  // acquire: who sees a withdrawal sees its record accepted; pairs with release in Withdraw().
  stats.withdrawn = withdrawn_.load(std::memory_order_acquire);
  stats.failed += stats.withdrawn;
  slots_.ForEach(
      [&stats](const ProducerSlot& slot) { stats.accepted += slot.counters.accepted.value(); });
  const AdmissionCounts admissions = CountAdmissions();
  stats.waited_appends = admissions.waited_appends;
  stats.refused_records = admissions.refused_records;
  stats.dropped_records = admissions.dropped_records;
  stats.pending = stats.accepted - stats.acknowledged - stats.failed;
  const InFlight queued = queue_.Depth();
  stats.queue_records = queued.records;
  stats.queue_bytes = queued.bytes;
  stats.producer_memory_bytes = producer_memory_bytes();
  const std::shared_ptr<SegmentList>& segments = core_->segments();
  for (std::shared_ptr<SegmentNode> node = segments->First(); node != nullptr;) {
    ++stats.segments;
    if (!node->sealed()) break;
    stats.log_bytes += node->end();
    node = node->next();
  }
  stats.disk_full = committer_->holding();
  stats_.Fill(std::chrono::steady_clock::now(), &stats);
  stats.prepared_segments = supply_.ready_segments();
  stats.spare_bytes = supply_.spare_bytes();
  stats.last_written = watermark_.last_written();
  stats.last_durable = watermark_.last_durable();
  stats.first_retained = watermark_.first_retained();
  stats.cursors = ListCursors(cursors_, *core_->segments(), watermark_);
  return stats;
}

CursorContext LogCore::ContextFor(const std::shared_ptr<LogCore>& core) {
  CursorContext context;
  context.directory = std::shared_ptr<Directory>(core, &core->core_->directory());
  context.log_id = core->core_->log_id();
  context.segments = core->core_->segments();
  context.watermark = std::shared_ptr<const Watermark>(core, &core->watermark_);
  context.registry = std::shared_ptr<CursorRegistry>(core, &core->cursors_);
  context.shared = std::shared_ptr<SharedCheckpoints>(core, core->shared_checkpoints_.get());
  context.events = std::shared_ptr<CursorEvents>(core, &core->cursor_events_);
  context.process = std::shared_ptr<const ForkGuard>(core, &core->fork_guard_);
  return context;
}

}  // namespace millrace
