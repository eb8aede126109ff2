#ifndef MILLRACE_LOG_H_
#define MILLRACE_LOG_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/backup.h"
#include "millrace/cursor.h"
#include "millrace/language.h"
#include "millrace/options.h"
#include "millrace/producer.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "millrace/stats.h"
#include "millrace/ticket.h"

namespace millrace {

enum class TrimMode : uint8_t {
  kRespectCursors,  // refuse to pass a cursor's checkpoint
  kForce,
};

// What DeleteCursor does about a checkpoint that is not in order.
enum class DeleteMode : uint8_t {
  kIfValid,   // refuse to delete a cursor whose file is damaged, another's, or newer
  kWhatever,  // delete it all the same
};

// A write-ahead log in a directory: any number of threads append, one writer
// thread writes and syncs in groups, named cursors read back.
//
//   auto log = millrace::Log::Open("/var/lib/app/events");
//   if (!log.ok()) return log.status();
//   absl::StatusOr<SequenceNumber> s = (*log)->Append("it happened");
//
// Order: if one append returned before another was called, in any threads and
// at any durability, it has the lower sequence number.
//
// Thread-safe. One Log at a time per directory, across processes. Has up to four
// threads, which block all signals: the writer, and from their first use on one
// that prepares segments, one that runs callbacks, and one that wakes waiters
// when there are many; with Options::event_listener one more. A child made by fork() cannot use it:
// calls there are FailedPrecondition, stats() and ListCursors() empty, and destroying it does
// nothing. Not to be destroyed in one of its own callbacks or its listener: it would wait for
// itself, so that ends the process.
class Log {
 public:
  // Opens or creates the log in `directory`, which is created if need be (its
  // parent must exist). Recovers after a crash; recovery() says what was found.
  //
  // Errors: InvalidArgument (an option out of bounds, named); Aborted (locked by
  //   another Log); NotFound, AlreadyExists (options.create_mode); DataLoss
  //   (kStrict and acknowledged records are missing; nothing was changed);
  //   Unimplemented (written by a newer version; nothing was changed); I/O errors.
  static absl::StatusOr<std::unique_ptr<Log>> Open(std::string directory,
                                                   const Options& options = {});

  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  // Closes, waiting as long as it takes; but not for space where the disk is full: see Close.
  ~Log();

  const RecoveryReport& recovery() const;
  const std::string& directory() const;

  // The largest payload (key and attributes included) that fits: the lesser of
  // a segment and a quarter of the queue, less the format's overhead.
  uint64_t max_payload_bytes() const;
  // The most records in a batch: the lesser of 65535 and a quarter of queue_records.
  uint32_t max_batch_records() const;

  // Appends `payload` as one record and returns its sequence number once the
  // record is as durable as `options.durability` asks. For kBuffered that is at
  // once and before a number is assigned: it returns kNoSequence. Copies
  // `payload`. An empty payload is a record like any other.
  //
  // After an error, MayHaveBeenAppended() says whether the record may be found in the
  // log after all; it is never partly visible.
  //
  // Blocks while the queue is full, unless `options` say otherwise. On the callback
  // thread it does not: a full queue is ResourceExhausted there.
  // Errors: InvalidArgument (larger than max_payload_bytes(), options that exclude each
  //   other); DeadlineExceeded (options.timeout); Cancelled (the log is closing);
  //   ResourceExhausted (the queue is full and WhenFull::kFail, no memory, or 4096
  //   threads are inside a call); the first I/O error, for good, once one has happened.
  absl::StatusOr<SequenceNumber> Append(std::string_view payload,
                                        const AppendOptions& options = {});

  // As Append with WhenFull::kFail: never waits for space. With kBuffered it does not
  // wait at all.
  absl::StatusOr<SequenceNumber> TryAppend(std::string_view payload, AppendOptions options = {});

  // Appends `records` with consecutive sequence numbers, of which it returns the first.
  // All or none: in the log, after any crash, and for readers, damage included.
  //
  // Blocking, errors and the rest as Append. InvalidArgument also for no record, more than
  // max_batch_records(), or key and attributes in `options`.
  absl::StatusOr<SequenceNumber> AppendBatch(std::span<const NewRecord> records,
                                             const AppendOptions& options = {});

  // As Append and AppendBatch, but return once the record is accepted; `callback` is called
  // once, on the log's callback thread, with what Append would have returned
  // (with the sequence number also for kBuffered). If this returns an error the
  // record was not accepted and `callback` is dropped uncalled. `options.timeout` bounds
  // waiting for space only.
  //
  // Callbacks run one at a time, in order of sequence number per durability.
  absl::Status AppendAsync(std::string_view payload, const AppendOptions& options,
                           AppendCallback callback);
  absl::Status AppendBatchAsync(std::span<const NewRecord> records, const AppendOptions& options,
                                AppendCallback callback);

  // As above, with the result in a ticket. Costs two atomic operations more a record than a
  // callback, and no thread.
  absl::StatusOr<Ticket> AppendAsync(std::string_view payload, const AppendOptions& options = {});
  absl::StatusOr<Ticket> AppendBatchAsync(std::span<const NewRecord> records,
                                          const AppendOptions& options = {});

