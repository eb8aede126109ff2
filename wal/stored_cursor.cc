#include "wal/stored_cursor.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <memory>

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

// Also what a slot must be to count in CURSORS: see SlotFile::Write.
bool IsPlacedRight(const CursorSlot& slot, int place) {
  return slot.generation != 0 && slot.generation != ~uint64_t{0} &&
         slot.generation % 2 == static_cast<uint64_t>(place);
}

}  // namespace

absl::Status CheckCursorName(std::string_view name) {
  if (IsCursorName(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "cursor name \"%s\" (%d bytes): use 1 to %d of letters, digits, '.', '_' and '-', the "
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

CursorCheckpoint CheckpointOf(const CursorSlot& slot) {
  return {slot.epoch, slot.committed, slot.segment, slot.incarnation, slot.offset};
}

CursorSlot SlotFor(const CursorCheckpoint& checkpoint) {
  CursorSlot slot;
  slot.epoch = checkpoint.epoch;
  slot.committed = checkpoint.committed;
  slot.segment = checkpoint.segment;
  slot.incarnation = checkpoint.incarnation;
  slot.offset = checkpoint.offset;
  return slot;
}

// --- CURSORS ------------------------------------------------------------------------

SharedBlocksReport ReadSharedBlocks(Directory& directory,
                                    absl::FunctionRef<void(const CursorSlot&)> visit) {
  SharedBlocksReport report;
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(directory, kSharedCheckpointsName, OpenMode::kRead, &file);
  if (opened == -ENOENT) return report;
  report.exists = true;
  FileInfo info;
  const IoResult result = opened < 0 ? opened : file->Stat(&info);
  if (result < 0) {
    report.status = IoError("open", kSharedCheckpointsName, result);
    return report;
  }
  if (info.kind != FileInfo::Kind::kRegular) {
    report.status = absl::FailedPreconditionError(
        absl::StrFormat("%s is not a regular file; move it out of the log's directory",
                        std::string(kSharedCheckpointsName)));
    return report;
  }
  const uint64_t end = std::min(info.size, kMaxSharedEntries * kSharedEntryBytes);
  for (uint64_t offset = 0; offset < end; offset += kBlockBytes) {
    const int place = static_cast<int>(offset / kBlockBytes % 2);
    std::array<char, kSlotBytes> bytes = {};
    CursorSlot slot;
    HeaderStatus status = HeaderStatus::kDamaged;
    if (ReadFully(*file, offset, bytes) >= 0) status = DecodeCursorSlot(bytes, place, &slot);
    if (status == HeaderStatus::kNewer) ++report.newer_blocks;
    const bool counts = status == HeaderStatus::kValid && IsPlacedRight(slot, place);
    if (counts) visit(slot);
    if (status == HeaderStatus::kDamaged || (status == HeaderStatus::kValid && !counts)) {
      ++report.invalid_blocks;
    }
  }
  return report;
}

SharedEntries SharedEntries::Read(Directory& directory) {
  SharedEntries entries;
  entries.report_ = ReadSharedBlocks(directory, [&entries](const CursorSlot& slot) {
    Entry& newest =
        entries.newest_[Key(slot.log_id, std::string(slot.name), slot.cursor_incarnation)];
    if (slot.generation > newest.generation) newest = {slot.generation, CheckpointOf(slot)};
  });
  return entries;
}

const SharedEntries::Entry* SharedEntries::Find(const LogId& log_id, std::string_view name,
                                                uint64_t cursor_incarnation) const {
  if (cursor_incarnation == 0) return nullptr;
  const auto found = newest_.find(Key(log_id, std::string(name), cursor_incarnation));
  return found == newest_.end() ? nullptr : &found->second;
}

bool SharedEntries::HoldsOtherLogsThan(const LogId& log_id) const {
  return std::any_of(newest_.begin(), newest_.end(),
                     [&](const auto& entry) { return std::get<LogId>(entry.first) != log_id; });
}

// --- A cursor -----------------------------------------------------------------------

StoredCursor ReadCursor(std::string_view name, File& file, const SharedEntries& entries) {
  StoredCursor cursor;
  cursor.name = std::string(name);
  const SlotContents contents = LoadSlots(
      file, [&](std::span<const char, kSlotBytes> bytes, int place, uint64_t* generation) {
        CursorSlot decoded;
        const HeaderStatus status = DecodeCursorSlot(bytes, place, &decoded);
        if (status != HeaderStatus::kValid) return status;
        *generation = decoded.generation;
        cursor.highest_committed = std::max(cursor.highest_committed, decoded.committed);
        return status;
      });
  // A cursor's file is never empty: it gets its name with its first checkpoint in it.
  cursor.status = contents.status == HeaderStatus::kZero ? HeaderStatus::kDamaged : contents.status;
  CursorSlot slot;
  if (contents.status != HeaderStatus::kValid ||
      DecodeCursorSlot(contents.bytes, contents.slot, &slot) != HeaderStatus::kValid) {
    return cursor;
  }
  cursor.log_id = slot.log_id;
  cursor.written_name = std::string(slot.name);
  cursor.checkpoint = CheckpointOf(slot);
  cursor.generation = slot.generation;
  cursor.cursor_incarnation = slot.cursor_incarnation;
  cursor.slot = contents.slot;
  cursor.has_entry = slot.has_entry;
  if (cursor.written_name != cursor.name) return cursor;
  const SharedEntries::Entry* entry =
      entries.Find(cursor.log_id, cursor.name, cursor.cursor_incarnation);
  if (entry == nullptr) return cursor;
  cursor.entry_found = true;
  if (entry->generation <= cursor.generation) return cursor;
  cursor.from_entry = true;
  cursor.checkpoint = entry->checkpoint;
  cursor.generation = entry->generation;
  return cursor;
}

absl::Status CheckStoredCursor(const StoredCursor& cursor, const LogId& log_id) {
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
          "%s: neither of its two slots is valid, so the position of cursor %s is lost; delete "
          "the cursor to start it anew",
          file, cursor.name));
  }
  if (cursor.BelongsTo(log_id)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s belongs to %s: its position means nothing here; delete the cursor to start %s anew", file,
      cursor.log_id == log_id ? absl::StrFormat("cursor %s", cursor.written_name)
                              : std::string("another log"),
      cursor.name));
}

