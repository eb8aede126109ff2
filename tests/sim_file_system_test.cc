// Goal: the simulated file system answers like a real one, dies where it is told
// to, and disturbs exactly the calls that a rule names.
// Method: each promise of the header by example. What a power cut leaves is the
// matter of sim_crash_image_test.

#include "millrace/testing/sim_file_system.h"

#include <errno.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "wal/io.h"

namespace millrace {
namespace {

class SimFileSystemTest : public testing::Test {
 protected:
  SimFileSystemTest() : SimFileSystemTest(SimOptions{}) {}
  explicit SimFileSystemTest(const SimOptions& options) : disk_(options) { Reopen(); }

  void Reopen() { ASSERT_EQ(disk_.OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0); }
  std::unique_ptr<File> Open(std::string_view name, OpenMode mode = OpenMode::kCreate) {
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open(name, mode, &file), 0) << name;
    return file;
  }
  std::unique_ptr<File> Written(std::string_view name, std::string_view bytes) {
    std::unique_ptr<File> file = Open(name);
    EXPECT_EQ(WriteFully(*file, 0, bytes).error, 0);
    return file;
  }
  std::string Bytes(const std::string& name) { return *disk_.ReadFileBytes("/log/" + name); }

  SimFileSystem disk_;
  std::unique_ptr<Directory> directory_;
};

std::string ReadAll(File& file) {
  std::string bytes(1 << 16, '\0');
  const IoResult result = ReadFully(file, 0, bytes);
  EXPECT_GE(result, 0);
  bytes.resize(static_cast<size_t>(std::max<IoResult>(result, 0)));
  return bytes;
}

TEST_F(SimFileSystemTest, ReadsBackWhatWasWritten) {
  const std::unique_ptr<File> file = Written("f", "hello");
  EXPECT_EQ(WriteFully(*file, 8, "!").error, 0);
  EXPECT_EQ(ReadAll(*file), std::string("hello\0\0\0!", 9));
  EXPECT_EQ(file->Truncate(3), 0);
  EXPECT_EQ(file->Truncate(5), 0);
  EXPECT_EQ(ReadAll(*file), std::string("hel\0\0", 5));
  EXPECT_EQ(file->Allocate(4), 0);
  FileInfo info;
  EXPECT_EQ(file->Stat(&info), 0);
  EXPECT_EQ(info.size, 5u);
  EXPECT_EQ(file->Allocate(7), 0);
  EXPECT_EQ(ReadAll(*file), std::string("hel\0\0\0\0", 7));
}

TEST_F(SimFileSystemTest, NamesBehaveLikeThoseOfRealDirectory) {
  std::unique_ptr<File> file;
  EXPECT_EQ(directory_->Open("f", OpenMode::kRead, &file), -ENOENT);
  EXPECT_EQ(directory_->Open("a/b", OpenMode::kCreate, &file), -EINVAL);
  EXPECT_EQ(directory_->Open(std::string(256, 'a'), OpenMode::kCreate, &file), -ENAMETOOLONG);
  Written("f", "one");
  EXPECT_EQ(directory_->Open("f", OpenMode::kCreateExclusive, &file), -EEXIST);
  const std::unique_ptr<File> other = Written("g", "two");
  EXPECT_EQ(directory_->Rename("f", "g"), 0);
  EXPECT_EQ(directory_->Rename("f", "g"), -ENOENT);
  EXPECT_EQ(disk_.FileNames("/log"), std::vector<std::string>{"g"});
  EXPECT_EQ(Bytes("g"), "one");
  EXPECT_EQ(ReadAll(*other), "two");  // open, without a name
  EXPECT_EQ(directory_->Unlink("g"), 0);
  EXPECT_EQ(directory_->Unlink("g"), -ENOENT);
  std::unique_ptr<Directory> none;
  EXPECT_EQ(disk_.OpenDirectory("/none", DirectoryMode::kMustExist, &none), -ENOENT);
}

TEST_F(SimFileSystemTest, ReadOnlyFileCannotBeChanged) {
  Written("f", "x");
  const std::unique_ptr<File> file = Open("f", OpenMode::kRead);
  EXPECT_EQ(file->Write(0, std::vector<std::string_view>{"y"}), -EBADF);
  EXPECT_LT(file->Truncate(0), 0);
  EXPECT_LT(file->Allocate(9), 0);
  EXPECT_EQ(file->TryLock(LockMode::kExclusive), -EBADF);
  EXPECT_EQ(Bytes("f"), "x");
}

TEST_F(SimFileSystemTest, LocksExcludeAndAreFreedByCloseKillAndCrash) {
  std::unique_ptr<File> held = Open("LOCK");
  std::unique_ptr<File> other = Open("LOCK");
  ASSERT_EQ(held->TryLock(LockMode::kExclusive), 0);
  EXPECT_EQ(held->TryLock(LockMode::kExclusive), 0);
  EXPECT_EQ(other->TryLock(LockMode::kExclusive), -EAGAIN);
  EXPECT_EQ(other->TryLock(LockMode::kShared), -EAGAIN);
  held.reset();
  EXPECT_EQ(other->TryLock(LockMode::kShared), 0);
  held = Open("LOCK");
  EXPECT_EQ(held->TryLock(LockMode::kShared), 0);
  EXPECT_EQ(held->TryLock(LockMode::kExclusive), -EAGAIN);
  disk_.KillProcess();
  EXPECT_EQ(held->TryLock(LockMode::kShared), -EIO);
  Reopen();
  std::unique_ptr<File> next = Open("LOCK");
  EXPECT_EQ(next->TryLock(LockMode::kExclusive), 0);
  held.reset();  // a dead handle must not free what is another's now
  EXPECT_EQ(Open("LOCK")->TryLock(LockMode::kShared), -EAGAIN);
}

TEST_F(SimFileSystemTest, KilledProcessLosesNothing) {
  Written("f", "unsynced");
  disk_.KillProcess();
  std::unique_ptr<File> file;
  EXPECT_EQ(directory_->Open("f", OpenMode::kRead, &file), -EIO);
  Reopen();
  EXPECT_EQ(ReadAll(*Open("f")), "unsynced");
}

TEST_F(SimFileSystemTest, PowerGoesBeforeInsideOrAfterTheNamedCall) {
  for (const CrashMoment moment :
       {CrashMoment::kBefore, CrashMoment::kInside, CrashMoment::kAfter}) {
    SimFileSystem disk(SimOptions{});
    std::unique_ptr<Directory> directory;
    ASSERT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
    std::unique_ptr<File> file;
    ASSERT_EQ(directory->Open("f", OpenMode::kCreate, &file), 0);
    disk.CrashAt(2, moment);
    EXPECT_EQ(WriteFully(*file, 0, "one").error, 0);
    FileInfo info;
    EXPECT_EQ(file->Stat(&info), 0);  // not counted: it changes nothing
    EXPECT_EQ(WriteFully(*file, 3, "two").error, moment == CrashMoment::kAfter ? 0 : -EIO);
    EXPECT_FALSE(disk.powered());
    EXPECT_EQ(file->Sync(), -EIO);
    EXPECT_EQ(file->Stat(&info), -EIO);
    EXPECT_EQ(directory->Unlink("f"), -EIO);
    std::unique_ptr<Directory> again;
    EXPECT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &again), -EIO);
    EXPECT_EQ(*disk.ReadFileBytes("/log/f"), moment == CrashMoment::kBefore ? "one" : "onetwo");
  }
}

