// Goal: whatever call fails while a cursor's file is opened, written or deleted, the
// error is returned, and the next try finds the last durable checkpoint or none at all.
// Method: a simulated disk in which one call fails, or another process interferes at a
// certain call; files of a newer version and of other kinds made by hand.

#include <errno.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/irregular_directory.h"
#include "tests/newer_block.h"
#include "tests/segment_builder.h"
#include "wal/cursor_file.h"
#include "wal/format.h"
#include "wal/io_status.h"
#include "wal/stored_cursor.h"

namespace millrace {
namespace {

constexpr LogId kLogId = {'f', 'a', 'u', 'l', 't'};
constexpr char kHome[] = "c.cursor";

CursorCheckpoint At(SequenceNumber committed) { return {.epoch = 1, .committed = committed}; }

struct Log {
  Log() { EXPECT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0); }

  absl::StatusOr<std::unique_ptr<CursorFile>> Open(SequenceNumber first = 0) {
    return CursorFile::Open(*directory, kLogId, "c", At(first));
  }
  absl::Status Delete(DeleteMode mode = DeleteMode::kIfValid) {
    return CursorFile::Delete(*directory, kLogId, "c", mode);
  }

  SimFileSystem disk{SimOptions{}};
  std::unique_ptr<Directory> directory;
};

constexpr FileOp kOps[] = {FileOp::kOpen,   FileOp::kCreate,       FileOp::kRead,
                           FileOp::kWrite,  FileOp::kSync,         FileOp::kTruncate,
                           FileOp::kStat,   FileOp::kLock,         FileOp::kRename,
                           FileOp::kUnlink, FileOp::kDirectorySync};

// Runs `prepare` and `act` on new logs, once for each call that `act` makes, which then fails
// with `error`, and hands log and result to `check`.
template <typename Prepare, typename Act, typename Check>
void FailEachCall(int error, Prepare prepare, Act act, Check check) {
  for (const FileOp op : kOps) {
    Log sound;
    prepare(sound);
    const uint64_t before = sound.disk.Calls(op);
    ASSERT_TRUE(act(sound).ok());
    const uint64_t calls = sound.disk.Calls(op) - before;
    for (uint64_t call = 1; call <= calls; ++call) {
      SCOPED_TRACE(std::string(FileOpName(op)) + " " + std::to_string(call));
      Log log;
      prepare(log);
      log.disk.AddRule({.op = op, .error = error, .first = call});
      const absl::Status status = act(log);
      log.disk.ClearRules();
      check(log, status);
    }
  }
}

TEST(CursorFileFaultTest, NewCursorIsMadeByTheNextTryWhateverCallFailed) {
  for (const int error : {EIO, EMFILE, ENOSPC}) {
    FailEachCall(
        error, [](Log&) {}, [](Log& log) { return log.Open(12).status(); },
        [error](Log& log, const absl::Status& status) {
          // Its only slot, which could not be read, counts as damaged.
          const bool told = status.ok() || absl::IsDataLoss(status) || ErrnoOf(status) == error;
          EXPECT_TRUE(told) << status;
          const auto again = log.Open(12);
          ASSERT_TRUE(again.ok()) << again.status();
          EXPECT_EQ((*again)->checkpoint(), At(12));
        });
  }
}

TEST(CursorFileFaultTest, CursorThatIsThereKeepsItsCheckpointWhateverCallFailed) {
  for (const int error : {EIO, EMFILE, ENOSPC}) {
    FailEachCall(
        error, [](Log& log) { ASSERT_TRUE((*log.Open(1))->Write(At(5)).ok()); },
        [](Log& log) { return log.Open(99).status(); },
        [](Log& log, const absl::Status&) {
          const auto again = log.Open(99);
          ASSERT_TRUE(again.ok()) << again.status();
          EXPECT_EQ((*again)->checkpoint(), At(5));
        });
  }
}

TEST(CursorFileFaultTest, WriteFailsWithTheFormerCheckpointStillThere) {
  for (const FileOp op : {FileOp::kWrite, FileOp::kSync}) {
    Log log;
    auto file = log.Open(1);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->Write(At(2)).ok());
    log.disk.AddRule({.op = op, .error = EIO, .name = kHome});
    const absl::Status failed = (*file)->Write(At(3));
    EXPECT_EQ(ErrnoOf(failed), EIO) << failed;
    EXPECT_EQ((*file)->checkpoint(), At(2));
    EXPECT_EQ((*file)->Write(At(4)), failed) << "a failed file is finished";
  }
}