absl::StatusOr<std::vector<StoredCursor>> ReadCursors(Directory& directory) {
  // First: what is moved from there meanwhile is found where it was moved to.
  const SharedEntries entries = SharedEntries::Read(directory);
  if (absl::IsResourceExhausted(entries.report().status)) return entries.report().status;
  std::vector<std::string> names;
  const IoResult error = directory.List(&names);
  if (error < 0) return IoError("list", "the log's directory", error);
  std::sort(names.begin(), names.end());
  std::vector<StoredCursor> cursors;
  for (const std::string& file_name : names) {
    const std::optional<std::string> name = ParseCursorFileName(file_name);
    if (!name.has_value()) continue;
    std::unique_ptr<File> file;
    const IoResult opened = OpenFile(directory, file_name, OpenMode::kRead, &file);
    if (opened == -ENOENT) continue;
    absl::Status status = opened < 0 ? IoError("open", file_name, opened) : absl::OkStatus();
    if (absl::IsResourceExhausted(status)) return status;
    FileInfo info;
    if (opened < 0 || file->Stat(&info) < 0 || info.kind != FileInfo::Kind::kRegular) {
      cursors.emplace_back().name = *name;
    } else {
      cursors.push_back(ReadCursor(*name, *file, entries));
    }
  }
  return cursors;
}

absl::Status LockCursorFile(File& file, std::string_view name) {
  const IoResult error = file.TryLock(LockMode::kExclusive);
  if (error == -EAGAIN || error == -EACCES) {
    return absl::AbortedError(
        absl::StrFormat("cursor %s is open elsewhere: %s is locked; a cursor has one opener at "
                        "a time; close that one first",
                        name, CursorFileName(name)));
  }
  return error < 0 ? IoError("lock", CursorFileName(name), error) : absl::OkStatus();
}

}  // namespace millrace
