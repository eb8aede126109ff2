#ifndef MILLRACE_WAL_SUPERBLOCK_H_
#define MILLRACE_WAL_SUPERBLOCK_H_

#include <memory>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "wal/format.h"
#include "wal/mutex.h"

namespace millrace {

inline constexpr std::string_view kSuperblockName = "LOG";
inline constexpr std::string_view kLockName = "LOCK";

class SlotFile;

// The file LOG: two slots, of which the valid one with the higher generation
// counts. Losing it loses nothing; it can only raise suspicion.
//
// Thread-safe: the writer and the preparer both update it.
class SuperblockFile {
 public:
  // Reads without changing anything. kZero also if there is no file; kDamaged
  // if neither slot is valid; kNewer if either is a newer version's.
  static absl::StatusOr<HeaderStatus> Load(Directory& directory, Superblock* superblock);

  // Opens for updates, creating the file if need be. `current` is what counts
  // from now on (its log id identifies the log); nothing is written yet. Its
  // generation is the one that Load returned, of whichever log, or 0: what is
  // written next must outbid what the file holds.
  static absl::StatusOr<std::unique_ptr<SuperblockFile>> Open(Directory& directory,
                                                              const Superblock& current);
  ~SuperblockFile();

  // Applies `change`, writes the result with the next generation to the other
  // slot and syncs it (and, the first time the file is created, the directory).
  // After an error the former contents still count, here and on disk. An error
  // other than want of space is for good: every later call returns it.
  absl::Status Update(absl::FunctionRef<void(Superblock&)> change);

  Superblock current() const;

 private:
  SuperblockFile(std::unique_ptr<SlotFile> file, const Superblock& current);

  mutable Mutex mu_;
  const std::unique_ptr<SlotFile> file_ ABSL_PT_GUARDED_BY(mu_);
  Superblock current_ ABSL_GUARDED_BY(mu_);
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SUPERBLOCK_H_
