#include "wal/cursor_file.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_format.h"
#include "wal/io.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool IsCursorName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxCursorNameBytes && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), IsNameCharacter);
}

HeaderStatus DecodeGeneration(std::span<const char, kSlotBytes> bytes, int slot,
                              uint64_t* generation) {
  CursorSlot decoded;
  const HeaderStatus status = DecodeCursorSlot(bytes, slot, &decoded);
  if (status == HeaderStatus::kValid) *generation = decoded.generation;
  return status;
}

StoredCursor FromContents(std::string_view name, const SlotContents& contents) {
  StoredCursor cursor;
  cursor.name = std::string(name);
  // A cursor's file is never empty: it gets its name with its first checkpoint in it.
  cursor.status = contents.status == HeaderStatus::kZero ? HeaderStatus::kDamaged : contents.status;
  CursorSlot slot;
  if (contents.status != HeaderStatus::kValid ||
      DecodeCursorSlot(contents.bytes, contents.slot, &slot) != HeaderStatus::kValid) {
    return cursor;
  }
  cursor.log_id = slot.log_id;
  cursor.written_name = std::string(slot.name);
  cursor.checkpoint = {slot.epoch, slot.committed, slot.segment, slot.incarnation, slot.offset};
  return cursor;
}

absl::Status WriteSlot(SlotFile& slots, uint64_t generation, const LogId& log_id,
                       std::string_view name, const CursorCheckpoint& checkpoint) {
  CursorSlot slot;
  slot.log_id = log_id;
  slot.generation = generation;
  slot.epoch = checkpoint.epoch;
  slot.committed = checkpoint.committed;
  slot.segment = checkpoint.segment;
  slot.incarnation = checkpoint.incarnation;
  slot.offset = checkpoint.offset;
  slot.name = name;
  return slots.Write(generation, [&slot](int index, std::span<char, kSlotBytes> bytes) {
    EncodeCursorSlot(slot, index, bytes);
  });
}

absl::Status Lock(SlotFile& slots, std::string_view name) {
  const IoResult error = slots.file().TryLock(LockMode::kExclusive);
  if (error == -EAGAIN || error == -EACCES) {
    return absl::AbortedError(
        absl::StrFormat("cursor %s is open elsewhere: %s is locked; a cursor has one opener at "
                        "a time",
                        name, CursorFileName(name)));
  }
  return error < 0 ? IoError("lock", CursorFileName(name), error) : absl::OkStatus();
}

// Ok if `cursor` may go on from its checkpoint.
absl::Status CheckStored(const StoredCursor& cursor, const LogId& log_id) {
  const std::string file = CursorFileName(cursor.name);
  switch (cursor.status) {
    case HeaderStatus::kValid:
      break;
    case HeaderStatus::kNewer:
      return absl::UnimplementedError(
          absl::StrFormat("%s was written by a newer version; open it with that version", file));
    case HeaderStatus::kZero:
    case HeaderStatus::kDamaged:
      return absl::DataLossError(absl::StrFormat(
          "%s: neither of its two slots is valid, so the position of cursor %s is lost; remove "
          "the file to start it anew",
          file, cursor.name));
  }
  if (cursor.BelongsTo(log_id)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s belongs to %s: its position means nothing here; remove the file to start cursor %s anew",
      file,
      cursor.log_id == log_id ? absl::StrFormat("cursor %s", cursor.written_name)
                              : std::string("another log"),
      cursor.name));
}

}  // namespace

absl::Status CheckCursorName(std::string_view name) {
  if (IsCursorName(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "cursor name \"%s\" (%d bytes): must be 1 to %d of letters, digits, '.', '_' and '-', the "
      "first not a '.'",
      name.substr(0, kMaxCursorNameBytes), name.size(), kMaxCursorNameBytes));
}

std::string CursorFileName(std::string_view name) {
  return std::string(name).append(kCursorSuffix);
}

std::optional<std::string> ParseCursorFileName(std::string_view file_name) {
  if (!file_name.ends_with(kCursorSuffix)) return std::nullopt;
  file_name.remove_suffix(kCursorSuffix.size());
  if (!IsCursorName(file_name)) return std::nullopt;
  return std::string(file_name);
}

absl::StatusOr<std::vector<StoredCursor>> ReadCursors(Directory& directory) {
  std::vector<std::string> names;
  const IoResult error = directory.List(&names);
  if (error < 0) return IoError("list", "directory", error);
  std::sort(names.begin(), names.end());
  std::vector<StoredCursor> cursors;
  for (const std::string& file_name : names) {
    const std::optional<std::string> name = ParseCursorFileName(file_name);
    if (!name.has_value()) continue;
    const absl::StatusOr<SlotContents> contents = LoadSlots(directory, file_name, DecodeGeneration);
    if (absl::IsResourceExhausted(contents.status())) return contents.status();
    if (contents.ok()) {
      cursors.push_back(FromContents(*name, *contents));
    } else if (!absl::IsNotFound(contents.status())) {
      cursors.emplace_back().name = *name;
    }
  }
  return cursors;
}

