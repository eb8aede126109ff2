#ifndef MILLRACE_WAL_LOG_CORE_H_
#define MILLRACE_WAL_LOG_CORE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/file_system.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "millrace/producer.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "queue/atomics.h"
#include "queue/slot_pool.h"
#include "wal/append_content.h"
#include "wal/append_counters.h"
#include "wal/append_queue.h"
#include "wal/callback_thread.h"
#include "wal/committer.h"
#include "wal/completion.h"
#include "wal/completion_gates.h"
#include "wal/core_meter.h"
#include "wal/cursor_events.h"
#include "wal/cursor_registry.h"
#include "wal/cursor_state.h"
#include "wal/event_dispatcher.h"
#include "wal/fork_guard.h"
#include "wal/log_events.h"
#include "wal/mutex.h"
#include "wal/producer_memory.h"
#include "wal/segment_supply_thread.h"
#include "wal/shared_checkpoints.h"
#include "wal/stats_recorder.h"
#include "wal/ticket_cell.h"
#include "wal/trim_holds.h"
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
  ProducerCounters counters;
  uint32_t unsampled = 0;  // appends since the last whose time was taken
};

// What cursors tell, as events of their log.
class LogCursorEvents : public CursorEvents {
 public:
  // `events` outlives this.
  explicit LogCursorEvents(LogEvents* events) : events_(events) {}
  void Lost(std::string_view cursor, const LostRange& lost) override {
    events_->Corruption(cursor, lost);
  }
  void CheckpointFailed(std::string_view cursor, const absl::Status& status) override {
    events_->CheckpointFailed(cursor, status);
  }
  void SetBack(std::string_view cursor, SequenceNumber from, SequenceNumber to) override {
    events_->CursorSetBack(cursor, from, to);
  }

 private:
  LogEvents* const events_;
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
  absl::StatusOr<SequenceNumber> Append(ProducerSlot& slot, const AppendContent& content,
                                        const AppendOptions& options);
  absl::Status AppendAsync(ProducerSlot& slot, const AppendContent& content,
                           const AppendOptions& options, AppendCallback callback);
  // The cell is the caller's, to drop.
  absl::StatusOr<TicketCell*> AppendForTicket(ProducerSlot& slot, const AppendContent& content,
                                              const AppendOptions& options);
  absl::Status Flush(ProducerSlot& slot, const FlushOptions& options);
  absl::Status WaitDurable(SequenceNumber sequence, absl::Duration timeout) const;
  absl::Status TrimBefore(SequenceNumber first_to_keep, TrimMode mode);
  absl::Status TruncateAfter(ProducerSlot& slot, SequenceNumber last_to_keep);
  absl::Status Close(absl::Duration timeout);
  // From now on want of space is not waited for.
  void StopHolding();
  LogStats stats() const;

  // As in Ticket.
  absl::StatusOr<SequenceNumber> Wait(TicketCell& cell, absl::Duration timeout) const;
  bool Withdraw(TicketCell& cell);

  // Errors: FailedPrecondition (this process was forked from the log's).
  absl::Status CheckProcess() const;
  // Why nothing more is accepted; ok while the log is open.
  absl::Status EndError() const;
  // The same error, told by the log that met it.
  absl::Status Named(const absl::Status& status) const;

  bool OnCallbackThread() const { return callbacks_.IsCurrent(); }
  // True in a call of the log's event listener.
  bool OnEventThread() const { return dispatcher_.IsCurrent(); }

  // What a cursor needs; keeps `core` alive.
  static CursorContext ContextFor(const std::shared_ptr<LogCore>& core);

