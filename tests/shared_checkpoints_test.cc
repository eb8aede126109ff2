// Goal: cursors that share a sync lose nothing by it, and the file that they share can be
// lost, damaged, or fail, at the price of records being delivered again: never of an error
// at open, never of a skipped record; and it is seen.
// Method: a simulated file system, with errors at every call and damage by hand.

#include "wal/shared_checkpoints.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/shared_cursors.h"
#include "wal/cursor_file.h"

#define XXH_INLINE_ALL
#include "xxhash.h"

namespace millrace {
namespace {

class SharedCheckpointsTest : public SharedCursors {
 protected:
  // Two cursors, a and b, whose newest checkpoints, 105 and 205, stand in CURSORS only. Then
  // the process is killed.
  SimFileSystem& TwoKilled() {
    a_ = Open("a", 100);
    b_ = Open("b", 200);
    for (int i = 1; i <= 5; ++i) {
      Write(*a_, 100 + i);
      Write(*b_, 200 + i);
    }
    EXPECT_LT(AtHome(disk_, "a").checkpoint.committed, 105);
    EXPECT_LT(AtHome(disk_, "b").checkpoint.committed, 205);
    return Killed();
  }

  // Opens the log on `disk`, and cursor `name`, and says where that goes on.
  SequenceNumber Resume(SimFileSystem& disk, std::string_view name) {
    a_.reset();
    b_.reset();
    Start(disk);
    return Open(name, 999)->checkpoint().committed;
  }

  CursorPointer a_;
  CursorPointer b_;
};

TEST_F(SharedCheckpointsTest, SingleCursorNeedsNoSharedFile) {
  a_ = Open("a");
  for (int i = 1; i <= 3; ++i) Write(*a_, i);
  EXPECT_FALSE(disk_.ReadFileBytes(kSharedPath).has_value());
  EXPECT_EQ(AtHome(disk_, "a").checkpoint, At(3));
}

TEST_F(SharedCheckpointsTest, SeveralCursorsCheckpointWithOneSyncAndLeaveTheirHomesAlone) {
  std::vector<CursorPointer> files;
  std::vector<CursorFile::Pending> pending;
  for (int i = 0; i < 16; ++i) {
    files.push_back(Open(absl::StrCat("c", i)));
    pending.push_back({files.back().get(), At(10 + i)});
  }
  ASSERT_TRUE(CursorFile::WriteAll(pending).ok());
  const std::string home = *disk_.ReadFileBytes("/log/c3.cursor");
  const uint64_t syncs = disk_.Calls(FileOp::kSync);
  for (auto& [file, checkpoint] : pending) checkpoint.committed += 100;
  ASSERT_TRUE(CursorFile::WriteAll(pending).ok());
  EXPECT_EQ(disk_.Calls(FileOp::kSync), syncs + 1);
  EXPECT_EQ(*disk_.ReadFileBytes("/log/c3.cursor"), home);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(files[i]->checkpoint(), At(110 + i));
    EXPECT_EQ(Stored(disk_, files[i]->name()).checkpoint, At(110 + i));
  }
  files.clear();
  for (int i = 0; i < 16; ++i) {
    const StoredCursor stored = AtHome(disk_, absl::StrCat("c", i));
    EXPECT_EQ(stored.checkpoint, At(110 + i));
    EXPECT_FALSE(stored.has_entry);
  }
}

TEST_F(SharedCheckpointsTest, OpeningTheLogMovesCheckpointsHomeAndRemovesTheFile) {
  SimFileSystem& disk = TwoKilled();
  EXPECT_EQ(Stored(disk, "a").checkpoint, At(105));
  EXPECT_EQ(Resume(disk, "a"), 105);
  EXPECT_EQ(shared_->report().moved_home, 2);
  EXPECT_TRUE(shared_->report().lost.empty());
  EXPECT_TRUE(shared_->report().status.ok());
  EXPECT_FALSE(disk.ReadFileBytes(kSharedPath).has_value());
  EXPECT_EQ(Open("b")->checkpoint(), At(205));
}

TEST_F(SharedCheckpointsTest, WithoutALogBothPlacesCount) {
  SimFileSystem& disk = TwoKilled();
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(disk.OpenDirectory("/log", DirectoryMode::kMustExist, &directory), 0);
  const auto file = CursorFile::Open(*directory, kLogId, "b", At(0));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->checkpoint(), At(205));
  Write(**file, 206);
  EXPECT_EQ(AtHome(disk, "b").checkpoint, At(206));
}

