#ifndef MILLRACE_WAL_SEGMENT_WALK_H_
#define MILLRACE_WAL_SEGMENT_WALK_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "millrace/file_system.h"
#include "millrace/log_reader.h"
#include "millrace/sequence.h"
#include "wal/format.h"

namespace millrace {

// Which use of which segment a file holds, when its headers do not say.
struct SegmentIdentity {
  LogId log_id = {};
  uint64_t incarnation = 0;
  SequenceNumber first_sequence = kNoSequence;  // kNoSequence: unknown
};

// Shows both headers and all frames of `file`, which is segment `number`'s, to
// `visit`. `assumed` is used where neither header is intact.
//
// Errors: FailedPrecondition (no header is intact and nothing is assumed); I/O errors.
absl::Status WalkSegmentFile(File& file, uint64_t number,
                             const std::optional<SegmentIdentity>& assumed,
                             absl::FunctionRef<void(const FrameInfo&)> visit);

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_WALK_H_
