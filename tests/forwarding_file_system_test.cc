// Goal: a test can watch and answer every call on its way to a file system.
// Method: forwarding to a simulated one.

#include "millrace/testing/forwarding_file_system.h"

#include <errno.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/io.h"

namespace millrace {
namespace {

TEST(ForwardingFileSystemTest, EveryCallIsSeenAndForwarded) {
  SimFileSystem target(SimOptions{});
  std::vector<std::string> seen;
  ForwardingFileSystem disk(&target, [&](const FileCall& call) {
    seen.push_back(std::string(FileOpName(call.op)) + " " + std::string(call.name));
    return std::optional<IoResult>();
  });
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
  std::unique_ptr<File> file;
  ASSERT_EQ(directory->Open("f", OpenMode::kCreate, &file), 0);
  EXPECT_EQ(WriteFully(*file, 0, "hello").error, 0);
  std::string out(5, '?');
  EXPECT_EQ(ReadFully(*file, 0, out), 5);
  EXPECT_EQ(out, "hello");
  FileInfo info;
  EXPECT_EQ(file->Stat(&info), 0);
  EXPECT_EQ(info.size, 5u);
  EXPECT_EQ(file->Truncate(4), 0);
  EXPECT_EQ(file->Allocate(6), 0);
  EXPECT_EQ(file->Sync(), 0);
  EXPECT_EQ(file->DropCache(), 0);
  EXPECT_EQ(file->TryLock(LockMode::kExclusive), 0);
  EXPECT_EQ(directory->Rename("f", "g"), 0);
  EXPECT_EQ(directory->Sync(), 0);
  std::vector<std::string> names;
  EXPECT_EQ(directory->List(&names), 0);
  EXPECT_EQ(names, std::vector<std::string>{"g"});
  EXPECT_EQ(directory->Unlink("g"), 0);
  EXPECT_EQ(seen, (std::vector<std::string>{"make-directory /log", "create f", "write f", "read f",
                                            "stat f", "truncate f", "allocate f", "sync f",
                                            "drop-cache f", "lock f", "rename f",
                                            "sync-directory .", "list .", "unlink g"}));
  EXPECT_EQ(disk.BootId(), target.BootId());
}

TEST(ForwardingFileSystemTest, AnswerKeepsTheCallFromItsTarget) {
  SimFileSystem target(SimOptions{});
  std::optional<FileOp> failing;
  ForwardingFileSystem disk(&target, [&](const FileCall& call) {
    return call.op == failing ? std::optional<IoResult>(-EIO) : std::nullopt;
  });
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
  std::unique_ptr<File> file;
  ASSERT_EQ(directory->Open("f", OpenMode::kCreate, &file), 0);
  const uint64_t calls = target.MutatingCalls();
  failing = FileOp::kWrite;
  EXPECT_EQ(WriteFully(*file, 0, "x").error, -EIO);
  failing = FileOp::kSync;
  EXPECT_EQ(file->Sync(), -EIO);
  failing = FileOp::kDirectorySync;
  EXPECT_EQ(directory->Sync(), -EIO);
  failing = FileOp::kCreate;
  std::unique_ptr<File> other;
  EXPECT_EQ(directory->Open("g", OpenMode::kCreate, &other), -EIO);
  EXPECT_EQ(other, nullptr);
  EXPECT_EQ(target.MutatingCalls(), calls);
}

}  // namespace
}  // namespace millrace
