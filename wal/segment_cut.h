#ifndef MILLRACE_WAL_SEGMENT_CUT_H_
#define MILLRACE_WAL_SEGMENT_CUT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/sequence.h"
#include "wal/format.h"

namespace millrace {

// The place in a segment's file where its frames are to end.
struct SegmentCut {
  uint64_t offset = kFramesOffset;
  uint64_t digest = 0;  // of the frames before it; 0: unknown
};

struct CutRequest {
  std::string name;  // for errors
  LogId log_id = {};
  uint64_t number = 0;
  uint64_t incarnation = 0;
  SequenceNumber first = 1;  // the number expected in its first frame
  uint64_t end = 0;          // file offset where its frames end
  SequenceNumber last_to_keep = 0;
};

// Walks one segment for the place behind record `last_to_keep`. Where damage hides that
// place it is behind the damage, so that what can be read there another time is kept.
//
// Errors: InvalidArgument (it is inside a batch, which is named); Unimplemented (a newer
//   version's frame); I/O errors.
absl::StatusOr<SegmentCut> FindCut(File& file, const CutRequest& request);

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_CUT_H_
