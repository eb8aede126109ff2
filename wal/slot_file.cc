#include "wal/slot_file.h"

#include <errno.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/strings.h"

namespace millrace {
namespace {

constexpr int kSlots = 2;

// The last one has no successor, and one in the other's place would be written over
// by its own successor.
bool MayStandIn(int slot, uint64_t generation) {
  return generation != 0 && generation != ~uint64_t{0} &&
         generation % kSlots == static_cast<uint64_t>(slot);
}

// A slot whose bytes cannot be read, or are not all there, is damaged or was
// never written; which, the zeros in their place decide.
HeaderStatus ReadSlot(File& file, int slot, SlotDecoder decode, SlotBytes* bytes,
                      uint64_t* generation) {
  bytes->fill(0);
  const IoResult result = ReadFully(file, slot * kBlockBytes, *bytes);
  if (result < 0) return HeaderStatus::kDamaged;
  const HeaderStatus status = decode(*bytes, slot, generation);
  if (status == HeaderStatus::kValid && !MayStandIn(slot, *generation)) {
    return HeaderStatus::kDamaged;
  }
  return status;
}

absl::Status CheckRegular(File& file, std::string_view name) {
  FileInfo info;
  if (const IoResult result = file.Stat(&info); result < 0) return IoError("stat", name, result);
  if (info.kind == FileInfo::Kind::kRegular) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(ToAbsl(name), " is not a regular file; move it out of the log's directory"));
}

}  // namespace

absl::StatusOr<SlotContents> LoadSlots(Directory& directory, std::string_view name,
                                       SlotDecoder decode) {
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(directory, name, OpenMode::kRead, &file);
  if (opened == -ENOENT) return SlotContents();
  if (opened < 0) return IoError("open", name, opened);
  if (absl::Status status = CheckRegular(*file, name); !status.ok()) return status;
  return LoadSlots(*file, decode);
}

SlotContents LoadSlots(File& file, SlotDecoder decode) {
  SlotContents contents;
  bool newer = false;
  bool damaged = false;
  for (int slot = 0; slot < kSlots; ++slot) {
    SlotBytes bytes;
    uint64_t generation = 0;
    const HeaderStatus status = ReadSlot(file, slot, decode, &bytes, &generation);
    newer = newer || status == HeaderStatus::kNewer;
    damaged = damaged || status == HeaderStatus::kDamaged;
    if (status != HeaderStatus::kValid) continue;
    if (contents.status == HeaderStatus::kValid && contents.generation >= generation) continue;
    contents = {HeaderStatus::kValid, slot, generation, bytes};
  }
  if (newer) {
    contents.status = HeaderStatus::kNewer;
  } else if (damaged && contents.status != HeaderStatus::kValid) {
    contents.status = HeaderStatus::kDamaged;
  }
  return contents;
}

uint64_t GenerationBeside(int slot, uint64_t current) {
  constexpr uint64_t kLast = ~uint64_t{0};
  if (current >= kLast - kSlots) return kLast;
  const bool taken = slot >= 0 && (current + 1) % kSlots == static_cast<uint64_t>(slot);
  return current + (taken ? 2 : 1);
}

SlotFile::SlotFile(Directory& directory, std::string name, std::unique_ptr<File> file,
                   OpenMode mode)
    : directory_(directory),
      name_(std::move(name)),
      file_(std::move(file)),
      directory_synced_(mode == OpenMode::kReadWrite) {}

absl::StatusOr<std::unique_ptr<SlotFile>> SlotFile::Open(Directory& directory,
                                                         std::string_view name, OpenMode mode) {
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(directory, name, mode, &file);
  if (opened < 0) return IoError("open", name, opened);
  if (absl::Status status = CheckRegular(*file, name); !status.ok()) return status;
  return std::unique_ptr<SlotFile>(
      new SlotFile(directory, std::string(name), std::move(file), mode));
}

absl::StatusOr<bool> SlotFile::HasItsName() const {
  std::unique_ptr<File> named;
  const IoResult opened = OpenFile(directory_, name_, OpenMode::kRead, &named);
  if (opened == -ENOENT) return false;
  if (opened < 0) return IoError("open", name_, opened);
  FileInfo own;
  FileInfo other;
  IoResult result = file_->Stat(&own);
  if (result >= 0) result = named->Stat(&other);
  if (result < 0) return IoError("stat", name_, result);
  return own.inode == other.inode && own.device == other.device;
}

absl::Status SlotFile::Write(uint64_t generation, SlotEncoder encode) {
  if (!failed_.ok()) return failed_;
  const int slot = static_cast<int>(generation % kSlots);
  if (!MayStandIn(slot, generation)) {
    failed_ = absl::OutOfRangeError(
        absl::StrCat(ToAbsl(name_), " has come to its last generation, ", generation,
                     ", and cannot be written; move it away and open the log again"));
    return failed_;
  }
  if (absl::Status status = WriteSlot(slot, encode); !status.ok()) return status;
  if (directory_synced_) return absl::OkStatus();
  if (const IoResult synced = SyncDirectory(directory_); synced < 0) {
    failed_ = IoError("sync directory of", name_, synced);
    return failed_;
  }
  directory_synced_ = true;
  return absl::OkStatus();
}

absl::Status SlotFile::WriteSlot(int slot, SlotEncoder encode) {
  SlotBytes bytes;
  encode(slot, bytes);
  const uint64_t offset = slot * kBlockBytes;
  const WriteOutcome outcome =
      WriteFully(*file_, offset, std::string_view(bytes.data(), bytes.size()));
  if (outcome.error < 0) {
    absl::Status status = IoErrorAt("write", name_, offset, outcome.error);
    if (IsOutOfSpace(outcome.error)) return Passing(std::move(status));
    failed_ = status;
    return status;
  }
  if (const IoResult synced = SyncFile(*file_); synced < 0) {
    failed_ = IoError("sync", name_, synced);
    return failed_;
  }
  return absl::OkStatus();
}

}  // namespace millrace
