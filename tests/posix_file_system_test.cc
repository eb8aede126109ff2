// Goal: the production file system keeps what the seam promises about names,
// modes, kinds of file and errors, on a real directory.
// Method: one temporary directory a test; children where a limit of the process
// is needed.

#include "wal/posix_file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/file_system.h"
#include "tests/temp_directory.h"
#include "wal/io.h"

namespace millrace {
namespace {

constexpr char kSegment[] = "00000000000000000001.seg";

class PosixFileSystemTest : public testing::Test {
 protected:
  PosixFileSystemTest() : path_(temp_.Sub("log")) {
    EXPECT_EQ(PosixFileSystem()->OpenDirectory(path_, DirectoryMode::kCreate, &directory_), 0);
  }

  std::unique_ptr<File> Create(std::string_view name) {
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open(name, OpenMode::kCreate, &file), 0);
    return file;
  }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  // Every way of opening `name` must answer with `error`, at once.
  void ExpectRefused(IoResult error) {
    const auto start = std::chrono::steady_clock::now();
    for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite, OpenMode::kCreate}) {
      std::unique_ptr<File> file;
      EXPECT_EQ(directory_->Open(kSegment, mode, &file), error) << static_cast<int>(mode);
      EXPECT_EQ(file, nullptr);
    }
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open(kSegment, OpenMode::kCreateExclusive, &file), -EEXIST);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  }

  // Runs `body` in a child, which reports success by returning 0.
  static int InChild(const std::function<int()>& body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
  }

  TempDirectory temp_;
  const std::string path_;
  std::unique_ptr<Directory> directory_;
};

mode_t PermissionsOf(const std::string& path) {
  struct stat st = {};
  EXPECT_EQ(lstat(path.c_str(), &st), 0) << path;
  return st.st_mode & 07777;
}

TEST_F(PosixFileSystemTest, RefusesFifoWithoutBlocking) {
  ASSERT_EQ(mkfifo(Path(kSegment).c_str(), 0600), 0);
  ExpectRefused(-EINVAL);
}

TEST_F(PosixFileSystemTest, RefusesDirectory) {
  ASSERT_EQ(mkdir(Path(kSegment).c_str(), 0700), 0);
  ExpectRefused(-EINVAL);
}

TEST_F(PosixFileSystemTest, RefusesSocket) {
  // Bound through the working directory: the whole path may be too long.
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_GE(fd, 0);
  const int bound = InChild([&] {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::copy_n(kSegment, sizeof(kSegment), address.sun_path);
    if (chdir(path_.c_str()) != 0) return 1;
    return bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ? 0 : 2;
  });
  ASSERT_EQ(bound, 0);
  ExpectRefused(-EINVAL);
  close(fd);
}

TEST_F(PosixFileSystemTest, RefusesSymbolicLinkAndLeavesItsTargetAlone) {
  { Create("target")->Write(0, std::vector<std::string_view>{"kept"}); }
  ASSERT_EQ(symlink("target", Path(kSegment).c_str()), 0);
  ExpectRefused(-ELOOP);
  struct stat st = {};
  ASSERT_EQ(stat(Path("target").c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 4);
}

TEST_F(PosixFileSystemTest, RefusesDanglingSymbolicLinkAndDoesNotCreateItsTarget) {
  ASSERT_EQ(symlink("nowhere", Path(kSegment).c_str()), 0);
  ExpectRefused(-ELOOP);
  EXPECT_EQ(access(Path("nowhere").c_str(), F_OK), -1);
}

TEST_F(PosixFileSystemTest, RefusesNamesThatLeaveTheDirectory) {
  const std::vector<std::string_view> names = {
      "", ".", "..", "a/b", "/etc/passwd", "../x", "/", "a/", std::string_view("a\0b", 3)};
  for (const std::string_view name : names) {
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open(name, OpenMode::kCreate, &file), -EINVAL) << name;
    EXPECT_EQ(directory_->Unlink(name), -EINVAL) << name;
    EXPECT_EQ(directory_->Rename(name, "x"), -EINVAL) << name;
    EXPECT_EQ(directory_->Rename("x", name), -EINVAL) << name;
  }
  std::unique_ptr<File> file;
  EXPECT_EQ(directory_->Open(std::string(256, 'a'), OpenMode::kCreate, &file), -ENAMETOOLONG);
  EXPECT_EQ(directory_->Open(std::string(255, 'a'), OpenMode::kCreate, &file), 0);
}