TEST(CursorFileFaultTest, WantOfSpaceForACheckpointPasses) {
  Log log;
  auto file = log.Open(1);
  ASSERT_TRUE(file.ok());
  log.disk.AddRule({.op = FileOp::kWrite, .error = ENOSPC, .name = kHome});
  EXPECT_TRUE(absl::IsResourceExhausted((*file)->Write(At(3))));
  EXPECT_EQ((*file)->checkpoint(), At(1));
  EXPECT_TRUE((*file)->Write(At(4)).ok());
}

TEST(CursorFileFaultTest, DeletingIsFinishedByTheNextTryWhateverCallFailed) {
  FailEachCall(
      EIO, [](Log& log) { ASSERT_TRUE(log.Open(3).ok()); },
      [](Log& log) { return log.Delete(DeleteMode::kWhatever); },
      [](Log& log, const absl::Status&) {
        const absl::Status again = log.Delete(DeleteMode::kWhatever);
        EXPECT_TRUE(again.ok() || absl::IsNotFound(again)) << again;
        EXPECT_TRUE(log.disk.FileNames("/log").empty());
      });
}

TEST(CursorFileFaultTest, CursorOfANewerVersionIsRefusedAndListedAsSuch) {
  Log log;
  ASSERT_TRUE((*log.Open(1))->Write(At(2)).ok());
  std::string bytes = *log.disk.ReadFileBytes("/log/c.cursor");
  MakeNewer(&bytes, 0, kCursorSeedOnDisk, 0);
  log.disk.WriteFileBytes("/log/c.cursor", bytes);
  EXPECT_TRUE(absl::IsUnimplemented(log.Open().status())) << log.Open().status();
  EXPECT_TRUE(absl::IsUnimplemented(log.Delete()));
  const auto listed = ReadCursors(*log.directory);
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().status, HeaderStatus::kNewer);
  EXPECT_TRUE(log.Delete(DeleteMode::kWhatever).ok());
}

TEST(CursorFileFaultTest, ListingShowsWhatCannotBeReadAsDamaged) {
  Log log;
  ASSERT_TRUE(log.Open(1).ok());
  for (const FileOp op : {FileOp::kOpen, FileOp::kStat}) {
    log.disk.AddRule({.op = op, .error = EACCES, .name = kHome});
    const auto listed = ReadCursors(*log.directory);
    ASSERT_TRUE(listed.ok()) << listed.status();
    ASSERT_EQ(listed->size(), 1u);
    EXPECT_EQ(listed->front().name, "c");
    EXPECT_EQ(listed->front().status, HeaderStatus::kDamaged);
    log.disk.ClearRules();
  }
  IrregularDirectory irregular(*log.directory, kHome);
  const auto listed = ReadCursors(irregular);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().status, HeaderStatus::kDamaged);
}

TEST(CursorFileFaultTest, ListingLeavesOutWhatIsGoneByNow) {
  Log log;
  ASSERT_TRUE(log.Open(1).ok());
  log.disk.AddRule({.op = FileOp::kOpen, .error = ENOENT, .name = kHome});
  const auto listed = ReadCursors(*log.directory);
  ASSERT_TRUE(listed.ok());
  EXPECT_TRUE(listed->empty());
}

TEST(CursorFileFaultTest, ListingThatCannotLookIsAnError) {
  Log log;
  ASSERT_TRUE(log.Open(1).ok());
  WriteFile(*log.directory, kSharedCheckpointsName, std::string(kSharedEntryBytes, '\0'));
  log.disk.AddRule({.op = FileOp::kList, .error = EIO});
  EXPECT_EQ(ErrnoOf(ReadCursors(*log.directory).status()), EIO);
  for (const std::string_view name : {std::string_view(kHome), kSharedCheckpointsName}) {
    log.disk.AddRule({.op = FileOp::kOpen, .error = EMFILE, .name = std::string(name)});
    EXPECT_TRUE(absl::IsResourceExhausted(ReadCursors(*log.directory).status())) << name;
    log.disk.ClearRules();
  }
}

