#ifndef MILLRACE_WAL_CURSOR_FILE_H_
#define MILLRACE_WAL_CURSOR_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/log.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/slot_file.h"

namespace millrace {

inline constexpr std::string_view kCursorSuffix = ".cursor";
// A cursor's file while it is being made, before its first checkpoint is durable.
inline constexpr std::string_view kNewCursorSuffix = ".cursor.new";

// Ok for 1 to 128 of [A-Za-z0-9._-], the first not a dot; else InvalidArgument.
absl::Status CheckCursorName(std::string_view name);

std::string CursorFileName(std::string_view name);
// nullopt if a file of that name is not a cursor's.
std::optional<std::string> ParseCursorFileName(std::string_view file_name);

// How far a cursor has come, and where to go on.
struct CursorCheckpoint {
  uint64_t epoch = 1;
  SequenceNumber committed = kNoSequence;
  // A group, or a record, from which record committed + 1 is found by reading on.
  // Checked before use. `segment` 0: unknown.
  uint64_t segment = 0;
  uint64_t incarnation = 0;
  uint64_t offset = 0;

  bool operator==(const CursorCheckpoint&) const = default;
};

// What one `<name>.cursor` says.
struct StoredCursor {
  std::string name;  // by the file's name
  // kValid, kDamaged (unreadable or empty included) or kNewer.
  HeaderStatus status = HeaderStatus::kDamaged;
  // If kValid.
  LogId log_id = {};
  std::string written_name;  // differs from `name` if the file was renamed or copied
  CursorCheckpoint checkpoint;

  bool BelongsTo(const LogId& log) const {
    return status == HeaderStatus::kValid && log_id == log && written_name == name;
  }
};

// All cursor files of a directory, in order of name. Changes nothing and takes no lock. An
// error only if the directory cannot be listed or no file can be opened.
absl::StatusOr<std::vector<StoredCursor>> ReadCursors(Directory& directory);

// The checkpoint file of one cursor, locked against any second opener.
//
// Not thread-safe.
class CursorFile {
 public:
  // Opens the file, or makes it with `first` as its checkpoint, durable with its
  // directory entry before this returns. If `first` is an error, a new cursor
  // cannot be made, and the error is returned.
  //
  // Errors: InvalidArgument (name); Aborted (open elsewhere); DataLoss (neither
  //   slot is valid); FailedPrecondition (another log's or another cursor's);
  //   Unimplemented (a newer version's); I/O errors.
  static absl::StatusOr<std::unique_ptr<CursorFile>> Open(
      Directory& directory, const LogId& log_id, std::string_view name,
      const absl::StatusOr<CursorCheckpoint>& first);

  const std::string& name() const { return name_; }
  const CursorCheckpoint& checkpoint() const { return checkpoint_; }

  // Writes and syncs. After an error the former checkpoint still holds; but for
  // want of space the file is not written again, and every later call returns
  // the first error.
  absl::Status Write(const CursorCheckpoint& checkpoint);

  // Durably lowers `committed` to at most `last`, and raises the epoch to `epoch`.
  absl::Status Clamp(uint64_t epoch, SequenceNumber last);

  // Writes many, each of another file. Returns the first error, after trying all; which are
  // durable, checkpoint() tells.
  struct Pending {
    CursorFile* file = nullptr;
    CursorCheckpoint checkpoint;
  };
  static absl::Status WriteAll(std::span<const Pending> pending);

  // Errors: as Log::DeleteCursor.
  static absl::Status Delete(Directory& directory, const LogId& log_id, std::string_view name,
                             DeleteMode mode);

 private:
  CursorFile(std::string name, const LogId& log_id, std::unique_ptr<SlotFile> slots,
             uint64_t generation, const CursorCheckpoint& checkpoint);

  // The name is not yet durable.
  static absl::Status Create(Directory& directory, const LogId& log_id, std::string_view name,
                             const CursorCheckpoint& first);

  const std::string name_;
  const LogId log_id_;
  const std::unique_ptr<SlotFile> slots_;
  uint64_t generation_;
  CursorCheckpoint checkpoint_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_FILE_H_
