#ifndef MILLRACE_SHARED_CURSORS_H_
#define MILLRACE_SHARED_CURSORS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/cursor_file.h"
#include "wal/shared_checkpoints.h"

namespace millrace {

// A directory of cursors on a simulated disk, as the process that has the log sees it.
class SharedCursors : public testing::Test {
 protected:
  static constexpr LogId kLogId = {'t', 'h', 'e', ' ', 'l', 'o', 'g'};
  static constexpr char kSharedPath[] = "/log/CURSORS";

  using CursorPointer = std::unique_ptr<CursorFile>;

  SharedCursors() : disk_({.seed = 1}) { Start(disk_); }
  static CursorCheckpoint At(SequenceNumber committed, uint64_t epoch = 1) {
    return {.epoch = epoch, .committed = committed, .segment = 7, .incarnation = 8, .offset = 8192};
  }

  // As the open of a log on `disk` does.
  void Start(SimFileSystem& disk) {
    shared_.reset();
    ASSERT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0);
    absl::StatusOr<std::unique_ptr<SharedCheckpoints>> shared =
        SharedCheckpoints::Open(disk, *directory_, kLogId);
    ASSERT_TRUE(shared.ok()) << shared.status();
    shared_ = *std::move(shared);
  }

  absl::StatusOr<CursorPointer> TryOpen(std::string_view name, SequenceNumber first = 0) {
    return CursorFile::Open(*directory_, kLogId, name, At(first), shared_.get());
  }
  CursorPointer Open(std::string_view name, SequenceNumber first = 0) {
    absl::StatusOr<CursorPointer> file = TryOpen(name, first);
    EXPECT_TRUE(file.ok()) << name << ": " << file.status();
    return file.ok() ? *std::move(file) : nullptr;
  }

  static void Write(CursorFile& file, SequenceNumber committed) {
    const absl::Status status = file.Write(At(committed));
    ASSERT_TRUE(status.ok()) << file.name() << ": " << status;
  }

  // Of the cursor as a reader without a lock sees it; its generation is 0 if there is none.
  static StoredCursor Stored(SimFileSystem& disk, std::string_view name) {
    std::unique_ptr<Directory> directory;
    EXPECT_EQ(disk.OpenDirectory("/log", DirectoryMode::kMustExist, &directory), 0);
    const auto cursors = ReadCursors(*directory);
    EXPECT_TRUE(cursors.ok()) << cursors.status();
    for (const StoredCursor& cursor : *cursors) {
      if (cursor.name == name) return cursor;
    }
    return {};
  }

  // As Stored, of its own file alone.
  static StoredCursor AtHome(SimFileSystem& disk, std::string_view name) {
    const std::unique_ptr<SimFileSystem> copy = disk.Clone();
    if (copy->ReadFileBytes(kSharedPath).has_value()) copy->DeleteFile(kSharedPath);
    return Stored(*copy, name);
  }

  // A copy of the disk that lives as long as the test.
  SimFileSystem& Copy(const SimFileSystem& disk) {
    disks_.push_back(disk.Clone());
    return *disks_.back();
  }
  // What the disk is after SIGKILL.
  SimFileSystem& Killed() {
    SimFileSystem& copy = Copy(disk_);
    copy.KillProcess();
    return copy;
  }

  SimFileSystem disk_;
  std::vector<std::unique_ptr<SimFileSystem>> disks_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<SharedCheckpoints> shared_;
};

}  // namespace millrace

#endif  // MILLRACE_SHARED_CURSORS_H_
