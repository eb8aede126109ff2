#ifndef MILLRACE_CURSOR_H_
#define MILLRACE_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/language.h"
#include "millrace/options.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"

namespace millrace {

// One record as a reader gets it. The views end with the entry they came in.
struct Record {
  SequenceNumber sequence = kNoSequence;
  // When the group of records that it was written with was written, by the
  // wall clock of the writer.
  absl::Time time;
  std::optional<std::string_view> key;
  std::vector<Attribute> attributes;
  std::string_view payload;
};

// What a reader is given: a record, or the news that records are lost or were taken back.
struct Entry {
  enum class Kind : uint8_t {
    kRecord,
    kLost,
    // Log::TruncateAfter dropped records that this cursor had been shown or had committed:
    // those after `truncated_after`, whose numbers go to other records from here on.
    kTruncated,
  };
  Kind kind = Kind::kRecord;
  Record record;                                 // if kRecord
  LostRange lost;                                // if kLost
  SequenceNumber truncated_after = kNoSequence;  // if kTruncated
};

// Where a cursor without a checkpoint starts.
struct CursorStart {
  enum class Kind : uint8_t { kEarliest, kLatest, kSequence, kTime };
  Kind kind = Kind::kEarliest;
  SequenceNumber sequence = kNoSequence;
  absl::Time time;

  static CursorStart Earliest() { return {}; }  // the oldest record kept
  // The first record that becomes durable after the cursor is opened.
  static CursorStart Latest() { return {Kind::kLatest, kNoSequence, {}}; }
  // Record `s`, or the loss that names it; not beyond the next to become durable.
  static CursorStart At(SequenceNumber s) { return {Kind::kSequence, s, {}}; }
  // The first record that was written at `t` or later; the next one if there is none. See
  // Cursor::SeekToTime.
  static CursorStart AtTime(absl::Time t) { return {Kind::kTime, kNoSequence, t}; }
};

struct CursorOptions {
  // Used when the name is new; a cursor that exists goes on from its checkpoint, or from where
  // the log was truncated since.
  CursorStart start = {};
  // A commit is checkpointed, which costs one sync in the committing thread (shared
  // with other cursors that checkpoint meanwhile), when this many records were committed
  // since the last checkpoint. 1: every commit; 0: not by count ...
  uint64_t checkpoint_records = 1000;
  // ... or when this much time has passed. Both are looked at in Commit. Infinite: not by
  // time. Neither: only Checkpoint, Log::CheckpointCursors and the destructor do it.
  absl::Duration checkpoint_interval = absl::Milliseconds(200);
};

// How far a cursor is behind what is durable, by what it has committed.
struct CursorLag {
  uint64_t records = 0;
  uint64_t bytes = 0;  // of segment files, up to the newest durable record
  // Since the oldest record not committed was written; zero if there is none.
  absl::Duration time = absl::ZeroDuration();
};

class CursorState;

// A named reader with a durable position of its own, independent of all others.
// Returns records in order of sequence number, each once it is durable.
//
//   auto cursor = log->OpenCursor("billing").value();
//   while (true) {
//     auto entry = cursor->Next(absl::Seconds(1));
//     if (absl::IsDeadlineExceeded(entry.status())) continue;
//     if (!entry.ok()) break;                       // the log was closed
//     if (entry->kind == Entry::Kind::kLost) Report(entry->lost);
//     else Use(entry->record);
//     cursor->Commit(cursor->delivered()).IgnoreError();
//   }
//
// At least once: after a crash it goes on somewhere between its last durable
// checkpoint and its last commit, never later. Reading never blocks the writer.
//
// Used by one thread at a time. Does not keep the log open: after Log::Close,
// Next still returns what is durable and then Cancelled.
class Cursor {
 public:
  explicit Cursor(std::unique_ptr<CursorState> state);
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  // Checkpoints what was committed; an error is lost: call Checkpoint to see it.
  ~Cursor();

  const std::string& name() const;

  // Returns the next entry. Waits up to `timeout` for a record to become
  // durable. The entry's views are valid until the next call on this cursor.
  //
  // Errors: DeadlineExceeded (nothing new); Cancelled (the log is closed and all
  // was read); FailedPrecondition (the log failed, all durable records read).
  absl::StatusOr<Entry> Next(absl::Duration timeout = absl::InfiniteDuration());

  // As Next, for many at once: copies as many of the next entries as are there and fit, at
  // least one, into `memory`, appends them to `entries`, whose views then point into
  // `memory`, and returns how many. A record takes the bytes of its payload, key and
  // attributes; Log::max_payload_bytes() are enough for any that this log takes. Ends after an
  // entry that is not a record. Waits for the first entry only.
  //
  //   std::vector<char> memory(1 << 20);
  //   std::vector<Entry> entries;  // to be cleared before `memory` is used again
  //   absl::StatusOr<size_t> n = cursor->NextBatch(memory, &entries, absl::Seconds(1));
  //
  // Errors: as Next; InvalidArgument (the next record does not fit; the bytes it needs are named,
  //   and it is what comes next still). An error after some entries is for the next call.
  absl::StatusOr<size_t> NextBatch(std::span<char> memory, std::vector<Entry>* entries,
                                   absl::Duration timeout = absl::InfiniteDuration());

  // The next entries, at most `n`, without moving on: Next returns the same ones, unless the
  // log is truncated before. Does not wait; fewer, or none, if no more is durable. Keeps a copy of
  // them, and their views are valid, until they were returned by Next or the position changes;
  // the span is valid until the next call on this cursor.
  absl::StatusOr<std::span<const Entry>> Peek(size_t n);

  // Makes `next` what Next returns next. delivered() is then next - 1, so that Commit may pass
  // over what was skipped; the last commit does not change. The news that records were taken back
  // comes first all the same.
  //
  // Errors: OutOfRange (below first_retained, beyond last_durable() + 1).
  absl::Status Seek(SequenceNumber next);
  // Back to the first entry after the last commit, which may be that it was trimmed since.
  absl::Status Rewind();
  // Seek to the first record that was written at `t` or later, by the writer's clock; to the end if
  // there is none. Looks at the headers of some segments, and reads one of them, or more where
  // records are lost. Where that clock was set back, some record of that time is found. Losses that
  // are passed over are not returned.
  absl::Status SeekToTime(absl::Time t);

  // Seek that also moves the commit, back too, durably before it returns: from here on the
  // cursor has consumed everything below `next` and nothing else. Trimming does not pass it from
  // then on. Waits for a trim that is under way.
  //
  // Errors: as Seek; I/O errors, after which neither has moved, but after a crash the cursor may
  //   go on at either.
  absl::Status Reset(SequenceNumber next);

  // States that everything up to and including `through` is consumed. Takes
  // effect on disk by the options' checkpoint rule. A number at or below the
  // last commit changes nothing.
  //
  // Errors: OutOfRange (beyond what was delivered); I/O errors of a checkpoint,
  //   after which the previous one still holds.
  absl::Status Commit(SequenceNumber through);

  // Makes the last commit durable now.
  absl::Status Checkpoint();

  // Reads the oldest record not committed for its time; one that is lost has none, and the next
  // one counts. What was trimmed is not counted. Errors: of reading, I/O and Unimplemented.
  absl::StatusOr<CursorLag> Lag();

  SequenceNumber delivered() const;     // the last number delivered or reported lost
  SequenceNumber committed() const;     // the last number committed
  SequenceNumber checkpointed() const;  // the last number committed durably

 private:
  std::unique_ptr<CursorState> state_;
};

}  // namespace millrace

#endif  // MILLRACE_CURSOR_H_
