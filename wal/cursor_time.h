#ifndef MILLRACE_WAL_CURSOR_TIME_H_
#define MILLRACE_WAL_CURSOR_TIME_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/sequence.h"
#include "wal/cursor_context.h"
#include "wal/record_reader.h"

namespace millrace {

// What comes next for whoever reads from a point in time on.
struct TimePosition {
  SequenceNumber next = kNoSequence;
  ReadPosition from;  // from where it is found by reading on; may be unknown
};

// The first record, of those durable now, that was written at `time` or later; the one to come
// next if there is none. Looks at the headers of some segments and reads one segment, or more where
// the clock was set back or records are lost.
//
// Errors: of reading, I/O and Unimplemented.
absl::StatusOr<TimePosition> FindTime(const CursorContext& context, absl::Time time);

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_TIME_H_