absl::StatusOr<std::unique_ptr<CursorFile>> CursorFile::Open(
    Directory& directory, const LogId& log_id, std::string_view name,
    const absl::StatusOr<CursorCheckpoint>& first) {
  if (absl::Status status = CheckCursorName(name); !status.ok()) return status;
  const std::string file_name = CursorFileName(name);
  std::unique_ptr<File> probe;
  const IoResult error = OpenFile(directory, file_name, OpenMode::kRead, &probe);
  if (error < 0 && error != -ENOENT) return IoError("open", file_name, error);
  if (error == -ENOENT) {
    if (!first.ok()) return first.status();
    if (absl::Status status = Create(directory, log_id, name, *first); !status.ok()) return status;
  }

  absl::StatusOr<std::unique_ptr<SlotFile>> slots = SlotFile::Open(directory, file_name);
  if (!slots.ok()) return slots.status();
  if (absl::Status status = Lock(**slots, name); !status.ok()) return status;
  const absl::StatusOr<SlotContents> contents = LoadSlots(directory, file_name, DecodeGeneration);
  if (!contents.ok()) return contents.status();
  const StoredCursor stored = FromContents(name, *contents);
  if (absl::Status status = CheckStored(stored, log_id); !status.ok()) return status;
  // Also of a file that was there: who made it may have failed to do it.
  const IoResult synced = SyncDirectory(directory);
  if (synced < 0) return IoError("sync directory of", file_name, synced);
  return std::unique_ptr<CursorFile>(new CursorFile(stored.name, log_id, *std::move(slots),
                                                    contents->generation, stored.checkpoint));
}

// Under another name until its first checkpoint is durable: a file that bears the
// cursor's name and has no valid slot is then always damage, never a crash, and
// the cursor is not quietly begun anew.
absl::Status CursorFile::Create(Directory& directory, const LogId& log_id, std::string_view name,
                                const CursorCheckpoint& first) {
  const std::string new_name = std::string(name).append(kNewCursorSuffix);
  const std::string file_name = CursorFileName(name);
  absl::StatusOr<std::unique_ptr<SlotFile>> slots = SlotFile::Open(directory, new_name);
  if (!slots.ok()) return slots.status();
  if (absl::Status status = Lock(**slots, name); !status.ok()) return status;
  // Now alone; but another opener may have finished in between.
  std::unique_ptr<File> probe;
  if (OpenFile(directory, file_name, OpenMode::kRead, &probe) == 0) return absl::OkStatus();

  // A crash may have left a slot of some generation there.
  const absl::StatusOr<SlotContents> left = LoadSlots(directory, new_name, DecodeGeneration);
  if (!left.ok()) return left.status();
  if (absl::Status status = WriteSlot(**slots, left->generation + 1, log_id, name, first);
      !status.ok()) {
    return status;
  }
  const IoResult error = directory.Rename(new_name, file_name);
  return error < 0 ? IoError("rename", new_name, error) : absl::OkStatus();
}

CursorFile::CursorFile(std::string name, const LogId& log_id, std::unique_ptr<SlotFile> slots,
                       uint64_t generation, const CursorCheckpoint& checkpoint)
    : name_(std::move(name)),
      log_id_(log_id),
      slots_(std::move(slots)),
      generation_(generation),
      checkpoint_(checkpoint) {}

absl::Status CursorFile::Write(const CursorCheckpoint& checkpoint) {
  absl::Status status = WriteSlot(*slots_, generation_ + 1, log_id_, name_, checkpoint);
  if (!status.ok()) return status;
  ++generation_;
  checkpoint_ = checkpoint;
  return absl::OkStatus();
}

absl::Status CursorFile::Clamp(uint64_t epoch, SequenceNumber last) {
  CursorCheckpoint checkpoint = checkpoint_;
  checkpoint.epoch = std::max(checkpoint.epoch, epoch);
  if (checkpoint.committed > last) {
    checkpoint = CursorCheckpoint{.epoch = checkpoint.epoch, .committed = last};
  }
  return Write(checkpoint);
}

absl::Status CursorFile::WriteAll(std::span<const Pending> pending) {
  absl::Status first;
  for (const Pending& one : pending) {
    absl::Status status = one.file->Write(one.checkpoint);
    if (first.ok()) first = std::move(status);
  }
  return first;
}

absl::Status CursorFile::Delete(Directory& directory, const LogId& log_id, std::string_view name,
                                DeleteMode mode) {
  if (absl::Status status = CheckCursorName(name); !status.ok()) return status;
  const std::string file_name = CursorFileName(name);
  std::unique_ptr<File> probe;
  const IoResult opened = OpenFile(directory, file_name, OpenMode::kRead, &probe);
  if (opened == -ENOENT) {
    return absl::NotFoundError(absl::StrFormat("there is no cursor %s", name));
  }
  if (opened < 0) return IoError("open", file_name, opened);
  absl::StatusOr<std::unique_ptr<SlotFile>> slots = SlotFile::Open(directory, file_name);
  if (!slots.ok()) return slots.status();
  if (absl::Status status = Lock(**slots, name); !status.ok()) return status;
  const absl::StatusOr<SlotContents> contents = LoadSlots(directory, file_name, DecodeGeneration);
  if (!contents.ok()) return contents.status();
  if (mode == DeleteMode::kIfValid) {
    absl::Status status = CheckStored(FromContents(name, *contents), log_id);
    if (!status.ok()) return status;
  }
  const IoResult error = directory.Unlink(file_name);
  if (error < 0) return IoError("unlink", file_name, error);
  const IoResult synced = SyncDirectory(directory);
  return synced < 0 ? IoError("sync directory of", file_name, synced) : absl::OkStatus();
}

}  // namespace millrace