TEST(CursorFileFaultTest, SharedCheckpointsThatAreNoFileAreReportedAndPassedOver) {
  Log log;
  ASSERT_TRUE(log.Open(1).ok());
  std::string bytes(2 * kSharedEntryBytes, '\0');
  bytes[0] = 'x';
  const auto put = [&bytes](uint64_t block, uint64_t generation) {
    CursorSlot slot;
    slot.log_id = kLogId;
    slot.name = "c";
    slot.generation = generation;
    EncodeCursorSlot(slot, static_cast<int>(block % 2),
                     std::span<char, kSlotBytes>(&bytes[block * kBlockBytes], kSlotBytes));
  };
  put(1, 1);
  MakeNewer(&bytes, kBlockBytes, kCursorSeedOnDisk, 1);
  put(2, 3);  // a generation that cannot stand there
  WriteFile(*log.directory, kSharedCheckpointsName, bytes);
  const SharedBlocksReport report = ReadSharedBlocks(*log.directory, [](const CursorSlot&) {});
  EXPECT_TRUE(report.exists);
  EXPECT_EQ(report.newer_blocks, 1u);
  EXPECT_EQ(report.invalid_blocks, 2u);

  IrregularDirectory irregular(*log.directory, std::string(kSharedCheckpointsName));
  EXPECT_TRUE(absl::IsFailedPrecondition(SharedEntries::Read(irregular).report().status));
  EXPECT_EQ(ReadCursors(irregular)->size(), 1u);
  log.disk.AddRule(
      {.op = FileOp::kStat, .error = EIO, .name = std::string(kSharedCheckpointsName)});
  EXPECT_EQ(ErrnoOf(SharedEntries::Read(*log.directory).report().status), EIO);
}

// --- Others meanwhile ---------------------------------------------------------------

// The file of another process, in place of the one that is being opened.
void Replace(SimFileSystem& disk, const std::string& path) {
  const std::string bytes = disk.ReadFileBytes(path).value_or("");
  disk.DeleteFile(path);
  disk.WriteFileBytes(path, bytes);
}

TEST(CursorFileFaultTest, FileThatIsReplacedWhenItIsLockedIsOpenedAnew) {
  Log log;
  ASSERT_TRUE(log.Open(7).ok());
  int replaced = 0;
  log.disk.SetHook([&](const FileCall& call) {
    if (call.op == FileOp::kLock && replaced++ == 0) Replace(log.disk, "/log/c.cursor");
    return SimVerdict::kProceed;
  });
  const auto file = log.Open(99);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->checkpoint(), At(7));
  EXPECT_EQ(replaced, 2);
  log.disk.SetHook(nullptr);
}

TEST(CursorFileFaultTest, FileThatIsReplacedAllTheTimeIsGivenUp) {
  Log log;
  ASSERT_TRUE(log.Open(7).ok());
  log.disk.SetHook([&](const FileCall& call) {
    if (call.op == FileOp::kLock) Replace(log.disk, "/log/c.cursor");
    return SimVerdict::kProceed;
  });
  const absl::Status opened = log.Open(99).status();
  EXPECT_TRUE(absl::IsAborted(opened)) << opened;
  EXPECT_TRUE(absl::IsAborted(log.Delete(DeleteMode::kWhatever)));
  log.disk.SetHook(nullptr);
  EXPECT_EQ((*log.Open(99))->checkpoint(), At(7));
}

TEST(CursorFileFaultTest, CursorThatAnotherMadeFirstIsTheOneThatCounts) {
  Log other;
  ASSERT_TRUE(other.Open(7).ok());
  const std::string bytes = *other.disk.ReadFileBytes("/log/c.cursor");
  Log log;
  bool made = false;
  log.disk.SetHook([&](const FileCall& call) {
    if (call.op == FileOp::kLock && !made) {
      made = true;
      log.disk.WriteFileBytes("/log/c.cursor", bytes);
    }
    return SimVerdict::kProceed;
  });
  const auto file = log.Open(99);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->checkpoint(), At(7));
  log.disk.SetHook(nullptr);
}

TEST(CursorFileFaultTest, CursorOfAnotherIsNotReplacedIfItCannotBeSeen) {
  Log other;
  ASSERT_TRUE(other.Open(7).ok());
  const std::string bytes = *other.disk.ReadFileBytes("/log/c.cursor");
  Log log;
  log.disk.SetHook([&](const FileCall& call) {
    if (call.op == FileOp::kLock) log.disk.WriteFileBytes("/log/c.cursor", bytes);
    return SimVerdict::kProceed;
  });
  // The first finds no file, and the second asks whether that is still so.
  log.disk.AddRule({.op = FileOp::kOpen, .error = EMFILE, .name = kHome, .first = 2});
  EXPECT_TRUE(absl::IsResourceExhausted(log.Open(99).status()));
  log.disk.SetHook(nullptr);
  EXPECT_EQ((*log.Open(99))->checkpoint(), At(7));
}

TEST(CursorFileFaultTest, NewFileThatAnotherRenamedIsLookedForAgain) {
  Log log;
  bool taken = false;
  log.disk.SetHook([&](const FileCall& call) {
    if (call.op == FileOp::kLock && !taken) {
      taken = true;
      log.disk.DeleteFile("/log/c.cursor.new");
    }
    return SimVerdict::kProceed;
  });
  const auto file = log.Open(12);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->checkpoint(), At(12));
  log.disk.SetHook(nullptr);
}

}  // namespace
}  // namespace millrace