  // Makes durable every record whose append happened before this call in any
  // thread: returned, or was accepted by AppendAsync.
  //
  // Errors: DeadlineExceeded (options.timeout: it goes on); as Append.
  absl::Status Flush(const FlushOptions& options = {});

  // Waits until the record numbered `sequence`, and all before it, are durable. Does
  // not make them so: the sync policy, other appends or Flush do.
  //
  // Errors: DeadlineExceeded; Cancelled (closed before); the log's first I/O error.
  absl::Status WaitDurable(SequenceNumber sequence,
                           absl::Duration timeout = absl::InfiniteDuration());

  // A lane for one thread. Errors: ResourceExhausted (4096 in use at once).
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer();

  // Opens the named cursor, creating it if it is new. `name`: 1 to 128 of
  // [A-Za-z0-9._-], the first not a dot.
  //
  // Errors: InvalidArgument (name); Aborted (open elsewhere); OutOfRange (a new one
  //   that is to start beyond the end); DataLoss (its file is damaged);
  //   FailedPrecondition (its file is another log's or cursor's); Unimplemented (of
  //   a newer version); I/O errors.
  absl::StatusOr<std::unique_ptr<Cursor>> OpenCursor(std::string_view name,
                                                     const CursorOptions& options = {});

  // All cursors of the log, open or not, in order of name.
  std::vector<CursorStatus> ListCursors() const;

  // Deletes the named cursor's checkpoint, durably: it holds trimming back no longer, and
  // the name is new again.
  //
  // Errors: InvalidArgument (name); NotFound; Aborted (open); FailedPrecondition, DataLoss,
  //   Unimplemented (`mode` is kIfValid, and the file is another's, damaged, newer); I/O errors.
  absl::Status DeleteCursor(std::string_view name, DeleteMode mode = DeleteMode::kIfValid);

  // Makes the last commits of all open cursors durable, with one sync for all.
  absl::Status CheckpointCursors();

  // Gives up the records before `first_to_keep`: whole segments that hold no
  // other record are reused or deleted. first_retained() tells how far it went. What
  // all cursors have consumed ends with the lowest `checkpointed` of ListCursors(). After an I/O
  // error nothing has been given up yet, but the next opening may do it.
  //
  // Errors: FailedPrecondition (naming the cursor whose checkpoint is behind);
  //   OutOfRange (beyond last_durable() + 1); I/O errors.
  absl::Status TrimBefore(SequenceNumber first_to_keep, TrimMode mode = TrimMode::kRespectCursors);

  // Drops every record after `last_to_keep`, for good, before it returns: they come
  // back after no crash, and the next record gets the number `last_to_keep` + 1.
  //
  // Takes its place among the appends: those that happened before it are dropped if their
  // numbers are above, those that happen after it follow it. A cursor that was shown dropped
  // records, or has committed them, is set back and told (Entry::Kind::kTruncated). The only
  // call that lowers last_durable().
  //
  // After an error the records may or may not have been dropped, all of them alike.
  // Errors: OutOfRange (below first_retained() - 1, above last_written() at its place);
  //   InvalidArgument (inside a batch, which is named); as Append.
  absl::Status TruncateAfter(SequenceNumber last_to_keep);

  // Copies the log into a new log in `directory`, which is created if need be and must be empty:
  // every record up to last_durable(), each with its number and time, and the cursors'
  // checkpoints. The copy is read back and compared; it is durable when this returns, and opens as
  // a log that was closed in order. It is a log of its own, with another id: its files and
  // those of this one are never taken for each other's.
  //
  // Goes on beside appends, which it never blocks, and beside other backups. Until it returns,
  // TrimBefore keeps what is still to be copied, unless it is kForce. A crash or an error
  // leaves nothing that opens as a log. Reads the log once, and the copy once.
  //
  // Errors: InvalidArgument (options; the target is this log or inside it); AlreadyExists (it is
  //   not empty); DataLoss (BackupOptions::Damage::kRefuse, or the copy differs); Cancelled
  //   (stopped, or the log is closed); Aborted (truncated again and again); ResourceExhausted
  //   (no space, with how much it took); I/O errors.
  absl::StatusOr<BackupResult> Backup(const std::string& directory,
                                      const BackupOptions& options = {});

  // Watermarks, inclusive. A reader that sees a number here also sees all that
  // happened before it was published.
  SequenceNumber last_written() const;
  SequenceNumber last_durable() const;
  SequenceNumber first_retained() const;

  LogStats stats() const;

  // Stops admission, writes and syncs everything accepted, wakes whoever waits,
  // and releases the directory. Idempotent, from any thread but those of callbacks
  // and of the listener (FailedPrecondition there). While the disk is full it waits for space,
  // up to `timeout`; the destructor does not, and what is not written then fails.
  //
  // Errors: DeadlineExceeded (not done in `timeout`: closing goes on, call
  //   again); else the first error the log met.
  absl::Status Close(absl::Duration timeout = absl::InfiniteDuration());

 private:
  explicit Log(std::shared_ptr<LogCore> core);
  std::shared_ptr<LogCore> core_;
};

}  // namespace millrace

#endif  // MILLRACE_LOG_H_
