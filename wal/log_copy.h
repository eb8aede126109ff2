#ifndef MILLRACE_WAL_LOG_COPY_H_
#define MILLRACE_WAL_LOG_COPY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/backup.h"
#include "millrace/file_system.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/log_builder.h"
#include "wal/record_reader.h"
#include "wal/segment_list.h"
#include "wal/stored_cursor.h"

namespace millrace {

class LogReader;

// What of a log is to be copied, and how it is read. All pointers outlive it.
struct CopySource {
  // All that `reader` may return, from the first record kept on.
  static CopySource Of(LogReader& reader);

  std::string path;
  FileSystem* file_system = nullptr;
  Directory* directory = nullptr;
  LogId log_id = {};
  std::shared_ptr<SegmentNode> start;  // where `first` is looked for
  SequenceNumber first = 1;
  SequenceNumber limit = kNoSequence;  // the last record
  SequenceNumber mark = kNoSequence;   // the last one known durable
  // What an append to the copy gets: more than limit + 1 where numbers were left out at the end.
  SequenceNumber next = 1;
  std::function<SequenceNumber()> first_retained;
  // How far a cursor has come that says `checkpoint` on disk.
  std::function<SequenceNumber(std::string_view cursor, const CursorCheckpoint& checkpoint)>
      counted;
  // Differs from `version` once records were dropped that may have been copied.
  uint64_t version = 0;
  std::function<absl::StatusOr<uint64_t>()> version_now;
  // Called with the next record to be read, after the records before it. Null: nobody.
  std::function<void(SequenceNumber)> passed;

  // Of the chain's files up to `limit`.
  uint64_t bytes() const;
};

// What was copied.
struct CopyCounts {
  uint64_t records = 0;
  uint64_t payload_bytes = 0;
  uint64_t digest = 0;  // RecordDigest
  SequenceNumber last = kNoSequence;
  std::vector<LostRange> lost;
};

// Is told how many bytes of segments were passed; false ends the copying with Cancelled.
using CopyWatch = absl::FunctionRef<bool(uint64_t passed_bytes)>;

// Adds all records of `source` to `builder`, each with its number, those of a batch as a batch.
// Without a builder they are only counted.
//
// Errors: DataLoss (kRefuse and a record is lost); Cancelled; I/O errors of both sides.
absl::Status CopyRecords(const CopySource& source, BackupOptions::Damage damage, CopyWatch watch,
                         LogBuilder* builder, CopyCounts* counts);

// The cursors of the log that are copied, and how far they have come there.
struct CopiedCursors {
  struct Cursor {
    std::string name;
    SequenceNumber committed = kNoSequence;
  };
  std::vector<Cursor> copied;
  std::vector<std::string> left_out;
};
absl::StatusOr<CopiedCursors> CursorsToCopy(const CopySource& source);

// Reads a copy that is complete but for the mark that says so, from the device where that can be
// asked for, and compares it with what was read from the log. The copy is what `directory` of
// `file_system` shows.
//
// Errors: DataLoss (they differ); Cancelled; I/O errors.
absl::Status VerifyCopy(FileSystem& file_system, const std::string& directory,
                        const CopySource& source, const CopyCounts& counts,
                        const CopiedCursors& cursors, CopyWatch watch);

}  // namespace millrace

#endif  // MILLRACE_WAL_LOG_COPY_H_
