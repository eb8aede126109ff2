#ifndef MILLRACE_WAL_DEADLINE_H_
#define MILLRACE_WAL_DEADLINE_H_

#include <chrono>

#include "absl/time/time.h"
#include "queue/atomics.h"

namespace millrace {

// The point in time `timeout` from now; one too far away to be told from never
// is never.
inline Deadline DeadlineAfter(absl::Duration timeout) {
  if (timeout >= absl::Hours(24 * 365 * 100)) return kNoDeadline;
  const Deadline now = std::chrono::steady_clock::now();
  if (timeout <= absl::ZeroDuration()) return now;
  return now + absl::ToChronoNanoseconds(timeout);
}

}  // namespace millrace

#endif  // MILLRACE_WAL_DEADLINE_H_