TEST_F(PosixFileSystemTest, FilesAndDirectoriesArePrivateWhateverTheUmask) {
  const mode_t before = umask(0);
  std::unique_ptr<Directory> made;
  ASSERT_EQ(PosixFileSystem()->OpenDirectory(temp_.Sub("made/"), DirectoryMode::kCreate, &made), 0);
  std::unique_ptr<File> file;
  ASSERT_EQ(made->Open("f", OpenMode::kCreate, &file), 0);
  ASSERT_EQ(made->Open("g", OpenMode::kCreateExclusive, &file), 0);
  umask(before);
  EXPECT_EQ(PermissionsOf(temp_.Sub("made")), 0700u);
  EXPECT_EQ(PermissionsOf(temp_.Sub("made/f")), 0600u);
  EXPECT_EQ(PermissionsOf(temp_.Sub("made/g")), 0600u);
}

TEST_F(PosixFileSystemTest, EveryDescriptorIsClosedOnExec) {
  const auto open_descriptors = [] {
    std::vector<int> found;
    for (int fd = 0; fd < 256; ++fd) {
      if (fcntl(fd, F_GETFD) >= 0) found.push_back(fd);
    }
    return found;
  };
  const std::vector<int> before = open_descriptors();
  std::unique_ptr<Directory> again;
  ASSERT_EQ(PosixFileSystem()->OpenDirectory(path_, DirectoryMode::kMustExist, &again), 0);
  const std::unique_ptr<File> written = Create("f");
  std::unique_ptr<File> read;
  ASSERT_EQ(directory_->Open("f", OpenMode::kRead, &read), 0);
  int ours = 0;
  for (const int fd : open_descriptors()) {
    if (std::count(before.begin(), before.end(), fd) > 0) continue;
    ++ours;
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
  }
  EXPECT_EQ(ours, 3);
}

TEST_F(PosixFileSystemTest, NothingIsLeftOpen) {
  const auto first_free = [] {
    const int fd = dup(0);
    close(fd);
    return fd;
  };
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  const int before = first_free();
  for (int i = 0; i < 3; ++i) {
    std::unique_ptr<Directory> again;
    ASSERT_EQ(PosixFileSystem()->OpenDirectory(path_, DirectoryMode::kCreate, &again), 0);
    std::vector<std::string> names;
    EXPECT_EQ(again->List(&names), 0);
    Create("f");
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open("fifo", OpenMode::kRead, &file), -EINVAL);
  }
  EXPECT_EQ(first_free(), before);
}

TEST_F(PosixFileSystemTest, WriteBeyondTheSizeLimitIsShortAndThenTooBigAndEndsNoProcess) {
  const int result = InChild([&] {
    signal(SIGXFSZ, SIG_DFL);
    const rlimit limit = {10, 10};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    std::unique_ptr<File> file;
    if (directory_->Open("f", OpenMode::kCreate, &file) != 0) return 2;
    const std::vector<std::string_view> pieces = {"12345678", "90abcdef"};
    if (file->Write(0, pieces) != 10) return 3;
    if (file->Write(10, pieces) != -EFBIG) return 4;
    const WriteOutcome outcome = WriteFully(*file, 4, pieces);
    if (outcome.error != -EFBIG || outcome.written != 6) return 5;
    if (file->Truncate(11) != -EFBIG) return 6;
    if (file->Allocate(11) != -EFBIG) return 7;
    sigset_t pending;
    sigset_t blocked;
    if (sigpending(&pending) != 0 || sigismember(&pending, SIGXFSZ) != 0) return 8;
    if (pthread_sigmask(SIG_BLOCK, nullptr, &blocked) != 0) return 9;
    return sigismember(&blocked, SIGXFSZ) == 0 ? 0 : 10;
  });
  EXPECT_EQ(result, 0);
}

TEST_F(PosixFileSystemTest, RunningOutOfDescriptorsIsAnErrorAndPasses) {
  { Create("f"); }
  const int result = InChild([&] {
    std::vector<std::unique_ptr<File>> held;
    const rlimit limit = {64, 64};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
    std::unique_ptr<File> file;
    IoResult error = 0;
    while (held.size() < 64) {
      error = directory_->Open("f", OpenMode::kRead, &file);
      if (error != 0) break;
      held.push_back(std::move(file));
    }
    if (error != -EMFILE) return 2;
    std::vector<std::string> names;
    if (directory_->List(&names) != -EMFILE) return 3;
    std::unique_ptr<Directory> again;
    if (PosixFileSystem()->OpenDirectory(path_, DirectoryMode::kMustExist, &again) != -EMFILE) {
      return 4;
    }
    held.pop_back();
    return directory_->Open("f", OpenMode::kRead, &file) == 0 ? 0 : 5;
  });
  EXPECT_EQ(result, 0);
}

