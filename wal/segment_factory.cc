#include "wal/segment_factory.h"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "wal/check.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

// How far ahead the superblock's highest segment is raised: one small sync for
// so many segments.
constexpr uint64_t kRaiseAhead = 16;

// Written and synced at once. All zeros in one piece stood for milliseconds between the log's
// records and their sync.
constexpr uint64_t kZeroChunkBytes = uint64_t{256} << 10;

// Never written, so that it takes no memory; not const, which would put it into the program's file.
char zero_chunk[kZeroChunkBytes];

// No record is in a file that could not be made: once there is room for it, it can be.
absl::Status MakingError(absl::Status status) {
  switch (ErrnoOf(status)) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Passing(std::move(status));
    default:
      return status;
  }
}

}  // namespace

SegmentFactory::SegmentFactory(Directory& directory, SuperblockFile& superblock,
                               const LogId& log_id, uint64_t next_number)
    : directory_(directory), superblock_(superblock), log_id_(log_id), next_number_(next_number) {
  WAL_CHECK(next_number > 0);
}

absl::StatusOr<uint64_t> SegmentFactory::DrawNumber() {
  MutexLock lock(&mu_);
  if (next_number_ > kMaxSegmentNumber) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "segment numbers are used up, ", kMaxSegmentNumber, " was the last: begin a new log"));
  }
  const uint64_t number = next_number_;
  // Raised before the number is used: if the last segments vanish, a superblock
  // that still knows of them is what raises the alarm.
  if (number > superblock_.current().highest_segment) {
    absl::Status status = superblock_.Update(
        [number](Superblock& s) { s.highest_segment = number + kRaiseAhead - 1; });
    if (!status.ok()) return status;
  }
  ++next_number_;
  return number;
}

void SegmentFactory::NoteInUse(uint64_t number) {
  MutexLock lock(&mu_);
  in_use_ = std::max(in_use_, number);
}

absl::StatusOr<PreparedSegment> SegmentFactory::Create(uint64_t file_bytes, Fill fill) {
  absl::Status error;
  absl::StatusOr<PreparedSegment> segment = TryCreate(file_bytes, fill, &error);
  // Nothing is in a file whose making failed, and the next one has other blocks.
  if (!error.ok() && !IsPassing(error)) segment = TryCreate(file_bytes, fill, &error);
  return segment;
}

// `file_error`: if it is this file, and not the directory or the superblock, that failed.
absl::StatusOr<PreparedSegment> SegmentFactory::TryCreate(uint64_t file_bytes, Fill fill,
                                                          absl::Status* file_error) {
  *file_error = absl::OkStatus();
  absl::StatusOr<uint64_t> number = DrawNumber();
  if (!number.ok()) return number.status();
  const std::string name = SegmentName(*number);
  PreparedSegment segment;
  segment.number = *number;
  segment.file_bytes = file_bytes;
  const IoResult opened = OpenFile(directory_, name, OpenMode::kCreateExclusive, &segment.file);
  if (opened < 0) return *file_error = MakingError(IoError("create", name, opened));
  absl::Cleanup remove = [this, &name] { Remove(name).IgnoreError(); };

  absl::Status status = Fillup(*segment.file, name, file_bytes, fill);
  if (status.ok()) status = WritePreparedHeaders(*segment.file, name, *number, file_bytes);
  // The file goes again, whatever of it was written.
  if (!status.ok()) return *file_error = MakingError(std::move(status));
  status = SyncDirectoryEntries();
  if (!status.ok()) return status;
  std::move(remove).Cancel();
  return segment;
}

