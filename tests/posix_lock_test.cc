// Goal: a locked file excludes every other opener, in this process, in a child,
// and by another path, and only closing it lets the next one in.
// Method: real files; children for what happens across processes.

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "millrace/file_system.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

class PosixLockTest : public testing::Test {
 protected:
  PosixLockTest() : path_(temp_.Sub("log")) {}

  std::unique_ptr<File> Open(const std::string& path, OpenMode mode = OpenMode::kCreate) {
    std::unique_ptr<Directory> directory;
    EXPECT_EQ(PosixFileSystem()->OpenDirectory(path, DirectoryMode::kCreate, &directory), 0);
    std::unique_ptr<File> file;
    EXPECT_EQ(directory->Open("LOCK", mode, &file), 0);
    return file;
  }

  IoResult TryOther(LockMode mode = LockMode::kExclusive) { return Open(path_)->TryLock(mode); }

  TempDirectory temp_;
  const std::string path_;
};

int WaitFor(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  return WEXITSTATUS(status);
}

TEST_F(PosixLockTest, ExcludesSecondOpenInTheSameProcess) {
  std::unique_ptr<File> held = Open(path_);
  ASSERT_EQ(held->TryLock(LockMode::kExclusive), 0);
  EXPECT_EQ(TryOther(), -EAGAIN);
  EXPECT_EQ(TryOther(LockMode::kShared), -EAGAIN);
  // Those other opens are closed again by now; with F_SETLK that would have
  // dropped the lock.
  EXPECT_EQ(TryOther(), -EAGAIN);
  held.reset();
  EXPECT_EQ(TryOther(), 0);
}

TEST_F(PosixLockTest, SharedHoldersExcludeOnlyTheExclusiveOne) {
  const std::unique_ptr<File> first = Open(path_);
  const std::unique_ptr<File> second = Open(path_, OpenMode::kRead);
  ASSERT_EQ(first->TryLock(LockMode::kShared), 0);
  ASSERT_EQ(second->TryLock(LockMode::kShared), 0);
  EXPECT_EQ(TryOther(), -EAGAIN);
}

TEST_F(PosixLockTest, ExcludesByAnotherPathToTheDirectory) {
  const std::unique_ptr<File> held = Open(path_);
  ASSERT_EQ(held->TryLock(LockMode::kExclusive), 0);
  const std::string other = temp_.Sub("other");
  ASSERT_EQ(symlink(path_.c_str(), other.c_str()), 0);
  EXPECT_EQ(Open(other)->TryLock(LockMode::kExclusive), -EAGAIN);
  EXPECT_EQ(Open(path_ + "/../log/.")->TryLock(LockMode::kExclusive), -EAGAIN);
}

TEST_F(PosixLockTest, ExcludesForkedChildAndSurvivesItsExit) {
  const std::unique_ptr<File> held = Open(path_);
  ASSERT_EQ(held->TryLock(LockMode::kExclusive), 0);
  const pid_t child = fork();
  if (child == 0) _exit(TryOther() == -EAGAIN ? 0 : 1);
  EXPECT_EQ(WaitFor(child), 0);
  EXPECT_EQ(TryOther(), -EAGAIN);
}

TEST_F(PosixLockTest, SurvivesChildThatClosesItsInheritedCopy) {
  std::unique_ptr<File> held = Open(path_);
  ASSERT_EQ(held->TryLock(LockMode::kExclusive), 0);
  const pid_t child = fork();
  if (child == 0) {
    held.reset();
    _exit(TryOther() == -EAGAIN ? 0 : 1);
  }
  EXPECT_EQ(WaitFor(child), 0);
  EXPECT_EQ(TryOther(), -EAGAIN);
}

TEST_F(PosixLockTest, DiesWithItsOwner) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t owner = fork();
  if (owner == 0) {
    const std::unique_ptr<File> held = Open(path_);
    const char result = held->TryLock(LockMode::kExclusive) == 0 ? 'y' : 'n';
    if (write(ready[1], &result, 1) != 1) _exit(1);
    while (true) pause();
  }
  char result = '?';
  ASSERT_EQ(read(ready[0], &result, 1), 1);
  EXPECT_EQ(result, 'y');
  EXPECT_EQ(TryOther(), -EAGAIN);
  ASSERT_EQ(kill(owner, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(waitpid(owner, &status, 0), owner);
  EXPECT_EQ(TryOther(), 0);
  close(ready[0]);
  close(ready[1]);
}

TEST_F(PosixLockTest, ExclusiveLockNeedsWritableFile) {
  { Open(path_); }
  EXPECT_EQ(Open(path_, OpenMode::kRead)->TryLock(LockMode::kExclusive), -EBADF);
}

}  // namespace
}  // namespace millrace
