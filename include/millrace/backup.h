#ifndef MILLRACE_BACKUP_H_
#define MILLRACE_BACKUP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "millrace/recovery_report.h"
#include "millrace/sequence.h"

namespace millrace {

class FileSystem;

// How far a backup has come. Reading the copy back to check it counts as copying once more.
struct BackupProgress {
  uint64_t done_bytes = 0;
  uint64_t total_bytes = 0;  // about; of the log's segments, twice
};

// How a log is copied.
struct BackupOptions {
  // Where the copy lives. Not owned; null means the file system of the log.
  FileSystem* file_system = nullptr;

  // What Log::Backup copies: every record appended before the call, which it flushes first, or
  // only what is durable already. LogReader::Backup flushes nothing.
  enum class Flush : uint8_t { kFirst, kNot } flush = Flush::kFirst;

  // What is done about records of the log that cannot be read.
  enum class Damage : uint8_t {
    kCopyTheRest,  // names them in the result, and copies all others with their numbers
    kRefuse,       // DataLoss, naming the first; nothing is left in the target
  } damage = Damage::kCopyTheRest;

  // Bytes of records that one segment of the copy holds, beside 8 KiB of headers. 8 KiB to 1 GiB.
  // A record that is larger gets a segment of its own.
  uint64_t segment_bytes = uint64_t{64} << 20;

  // Called now and then, in the calling thread. False ends the backup with Cancelled; nothing is
  // left in the target. Null: not called.
  std::function<bool(const BackupProgress&)> progress;
};

// What a backup holds. It was read back, and compared with what had been read from the log.
struct BackupResult {
  SequenceNumber first = 1;           // the oldest record that is not trimmed
  SequenceNumber last = kNoSequence;  // the newest; < first: the log holds no record
  uint64_t records = 0;               // copied
  uint64_t payload_bytes = 0;         // of these
  uint64_t segments = 0;              // files
  uint64_t bytes = 0;                 // of these
  std::vector<std::string> cursors;   // whose checkpoints were copied
  // Whose checkpoints were not: their files are damaged, or another log's.
  std::vector<std::string> cursors_left_out;
  // Records between first and last that cannot be read; the copy says of them what the log says.
  std::vector<LostRange> lost;

  uint64_t records_lost() const;
};

}  // namespace millrace

#endif  // MILLRACE_BACKUP_H_