absl::StatusOr<PreparedSegment> SegmentFactory::Recycle(uint64_t old_number, uint64_t file_bytes) {
  const std::string old_name = SegmentName(old_number);
  if (!directory_.OverwritesInPlace()) {
    return absl::NotFoundError("the file system does not overwrite in place");
  }
  PreparedSegment segment;
  segment.origin = PreparedSegment::Origin::kRecycled;
  const IoResult opened = OpenFile(directory_, old_name, OpenMode::kReadWrite, &segment.file);
  if (opened < 0) return IoError("open", old_name, opened);
  FileInfo info;
  const IoResult stat = segment.file->Stat(&info);
  if (stat < 0) return IoError("stat", old_name, stat);
  // A second link is somebody's backup, which overwriting would destroy.
  if (info.link_count != 1 || info.size < file_bytes) {
    return absl::NotFoundError(absl::StrCat(old_name, " does not suit"));
  }
  absl::StatusOr<uint64_t> number = DrawNumber();
  if (!number.ok()) return number.status();
  const std::string name = SegmentName(*number);
  segment.number = *number;
  segment.file_bytes = info.size;

  // Renamed first, made durable, and only then overwritten: whatever the moment
  // of a crash, a file under its old name is whole.
  const IoResult renamed = directory_.Rename(old_name, name);
  if (renamed < 0) return IoError("rename", old_name, renamed);
  absl::Status status = SyncDirectoryEntries();
  if (status.ok()) status = WritePreparedHeaders(*segment.file, name, *number, info.size);
  if (!status.ok()) {
    Remove(name).IgnoreError();
    return status;
  }
  return segment;
}

absl::Status SegmentFactory::Fillup(File& file, const std::string& name, uint64_t file_bytes,
                                    Fill fill) {
  if (fill == Fill::kReserve) {
    const IoResult allocated = AllocateFile(file, file_bytes);
    // Where space cannot be reserved the file grows as it is written.
    if (allocated == -EOPNOTSUPP || allocated == -ENOSYS) return absl::OkStatus();
    return allocated < 0 ? IoErrorAt("allocate", name, file_bytes, allocated) : absl::OkStatus();
  }
  for (uint64_t offset = 0; offset < file_bytes;) {
    const uint64_t bytes = std::min(kZeroChunkBytes, file_bytes - offset);
    const WriteOutcome outcome = WriteFully(file, offset, std::string_view(zero_chunk, bytes));
    if (outcome.error < 0) {
      return IoErrorAt("fill", name, offset + outcome.written, outcome.error);
    }
    // Before the header says "prepared", so that a prepared file is one whose blocks are there.
    const IoResult synced = SyncFile(file);
    if (synced < 0) return IoError("sync", name, synced);
    offset += bytes;
  }
  return absl::OkStatus();
}

absl::Status SegmentFactory::WritePreparedHeaders(File& file, const std::string& name,
                                                  uint64_t number, uint64_t file_bytes) {
  SegmentHeader header;
  header.state = SegmentState::kPrepared;
  header.log_id = log_id_;
  header.number = number;
  header.capacity = file_bytes;
  {
    MutexLock lock(&mu_);
    if (in_use_ < number) header.in_use = in_use_;
  }
  std::vector<char> blocks(kFramesOffset);
  for (int copy : {0, 1}) {
    EncodeSegmentHeader(
        header, copy,
        std::span<char, kSegmentHeaderBytes>(&blocks[copy * kBlockBytes], kSegmentHeaderBytes));
  }
  const WriteOutcome outcome = WriteFully(file, 0, std::string_view(blocks.data(), blocks.size()));
  if (outcome.error < 0) return IoErrorAt("write", name, outcome.written, outcome.error);
  const IoResult synced = SyncFile(file);
  return synced < 0 ? IoError("sync", name, synced) : absl::OkStatus();
}

absl::Status SegmentFactory::Remove(const std::string& name) {
  const IoResult result = directory_.Unlink(name);
  if (result < 0 && result != -ENOENT) return IoError("unlink", name, result);
  return absl::OkStatus();
}

absl::Status SegmentFactory::SyncDirectoryEntries() {
  const IoResult result = SyncDirectory(directory_);
  return result < 0 ? IoError("sync", "the log's directory", result) : absl::OkStatus();
}

}  // namespace millrace