TEST_F(SharedCheckpointsTest, LosingTheFileCostsRedeliveryAndIsSeen) {
  SimFileSystem& disk = TwoKilled();
  const std::string bytes = *disk.ReadFileBytes(kSharedPath);
  const SequenceNumber home = AtHome(disk, "a").checkpoint.committed;
  disk.DeleteFile(kSharedPath);
  EXPECT_EQ(Resume(disk, "a"), home);
  EXPECT_EQ(shared_->report().lost, (std::vector<std::string>{"a", "b"}));
  // Found again it is too late: the cursor has gone on from elsewhere.
  disk.WriteFileBytes(kSharedPath, bytes);
  EXPECT_EQ(Resume(disk, "a"), home);
  EXPECT_TRUE(shared_->report().lost.empty());
}

TEST_F(SharedCheckpointsTest, DamageToAnEntryIsAnErrorToNobody) {
  SimFileSystem& disk = TwoKilled();
  const std::string bytes = *disk.ReadFileBytes(kSharedPath);
  // The entries are in order of their first use.
  for (int block = 0; block < 4; ++block) {
    disk.FlipBit(kSharedPath, block * kBlockBytes + 60, 3);
    SimFileSystem& copy = Copy(disk);
    const SequenceNumber a = Resume(copy, "a");
    EXPECT_TRUE(a == 105 || (block < 2 && a == 104)) << a << " after block " << block;
    EXPECT_EQ(shared_->report().invalid_blocks, 1);
    const SequenceNumber b = Open("b")->checkpoint().committed;
    EXPECT_TRUE(b == 205 || (block >= 2 && b == 204)) << b << " after block " << block;
    disk.WriteFileBytes(kSharedPath, bytes);
  }
  disk.FlipBit(kSharedPath, 60, 3);
  disk.FlipBit(kSharedPath, kBlockBytes + 60, 3);
  const SequenceNumber home = AtHome(disk, "a").checkpoint.committed;
  EXPECT_EQ(Resume(disk, "a"), home);
  EXPECT_EQ(shared_->report().lost, std::vector<std::string>{"a"});
  EXPECT_EQ(shared_->report().invalid_blocks, 2);
  EXPECT_EQ(Open("b")->checkpoint(), At(205));
}

