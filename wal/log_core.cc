#include "wal/log_core.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "wal/check.h"
#include "wal/check_options.h"
#include "wal/deadline.h"
#include "wal/format.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

// Beyond the queue's bound: the chunks that producers have just begun.
constexpr uint64_t kChunkSlackBytes = uint64_t{1} << 20;

// What is in front of a body in a producer's memory.
constexpr uint64_t NodeBytes(const AppendCallback* callback) {
  return callback == nullptr ? sizeof(PendingAppend) : sizeof(CallbackAppend);
}

uint64_t MaxBodyBytes(const Options& options) {
  const uint64_t chunk = ChunkPool::RoundDownToClass(options.queue_bytes / 4);
  return std::min(WalCore::MaxBodyBytes(options),
                  chunk - ProducerMemory::overhead() - sizeof(CallbackAppend));
}

// The same error, told by the log that met it.
absl::Status Annotate(const std::string& directory, const absl::Status& status) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat("log ", directory, ": ", status.message()));
  status.ForEachPayload([&annotated](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace

LogCore::LogCore(std::string directory, const Options& options)
    : directory_(std::move(directory)),
      options_(options),
      closed_error_(absl::CancelledError(absl::StrCat("log ", directory_, " is closed"))),
      out_of_memory_(
          absl::ResourceExhaustedError(absl::StrCat("log ", directory_, ": out of memory"))),
      max_body_bytes_(MaxBodyBytes(options)),
      dispatcher_(directory_, options.event_listener),
      events_(&dispatcher_),
      meter_(&stats_, &events_, options.slow_sync),
      chunks_(options.queue_bytes + kChunkSlackBytes),
      queue_(Limits{.records = options.queue_records, .bytes = options.queue_bytes}),
      callbacks_(&queue_, &watermark_) {}

LogCore::~LogCore() {
  if (committer_ == nullptr) return;
  // The Log has closed it, unless opening failed half way.
  Close(absl::InfiniteDuration()).IgnoreError();
}

absl::StatusOr<std::shared_ptr<LogCore>> LogCore::Open(std::string directory,
                                                       const Options& options) {
  absl::Status status = CheckOptions(options);
  if (!status.ok()) return Annotate(directory, status);
  // In a forked child the threads that the destructor would join do not exist.
  std::shared_ptr<LogCore> core(new LogCore(std::move(directory), options), [](LogCore* core) {
    if (!core->fork_guard_.Forked()) delete core;
  });
  FileSystem* file_system =
      options.file_system != nullptr ? options.file_system : PosixFileSystem();
  status = core->Start(*file_system);
  if (!status.ok()) return Annotate(core->directory_, status);
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
  core_->SetObserver(&meter_);
  body_seed_ = core_->body_seed();
  watermark_.Start(core_->last_durable(), core_->first_retained(), core_->epoch());
  status =
      RegisterCursors(core_->directory(), core_->log_id(), core_->next_sequence() - 1, cursors_);
  if (!status.ok()) return status;
  const Committer::Parts parts = {core_.get(), &queue_,   &chunks_, &watermark_,
                                  &callbacks_, &cursors_, &stats_,  &events_};
  auto committer = std::make_unique<Committer>(parts, options_, closed_error_);
  // Before the writer can have something to say.
  events_.Opened(recovery_);
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

absl::Status LogCore::TooLarge(uint64_t body_bytes) const {
  const bool by_segment = max_body_bytes_ == WalCore::MaxBodyBytes(options_);
  return absl::InvalidArgumentError(absl::StrCat(
      "log ", directory_, ": a record of ", body_bytes,
      " bytes (payload, key and attributes) is over the limit of ", max_body_bytes_, ", which ",
      by_segment
          ? absl::StrCat("Options::segment_bytes = ", options_.segment_bytes, " sets")
          : absl::StrCat("a quarter of Options::queue_bytes = ", options_.queue_bytes, " sets"),
      ": split the record or raise that option"));
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

absl::StatusOr<SequenceNumber> LogCore::Append(ProducerSlot& slot, std::string_view payload,
                                               const AppendOptions& options) {
  absl::Status status = Submit(slot, payload, options, nullptr);
  if (!status.ok()) return status;
  if (options.durability == Durability::kBuffered) return kNoSequence;
  const SequenceNumber sequence = slot.completion.Await();
  if (sequence == kNoSequence) return EndError();
  return sequence;
}

absl::Status LogCore::AppendAsync(ProducerSlot& slot, std::string_view payload,
                                  const AppendOptions& options, AppendCallback callback) {
  // Before a thread is started: a child gets none.
  absl::Status status = CheckProcess();
  if (status.ok()) status = callbacks_.Start();
  if (!status.ok()) return status;
  return Submit(slot, payload, options, &callback);
}

absl::Status LogCore::Submit(ProducerSlot& slot, std::string_view payload,
                             const AppendOptions& options, AppendCallback* callback) {
  AtAppendStep(AppendStep::kBorrowed);
  absl::Status status = CheckProcess();
  if (!status.ok()) return status;
  const uint64_t extras = ExtrasBytes(options);
  if (extras > max_body_bytes_ || payload.size() > max_body_bytes_ - extras) {
    return TooLarge(extras + payload.size());
  }
  const uint64_t bytes = NodeBytes(callback) + extras + payload.size();
  // Before the copy: what a thread waits with is the caller's memory, not the log's.
  const uint64_t charge = slot.memory.Charge(bytes);
  status = Admit(slot, charge);
  if (!status.ok()) return status;
  AtAppendStep(AppendStep::kAdmitted);
  PendingAppend* append = Compose(slot, payload, options, callback, bytes);
  if (append == nullptr) {
    queue_.Return(1, charge);
    return out_of_memory_;
  }
  append->charged_bytes = charge;
  AtAppendStep(AppendStep::kCopied);
  if (!queue_.Enqueue(slot.lane, append)) {
    MemoryChunk* chunk = append->chunk;
    if (callback != nullptr) static_cast<CallbackAppend*>(append)->~CallbackAppend();
    chunk->Free(1);
    queue_.Return(1, charge);
    return out_of_memory_;
  }
  AtAppendStep(AppendStep::kEnqueued);
  return absl::OkStatus();
}

absl::Status LogCore::Admit(ProducerSlot& slot, uint64_t bytes) {
  Admission admission = queue_.TryAdmit(slot.lane, 1, bytes);
  if (admission == Admission::kFull) {
    // The callback thread gives credits back: if it waited for some it could wait for itself.
    if (OnCallbackThread()) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "log ", directory_,
          ": the queue is full (Options::queue_records, queue_bytes), and an "
          "append from a callback does not wait: raise them, or append from another thread"));
    }
    admission = queue_.Admit(slot.lane, 1, bytes, kNoDeadline);
  }
  if (admission == Admission::kAdmitted) return absl::OkStatus();
  WAL_CHECK(admission == Admission::kClosed);
  return EndError();
}

// The record, complete, in the slot's memory; null if there is none.
PendingAppend* LogCore::Compose(ProducerSlot& slot, std::string_view payload,
                                const AppendOptions& options, AppendCallback* callback,
                                uint64_t bytes) {
  MemoryChunk* chunk = nullptr;
  void* memory = slot.memory.Allocate(bytes, &chunk);
  if (memory == nullptr) return nullptr;
  PendingAppend* append;
  if (callback == nullptr) {
    append = new (memory) PendingAppend;
    if (options.durability != Durability::kBuffered) {
      slot.completion.Begin();
      append->completion = &slot.completion;
    }
  } else {
    auto* with_callback = new (memory) CallbackAppend;
    with_callback->kind = PendingAppend::Kind::kRecordWithCallback;
    with_callback->callback = std::move(*callback);
    append = with_callback;
  }
  append->chunk = chunk;
  append->durability = options.durability;
  char* body = static_cast<char*>(memory) + NodeBytes(callback);
  const uint64_t extras = ExtrasBytes(options);
  if (extras != 0) {
    EncodeExtras(options, body);
    append->flags = kHasExtras;
  }
  if (!payload.empty()) std::memcpy(body + extras, payload.data(), payload.size());
  append->body = body;
  append->body_bytes = static_cast<uint32_t>(extras + payload.size());
  append->body_checksum = BodyChecksum(body_seed_, std::string_view(body, append->body_bytes));
  return append;
}

absl::Status LogCore::Flush(const FlushOptions& /*options*/) {
  absl::Status status = CheckProcess();
  if (!status.ok()) return status;
  absl::StatusOr<ProducerSlot*> slot = Borrow();
  if (!slot.ok()) return slot.status();
  const Admission admission = queue_.AdmitMarker();
  if (admission == Admission::kAdmitted) {
    (*slot)->flush = PendingAppend();
    (*slot)->flush.kind = PendingAppend::Kind::kFlush;
    (*slot)->flush.completion = &(*slot)->completion;
    (*slot)->completion.Begin();
    if (!queue_.Enqueue((*slot)->lane, &(*slot)->flush)) {
      queue_.Return(1, 0);
      status = out_of_memory_;
    } else if ((*slot)->completion.Await() == kNoSequence) {
      status = EndError();
    }
  } else if (admission == Admission::kFull) {
    status = absl::ResourceExhaustedError(
        absl::StrCat("log ", directory_, ": too many threads flush at once"));
  } else {
    status = EndError();
  }
  Return(*slot);
  return status;
}

absl::Status LogCore::TrimBefore(SequenceNumber first_to_keep, TrimMode mode) {
  absl::Status status = CheckProcess();
  if (status.ok()) status = EndError();
  if (!status.ok()) return status;
  return Annotate(directory_, committer_->TrimBefore(first_to_keep, mode));
}

absl::Status LogCore::Close(absl::Duration timeout) {
  absl::Status status = CheckProcess();
  if (!status.ok()) return status;
  if (OnCallbackThread()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "log ", directory_, ": closing waits for callbacks to end, so it cannot be done in one"));
  }
  if (OnEventThread()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "log ", directory_, ": closing waits for the event listener, so it cannot be done in it"));
  }
  const Deadline deadline = DeadlineAfter(timeout);
  queue_.Close();
  if (!committer_->AwaitEnd(deadline)) {
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

LogStats LogCore::stats() const {
  LogStats stats;
  const std::shared_ptr<SegmentList>& segments = core_->segments();
  for (std::shared_ptr<SegmentNode> node = segments->First(); node != nullptr;) {
    ++stats.segments;
    if (!node->sealed()) break;
    stats.log_bytes += node->end();
    node = node->next();
  }
  stats_.Fill(std::chrono::steady_clock::now(), &stats);
  stats.prepared_segments = supply_.ready_segments();
  stats.spare_bytes = supply_.spare_bytes();
  const InFlight depth = queue_.Depth();
  stats.queue_records = depth.records;
  stats.queue_bytes = depth.bytes;
  stats.producer_memory_bytes = chunks_.bytes();
  stats.last_written = watermark_.last_written();
  stats.last_durable = watermark_.last_durable();
  stats.first_retained = watermark_.first_retained();
  return stats;
}

CursorContext LogCore::ContextFor(const std::shared_ptr<LogCore>& core) {
  CursorContext context;
  context.directory = std::shared_ptr<Directory>(core, &core->core_->directory());
  context.log_id = core->core_->log_id();
  context.epoch = core->core_->epoch();
  context.segments = core->core_->segments();
  context.watermark = std::shared_ptr<const Watermark>(core, &core->watermark_);
  context.registry = std::shared_ptr<CursorRegistry>(core, &core->cursors_);
  context.process = std::shared_ptr<const ForkGuard>(core, &core->fork_guard_);
  return context;
}

}  // namespace millrace
