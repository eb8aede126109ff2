#include "wal/superblock.h"

#include <utility>

#include "wal/slot_file.h"

namespace millrace {

absl::StatusOr<HeaderStatus> SuperblockFile::Load(Directory& directory, Superblock* superblock) {
  absl::StatusOr<SlotContents> contents =
      LoadSlots(directory, kSuperblockName,
                [](std::span<const char, kSlotBytes> bytes, int slot, uint64_t* generation) {
                  Superblock decoded;
                  const HeaderStatus status = DecodeSuperblock(bytes, slot, &decoded);
                  *generation = decoded.generation;
                  return status;
                });
  if (!contents.ok()) return contents.status();
  if (contents->status == HeaderStatus::kValid) {
    return DecodeSuperblock(contents->bytes, contents->slot, superblock);
  }
  return contents->status;
}

absl::StatusOr<std::unique_ptr<SuperblockFile>> SuperblockFile::Open(Directory& directory,
                                                                     const Superblock& current) {
  absl::StatusOr<std::unique_ptr<SlotFile>> file = SlotFile::Open(directory, kSuperblockName);
  if (!file.ok()) return file.status();
  return std::unique_ptr<SuperblockFile>(new SuperblockFile(std::move(*file), current));
}

SuperblockFile::SuperblockFile(std::unique_ptr<SlotFile> file, const Superblock& current)
    : file_(std::move(file)), current_(current) {}

SuperblockFile::~SuperblockFile() = default;

absl::Status SuperblockFile::Update(absl::FunctionRef<void(Superblock&)> change) {
  MutexLock lock(&mu_);
  Superblock next = current_;
  change(next);
  next.generation = current_.generation + 1;
  absl::Status status =
      file_->Write(next.generation, [&next](int slot, std::span<char, kSlotBytes> bytes) {
        EncodeSuperblock(next, slot, bytes);
      });
  if (status.ok()) current_ = next;
  return status;
}

Superblock SuperblockFile::current() const {
  MutexLock lock(&mu_);
  return current_;
}

}  // namespace millrace
