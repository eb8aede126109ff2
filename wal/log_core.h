#ifndef MILLRACE_WAL_LOG_CORE_H_
#define MILLRACE_WAL_LOG_CORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "millrace/producer.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "queue/slot_pool.h"
#include "wal/append_queue.h"
#include "wal/callback_thread.h"
#include "wal/committer.h"
#include "wal/core_meter.h"
#include "wal/cursor_registry.h"
#include "wal/cursor_state.h"
#include "wal/event_dispatcher.h"
#include "wal/fork_guard.h"
#include "wal/log_events.h"
#include "wal/mutex.h"
#include "wal/producer_memory.h"
#include "wal/segment_supply_thread.h"
#include "wal/stats_recorder.h"
#include "wal/wal_core.h"
#include "wal/watermark.h"

namespace millrace {

// What one thread at a time needs to append: its lane into the queue, its memory,
// and a place to wait. Lent by a LogCore; lives as long as that.
class ProducerSlot {
 public:
  ProducerSlot(AppendQueue* queue, ChunkPool* chunks)
      : lane(queue->MakeProducer()), memory(chunks) {}

  AppendQueue::Producer lane;
  ProducerMemory memory;
  Completion completion;
  PendingAppend flush;  // the marker of the flush that it waits for
};

// An open log: wires the queue, the writer and its threads, and is shared by the
// Log, its Producers and its Cursors. The last of them takes it away.
//
// Thread-safe.
class LogCore {
 public:
  // As Log::Open. In a child of this process the core is never destroyed.
  static absl::StatusOr<std::shared_ptr<LogCore>> Open(std::string directory,
                                                       const Options& options);

  LogCore(const LogCore&) = delete;
  LogCore& operator=(const LogCore&) = delete;
  ~LogCore();

  // Lends a slot. Errors: ResourceExhausted (all in use, or no memory).
  absl::StatusOr<ProducerSlot*> Borrow();
  void Return(ProducerSlot* slot) { slots_.Release(slot); }

  // As in Log.
  absl::StatusOr<SequenceNumber> Append(ProducerSlot& slot, std::string_view payload,
                                        const AppendOptions& options);
  absl::Status AppendAsync(ProducerSlot& slot, std::string_view payload,
                           const AppendOptions& options, AppendCallback callback);
  absl::Status Flush(const FlushOptions& options);
  absl::Status TrimBefore(SequenceNumber first_to_keep, TrimMode mode);
  absl::Status Close(absl::Duration timeout);
  LogStats stats() const;

  // Errors: FailedPrecondition (this process was forked from the log's).
  absl::Status CheckProcess() const;
  // Why nothing more is accepted; ok while the log is open.
  absl::Status EndError() const;

  bool OnCallbackThread() const { return callbacks_.IsCurrent(); }
  // True in a call of the log's event listener.
  bool OnEventThread() const { return dispatcher_.IsCurrent(); }

  // What a cursor needs; keeps `core` alive.
  static CursorContext ContextFor(const std::shared_ptr<LogCore>& core);

  const absl::Status& out_of_memory() const { return out_of_memory_; }
  const RecoveryReport& recovery() const { return recovery_; }
  const std::string& directory() const { return directory_; }
  uint64_t max_body_bytes() const { return max_body_bytes_; }
  const Watermark& watermark() const { return watermark_; }
  // Of all memory that producers hold or could use again.
  uint64_t producer_memory_bytes() const { return chunks_.bytes(); }

 private:
  LogCore(std::string directory, const Options& options);

  absl::Status Start(FileSystem& file_system);
  absl::Status Submit(ProducerSlot& slot, std::string_view payload, const AppendOptions& options,
                      AppendCallback* callback);
  absl::Status Admit(ProducerSlot& slot, uint64_t bytes);
  absl::Status TooLarge(uint64_t body_bytes) const;
  PendingAppend* Compose(ProducerSlot& slot, std::string_view payload, const AppendOptions& options,
                         AppendCallback* callback, uint64_t bytes);

  const ForkGuard fork_guard_;
  const std::string directory_;
  const Options options_;
  const absl::Status closed_error_;
  const absl::Status out_of_memory_;  // made ahead: a message needs memory
  const uint64_t max_body_bytes_;
  uint64_t body_seed_ = 0;
  RecoveryReport recovery_;

  EventDispatcher dispatcher_;
  LogEvents events_;
  StatsRecorder stats_;
  CoreMeter meter_;
  Watermark watermark_;
  CursorRegistry cursors_;
  ChunkPool chunks_;
  AppendQueue queue_;
  SlotPool<ProducerSlot> slots_;
  ThreadedSegmentSupply supply_;
  std::unique_ptr<WalCore> core_;
  CallbackThread callbacks_;
  std::unique_ptr<Committer> committer_;  // once the core is open

  Mutex close_mu_;  // around joining the writer
};

}  // namespace millrace

#endif  // MILLRACE_WAL_LOG_CORE_H_
