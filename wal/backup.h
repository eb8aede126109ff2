#ifndef MILLRACE_WAL_BACKUP_H_
#define MILLRACE_WAL_BACKUP_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "millrace/backup.h"
#include "wal/log_copy.h"

namespace millrace {

// Copies `source` into a new log in `directory`, and reads it back. Repeats that with a new source
// if records were dropped meanwhile.
//
// Errors: InvalidArgument (options; the target is the log, or inside it); AlreadyExists (the
//   target is not empty); Aborted (the log was truncated again and again); as CopyRecords and
//   VerifyCopy.
absl::StatusOr<BackupResult> BackUp(absl::FunctionRef<absl::StatusOr<CopySource>()> source,
                                    const std::string& directory, const BackupOptions& options);

}  // namespace millrace

#endif  // MILLRACE_WAL_BACKUP_H_
