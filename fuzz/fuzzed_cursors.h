#ifndef MILLRACE_FUZZED_CURSORS_H_
#define MILLRACE_FUZZED_CURSORS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "millrace/testing/sim_file_system.h"
#include "wal/check.h"
#include "wal/format.h"
#include "wal/shared_checkpoints.h"
#include "wal/stored_cursor.h"

// What a fuzzed directory has of cursors.

namespace millrace {

// Appends a pair of slots of which the second is valid, with one field set.
inline void ForgeCursor(const LogId& log_id, uint64_t field, uint64_t value, std::string& bytes) {
  CursorSlot cursor;
  cursor.log_id = log_id;
  cursor.generation = 7;
  cursor.committed = 1;
  cursor.name = "c";
  cursor.cursor_incarnation = 4;
  uint64_t* const fields[] = {&cursor.generation, &cursor.epoch, &cursor.committed,
                              &cursor.cursor_incarnation};
  *fields[field % 4] = value;
  cursor.has_entry = field >= 4;
  bytes.resize(RoundUp(bytes.size(), kSharedEntryBytes) + kSharedEntryBytes);
  const std::span<char, kSlotBytes> slot(&bytes[bytes.size() - kBlockBytes], kSlotBytes);
  EncodeCursorSlot(cursor, 1, slot);
}

// How far each cursor of the log has come.
using CursorPlaces = std::map<std::string, SequenceNumber>;

inline CursorPlaces Committed(Directory& directory, const LogId& log_id) {
  CursorPlaces committed;
  const auto cursors = ReadCursors(directory);
  WAL_CHECK(cursors.ok());
  for (const StoredCursor& cursor : *cursors) {
    if (cursor.BelongsTo(log_id)) committed[cursor.name] = cursor.checkpoint.committed;
  }
  return committed;
}

// Moving checkpoints home moves no cursor away from `before`, and leaves nothing to move.
inline void OpenCursors(SimFileSystem& disk, const char* path, const LogId& log_id,
                        const CursorPlaces& before) {
  std::unique_ptr<Directory> directory;
  WAL_CHECK(disk.OpenDirectory(path, DirectoryMode::kMustExist, &directory) == 0);
  const auto opened = SharedCheckpoints::Open(disk, *directory, log_id);
  WAL_CHECK(opened.ok());
  WAL_CHECK(Committed(*directory, log_id) == before);
  if (!(*opened)->status().ok()) return;  // generations have run out
  const auto again = SharedCheckpoints::Open(disk, *directory, log_id);
  WAL_CHECK(again.ok() && (*again)->report().moved_home == 0 && (*again)->report().lost.empty());
}

}  // namespace millrace

#endif  // MILLRACE_FUZZED_CURSORS_H_