TEST_F(PosixFileSystemTest, ReadsBackWhatWasWrittenAndNothingPastTheEnd) {
  const std::unique_ptr<File> file = Create("f");
  const std::vector<std::string_view> pieces = {"ab", "", "cde"};
  ASSERT_EQ(file->Write(3, pieces), 5);
  std::string out(16, '?');
  EXPECT_EQ(file->Read(0, out), 8);
  EXPECT_EQ(out, std::string(3, '\0') + "abcde????????");
  EXPECT_EQ(file->Read(8, out), 0);
  EXPECT_EQ(file->Read(1'000'000, out), 0);
  EXPECT_EQ(file->Sync(), 0);
  EXPECT_EQ(file->DropCache(), 0);
  EXPECT_EQ(file->Read(3, std::span<char>(out.data(), 2)), 2);
  EXPECT_EQ(out.substr(0, 2), "ab");
}

TEST_F(PosixFileSystemTest, TooManyPiecesAreRefusedAsBySystemCall) {
  const std::unique_ptr<File> file = Create("f");
  const std::vector<std::string_view> pieces(1025, "x");
  EXPECT_EQ(file->Write(0, pieces), -EINVAL);
  EXPECT_EQ(file->Write(0, std::span(pieces).first(1024)), 1024);
}

TEST_F(PosixFileSystemTest, ReadOnlyFileCannotBeChanged) {
  { Create("f"); }
  std::unique_ptr<File> file;
  ASSERT_EQ(directory_->Open("f", OpenMode::kRead, &file), 0);
  EXPECT_EQ(file->Write(0, std::vector<std::string_view>{"x"}), -EBADF);
  EXPECT_LT(file->Truncate(1), 0);
  EXPECT_LT(file->Allocate(1), 0);
}

TEST_F(PosixFileSystemTest, TruncateAndAllocateSetTheSizeThatStatTells) {
  const std::unique_ptr<File> file = Create("f");
  FileInfo info;
  ASSERT_EQ(file->Truncate(100), 0);
  ASSERT_EQ(file->Stat(&info), 0);
  EXPECT_EQ(info.size, 100u);
  EXPECT_EQ(info.kind, FileInfo::Kind::kRegular);
  EXPECT_EQ(info.link_count, 1u);
  const IoResult allocated = file->Allocate(8192);
  if (allocated == -EOPNOTSUPP) GTEST_SKIP() << "this file system cannot allocate";
  ASSERT_EQ(allocated, 0);
  ASSERT_EQ(file->Allocate(4096), 0);
  ASSERT_EQ(file->Stat(&info), 0);
  EXPECT_EQ(info.size, 8192u);
}

TEST_F(PosixFileSystemTest, OpenModesDemandAndForbidPresence) {
  std::unique_ptr<File> file;
  EXPECT_EQ(directory_->Open("f", OpenMode::kRead, &file), -ENOENT);
  EXPECT_EQ(directory_->Open("f", OpenMode::kReadWrite, &file), -ENOENT);
  EXPECT_EQ(directory_->Open("f", OpenMode::kCreateExclusive, &file), 0);
  EXPECT_EQ(directory_->Open("f", OpenMode::kCreateExclusive, &file), -EEXIST);
  EXPECT_EQ(directory_->Open("f", OpenMode::kCreate, &file), 0);
  EXPECT_EQ(directory_->Open("f", OpenMode::kReadWrite, &file), 0);
}

TEST_F(PosixFileSystemTest, RenameReplacesAndUnlinkRemoves) {
  Create("old")->Write(0, std::vector<std::string_view>{"new content"});
  Create("name")->Write(0, std::vector<std::string_view>{"x"});
  EXPECT_EQ(directory_->Rename("old", "name"), 0);
  EXPECT_EQ(directory_->Rename("old", "name"), -ENOENT);
  std::vector<std::string> names = {"stale"};
  ASSERT_EQ(directory_->List(&names), 0);
  EXPECT_EQ(names, std::vector<std::string>{"name"});
  std::unique_ptr<File> file;
  ASSERT_EQ(directory_->Open("name", OpenMode::kRead, &file), 0);
  std::string out(11, '?');
  EXPECT_EQ(ReadFully(*file, 0, out), 11);
  EXPECT_EQ(out, "new content");
  EXPECT_EQ(directory_->Unlink("name"), 0);
  EXPECT_EQ(directory_->Unlink("name"), -ENOENT);
  FileInfo info;
  ASSERT_EQ(file->Stat(&info), 0);
  EXPECT_EQ(info.link_count, 0u);
  EXPECT_EQ(directory_->Sync(), 0);
}

TEST_F(PosixFileSystemTest, ListNamesAllEntriesEveryTime) {
  std::vector<std::string> expected;
  for (int i = 0; i < 500; ++i) {
    expected.push_back("file" + std::to_string(i));
    Create(expected.back());
  }
  std::sort(expected.begin(), expected.end());
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> names;
    ASSERT_EQ(directory_->List(&names), 0);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, expected);
  }
}

