#ifndef MILLRACE_WAL_RECOVERY_H_
#define MILLRACE_WAL_RECOVERY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/options.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/format.h"

namespace millrace {

// One segment of the live chain, or a run of numbers whose segment is gone.
struct ChainSegment {
  uint64_t number = 0;
  uint64_t incarnation = 0;
  SequenceNumber first_sequence = 0;
  SequenceNumber last_sequence = 0;  // first_sequence - 1: holds no record
  uint64_t end = 0;                  // file offset where its frames end (the cut)
  uint64_t digest = 0;               // 0: unknown
  uint64_t file_bytes = 0;
};

struct RecoveredLog {
  bool exists = false;  // false: nothing of a log is there
  LogId log_id = {};
  std::vector<ChainSegment> chain;  // oldest first; without segments that hold no record
  uint64_t epoch = 1;
  SequenceNumber epoch_base = 0;
  SequenceNumber mark = 0;
  SequenceNumber first_retained = 1;
  SequenceNumber next_sequence = 1;
  // What the next segment's header names.
  Predecessor predecessor;
  // Above every number that a file, a header or the superblock names.
  uint64_t next_segment = 1;
  // This log's files that hold nothing it still needs: prepared, empty, trimmed.
  std::vector<std::string> removable;
  // kStopAtFirstLoss: files to be renamed to `<name>.aside` once the new header is durable.
  std::vector<std::string> set_aside;
  bool starts_new_epoch = false;  // kStopAtFirstLoss cut acknowledged records off
  Superblock superblock;          // as read; generation 0 if there was none
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
