#ifndef MILLRACE_TOOLS_MILLRACE_TRIM_PLAN_H_
#define MILLRACE_TOOLS_MILLRACE_TRIM_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "tools/millrace/picture.h"

namespace millrace {

// What trimming would give up. Only whole segments go, so that less may go than was asked for.
struct TrimPlan {
  SequenceNumber first_to_keep = 1;    // after the segments that go
  std::vector<SegmentInfo> segments;   // that go
  std::vector<CursorInfo> in_the_way;  // whose unconsumed records would go
  uint64_t records = 0;
  uint64_t bytes = 0;
};

// Gives up what stands before record `wanted`.
//
// Errors: OutOfRange (beyond the end of the log).
absl::StatusOr<TrimPlan> PlanTrim(const Picture& picture, SequenceNumber wanted);

// The number to keep from ...
// ... so that the newest segments of at most `bytes` stay, and the last one in any case.
SequenceNumber KeepingBytes(const Picture& picture, uint64_t bytes);
// ... so that what was written before `time` goes. Reads the first record of each segment.
absl::StatusOr<SequenceNumber> KeepingSince(const Picture& picture, absl::Time time,
                                            LogReader* reader);
// ... so that what all cursors have consumed goes.
//
// Errors: InvalidArgument (there is no cursor, or one whose checkpoint cannot be read).
absl::StatusOr<SequenceNumber> KeepingUnconsumed(const Picture& picture);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_TRIM_PLAN_H_
