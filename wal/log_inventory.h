#ifndef MILLRACE_WAL_LOG_INVENTORY_H_
#define MILLRACE_WAL_LOG_INVENTORY_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/recovery_table.h"
#include "wal/segment_scan.h"

namespace millrace {

// A regular file named like a segment.
struct SegmentFile {
  uint64_t number = 0;  // by its name
  uint64_t bytes = 0;
  FileTable::Kind kind = FileTable::Kind::kUnused;
  SegmentHeader header;    // kPrepared, kActive, kMisnamed, kForeign
  GroupBody identity;      // kHeaderLost: what its frames say
  int damaged_copies = 0;  // of the header, while another stands
  // The device returns neither copy of the header: what the file is, or was, nobody can say.
  bool unreadable = false;

  bool IsSegment() const {
    return kind == FileTable::Kind::kActive || kind == FileTable::Kind::kHeaderLost;
  }
  // Of a segment.
  uint64_t incarnation() const {
    return kind == FileTable::Kind::kActive ? header.incarnation : identity.incarnation;
  }
  uint64_t epoch() const {
    return kind == FileTable::Kind::kActive ? header.epoch : identity.epoch;
  }
};

// What is in the directory, before anything is concluded about records.
struct LogInventory {
  bool exists = false;  // a log, or what remains of one
  bool id_known = false;
  LogId log_id = {};
  std::vector<SegmentFile> files;  // ascending by number

  Superblock superblock;           // as read; generation 0 if there was none
  bool superblock_counts = false;  // it is intact, and this log's
  uint64_t epoch = 1;              // the highest
  // Where the live epoch begins: the last number kept of older ones. Unset: nothing tells.
  std::optional<SequenceNumber> epoch_base;
  EpochBases epoch_bases;  // of the latest epochs
  SequenceNumber first_retained = 1;
  std::vector<StatedMark> marks;  // by headers, superblock and cursors
  uint64_t highest_number = 0;    // that a name, a header or the superblock names
  // A segment that is known to have been begun after all those that are there, and is
  // lost; 0: none. Whether a record was in it, and how many, is not known.
  uint64_t lost_newest = 0;
  // The log was closed in order: all records that it held are at or below the mark.
  bool lost_newest_is_counted = false;

  std::vector<std::string> ignored;  // names that are not the log's
  uint64_t bytes_read = 0;

  // The highest number that still counts of what `file`, a segment, holds.
  SequenceNumber HighestIn(const SegmentFile& file) const {
    const SequenceNumber highest = epoch_bases.HighestOf(file.epoch());
    return file.epoch() < epoch && epoch_base.has_value() ? std::min(*epoch_base, highest)
                                                          : highest;
  }

  // The file of segment `number`; null if there is none.
  const SegmentFile* Find(uint64_t number) const;
};

// Reads names, headers, superblock and cursor checkpoints; changes nothing.
//
// Errors: Unimplemented (a newer version's file); FailedPrecondition (a part of a copy, see
//   unfinished.h); I/O errors.
absl::StatusOr<LogInventory> TakeInventory(Directory& directory);

}  // namespace millrace

#endif  // MILLRACE_WAL_LOG_INVENTORY_H_
