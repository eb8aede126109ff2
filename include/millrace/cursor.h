#ifndef MILLRACE_CURSOR_H_
#define MILLRACE_CURSOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
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

// What a reader is given: a record, or the news that records are lost.
struct Entry {
  enum class Kind : uint8_t { kRecord, kLost };
  Kind kind = Kind::kRecord;
  Record record;   // if kRecord
  LostRange lost;  // if kLost
};

// Where a cursor without a checkpoint starts.
struct CursorStart {
  enum class Kind : uint8_t { kEarliest, kLatest, kSequence };
  Kind kind = Kind::kEarliest;
  SequenceNumber sequence = kNoSequence;

  static CursorStart Earliest() { return {}; }  // the oldest record kept
  // The first record that becomes durable after the cursor is opened.
  static CursorStart Latest() { return {Kind::kLatest, kNoSequence}; }
  // Record `s`, or the loss that names it; not beyond the next to become durable.
  static CursorStart At(SequenceNumber s) { return {Kind::kSequence, s}; }
};

struct CursorOptions {
  // Used when the name is new; a cursor that exists goes on from its checkpoint.
  CursorStart start = {};
  // A commit is checkpointed, which costs one sync in the committing thread,
  // when this many records were committed since the last checkpoint (1: every
  // commit) ...
  uint64_t checkpoint_records = 1000;
  // ... or when this much time has passed. Both are looked at in Commit.
  absl::Duration checkpoint_interval = absl::Milliseconds(200);
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

  // States that everything up to and including `through` is consumed. Takes
  // effect on disk by the options' checkpoint rule. A number at or below the
  // last commit changes nothing.
  //
  // Errors: OutOfRange (beyond what was delivered); I/O errors of a checkpoint,
  //   after which the previous one still holds.
  absl::Status Commit(SequenceNumber through);

  // Makes the last commit durable now.
  absl::Status Checkpoint();

  SequenceNumber delivered() const;     // the last number delivered or reported lost
  SequenceNumber committed() const;     // the last number committed
  SequenceNumber checkpointed() const;  // the last number committed durably

 private:
  std::unique_ptr<CursorState> state_;
};

}  // namespace millrace

#endif  // MILLRACE_CURSOR_H_
