#ifndef MILLRACE_SALVAGE_H_
#define MILLRACE_SALVAGE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"

namespace millrace {

class FileSystem;

struct SalvageOptions {
  // Where the damaged log lives. Not owned; null means PosixFileSystem().
  FileSystem* file_system = nullptr;
  // Where SalvageTo puts the new one. Null means that of the damaged one.
  FileSystem* output_file_system = nullptr;
  // Of the new log, as BackupOptions::segment_bytes.
  uint64_t segment_bytes = uint64_t{64} << 20;
};

// One file of the directory: what it is by its content, whatever its name.
struct SalvagedFile {
  enum class Kind : uint8_t {
    kSegment,    // of this log, under its own name
    kMisnamed,   // of this log, under another name
    kDuplicate,  // a segment that another file holds as well; fills in what is damaged there
    kForeign,    // of another log
    kUnused,     // made ready for records, and without any
    kUnknown,    // nothing in it says what it is
  };
  std::string name;
  Kind kind = Kind::kUnknown;
  uint64_t bytes = 0;
  uint64_t segment = 0;      // by its content; 0: unknown
  bool header_lost = false;  // of a segment: known by its frames alone
  uint64_t placed = 0;       // records that have a place in the log
  uint64_t trimmed = 0;      // records that the log had given up
  uint64_t unplaceable = 0;  // intact records that have no place in it
};
std::string_view SalvagedFileKindName(SalvagedFile::Kind kind);

// What a salvage finds, and does.
struct SalvageReport {
  // What is not as it should be, a line each. None: the log is sound, and nothing is to be done; a
  // tail that a crash tore is cut by the next open, and needs no salvage.
  std::vector<std::string> findings;
  bool needed() const { return !findings.empty(); }

  SequenceNumber first = 1;           // the oldest record that was not trimmed
  SequenceNumber last = kNoSequence;  // the newest number given; < first: none
  uint64_t records = 0;               // that are kept, each with its number
  uint64_t payload_bytes = 0;         // of these
  std::vector<LostRange> lost;        // that are not, by number and place

  // Intact records that have no place: of another log, of a segment in no chain, behind the log's
  // end. They are written to `unplaceable_file`.
  uint64_t unplaceable = 0;

  std::vector<SalvagedFile> files;
  std::vector<std::string> cursors;           // that are kept
  std::vector<std::string> cursors_left_out;  // that are damaged, or another log's

  // Once it is done.
  bool applied = false;
  std::string unplaceable_file;        // its name in the new log's directory; empty: there are none
  std::vector<std::string> set_aside;  // SalvageInPlace: the new names of the old files

  uint64_t records_lost() const;
};

// These build a sound log from what can be read of a damaged one. What belongs to the log is
// decided as opening decides it, but every file counts as what its content shows it to be: files
// that are misnamed, swapped, or there twice, that have lost their headers, a superblock that is
// lost or another log's. Each record keeps its number; what is lost stays lost, and is named by
// all later readers as well. What is intact and has no place is exported, one JSON object a line:
//
//   file, reason (foreign, off-chain, behind-end), log_id (hex), segment, incarnation, offset,
//   sequence, time_ns, key_base64 (where there is a key), attributes (objects of name_base64 and
//   value_base64, where there are any), payload_base64
//
// For a log that nobody has open. No threads, no clock. Memory: the records of one frame, and what
// duplicates fill in.
//
// Errors of all three: NotFound (no directory, or nothing of a log in it); Aborted (open
//   elsewhere); Unimplemented (written by a newer version); FailedPrecondition (a part of a copy,
//   or an interrupted SalvageInPlace, which that call alone carries on); I/O errors.

// Changes nothing.
absl::StatusOr<SalvageReport> PlanSalvage(const std::string& directory,
                                          const SalvageOptions& options = {});

// Builds the log in `output`, which is created if need be and must be empty. Changes nothing in
// `directory`. A crash or an error leaves nothing in `output` that opens as a log. Where no salvage
// is needed nothing is built.
//
// Errors: also as Log::Backup.
absl::StatusOr<SalvageReport> SalvageTo(const std::string& directory, const std::string& output,
                                        const SalvageOptions& options = {});

// Puts the log in place of the damaged one, whose files are all kept, under names that end in
// ".aside". Needs the space of both. Until the new log is whole, durable and checked, the old files
// are not touched; a crash while they are exchanged leaves a directory that cannot be opened until
// this is called again, which carries on.
absl::StatusOr<SalvageReport> SalvageInPlace(const std::string& directory,
                                             const SalvageOptions& options = {});

}  // namespace millrace

#endif  // MILLRACE_SALVAGE_H_
