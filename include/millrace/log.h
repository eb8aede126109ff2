#ifndef MILLRACE_LOG_H_
#define MILLRACE_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/options.h"
#include "millrace/producer.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"

namespace millrace {

// Counts since the log was opened. Taken without stopping anything: each is
// exact, together they may straddle a group.
struct LogStats {
  uint64_t records = 0;        // given a sequence number
  uint64_t groups = 0;         // writes that carried records
  uint64_t syncs = 0;          // of segment data
  uint64_t bytes_written = 0;  // to segments, headers included
  uint64_t rotations = 0;
  uint64_t recycled_segments = 0;
  uint64_t prepared_segments = 0;  // that were ready when rotation needed them
};

enum class TrimMode : uint8_t {
  kRespectCursors,  // refuse to pass a cursor's checkpoint
  kForce,
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
// when there are many. A child made by fork() cannot use it: calls there are
// FailedPrecondition, and destroying it does nothing. Not to be destroyed in one
// of its own callbacks: it would wait for itself, so that ends the process.
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
  // Closes, waiting as long as it takes.
  ~Log();

  const RecoveryReport& recovery() const;
  const std::string& directory() const;

  // The largest payload (key and attributes included) that fits: the lesser of
  // a segment and a quarter of the queue, less the format's overhead.
  uint64_t max_payload_bytes() const;

  // Appends `payload` as one record and returns its sequence number once the
  // record is as durable as `options.durability` asks. For kBuffered that is at
  // once and before a number is assigned: it returns kNoSequence. Copies
  // `payload`. An empty payload is a record like any other.
  //
  // After an error the record may or may not survive a restart; it is never
  // partly visible.
  //
  // Blocks while the queue is full. On the callback thread it does not: a full
  // queue is ResourceExhausted there.
  // Errors: InvalidArgument (larger than max_payload_bytes()); Cancelled (the
  //   log is closing); ResourceExhausted (no memory, or 4096 threads are inside a
  //   call); the first I/O error, for good, once one has happened.
  absl::StatusOr<SequenceNumber> Append(std::string_view payload,
                                        const AppendOptions& options = {});

  // As Append, but returns once the record is accepted; `callback` is called
  // once, on the log's callback thread, with what Append would have returned
  // (with the sequence number also for kBuffered). If this returns an error the
  // record was not accepted and `callback` is dropped uncalled.
  //
  // Callbacks run one at a time, in order of sequence number per durability.
  absl::Status AppendAsync(std::string_view payload, const AppendOptions& options,
                           AppendCallback callback);

  // Makes durable every record whose append happened before this call in any
  // thread: returned, or was accepted by AppendAsync.
  //
  // Errors: as Append.
  absl::Status Flush();

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

  // Gives up the records before `first_to_keep`: whole segments that hold no
  // other record are reused or deleted. first_retained() tells how far it went.
  //
  // Errors: FailedPrecondition (naming the cursor whose checkpoint is behind);
  //   OutOfRange (beyond last_durable() + 1); I/O errors.
  absl::Status TrimBefore(SequenceNumber first_to_keep, TrimMode mode = TrimMode::kRespectCursors);

  // Watermarks, inclusive. A reader that sees a number here also sees all that
  // happened before it was published.
  SequenceNumber last_written() const;
  SequenceNumber last_durable() const;
  SequenceNumber first_retained() const;

  LogStats stats() const;

  // Stops admission, writes and syncs everything accepted, wakes whoever waits,
  // and releases the directory. Idempotent, from any thread but the callback
  // thread (FailedPrecondition there).
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