  const absl::Status& out_of_memory() const { return out_of_memory_; }
  const RecoveryReport& recovery() const { return recovery_; }
  const std::string& directory() const { return directory_; }
  uint64_t max_body_bytes() const { return max_body_bytes_; }
  uint32_t max_batch_records() const { return max_batch_records_; }
  const Watermark& watermark() const { return watermark_; }
  TrimHolds& trim_holds() { return trim_holds_; }
  FileSystem& file_system() const {
    return options_.file_system != nullptr ? *options_.file_system : *PosixFileSystem();
  }
  // Of all memory that producers hold or could use again.
  uint64_t producer_memory_bytes() const { return chunks_.bytes(); }

 private:
  LogCore(std::string directory, const Options& options);

  absl::Status Start(FileSystem& file_system);
  // What one append asks for.
  struct Request {
    const AppendContent& content;
    const AppendOptions& options;
    Deadline deadline;
    PendingAppend::Answer answer = PendingAppend::Answer::kNobody;
    AppendCallback* callback = nullptr;  // if kCallback
    TicketCell* cell = nullptr;          // if kTicket
  };
  // What became of it; an error if it was refused.
  enum class Intake : uint8_t { kAccepted, kDropped };

  absl::StatusOr<Intake> Submit(ProducerSlot& slot, const Request& request);
  absl::Status Check(const AppendContent& content, const AppendOptions& options) const;
  absl::StatusOr<Intake> Admit(ProducerSlot& slot, const Request& request, uint64_t bytes);
  absl::StatusOr<Intake> MeetFullQueue(ProducerSlot& slot, const Request& request, uint64_t bytes);
  absl::Status QueueFull(ProducerSlot& slot, const Request& request);
  absl::Status DiskFull() const;
  absl::Status TooLarge(const AppendContent& content) const;
  absl::Status BadBatch(const AppendContent& content) const;
  PendingAppend* Compose(ProducerSlot& slot, const Request& request, uint64_t bytes);
  static PendingAppend* ComposeCallback(const Request& request, void* memory);
  absl::StatusOr<Intake> SubmitDropped(ProducerSlot& slot, const Request& request);
  absl::StatusOr<SequenceNumber> AppendAndWait(ProducerSlot& slot, const AppendContent& content,
                                               const AppendOptions& options);
  absl::StatusOr<SequenceNumber> AppendInTime(ProducerSlot& slot, const Request& request);
  absl::StatusOr<TicketCell*> SubmitForTicket(ProducerSlot& slot, Request request);
  absl::StatusOr<TicketCell*> NewCell(uint32_t records);
  absl::StatusOr<SequenceNumber> ResultOf(const TicketCell& cell) const;
  absl::Status AdmitMarker(uint32_t leave = 0);
  bool AwaitWriter(Deadline deadline);
  AdmissionCounts CountAdmissions() const;

  const ForkGuard fork_guard_;
  const std::string directory_;
  const Options options_;
  const absl::Status closed_error_;
  const absl::Status out_of_memory_;  // made ahead: a message needs memory
  const absl::Status dropped_;
  const uint64_t max_body_bytes_;
  const uint32_t max_batch_records_;
  uint64_t body_seed_ = 0;
  RecoveryReport recovery_;

  EventDispatcher dispatcher_;
  LogEvents events_;
  LogCursorEvents cursor_events_{&events_};
  StatsRecorder stats_;
  CoreMeter meter_;
  Watermark watermark_;
  std::unique_ptr<SharedCheckpoints> shared_checkpoints_;
  CursorRegistry cursors_;
  ChunkPool chunks_;
  AppendQueue queue_;
  CompletionGates gates_;
  SlotPool<ProducerSlot> slots_;
  TrimHolds trim_holds_;
  TicketPool tickets_;
  std::atomic<uint64_t> withdrawn_{0};  // records
  ThreadedSegmentSupply supply_;
  std::unique_ptr<WalCore> core_;
  CallbackThread callbacks_;
  std::unique_ptr<Committer> committer_;  // once the core is open

  Mutex close_mu_;  // around joining the writer
};

}  // namespace millrace

#endif  // MILLRACE_WAL_LOG_CORE_H_
