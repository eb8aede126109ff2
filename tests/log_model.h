#ifndef MILLRACE_LOG_MODEL_H_
#define MILLRACE_LOG_MODEL_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "tests/log_model_content.h"

namespace millrace {

// What a log that one thread uses must hold, in the plainest form: a list of records, and what is
// certain about them. Where the log may be in one of several states (what a power cut left, how far
// the writer has come) the model holds bounds, and Observe narrows them to what was seen.
class LogModel {
 public:
  struct Entry {
    ModelContent content;
    uint32_t batch_before = 0;  // records of its batch that come before it, and after it
    uint32_t batch_after = 0;
    absl::Time time = absl::InfinitePast();  // once a reader showed it
    // A power cut kept the record, and perhaps not the frame before it that holds its time.
    bool time_may_be_lost = false;
  };

  // --- Records ----------------------------------------------------------------------

  // The number of the last record accepted.
  SequenceNumber last() const { return entries_.size(); }
  const Entry& at(SequenceNumber s) const { return entries_[s - 1]; }

  // Accepts one append; returns the number of its first record.
  SequenceNumber Accept(std::span<const ModelContent> contents);
  // Takes one back that the writer had not begun with: those behind it move up.
  void Withdraw(SequenceNumber first, uint32_t count);
  void Truncate(SequenceNumber last_to_keep);
  // A truncation that failed: it holds or it does not.
  void TruncationInDoubt(SequenceNumber last_to_keep);
  void TrimInDoubt(SequenceNumber first_to_keep);
  bool InsideBatch(SequenceNumber s) const {
    return s >= 1 && s <= last() && at(s).batch_after > 0;
  }

  // What is wrong with a record that a reader showed, or nullopt.
  std::optional<std::string> Judge(const Record& record);

  // --- Watermarks: what is certain ----------------------------------------------------

  SequenceNumber durable() const { return durable_; }
  SequenceNumber written() const { return written_; }
  SequenceNumber first_retained() const { return first_retained_; }
  void KnowWritten(SequenceNumber s) { written_ = std::max(written_, std::min(s, last())); }
  void KnowDurable(SequenceNumber s) {
    KnowWritten(s);
    durable_ = std::max(durable_, std::min(s, last()));
  }
  void KnowRetained(SequenceNumber first) { first_retained_ = std::max(first_retained_, first); }

  // --- Crashes ------------------------------------------------------------------------

  enum class Survivors : uint8_t {
    kAll,      // closed in order
    kSynced,   // likewise, but the footer that says so may have found no space
    kWritten,  // the process died
    kDurable,  // the power was cut, or a write failed
    kNamed,    // as kDurable, but opening could not sync what it found: what nothing else vouches
               // for is cut, and named as lost
  };
  // Compares what an open found with what it may find, and goes on from there.
  std::optional<std::string> Reopen(Survivors survivors, const RecoveryReport& report);

 private:
  std::optional<std::string> JudgeEnd(Survivors survivors, const RecoveryReport& report) const;
  std::optional<std::string> JudgeReport(Survivors survivors, const RecoveryReport& report) const;

  std::vector<Entry> entries_;  // of record i + 1
  SequenceNumber durable_ = kNoSequence;
  SequenceNumber written_ = kNoSequence;
  SequenceNumber first_retained_ = 1;
  std::optional<SequenceNumber> truncation_in_doubt_;
  SequenceNumber trim_in_doubt_ = 1;
  ModelBytes bytes_;  // reused
};

// What is known of one cursor: of its checkpoint on disk, and of the open one.
struct ModelCursor {
  enum class OnDisk : uint8_t { kAbsent, kUnknown, kPresent };
  OnDisk on_disk = OnDisk::kAbsent;
  // The checkpoint is within these bounds.
  SequenceNumber lowest = kNoSequence;
  SequenceNumber highest = kNoSequence;

  // Of the open cursor, exact.
  SequenceNumber shown = kNoSequence;  // the highest ever, peeked ones included
  SequenceNumber delivered = kNoSequence;
  SequenceNumber committed = kNoSequence;
  SequenceNumber checkpointed = kNoSequence;
  // The log was truncated after this number, and the cursor has yet to say so.
  std::optional<SequenceNumber> untold_truncation;

  SequenceNumber next() const { return delivered + 1; }
  void Delivered(SequenceNumber s) {
    delivered = s;
    shown = std::max(shown, s);
  }

  void Checkpointed(SequenceNumber s) {
    on_disk = OnDisk::kPresent;
    lowest = highest = checkpointed = s;
  }
  // Tried to, and nobody knows.
  void CheckpointInDoubt(SequenceNumber s) {
    lowest = std::min(lowest, s);
    highest = std::max(highest, s);
  }
  void Truncate(SequenceNumber last_to_keep);
};

}  // namespace millrace

#endif  // MILLRACE_LOG_MODEL_H_
