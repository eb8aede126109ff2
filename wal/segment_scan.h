#ifndef MILLRACE_WAL_SEGMENT_SCAN_H_
#define MILLRACE_WAL_SEGMENT_SCAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/format.h"

namespace millrace {

// The most bytes of one file that recovery looks at: more than the largest
// segment (1 GiB, and its headers and footer) has, so that a sparse file of 2^62
// bytes holds nobody up.
inline constexpr uint64_t kMaxScanBytes = (uint64_t{1} << 30) + (uint64_t{1} << 20);

// A place in a segment where frames are damaged and valid ones go on behind it.
struct Hole {
  LostRange range;
  // Of what stands before it.
  uint64_t digest = 0;
  uint64_t records = 0;
  SequenceNumber last_valid = kNoSequence;
};

// A mark and the epoch under which it was written.
struct StatedMark {
  uint64_t epoch = 0;
  SequenceNumber mark = 0;
};

// All that the frames of one segment say.
struct SegmentScan {
  SequenceNumber first = 1;                 // that was expected, or else that was found first
  SequenceNumber next = 1;                  // behind the last valid frame
  SequenceNumber last_valid = kNoSequence;  // the last record that is intact
  uint64_t records = 0;                     // that are intact
  std::vector<Hole> holes;

  uint64_t end = kFramesOffset;              // behind the last valid frame
  uint64_t digest = 0;                       // of the valid frames
  LossCause end_cause = LossCause::kZeroed;  // what stands at `end`
  uint64_t end_nonzero_bytes = 0;            // between there and the limit
  bool ends_with_footer = false;
  int64_t time_ns = 0;  // of the last group

  std::vector<StatedMark> marks;  // the highest of each epoch
  SequenceNumber first_retained = 0;
  uint64_t bytes_read = 0;
};

struct ScanRequest {
  std::string name;  // for errors
  LogId log_id = {};
  uint64_t number = 0;
  uint64_t incarnation = 0;
  SequenceNumber first = kNoSequence;  // kNoSequence: unknown
  uint64_t limit = 0;                  // file offset at which frames must end
  SequenceNumber highest = kMaxSequence;
};

// Walks one segment from its first frame on.
//
// Errors: Unimplemented (a newer version's frame); I/O errors.
absl::StatusOr<SegmentScan> ScanSegment(File& file, const ScanRequest& request);

// The body of the footer that stands at the very end of the file: all that needs
// to be read of a segment closed in order. nullopt if there is none.
struct ClosingFooter {
  FooterBody body;
  uint64_t end = 0;     // the file's size
  uint64_t digest = 0;  // of all frames, the footer included
};
std::optional<ClosingFooter> ReadClosingFooter(File& file, const LogId& log_id, uint64_t number,
                                               uint64_t incarnation);

// Finds out whose segment it is when both headers are lost: from the first frame
// of a kind that repeats number and incarnation in clear, and that these two,
// with the log's id, validate. nullopt if none is found for `number`.
std::optional<GroupBody> FindIdentity(File& file, const LogId& log_id, uint64_t number);

// True if anything but zeros stands where frames would, or it cannot be read.
bool HoldsAnything(File& file);

// Forgets what was found from `hole`, which is one of `scan`'s, on.
void CutBefore(const Hole& hole, SegmentScan* scan);

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_SCAN_H_
