// Goal: a deleted cursor is gone for good once that was said, before that there or gone, and
// what is made anew under its name has nothing of it.
// Method: a simulated file system, cut and failing at every call; threads.

#include <errno.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/shared_cursors.h"
#include "wal/cursor_file.h"
#include "wal/shared_checkpoints.h"

namespace millrace {
namespace {

class CursorDeleteTest : public SharedCursors {
 protected:
  absl::Status Delete(std::string_view name, DeleteMode mode = DeleteMode::kIfValid) {
    return CursorFile::Delete(*directory_, kLogId, name, mode);
  }
  bool Exists(std::string_view name) {
    return disk_.ReadFileBytes("/log/" + CursorFileName(name)).has_value();
  }
};

TEST_F(CursorDeleteTest, NameIsNewAgain) {
  Open("a", 5).reset();
  const uint64_t incarnation = Stored(disk_, "a").cursor_incarnation;
  ASSERT_TRUE(Delete("a").ok());
  EXPECT_FALSE(Exists("a"));
  EXPECT_EQ(Open("a", 3)->checkpoint(), At(3));
  EXPECT_NE(Stored(disk_, "a").cursor_incarnation, incarnation);
}

TEST_F(CursorDeleteTest, OnlyWhatIsThereAndNotOpenIsDeleted) {
  EXPECT_TRUE(absl::IsInvalidArgument(Delete("a/b"))) << Delete("a/b");
  EXPECT_TRUE(absl::IsNotFound(Delete("a"))) << Delete("a");
  const CursorPointer a = Open("a", 5);
  EXPECT_TRUE(absl::IsAborted(Delete("a"))) << Delete("a");
  EXPECT_TRUE(absl::IsAborted(Delete("a", DeleteMode::kWhatever)));
  Write(*a, 6);
  EXPECT_EQ(Stored(disk_, "a").checkpoint, At(6));
}

TEST_F(CursorDeleteTest, WhatIsNotInOrderIsDeletedOnlyWhateverItIs) {
  Open("a", 5).reset();
  const std::string bytes = *disk_.ReadFileBytes("/log/a.cursor");
  disk_.WriteFileBytes("/log/a.cursor", "");
  disk_.WriteFileBytes("/log/b.cursor", bytes);
  ASSERT_TRUE(CursorFile::Open(*directory_, LogId{'o'}, "c", At(1)).ok());
  EXPECT_TRUE(absl::IsDataLoss(Delete("a"))) << Delete("a");
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete("b"))) << Delete("b");
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete("c"))) << Delete("c");
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_TRUE(Exists(name));
    EXPECT_TRUE(Delete(name, DeleteMode::kWhatever).ok());
    EXPECT_FALSE(Exists(name));
  }
}

TEST_F(CursorDeleteTest, EntryOfADeletedCursorIsNobodys) {
  CursorPointer a = Open("a", 1);
  CursorPointer b = Open("b", 1);
  for (int i = 2; i < 6; ++i) Write(*a, i);
  a.reset();
  ASSERT_TRUE(disk_.ReadFileBytes(kSharedPath).has_value());
  ASSERT_TRUE(Delete("a").ok());
  a = Open("a", 0);
  SimFileSystem& disk = Killed();
  EXPECT_EQ(Stored(disk, "a").checkpoint, At(0));
  a.reset();
  b.reset();
  Start(disk);
  EXPECT_EQ(Open("a", 9)->checkpoint(), At(0));
}

TEST_F(CursorDeleteTest, LeftoverOfAnUnfinishedCursorIsNobodys) {
  Open("a", 77).reset();
  const std::string bytes = *disk_.ReadFileBytes("/log/a.cursor");
  ASSERT_TRUE(Delete("a").ok());
  disk_.WriteFileBytes("/log/a.cursor.new", bytes);
  const CursorPointer a = Open("a", 5);
  EXPECT_EQ(a->checkpoint(), At(5));
  Write(*a, 6);
  for (const int slot : {0, 1}) {
    SimFileSystem& disk = Killed();
    disk.FlipBit("/log/a.cursor", slot * kBlockBytes + 60, 1);
    EXPECT_LT(Stored(disk, "a").checkpoint.committed, 7);
  }
}

TEST_F(CursorDeleteTest, EveryPowerCutLeavesAllOrNothing) {
  Open("a", 5).reset();
  bool deleted = false;
  uint64_t images = 0;
  disk_.SetHook([&](const FileCall&) {
    disk_.ForEachCrashImage(8, images, [&](SimFileSystem& image, ImageId) {
      ++images;
      const StoredCursor stored = Stored(image, "a");
      EXPECT_TRUE(stored.generation == 0 || !deleted);
      EXPECT_TRUE(stored.generation == 0 || stored.checkpoint == At(5));
    });
    return SimVerdict::kProceed;
  });
  ASSERT_TRUE(Delete("a").ok());
  deleted = true;
  EXPECT_TRUE(absl::IsNotFound(Delete("a")));
  disk_.SetHook(nullptr);
  EXPECT_GT(images, 5);
}