TEST_F(PosixFileSystemTest, DirectoryIsTheOpenOneThoughItsPathMoves) {
  ASSERT_EQ(rename(path_.c_str(), temp_.Sub("moved").c_str()), 0);
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  Create("f");
  EXPECT_EQ(access(temp_.Sub("moved/f").c_str(), F_OK), 0);
  EXPECT_EQ(access(Path("f").c_str(), F_OK), -1);
}

TEST_F(PosixFileSystemTest, OpenDirectoryTellsWhatIsWrong) {
  FileSystem* system = PosixFileSystem();
  std::unique_ptr<Directory> opened;
  EXPECT_EQ(system->OpenDirectory(temp_.Sub("none"), DirectoryMode::kMustExist, &opened), -ENOENT);
  EXPECT_EQ(system->OpenDirectory("", DirectoryMode::kCreate, &opened), -ENOENT);
  EXPECT_EQ(system->OpenDirectory(temp_.Sub("a/b"), DirectoryMode::kCreate, &opened), -ENOENT);
  Create("f");
  EXPECT_EQ(system->OpenDirectory(Path("f"), DirectoryMode::kMustExist, &opened), -ENOTDIR);
  EXPECT_EQ(system->OpenDirectory(Path("f"), DirectoryMode::kCreate, &opened), -ENOTDIR);
  EXPECT_EQ(system->OpenDirectory(path_ + "//", DirectoryMode::kCreate, &opened), 0);
  EXPECT_EQ(system->OpenDirectory("/", DirectoryMode::kCreate, &opened), 0);
}

TEST(PosixFileSystemFactsTest, RandomBytesDiffer) {
  std::string first(300, '\0');
  std::string second(300, '\0');
  EXPECT_EQ(PosixFileSystem()->Random(first), 300);
  EXPECT_EQ(PosixFileSystem()->Random(second), 300);
  EXPECT_NE(first, second);
  EXPECT_NE(first, std::string(300, '\0'));
}

TEST(PosixFileSystemFactsTest, BootIdStaysWithinOneBoot) {
  EXPECT_EQ(PosixFileSystem()->BootId(), PosixFileSystem()->BootId());
  EXPECT_EQ(FoldBootId("00000000-0000-0001-0000-000000000000\n"), 1u);
  EXPECT_EQ(FoldBootId("00000000-0000-0001-8000-000000000000\n"), 0x8000000000000001u);
  EXPECT_NE(FoldBootId("5c0a7d1c-8f6e-4a57-9b0e-1f5b3d2c4a69"),
            FoldBootId("5c0a7d1c-8f6e-4a57-9b0e-1f5b3d2c4a6a"));
  EXPECT_EQ(FoldBootId(""), 0u);
}

TEST(PosixFileSystemFactsTest, FileSystemsOfOthersAreDoubtfulAndNamed) {
  EXPECT_EQ(DoubtfulFileSystem(0x6969), "nfs");
  EXPECT_EQ(DoubtfulFileSystem(0xFF534D42), "cifs");
  EXPECT_EQ(DoubtfulFileSystem(0x01021997), "9p");
  EXPECT_EQ(DoubtfulFileSystem(0x65735546), "fuse");
  EXPECT_EQ(DoubtfulFileSystem(0x794C7630), "overlay");
  EXPECT_EQ(DoubtfulFileSystem(0xEF53), "");      // ext4
  EXPECT_EQ(DoubtfulFileSystem(0x58465342), "");  // xfs
  EXPECT_EQ(DoubtfulFileSystem(0x9123683E), "");  // btrfs
  EXPECT_EQ(DoubtfulFileSystem(0), "");
}

TEST(PosixFileSystemFactsTest, OnlyKnownFileSystemsOverwriteInPlace) {
  EXPECT_TRUE(TypeOverwritesInPlace(0xEF53));       // ext4
  EXPECT_TRUE(TypeOverwritesInPlace(0x58465342));   // xfs
  EXPECT_TRUE(TypeOverwritesInPlace(0x01021994));   // tmpfs
  EXPECT_FALSE(TypeOverwritesInPlace(0x9123683E));  // btrfs
  EXPECT_FALSE(TypeOverwritesInPlace(0x794C7630));  // overlay
  EXPECT_FALSE(TypeOverwritesInPlace(0x2FC12FC1));  // zfs
  EXPECT_FALSE(TypeOverwritesInPlace(0x6969));      // nfs
  EXPECT_FALSE(TypeOverwritesInPlace(0));
}

}  // namespace
}  // namespace millrace
