#ifndef MILLRACE_WAL_STORED_CURSOR_H_
#define MILLRACE_WAL_STORED_CURSOR_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/slot_file.h"

namespace millrace {

// What the disk says about cursors: read without a lock, nothing is changed.

inline constexpr std::string_view kCursorSuffix = ".cursor";
// A cursor's file while it is being made, before its first checkpoint is durable.
inline constexpr std::string_view kNewCursorSuffix = ".cursor.new";
// Checkpoints of the cursors that the process which has the log has open.
inline constexpr std::string_view kSharedCheckpointsName = "CURSORS";

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

CursorCheckpoint CheckpointOf(const CursorSlot& slot);
// The other way round, of generation 0.
CursorSlot SlotFor(const CursorCheckpoint& checkpoint);

// --- CURSORS ------------------------------------------------------------------------

// An entry is two slots; no process has more cursors share the file than there are entries.
inline constexpr uint64_t kSharedEntryBytes = 2 * kBlockBytes;
inline constexpr uint32_t kMaxSharedEntries = 65536;

// What became of reading CURSORS. Nothing of it is an error of the log: what is not found
// there, the cursors' own files say, only older.
struct SharedBlocksReport {
  bool exists = false;
  // Not ok if it could not be opened, or is not a regular file.
  absl::Status status;
  uint64_t newer_blocks = 0;
  // Neither valid nor zero: torn by a power cut, or damaged.
  uint64_t invalid_blocks = 0;
};

// Calls `visit` for each valid slot in CURSORS, of whichever log.
SharedBlocksReport ReadSharedBlocks(Directory& directory,
                                    absl::FunctionRef<void(const CursorSlot&)> visit);

// The newest checkpoint in CURSORS of each cursor.
class SharedEntries {
 public:
  struct Entry {
    uint64_t generation = 0;
    CursorCheckpoint checkpoint;
  };

  SharedEntries() = default;
  static SharedEntries Read(Directory& directory);

  const SharedBlocksReport& report() const { return report_; }
  // Null if there is none. Incarnation 0 has none.
  const Entry* Find(const LogId& log_id, std::string_view name, uint64_t cursor_incarnation) const;
  bool HoldsOtherLogsThan(const LogId& log_id) const;

 private:
  using Key = std::tuple<LogId, std::string, uint64_t>;

  std::map<Key, Entry> newest_;
  SharedBlocksReport report_;
};

// --- A cursor -----------------------------------------------------------------------

// What `<name>.cursor` says, and CURSORS.
struct StoredCursor {
  std::string name;  // by the file's name
  // kValid, kDamaged (unreadable or empty included) or kNewer.
  HeaderStatus status = HeaderStatus::kDamaged;
  // If kValid.
  LogId log_id = {};
  std::string written_name;  // differs from `name` if the file was renamed or copied
  CursorCheckpoint checkpoint;
  uint64_t generation = 0;          // of the checkpoint
  uint64_t cursor_incarnation = 0;  // 0: none
  int slot = 0;                     // that counts in its own file
  bool has_entry = false;           // in CURSORS, as its own file says
  bool entry_found = false;         // there is one
  bool from_entry = false;          // the checkpoint was found there
  // The highest committed in any valid slot of its own file.
  SequenceNumber highest_committed = kNoSequence;

  bool BelongsTo(const LogId& log) const {
    return status == HeaderStatus::kValid && log_id == log && written_name == name;
  }
};

// What the file of cursor `name`, open as `file`, says, and `entries`.
StoredCursor ReadCursor(std::string_view name, File& file, const SharedEntries& entries);

// Ok if `cursor` may go on from its checkpoint. Else as CursorFile::Open.
absl::Status CheckStoredCursor(const StoredCursor& cursor, const LogId& log_id);

// All cursors of a directory, in order of name, with the newer of the checkpoints in their own
// file and in CURSORS. Changes nothing and takes no lock. An error only if the directory
// cannot be listed or no file can be opened.
absl::StatusOr<std::vector<StoredCursor>> ReadCursors(Directory& directory);

// Locks an open cursor file. Errors: Aborted (open elsewhere); I/O errors.
absl::Status LockCursorFile(File& file, std::string_view name);

}  // namespace millrace

#endif  // MILLRACE_WAL_STORED_CURSOR_H_