TEST_F(CursorDeleteTest, ErrorAtAnyCallIsReportedAndTheNextTryFinishes) {
  for (const FileOp op : {FileOp::kOpen, FileOp::kStat, FileOp::kLock, FileOp::kRead,
                          FileOp::kUnlink, FileOp::kDirectorySync}) {
    for (uint64_t nth = 1; nth < 10; ++nth) {
      disk_.ClearRules();
      Open("a", 5).reset();
      const int rule = disk_.AddRule({.op = op, .error = EIO, .first = nth});
      const absl::Status status = Delete("a");
      if (disk_.RuleHits(rule) == 0) {
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_GT(nth, 1);
        break;
      }
      disk_.ClearRules();
      // One slot of two may be read wrong without harm.
      EXPECT_TRUE(!status.ok() || op == FileOp::kRead) << FileOpName(op) << " " << nth;
      const absl::Status again = Delete("a");
      EXPECT_TRUE(again.ok() || absl::IsNotFound(again)) << again;
      disk_.ForEachCrashImage(4, nth, [&](SimFileSystem& image, ImageId) {
        EXPECT_EQ(Stored(image, "a").generation, 0);
      });
    }
  }
}

// Between the opening of a file and its lock another may delete it, and make it anew.
TEST_F(CursorDeleteTest, FileThatLostItsNameBeforeItWasLockedIsNobodys) {
  for (const std::string& locked : {std::string("a.cursor"), std::string("a.cursor.new")}) {
    for (const bool remade : {false, true}) {
      if (locked == "a.cursor") Open("a", 5).reset();
      CursorPointer other;
      bool done = false;
      disk_.SetHook([&](const FileCall& call) {
        if (call.op != FileOp::kLock || call.name != locked || done) return SimVerdict::kProceed;
        done = true;
        Open("a", 5).reset();
        EXPECT_TRUE(Delete("a").ok());
        if (remade) other = Open("a", 1);
        return SimVerdict::kProceed;
      });
      const absl::StatusOr<CursorPointer> file = TryOpen("a", 7);
      EXPECT_TRUE(done);
      disk_.SetHook(nullptr);
      if (remade) {
        EXPECT_TRUE(absl::IsAborted(file.status())) << file.status();
        Write(*other, 2);
        EXPECT_EQ(Stored(disk_, "a").checkpoint, At(2));
      } else {
        ASSERT_TRUE(file.ok()) << file.status();
        Write(**file, 8);
        EXPECT_EQ(Stored(disk_, "a").checkpoint, At(8));
      }
      disk_.DeleteFile("/log/a.cursor");
    }
  }
}

TEST_F(CursorDeleteTest, DeleterOfAFileThatLostItsNameDeletesTheOneThatHasIt) {
  Open("a", 5).reset();
  CursorPointer other;
  bool done = false;
  disk_.SetHook([&](const FileCall& call) {
    if (call.op != FileOp::kLock || done) return SimVerdict::kProceed;
    done = true;
    EXPECT_TRUE(Delete("a").ok());
    other = Open("a", 1);
    return SimVerdict::kProceed;
  });
  EXPECT_TRUE(absl::IsAborted(Delete("a")));
  disk_.SetHook(nullptr);
  EXPECT_TRUE(Exists("a"));
}

// Each opener finds the file that bears the name, whoever deletes meanwhile.
TEST_F(CursorDeleteTest, OpenersAndDeletersNeverShareACursor) {
  std::atomic<int> holders = 0;
  std::atomic<int> opened = 0;
  std::atomic<int> deleted = 0;
  std::atomic<int> opening = 4;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      // relaxed: whether one has been deleted; nothing else is read because of it.
      for (int i = 0; i < 400 || deleted.load(std::memory_order_relaxed) == 0; ++i) {
        auto file = TryOpen("a", 5);
        if (!file.ok()) {
          EXPECT_TRUE(absl::IsAborted(file.status())) << file.status();
          continue;
        }
        // relaxed: each counter alone is looked at; the threads are joined before the last look.
        EXPECT_EQ(holders.fetch_add(1, std::memory_order_relaxed), 0);
        const SequenceNumber at = (*file)->checkpoint().committed;
        const absl::Status written = (*file)->Write(At(at + 1));
        EXPECT_TRUE(written.ok()) << written;
        EXPECT_EQ(Stored(disk_, "a").checkpoint, At(at + 1));
        // relaxed: as above.
        holders.fetch_sub(1, std::memory_order_relaxed);
        opened.fetch_add(1, std::memory_order_relaxed);
      }
      // relaxed: as above.
      opening.fetch_sub(1, std::memory_order_relaxed);
    });
  }
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      // relaxed: as above.
      while (opening.load(std::memory_order_relaxed) > 0) {
        const absl::Status status = Delete("a");
        EXPECT_TRUE(status.ok() || absl::IsAborted(status) || absl::IsNotFound(status)) << status;
        // relaxed: as above.
        if (status.ok()) deleted.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // relaxed: the threads are joined.
  EXPECT_GT(opened.load(std::memory_order_relaxed), 0);
  EXPECT_GT(deleted.load(std::memory_order_relaxed), 0);
}

}  // namespace
}  // namespace millrace
