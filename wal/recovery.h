#ifndef MILLRACE_WAL_RECOVERY_H_
#define MILLRACE_WAL_RECOVERY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/options.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/format.h"

namespace millrace {

// One segment of the live chain. Numbers between one's last and the next one's
// first are lost, and reported.
struct ChainSegment {
  uint64_t number = 0;
  uint64_t incarnation = 0;
  SequenceNumber first_sequence = 0;
  SequenceNumber last_sequence = 0;  // not before the first
  uint64_t end = 0;                  // file offset where its frames end (the cut)
  uint64_t digest = 0;               // 0: unknown
  uint64_t file_bytes = 0;
};

// Intact records of a segment that the device would not sync, in a row.
struct UnsyncedRun {
  uint64_t number = 0;
  uint64_t incarnation = 0;
  uint64_t begin = 0;  // file offsets
  uint64_t end = 0;
  SequenceNumber first = 0;  // inclusive
  SequenceNumber last = 0;
  int64_t time_ns = 0;  // of those before the run's first group
};

struct RecoveredLog {
  // A log, or anything that may be the remains of one, is there.
  bool exists = false;
  LogId log_id = {};                // if it exists; drawn anew where nothing tells it any more
  std::vector<ChainSegment> chain;  // oldest first; without segments that hold no record
  // The newest segment, if it goes on from the chain and holds no record (yet), or is lost
  // and still known to have been there (incarnation 0). The chain's
  // last segment then ends where it says: what stands behind is dead.
  std::optional<ChainSegment> newest;
  uint64_t epoch = 1;             // so far: see starts_new_epoch
  SequenceNumber epoch_base = 0;  // of it: the last number kept of older ones
  EpochBases epoch_bases;         // of it and those before, as far as the log says
  // The highest number that the log itself says is durable. After a recovery with
  // Access::kReadWrite everything in the chain is, and what `unsynced` names is not.
  SequenceNumber mark = 0;
  SequenceNumber first_retained = 1;
  SequenceNumber next_sequence = 1;
  // What the next segment's header names.
  Predecessor predecessor;
  // Follow the chain's last record without a gap, up to next_sequence - 1. They count, and
  // may be in memory only: to be copied into the next segment, and durable there, before its
  // header is written.
  std::vector<UnsyncedRun> unsynced;
  // What the oldest segment of the chain names: given up, or number 0.
  Predecessor below;
  // Above every number that a file, a header or the superblock names.
  uint64_t next_segment = 1;
  // This log's files that hold nothing it still needs: prepared, empty, trimmed.
  // To be deleted once the new header is durable.
  std::vector<std::string> removable;
  // Files that are cut off the log and hold records, intact or damaged. To be
  // renamed to `<name>.aside` once the new header is durable.
  std::vector<std::string> set_aside;
  // kStopAtFirstLoss met a loss: the next segment begins epoch + 1, whose base is
  // predecessor.last_sequence.
  bool starts_new_epoch = false;
  Superblock superblock;  // as read, be it another log's; generation 0 if there was none
};

enum class Access : uint8_t {
  kReadWrite,  // syncs what is readable before trusting it
  kReadOnly,   // no call that changes or syncs anything
};

enum class Scan : uint8_t {
  kUndecided,  // only what a crash can have left undecided
  kAll,        // every frame; implied by kStrict and kStopAtFirstLoss
};

struct RecoveryOptions {
  RecoveryPolicy policy = RecoveryPolicy::kSalvage;
  Access access = Access::kReadWrite;
  Scan scan = Scan::kUndecided;
};

// Reads `directory` (whose lock the caller holds, if writing) and decides what
// the log is: which segments form the chain, where it ends, and what is lost.
// Writes nothing: what it decides takes effect with the header of the next
// segment, which the caller writes.
//
// Errors: DataLoss (kStrict and something acknowledged is missing);
//   Unimplemented (a newer version's); I/O errors.
absl::StatusOr<RecoveredLog> Recover(FileSystem& file_system, Directory& directory,
                                     const RecoveryOptions& options, RecoveryReport* report);

}  // namespace millrace

#endif  // MILLRACE_WAL_RECOVERY_H_
