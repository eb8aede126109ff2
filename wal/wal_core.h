#ifndef MILLRACE_WAL_WAL_CORE_H_
#define MILLRACE_WAL_WAL_CORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/options.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/core_observer.h"
#include "wal/format.h"
#include "wal/recovery.h"
#include "wal/segment_list.h"
#include "wal/segment_supply.h"
#include "wal/segment_writer.h"
#include "wal/superblock.h"
#include "wal/sync_reason.h"

namespace millrace {

struct CoreCounters {
  uint64_t records = 0;
  uint64_t groups = 0;
  uint64_t syncs = 0;
  uint64_t bytes_written = 0;
  uint64_t rotations = 0;
  uint64_t recycled_segments = 0;
  uint64_t fail_overs = 0;
};

// The log without threads, clock or globals: gives numbers, frames, writes,
// syncs, rotates, trims. What is around it (a writer thread in production, a
// simulation in tests) decides when.
//
// The life of a record: Add gathers it and gives it its number; Write hands what
// is gathered to the file system; Sync makes what is written durable.
//
// After a failed write or sync the file is given up, and the log fails over: what may not be
// durable is logged again, with the same numbers, in a segment whose header ends the failed one
// before it, and synced; the call then succeeds. If that fails too, every later call returns the
// first error and nothing more is acknowledged.
//
// An error for which IsPassing() holds (want of space) changed nothing: the same call can be made
// again, and goes on. Until it has succeeded only TrimBefore, and Close, may be called otherwise.
//
// Not thread-safe, but for segments(), which readers share.
class WalCore {
 public:
  // Opens or creates the log in `directory`: takes its lock, recovers, begins a
  // new segment. `supply` outlives the core. `now_ns` is the wall clock, as in
  // SetTime. Errors: as Log::Open.
  static absl::StatusOr<std::unique_ptr<WalCore>> Open(FileSystem& file_system,
                                                       std::unique_ptr<Directory> directory,
                                                       const Options& options,
                                                       SegmentSupply* supply, int64_t now_ns,
                                                       RecoveryReport* report);

  // The largest body that Add takes: what one segment holds.
  static uint64_t MaxBodyBytes(const Options& options);

  WalCore(const WalCore&) = delete;
  WalCore& operator=(const WalCore&) = delete;
  // Without Close the log is as after a crash of the process.
  ~WalCore();

  // Is told of every write and sync from now on; outlives the core.
  void SetObserver(CoreObserver* observer) { observer_ = observer; }

  // The wall clock for groups to come, in ns since the Unix epoch.
  void SetTime(int64_t now_ns) { now_ns_ = now_ns; }

  // Gathers a copy of `frame` and returns the number of its first record. Writes what was
  // gathered before, and goes on to the next segment, if it does not fit.
  absl::StatusOr<SequenceNumber> Add(const PendingFrame& frame);

  // Writes what is gathered; last_written() then covers it.
  absl::Status Write();

  // Advice, before Sync(): the device gets to work.
  void BeginSync() { active_->BeginSync(); }
  // Makes what is written durable; last_durable() then covers it. `reason` is for the
  // observer.
  absl::Status Sync(SyncReason reason = SyncReason::kFlush);

  // True if the disk does not say yet that the last records are durable.
  bool NeedsIdleMark() const;
  // Says so on disk. For when nothing is to be written for a while; also gives
  // back memory.
  absl::Status WriteIdleMark();

  // Gives up whole segments that hold only records below `first_to_keep`:
  // first_retained() says durably how far that went. Their files stay until
  // ReleaseTrimmed, so that readers can be told before any goes. Without space for
  // more it says so in the superblock alone.
  absl::Status TrimBefore(SequenceNumber first_to_keep);
  // Drops the records after `last_to_keep`, durably: next_sequence() is then
  // `last_to_keep` + 1, and epoch() one more. Their files stay until ReleaseTrimmed, so
  // that readers can be told before any goes.
  //
  // Errors: OutOfRange, InvalidArgument (as Log::TruncateAfter), and errors of reading
  //   the segment that is to be cut: status() is still ok then, and nothing was changed.
  //   Others are final: the records may or may not have been dropped.
  absl::Status TruncateAfter(SequenceNumber last_to_keep);
  // Lets the files of trimmed and dropped segments be recycled or deleted.
  void ReleaseTrimmed();

  // Writes and syncs everything and notes on disk that the log was closed in
  // order. Nothing may be called afterwards but the observers. Where there is no space for the
  // note, the next open recovers, and loses nothing; where there is none for records, they fail
  // with that error.
  absl::Status Close();

  SequenceNumber next_sequence() const { return next_; }
  SequenceNumber last_written() const { return last_written_; }
  SequenceNumber last_durable() const { return last_durable_; }
  SequenceNumber first_retained() const { return first_retained_; }
  uint64_t gathered_bytes() const { return active_->gathered_bytes(); }
  uint64_t unsynced_bytes() const;
  // In memory, used or not, for what a failed write or sync could still take away.
  uint64_t memory_bytes() const;
  // Of the segment that is written to, up to where its frames end.
  uint64_t active_bytes() const { return active_->end(); }
  // That were trimmed and are not released yet.
  size_t trimmed_segments() const { return trimmed_.size(); }
  uint64_t unsynced_records() const { return last_written_ - last_durable_; }

