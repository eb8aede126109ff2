#ifndef MILLRACE_WAL_TRIM_HOLDS_H_
#define MILLRACE_WAL_TRIM_HOLDS_H_

#include <algorithm>
#include <list>

#include "absl/base/thread_annotations.h"
#include "millrace/sequence.h"
#include "wal/mutex.h"

namespace millrace {

// What is being copied and must not be trimmed away meanwhile: the numbers of the oldest records
// that copies still need. Thread-safe.
class TrimHolds {
 public:
  using Hold = std::list<SequenceNumber>::iterator;

  // Holds everything that is not trimmed yet. Waits for a trim that is under way.
  Hold Add() {
    MutexLock lock(&mu_);
    return holds_.insert(holds_.end(), 1);
  }
  // Everything that is not trimmed yet is needed again. Waits as Add does.
  void Reset(Hold hold) {
    MutexLock lock(&mu_);
    *hold = 1;
  }
  // Records before `first` are needed no more.
  void Raise(Hold hold, SequenceNumber first) {
    MutexLock lock(&mu_);
    *hold = std::max(*hold, first);
  }
  void Remove(Hold hold) {
    MutexLock lock(&mu_);
    holds_.erase(hold);
  }

  // For the writer: held while it trims, so that no hold is added in between. Nobody else holds
  // it for longer than a look at the list.
  Mutex& mu() ABSL_LOCK_RETURNED(mu_) { return mu_; }
  // How far `first_to_keep` may go.
  SequenceNumber Lowered(SequenceNumber first_to_keep) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const SequenceNumber first : holds_) first_to_keep = std::min(first_to_keep, first);
    return first_to_keep;
  }

 private:
  Mutex mu_;
  std::list<SequenceNumber> holds_ ABSL_GUARDED_BY(mu_);
};

}  // namespace millrace

#endif  // MILLRACE_WAL_TRIM_HOLDS_H_