TEST_F(SimFileSystemTest, PowerOnGoesOnFromOneImageWithNewBootAndDeadHandles) {
  const std::unique_ptr<File> file = Written("f", "synced");
  ASSERT_EQ(file->Sync(), 0);
  ASSERT_EQ(directory_->Sync(), 0);
  EXPECT_EQ(WriteFully(*file, 0, "SYNCED").error, 0);
  const uint64_t boot = disk_.BootId();
  disk_.CutPower();
  disk_.PowerOn(kSubsetImage);  // keeps nothing
  EXPECT_NE(disk_.BootId(), boot);
  EXPECT_EQ(file->Sync(), -EIO);
  Reopen();
  EXPECT_EQ(ReadAll(*Open("f")), "synced");
}

TEST_F(SimFileSystemTest, RuleHitsTheCallsItNamesAndNoOthers) {
  const std::unique_ptr<File> a = Open("a.seg");
  const std::unique_ptr<File> b = Open("b.tmp");
  const int rule = disk_.AddRule({.op = FileOp::kSync,
                                  .action = SimRule::Action::kFail,
                                  .error = EDQUOT,
                                  .name = "*.seg",
                                  .first = 2,
                                  .count = 2});
  const std::vector<IoResult> expected = {0, -EDQUOT, -EDQUOT, 0};
  for (const IoResult result : expected) {
    EXPECT_EQ(b->Sync(), 0);
    EXPECT_EQ(a->Sync(), result);
    EXPECT_EQ(WriteFully(*a, 0, "x").error, 0);
  }
  EXPECT_EQ(disk_.RuleHits(rule), 2u);
}