TEST_F(SharedCheckpointsTest, AnyBytesInTheFileAreAnErrorToNobody) {
  SimFileSystem& disk = TwoKilled();
  const std::string bytes = *disk.ReadFileBytes(kSharedPath);
  for (const std::string& other :
       {std::string(), std::string(1, 'x'), std::string(100'000, 'x'), bytes.substr(0, 300),
        bytes.substr(0, kBlockBytes + 100), bytes + bytes, bytes.substr(kBlockBytes)}) {
    disk.WriteFileBytes(kSharedPath, other);
    SimFileSystem& copy = Copy(disk);
    const SequenceNumber a = Resume(copy, "a");
    EXPECT_GE(a, 100);
    EXPECT_LE(a, 105);
    EXPECT_TRUE(shared_->status().ok());
  }
}

TEST_F(SharedCheckpointsTest, FileOfANewerVersionIsSetAside) {
  SimFileSystem& disk = TwoKilled();
  std::string bytes(2 * kBlockBytes, '\0');
  const std::span<char, kSlotBytes> block(bytes.data(), kSlotBytes);
  CursorSlot slot;
  slot.log_id = kLogId;
  slot.generation = 2;
  slot.name = "a";
  EncodeCursorSlot(slot, 0, block);
  bytes[16] = 2;
  const uint64_t sum = XXH3_64bits_withSeed(block.data() + 8, 248, 0x6d696c6c63757200);
  std::memcpy(block.data(), &sum, sizeof sum);
  disk.WriteFileBytes(kSharedPath, bytes);
  EXPECT_LT(Resume(disk, "a"), 105);
  EXPECT_TRUE(shared_->report().set_aside);
  EXPECT_TRUE(shared_->status().ok());
  EXPECT_EQ(disk.ReadFileBytes("/log/CURSORS.aside"), bytes);
}

TEST_F(SharedCheckpointsTest, FileOfAnotherLogIsSetAside) {
  SimFileSystem& disk = TwoKilled();
  a_.reset();
  b_.reset();
  shared_.reset();
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(disk.OpenDirectory("/log", DirectoryMode::kMustExist, &directory), 0);
  const auto other = SharedCheckpoints::Open(disk, *directory, LogId{'o'});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE((*other)->report().set_aside);
  EXPECT_EQ((*other)->report().moved_home, 0);
  EXPECT_TRUE((*other)->report().lost.empty());
  EXPECT_TRUE(disk.ReadFileBytes("/log/CURSORS.aside").has_value());
}

TEST_F(SharedCheckpointsTest, UnreadableFileIsSetAside) {
  for (const FileOp op : {FileOp::kOpen, FileOp::kRead}) {
    SimFileSystem& disk = TwoKilled();
    a_.reset();
    b_.reset();
    shared_.reset();
    disk.AddRule({.op = op, .error = EIO, .name = "CURSORS", .count = SimRule::kForever});
    const SequenceNumber a = Resume(disk, "a");
    EXPECT_GE(a, 100);
    EXPECT_LT(a, 105);
    EXPECT_EQ(shared_->report().set_aside, op == FileOp::kOpen);
    EXPECT_EQ(shared_->report().lost.size(), 2);
    EXPECT_EQ(shared_->report().invalid_blocks, op == FileOp::kOpen ? 0 : 4);
    Start(disk_);
    for (const std::string& name : disk_.FileNames("/log")) disk_.DeleteFile("/log/" + name);
  }
}

TEST_F(SharedCheckpointsTest, FailureRetiresTheFileForGood) {
  for (const auto& [op, error] : std::vector<std::pair<FileOp, int>>{
           {FileOp::kWrite, EIO}, {FileOp::kSync, EIO}, {FileOp::kSync, ENOSPC}}) {
    a_ = Open(absl::StrCat("a", static_cast<int>(op), error), 1);
    b_ = Open("b", 1);
    Write(*a_, 2);
    disk_.AddRule({.op = op, .error = error, .name = "CURSORS"});
    uint64_t touched = 0;
    Write(*a_, 3);
    EXPECT_FALSE(shared_->status().ok());
    disk_.SetHook([&](const FileCall& call) {
      if (call.name == "CURSORS") ++touched;
      return SimVerdict::kProceed;
    });
    for (int i = 4; i < 8; ++i) Write(*a_, i);
    EXPECT_EQ(touched, 0);
    EXPECT_EQ(AtHome(disk_, a_->name()).checkpoint, At(7));
    a_.reset();
    b_.reset();
    disk_.SetHook(nullptr);
    disk_.ClearRules();
    Start(disk_);
  }
}

TEST_F(SharedCheckpointsTest, FullDiskIsWaitedOutAtHome) {
  a_ = Open("a", 1);
  b_ = Open("b", 1);
  Write(*a_, 2);
  Write(*b_, 2);
  disk_.AddRule({.op = FileOp::kWrite, .error = ENOSPC, .name = "CURSORS"});
  Write(*a_, 3);
  EXPECT_TRUE(shared_->status().ok());
  EXPECT_EQ(AtHome(disk_, "a").checkpoint, At(3));
  Write(*a_, 4);
  EXPECT_TRUE(Stored(disk_, "a").from_entry || AtHome(disk_, "a").has_entry);
  Write(*a_, 5);
  EXPECT_EQ(Stored(disk_, "a").checkpoint, At(5));
  EXPECT_EQ(AtHome(disk_, "a").checkpoint, At(4));
}

TEST_F(SharedCheckpointsTest, ClosingMovesHomeAndLaterCheckpointsGoThere) {
  a_ = Open("a", 1);
  b_ = Open("b", 1);
  for (int i = 2; i < 6; ++i) {
    Write(*a_, i);
    Write(*b_, i + 10);
  }
  shared_->Close();
  shared_->Close();
  EXPECT_FALSE(disk_.ReadFileBytes(kSharedPath).has_value());
  EXPECT_EQ(Stored(disk_, "a").checkpoint, At(5));
  EXPECT_EQ(Stored(disk_, "b").checkpoint, At(15));
  Write(*a_, 6);
  EXPECT_EQ(AtHome(disk_, "a").checkpoint, At(6));
  // The next log finds nothing to do, though they are still open.
  const auto next = SharedCheckpoints::Open(disk_, *directory_, kLogId);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ((*next)->report().moved_home, 0);
  EXPECT_TRUE((*next)->report().status.ok());
  EXPECT_TRUE((*next)->report().lost.empty());
  Write(*a_, 7);
  EXPECT_EQ(AtHome(disk_, "a").checkpoint, At(7));
}

TEST_F(SharedCheckpointsTest, HomeThatCannotBeWrittenLeavesTheEntryInForce) {
  a_ = Open("a", 1);
  b_ = Open("b", 1);
  for (int i = 2; i < 6; ++i) Write(*a_, i);
  disk_.AddRule(
      {.op = FileOp::kWrite, .error = EIO, .name = "a.cursor", .count = SimRule::kForever});
  a_.reset();
  EXPECT_TRUE(shared_->MayHoldNewer());
  a_ = Open("a", 99);
  EXPECT_EQ(a_->checkpoint(), At(5));
  Write(*a_, 6);
  a_.reset();
  b_.reset();
  // The next log neither loses it nor shares a file that it must keep.
  Start(disk_);
  EXPECT_FALSE(shared_->status().ok());
  EXPECT_EQ(Open("a")->checkpoint(), At(6));
  disk_.ClearRules();
  Start(disk_);
  EXPECT_TRUE(shared_->status().ok());
  disk_.ForEachCrashImage(8, 1, [&](SimFileSystem& image, ImageId) {
    EXPECT_EQ(Stored(image, "a").checkpoint, At(6));
  });
}

TEST_F(SharedCheckpointsTest, CursorOfAnEarlierVersionGetsAnIncarnationFirst) {
  ASSERT_TRUE(CursorFile::Open(*directory_, kLogId, "a", At(1)).ok());
  EXPECT_EQ(Stored(disk_, "a").cursor_incarnation, 0);
  a_ = Open("a");
  b_ = Open("b");
  Write(*a_, 2);
  EXPECT_NE(AtHome(disk_, "a").cursor_incarnation, 0);
  EXPECT_EQ(AtHome(disk_, "a").checkpoint, At(2));
  Write(*a_, 3);
  Write(*a_, 4);
  EXPECT_EQ(AtHome(disk_, "a").checkpoint, At(3));
  EXPECT_EQ(Stored(disk_, "a").checkpoint, At(4));
}

TEST_F(SharedCheckpointsTest, ForkedChildWritesNothingOfItsParents) {
  a_ = Open("a", 1);
  b_ = Open("b", 1);
  for (int i = 2; i < 5; ++i) Write(*a_, i);
  const uint64_t calls = disk_.MutatingCalls();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    a_.reset();
    b_.reset();
    shared_.reset();
    _exit(disk_.MutatingCalls() == calls ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  Write(*a_, 5);
  EXPECT_EQ(Stored(disk_, "a").checkpoint, At(5));
}

// Of every call of a life of two cursors one fails: what was said to be durable is.
TEST_F(SharedCheckpointsTest, AnErrorAtAnyCallLosesNoCheckpoint) {
  uint64_t failures = 0;
  for (int op = 0; op < kFileOps; ++op) {
    for (const int error : {EIO, ENOSPC}) {
      for (uint64_t nth = 1; nth < 100; ++nth) {
        SimFileSystem disk({.seed = nth});
        Start(disk);
        const int rule = disk.AddRule({.op = FileOp(op), .error = error, .first = nth});
        std::map<std::string, SequenceNumber> durable;
        for (int round = 0; round < 2; ++round) {
          auto a = TryOpen("a", 0);
          auto b = TryOpen("b", 0);
          for (int i = 1; i <= 3; ++i) {
            for (auto* file : {&a, &b}) {
              const SequenceNumber s = 10 * round + i;
              if (file->ok() && (**file)->Write(At(s)).ok()) durable[(**file)->name()] = s;
            }
          }
        }
        const bool hit = disk.RuleHits(rule) > 0;
        failures += hit;
        shared_.reset();
        disk.ClearRules();
        disk.ForEachCrashImage(4, nth, [&](SimFileSystem& image, ImageId) {
          Start(image);
          for (const auto& [name, committed] : durable) {
            const SequenceNumber found = Open(name)->checkpoint().committed;
            EXPECT_GE(found, committed) << name << " op " << op << " call " << nth;
            EXPECT_LE(found, 13);
          }
          shared_.reset();
        });
        if (!hit || HasFailure()) break;
      }
    }
  }
  Start(disk_);
  EXPECT_GT(failures, 100);
}

}  // namespace
}  // namespace millrace
