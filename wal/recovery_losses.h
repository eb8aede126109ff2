#ifndef MILLRACE_WAL_RECOVERY_LOSSES_H_
#define MILLRACE_WAL_RECOVERY_LOSSES_H_

#include "absl/status/status.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"

namespace millrace {

// Adds lost ranges to a report, each told apart by what the mark says of it.
class LossReporter {
 public:
  LossReporter(SequenceNumber mark, RecoveryReport* report) : mark_(mark), report_(report) {}

  // What is at or below the mark was acknowledged; of the rest `above` is known.
  void Add(const LostRange& range, Acknowledgement above) { Add(range, above, mark_); }
  // By the mark that was known when the range was found missing.
  void Add(const LostRange& range, Acknowledgement above, SequenceNumber mark);

  // Damage that costs no record that is known: its numbers are none.
  void Note(const LostRange& place) { report_->lost.push_back(place); }

  // The error of kStrict, which names the last range added.
  absl::Status Refusal() const;

 private:
  const SequenceNumber mark_;
  RecoveryReport* const report_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_RECOVERY_LOSSES_H_