TEST_F(SimFileSystemTest, FailedSyncLosesPagesAndTheNextOneSucceeds) {
  const std::unique_ptr<File> file = Written("f", "old old old");
  ASSERT_EQ(file->Sync(), 0);
  ASSERT_EQ(directory_->Sync(), 0);
  EXPECT_EQ(WriteFully(*file, 0, "new new new longer").error, 0);
  disk_.AddRule({.op = FileOp::kSync, .action = SimRule::Action::kLosePages, .error = EIO});
  EXPECT_EQ(file->Sync(), -EIO);
  EXPECT_EQ(file->Sync(), 0);
  // A process that reads now sees records which are not on the disk,
  EXPECT_EQ(ReadAll(*Open("f")), "new new new longer");
  EXPECT_EQ(*disk_.ReadDurableBytes("/log/f"), "old old old" + std::string(7, '\0'));
  // and dropping the cache shows the truth.
  EXPECT_EQ(file->DropCache(), 0);
  EXPECT_EQ(ReadAll(*file), "old old old" + std::string(7, '\0'));
  // A new write of the same bytes repairs it.
  EXPECT_EQ(WriteFully(*file, 0, "new new new longer").error, 0);
  EXPECT_EQ(file->DropCache(), 0);
  EXPECT_EQ(file->Sync(), 0);
  EXPECT_EQ(*disk_.ReadDurableBytes("/log/f"), "new new new longer");
}

TEST(SimFileSystemOptionsTest, FailedSyncMayRevertTheSize) {
  SimFileSystem disk({.failed_sync = SimOptions::FailedSync::kRevertsSize});
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
  std::unique_ptr<File> file;
  ASSERT_EQ(directory->Open("f", OpenMode::kCreate, &file), 0);
  EXPECT_EQ(WriteFully(*file, 0, "gone").error, 0);
  disk.AddRule({.op = FileOp::kSync, .action = SimRule::Action::kLosePages, .error = EIO});
  EXPECT_EQ(file->Sync(), -EIO);
  EXPECT_EQ(file->DropCache(), 0);
  EXPECT_EQ(ReadAll(*file), "");
}

TEST_F(SimFileSystemTest, LyingSyncLeavesEverythingPending) {
  const std::unique_ptr<File> file = Written("f", "bytes");
  const uint64_t pending = disk_.PendingUnits();
  disk_.AddRule({.op = FileOp::kDirectorySync, .action = SimRule::Action::kPretend});
  disk_.SetHook([](const FileCall& call) {
    return call.op == FileOp::kSync ? SimVerdict::kPretend : SimVerdict::kProceed;
  });
  EXPECT_EQ(file->Sync(), 0);
  EXPECT_EQ(directory_->Sync(), 0);
  EXPECT_EQ(disk_.PendingUnits(), pending);
  disk_.SetHook(nullptr);
  EXPECT_EQ(file->Sync(), 0);
  EXPECT_EQ(directory_->Sync(), 0);
  EXPECT_EQ(disk_.PendingUnits(), 0u);
}

TEST_F(SimFileSystemTest, FullDiskTakesWhatFitsAndRecovers) {
  disk_.SetCapacity(10);
  const std::unique_ptr<File> file = Open("f");
  const WriteOutcome outcome = WriteFully(*file, 0, "0123456789abc");
  EXPECT_EQ(outcome.error, -ENOSPC);
  EXPECT_EQ(outcome.written, 10u);
  EXPECT_EQ(WriteFully(*file, 0, "9876543210").error, 0);  // in place
  EXPECT_EQ(file->Allocate(11), -ENOSPC);
  ASSERT_EQ(directory_->Unlink("f"), 0);
  EXPECT_EQ(WriteFully(*Open("g"), 0, "0123456789").error, 0);
}

TEST_F(SimFileSystemTest, HookSeesEveryCallBeforeItHappens) {
  std::vector<std::string> seen;
  std::vector<uint64_t> numbers;
  const std::unique_ptr<File> file = Open("f");
  disk_.SetHook([&](const FileCall& call) {
    seen.push_back(std::string(FileOpName(call.op)) + " " + std::string(call.name));
    numbers.push_back(call.number);
    if (call.op == FileOp::kWrite) {
      EXPECT_EQ(Bytes("f"), "");
    }
    return SimVerdict::kProceed;
  });
  const uint64_t before = disk_.MutatingCalls();
  EXPECT_EQ(WriteFully(*file, 0, "x").error, 0);
  ReadAll(*file);
  EXPECT_EQ(directory_->Sync(), 0);
  EXPECT_EQ(seen, (std::vector<std::string>{"write f", "read f", "read f", "sync-directory ."}));
  EXPECT_EQ(numbers, (std::vector<uint64_t>{before + 1, 0, 0, before + 2}));
  EXPECT_EQ(disk_.MutatingCalls(), before + 2);
}