  const absl::Status& status() const { return status_; }
  const LogId& log_id() const { return log_id_; }
  uint64_t epoch() const { return epoch_; }
  // Where the live epoch begins: what was said in older ones of numbers above it, in
  // marks and checkpoints, no longer holds.
  SequenceNumber epoch_base() const { return epoch_base_; }
  uint64_t body_seed() const { return body_seed_; }
  Directory& directory() { return *directory_; }
  const std::shared_ptr<SegmentList>& segments() const { return segments_; }
  CoreCounters counters() const;

 private:
  WalCore(FileSystem& file_system, std::unique_ptr<Directory> directory, Options options,
          SegmentSupply* supply, int64_t now_ns);

  // How a segment goes on with the log.
  struct SegmentStart {
    uint64_t epoch = 1;
    SequenceNumber first_sequence = 1;
    SequenceNumber mark = 0;
    Predecessor predecessor;
  };

  absl::Status TakeLock();
  absl::Status Begin(RecoveredLog recovered, RecoveryReport* report);
  absl::Status BeginChain(const RecoveredLog& recovered);
  absl::Status CopyUnsynced(const RecoveredLog& recovered);
  absl::Status CopyRun(const UnsyncedRun& run);
  absl::Status TidyUp(const RecoveredLog& recovered);
  absl::Status BeginSegment(const SegmentStart& start, uint64_t file_bytes, Fill fill);
  absl::StatusOr<std::unique_ptr<SegmentWriter>> BeginNext(const SegmentStart& start,
                                                           uint64_t file_bytes, uint64_t needed,
                                                           Fill fill);
  absl::Status MakeRoom(uint64_t body_bytes);
  absl::Status Rotate(uint64_t body_bytes);
  absl::Status SyncAll(SyncReason reason);
  absl::Status SyncSegment(SegmentWriter& segment, SyncReason reason);
  absl::Status WriteMark();
  absl::Status SayFirstRetained();
  absl::Status TryFinish();

  absl::Status MendOrFail(absl::Status status);
  absl::Status FailForGood(const absl::Status& status);
  absl::Status ContinueFailOver();
  absl::Status BeginFresh();
  absl::Status LogAgain();
  absl::Status BeginHeader();
  absl::Status LogFrameAgain(const SegmentWriter::RetainedFrame& frame);
  void AdoptFresh();
  void RemoveSuperseded();
  absl::StatusOr<Predecessor> EndAfter(const std::shared_ptr<SegmentNode>& node,
                                       SequenceNumber last_to_keep);
  absl::Status BeginEpoch(const Predecessor& predecessor, SequenceNumber last_to_keep);
  void DropBehind(const std::shared_ptr<SegmentNode>& kept, const Predecessor& predecessor);
  absl::Status Fail(absl::Status status);
  GroupBody Group() const;
  Predecessor ActiveAsPredecessor() const;
  uint64_t NextFileBytes() const;
  Fill NextFill() const;

  FileSystem& file_system_;
  const std::unique_ptr<Directory> directory_;
  const Options options_;
  SegmentSupply* const supply_;
  CoreObserver* observer_ = nullptr;
  int64_t now_ns_;

  std::unique_ptr<File> lock_;
  std::unique_ptr<SuperblockFile> superblock_;
  std::unique_ptr<SegmentFactory> factory_;
  absl::Status status_;

  LogId log_id_ = {};
  uint64_t body_seed_ = 0;
  uint64_t epoch_ = 1;
  SequenceNumber epoch_base_ = 0;
  EpochBases epoch_bases_;  // of it and those before
  uint64_t boot_id_ = 0;

  SequenceNumber next_ = 1;  // the number that the next record gets
  SequenceNumber last_written_ = 0;
  SequenceNumber last_durable_ = 0;
  SequenceNumber first_retained_ = 1;
  SequenceNumber marked_ = 0;  // the highest mark that is durable on disk

  // A segment that is written, or waits to be synced, and how readers see it.
  struct OpenSegment {
    std::unique_ptr<SegmentWriter> writer;
    std::shared_ptr<SegmentNode> node;
  };
  // Under way from a failed write or sync until what it concerns is durable elsewhere.
  struct FailOver {
    absl::Status cause;
    bool running = false;
    std::vector<OpenSegment> failed;     // oldest first; all that may not be durable is in them
    SegmentWriter::Place from;           // in the first: what is logged again
    SequenceNumber next = 1;             // as it was, and is to be
    int64_t now_ns = 0;                  // likewise
    std::shared_ptr<SegmentNode> fresh;  // the first new segment; null: not begun yet
    bool header_due = false;             // of it: held back until what was acknowledged is synced
    // Where logging again stands.
    size_t segment = 0;
    std::optional<SegmentWriter::RetainedFrames> frames;
    bool group_begins = false;  // with the next record
  };

  std::unique_ptr<SegmentWriter> active_;
  std::shared_ptr<SegmentNode> active_node_;
  std::shared_ptr<SegmentList> segments_;
  // The segment before the oldest: given up, and named where nothing else is kept.
  Predecessor below_;
  // Trimmed or dropped, and not yet released.
  std::vector<std::shared_ptr<SegmentNode>> trimmed_;
  // Rotated away from before all their bytes were synced, oldest first.
  std::vector<OpenSegment> unsynced_segments_;
  std::unique_ptr<FailOver> fail_over_;
  // Files whose records all stand elsewhere since a fail-over. A reader of another process may
  // not know yet.
  std::vector<std::string> superseded_;
  bool durable_wanted_ = false;  // of what was added since the last Sync
  bool closed_ = false;

  CoreCounters counters_;
  uint64_t segment_syncs_ = 0;  // of the active segment
};

}  // namespace millrace

#endif  // MILLRACE_WAL_WAL_CORE_H_
