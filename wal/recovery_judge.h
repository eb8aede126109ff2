#ifndef MILLRACE_WAL_RECOVERY_JUDGE_H_
#define MILLRACE_WAL_RECOVERY_JUDGE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/recovery.h"
#include "wal/recovery_chain.h"
#include "wal/recovery_table.h"
#include "wal/segment_scan.h"

namespace millrace {

// What is kept of a chain, and what that makes of its links.
struct RecoveryVerdict {
  std::vector<ChainSegment> kept;  // oldest first
  // Follow those kept, and are on no device for sure: to be copied into the next segment.
  std::vector<UnsyncedRun> unsynced;
  Predecessor predecessor;  // of the next segment
  Predecessor below;        // of the first one kept
  SequenceNumber last_recovered = kNoSequence;
  SequenceNumber next_sequence = 1;
  bool stopped = false;      // kStopAtFirstLoss met one
  bool cut = false;          // something above the mark was cut off
  bool withheld = false;     // intact records are cut off: they cannot be made durable
  bool lost_at_end = false;  // acknowledged records are missing behind the last

  struct Fate {
    FileFateTable::Place place = FileFateTable::Place::kOffChain;
    FileFateTable::Holds holds = FileFateTable::Holds::kNothingNeeded;
  };
  std::vector<Fate> links;  // of each link of the chain
};

// What a segment holds that is not part of what is kept.
inline FileFateTable::Holds HoldsOf(const SegmentScan& scan) {
  const bool something = scan.records > 0 || scan.end_nonzero_bytes > 0 || !scan.holes.empty();
  return something ? FileFateTable::Holds::kSomething : FileFateTable::Holds::kNothingNeeded;
}

// Walks the numbers from first_retained up to the mark, and decides at every gap
// what it means. Adds what is lost and what is cut to `report`.
//
// Errors: DataLoss (kStrict).
absl::StatusOr<RecoveryVerdict> JudgeChain(const RecoveryChain& chain,
                                           const RecoveryOptions& options, uint64_t boot_id,
                                           RecoveryReport* report);

}  // namespace millrace

#endif  // MILLRACE_WAL_RECOVERY_JUDGE_H_
