#ifndef MILLRACE_WAL_SEGMENT_FACTORY_H_
#define MILLRACE_WAL_SEGMENT_FACTORY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "wal/format.h"
#include "wal/mutex.h"
#include "wal/superblock.h"

namespace millrace {

// A segment's file, durable under its final name and holding prepared headers.
struct PreparedSegment {
  uint64_t number = 0;
  std::unique_ptr<File> file;
  uint64_t file_bytes = 0;  // written or reserved; the file may grow beyond
  enum class Origin : uint8_t { kCreated, kRecycled } origin = Origin::kCreated;
};

// How the blocks of a new file are made. Measured on ext4: a small write and
// fdatasync takes 202 us into reserved blocks, which the first write converts
// with a journal commit, and 106 us over written ones. Writing zeros costs the
// device the whole segment once more, so it pays only where each sync covers little.
enum class Fill : uint8_t { kZeros, kReserve };

// The system calls that bring segment files into being and take them away.
// Numbers are given out here, each once.
//
// Thread-safe.
class SegmentFactory {
 public:
  // `directory` and `superblock` outlive this. `next_number` is above every
  // number ever used in the directory.
  SegmentFactory(Directory& directory, SuperblockFile& superblock, const LogId& log_id,
                 uint64_t next_number);

  // A new file of `file_bytes`. On error nothing is left behind. A write or sync of it that
  // fails is tried once more with another file. IsPassing() holds for want of space, of
  // descriptors, or of memory.
  absl::StatusOr<PreparedSegment> Create(uint64_t file_bytes, Fill fill);

  // Turns the file of segment `old_number`, which nobody may read any more, into
  // the next segment. NotFound if it cannot be reused (other hard links, smaller
  // than `file_bytes`, copy-on-write file system): it is as it was then.
  absl::StatusOr<PreparedSegment> Recycle(uint64_t old_number, uint64_t file_bytes);

  // Segment `number` is in use from now on. What is prepared later says so, which
  // tells of that segment if its file is lost before anything else names it.
  void NoteInUse(uint64_t number);

  // Deletes the file. Not being there is success.
  absl::Status Remove(const std::string& name);
  absl::Status SyncDirectoryEntries();

 private:
  absl::StatusOr<PreparedSegment> TryCreate(uint64_t file_bytes, Fill fill,
                                            absl::Status* file_error);
  absl::StatusOr<uint64_t> DrawNumber();
  static absl::Status Fillup(File& file, const std::string& name, uint64_t file_bytes, Fill fill);
  absl::Status WritePreparedHeaders(File& file, const std::string& name, uint64_t number,
                                    uint64_t file_bytes);

  Directory& directory_;
  SuperblockFile& superblock_;
  const LogId log_id_;
  Mutex mu_;
  uint64_t next_number_ ABSL_GUARDED_BY(mu_);
  uint64_t in_use_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_FACTORY_H_