TEST_F(SimFileSystemTest, DamageAtRestShowsInBothStates) {
  const std::unique_ptr<File> file = Written("f", "abc");
  ASSERT_EQ(file->Sync(), 0);
  ASSERT_EQ(directory_->Sync(), 0);
  disk_.FlipBit("/log/f", 1, 0);
  EXPECT_EQ(Bytes("f"), "acc");
  EXPECT_EQ(*disk_.ReadDurableBytes("/log/f"), "acc");
  disk_.WriteFileBytes("/log/g", "planted");
  EXPECT_EQ(*disk_.CrashImage(1)->ReadFileBytes("/log/g"), "planted");
  disk_.DeleteFile("/log/f");
  EXPECT_EQ(disk_.CrashImage(1)->FileNames("/log"), std::vector<std::string>{"g"});
  disk_.SetLinkCount("/log/g", 2);
  FileInfo info;
  EXPECT_EQ(Open("g")->Stat(&info), 0);
  EXPECT_EQ(info.link_count, 2u);
}

TEST_F(SimFileSystemTest, CloneLivesOnItsOwn) {
  const std::unique_ptr<File> file = Written("f", "one");
  const std::unique_ptr<SimFileSystem> clone = disk_.Clone();
  EXPECT_EQ(clone->Hash(), disk_.Hash());
  EXPECT_EQ(clone->PendingUnits(), disk_.PendingUnits());
  EXPECT_EQ(WriteFully(*file, 0, "two").error, 0);
  EXPECT_EQ(file->Sync(), 0);
  EXPECT_EQ(*clone->ReadFileBytes("/log/f"), "one");
  EXPECT_EQ(*clone->CrashImage(kSubsetImage | 7)->ReadFileBytes("/log/f"), "one");
  EXPECT_NE(clone->Hash(), disk_.Hash());
}

TEST_F(SimFileSystemTest, RandomBytesFollowFromTheSeedAndDoNotRepeatAfterACrash) {
  const auto draw = [](SimFileSystem& disk) {
    std::string bytes(16, '\0');
    EXPECT_EQ(disk.Random(bytes), 16);
    return bytes;
  };
  SimFileSystem same(SimOptions{});
  SimFileSystem other({.seed = 2});
  const std::string first = draw(disk_);
  EXPECT_EQ(draw(same), first);
  EXPECT_NE(draw(other), first);
  const std::unique_ptr<SimFileSystem> image = disk_.CrashImage(1);
  EXPECT_NE(draw(*image), first);
  EXPECT_NE(image->BootId(), disk_.BootId());
  EXPECT_EQ(disk_.Clone()->BootId(), disk_.BootId());
}

TEST_F(SimFileSystemTest, DescribesTheLatestCalls) {
  const std::unique_ptr<File> file = Written("f", "hello");
  disk_.AddRule({.op = FileOp::kSync, .action = SimRule::Action::kFail, .error = EIO});
  EXPECT_EQ(file->Sync(), -EIO);
  EXPECT_EQ(disk_.Describe(),
            "#1 make-directory /log at 0, 0 bytes: 0\n"
            "#2 create f at 0, 0 bytes: 0\n"
            "#3 write f at 0, 5 bytes: 5\n"
            "#4 sync f at 0, 0 bytes: EIO\n");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(file->Sync(), 0);
  const std::string text = disk_.Describe();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 256);
  EXPECT_TRUE(text.ends_with("#1004 sync f at 0, 0 bytes: 0\n"));
}

TEST_F(SimFileSystemTest, ThreadsMayUseItAndDrawImagesAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this, t] {
      const std::string name = "f" + std::to_string(t);
      const std::unique_ptr<File> file = Open(name);
      for (uint64_t i = 0; i < 300; ++i) {
        EXPECT_EQ(WriteFully(*file, i * 3, "abc").error, 0);
        if (i % 10 == 0) {
          EXPECT_EQ(file->Sync(), 0);
        }
      }
    });
  }
  uint64_t names = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const std::unique_ptr<SimFileSystem> image = disk_.CrashImage(seed);
    names += image->FileNames("/log").size();
    image->WriteFileBytes("/log/f0", "changed here only");
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(names, 300u);
  EXPECT_EQ(Bytes("f0").size(), 900u);
}

}  // namespace
}  // namespace millrace
