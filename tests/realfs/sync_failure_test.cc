// Goal: the log stands on what this kernel does when a disk refuses a write, and does not fall for
// it. Method: an ext4 on a RamDisk that answers EIO for chosen blocks. The first test asserts what
// the log's design rests on: fdatasync fails once and then succeeds, the page cache keeps the bytes
// that the disk has not, and dropping the cache shows the truth. The others let the blocks of a
// log's segment fail under it: what was acknowledged is then on the disk itself, whatever the page
// cache holds. A kernel on which the first test fails needs another look at DESIGN.md, invariant 7.

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/options.h"
#include "tests/realfs/make_ext4.h"
#include "tests/realfs/private_mounts.h"
#include "tests/realfs/ram_disk.h"
#include "tests/realfs/rebooted_file_system.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

constexpr uint64_t kDiskBytes = uint64_t{16} << 20;
constexpr uint64_t kPage = 4096;

absl::Status available;

// A mounted ext4 whose disk fails on demand, and after a power cut a second look at what it holds.
class SyncFailureTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!available.ok()) GTEST_SKIP() << available;
    for (const char* name : {"live", "later"}) {
      ASSERT_EQ(mkdir(Sub(name).c_str(), 0700), 0) << Sub(name);
    }
    std::fclose(std::fopen(Sub("disk").c_str(), "w"));
    absl::StatusOr<std::unique_ptr<RamDisk>> disk = RamDisk::Make(Sub("disk"), kDiskBytes);
    ASSERT_TRUE(disk.ok()) << disk.status();
    disk_ = *std::move(disk);
    const int file = open(disk_->path().c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(file, 0) << disk_->path();
    ASSERT_EQ(MakeExt4(file), absl::OkStatus());
    auto mounted = LoopMount::Make(file, Sub("live"), "ext4", "data=ordered");
    close(file);
    ASSERT_TRUE(mounted.ok()) << mounted.status();
    mount_ = *std::move(mounted);
  }
  void TearDown() override {
    if (disk_ != nullptr) disk_->HealWrites();
    later_.reset();
    mount_.reset();
  }

  std::string Sub(const std::string& name) const { return directory_.Sub(name); }

  // Lets every write to the file's blocks fail.
  void FailBlocksOf(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(file, 0) << path;
    constexpr uint32_t kExtents = 32;
    std::vector<char> memory(sizeof(fiemap) + kExtents * sizeof(fiemap_extent));
    auto* map = reinterpret_cast<fiemap*>(memory.data());
    map->fm_length = ~uint64_t{0};
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = kExtents;
    ASSERT_EQ(ioctl(file, FS_IOC_FIEMAP, map), 0) << path;
    close(file);
    ASSERT_GT(map->fm_mapped_extents, 0u) << path;
    for (uint32_t i = 0; i < map->fm_mapped_extents; ++i) {
      const fiemap_extent& extent = map->fm_extents[i];
      ASSERT_EQ(disk_->FailWrites(extent.fe_physical, extent.fe_physical + extent.fe_length),
                absl::OkStatus());
    }
  }

  // What is on the disk now, mounted a second time from a copy, as after a power cut.
  std::string MountCopyOfDisk() {
    const int copy = memfd_create("copy_of_disk", MFD_CLOEXEC);
    const std::span<char> content = disk_->content();
    if (write(copy, content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
      ADD_FAILURE() << "could not copy the disk";
    }
    auto mounted = LoopMount::Make(copy, Sub("later"), "ext4", "data=ordered");
    close(copy);
    EXPECT_TRUE(mounted.ok()) << mounted.status();
    if (mounted.ok()) later_ = *std::move(mounted);
    return Sub("later");
  }

  const TempDirectory directory_;
  std::unique_ptr<RamDisk> disk_;
  std::unique_ptr<LoopMount> mount_;
  std::unique_ptr<LoopMount> later_;
};

std::string ReadPage(int file) {
  std::string page(kPage, '\0');
  EXPECT_EQ(pread(file, page.data(), page.size(), 0), static_cast<ssize_t>(kPage));
  return page.substr(0, 3);
}

int SyncError(int file) { return fdatasync(file) == 0 ? 0 : errno; }

TEST_F(SyncFailureTest, KernelReportsAFailedWriteOnceAndKeepsTheBytesInItsCache) {
  const std::string path = Sub("live/file");
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const int opened_before = open(path.c_str(), O_RDWR | O_CLOEXEC);
  const std::string old(kPage, 'o');
  const std::string fresh(kPage, 'n');
  ASSERT_EQ(pwrite(file, old.data(), kPage, 0), static_cast<ssize_t>(kPage));
  ASSERT_EQ(SyncError(file), 0);

  FailBlocksOf(path);
  ASSERT_EQ(pwrite(file, fresh.data(), kPage, 0), static_cast<ssize_t>(kPage));
  EXPECT_EQ(SyncError(file), EIO) << "the first sync says that the write failed";
  EXPECT_GT(disk_->refused(), 0u);
  EXPECT_EQ(SyncError(file), 0) << "the second finds nothing left to write";
  EXPECT_EQ(SyncError(opened_before), EIO) << "each description hears of it once";
  EXPECT_EQ(SyncError(opened_before), 0);
  const int opened_after = open(path.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_EQ(SyncError(opened_after), 0) << "who opens the file now hears nothing";
  EXPECT_EQ(ReadPage(opened_after), "nnn") << "the page cache keeps what the disk has not";

  disk_->HealWrites();
  EXPECT_EQ(SyncError(file), 0) << "a healthy disk changes nothing: the page is clean";
  ASSERT_EQ(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(ReadPage(file), "ooo") << "without the cache, what the disk has";

  ASSERT_EQ(pwrite(file, fresh.data(), kPage, 0), static_cast<ssize_t>(kPage));
  EXPECT_EQ(SyncError(file), 0);
  ASSERT_EQ(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(ReadPage(file), "nnn") << "writing it again mends it";
  for (const int fd : {file, opened_before, opened_after}) close(fd);
}

std::vector<std::string> Segments(const std::string& log) {
  std::vector<std::string> segments;
  for (const auto& entry : std::filesystem::directory_iterator(log)) {
    if (entry.path().extension() == ".seg") segments.push_back(entry.path());
  }
  std::sort(segments.begin(), segments.end());
  return segments;
}

// What a reader gets of the log: payload by payload.
std::vector<std::string> Payloads(const std::string& log, FileSystem* file_system) {
  LogReaderOptions options;
  options.file_system = file_system;
  options.limit = LogReaderOptions::Limit::kReadable;
  options.scan = LogReaderOptions::Scan::kAll;
  const absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(log, options);
  EXPECT_TRUE(reader.ok()) << reader.status();
  std::vector<std::string> payloads;
  if (!reader.ok()) return payloads;
  while (true) {
    const absl::StatusOr<Entry> entry = (*reader)->Next();
    if (absl::IsOutOfRange(entry.status())) return payloads;
    EXPECT_TRUE(entry.ok()) << entry.status();
    if (!entry.ok()) return payloads;
    EXPECT_EQ(entry->kind, Entry::Kind::kRecord);
    payloads.emplace_back(entry->record.payload);
  }
}

// Whether the log goes on in another file or says that it has failed, none of both may acknowledge
// what the disk has not.
TEST_F(SyncFailureTest, NothingIsAcknowledgedThatTheDiskHasNot) {
  const std::string path = Sub("live/log");
  std::vector<std::string> acknowledged;
  uint64_t failed = 0;
  {
    const absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(path);
    ASSERT_TRUE(log.ok()) << log.status();
    const auto append = [&](int from, int to) {
      for (int i = from; i < to; ++i) {
        const std::string payload = absl::StrCat("record ", i);
        const absl::StatusOr<SequenceNumber> sequence = (*log)->Append(payload);
        sequence.ok() ? acknowledged.push_back(payload) : static_cast<void>(++failed);
      }
    };
    append(0, 10);
    ASSERT_EQ(acknowledged.size(), 10u);
    for (const std::string& segment : Segments(path)) FailBlocksOf(segment);
    append(10, 20);
    EXPECT_GT(disk_->refused(), 0u);
    disk_->HealWrites();
    append(20, 30);
    (*log)->Close().IgnoreError();
  }
  std::printf("%zu acknowledged, %llu failed\n", acknowledged.size(),
              static_cast<unsigned long long>(failed));

  // The same boot, in which the page cache holds what the disk has not.
  for (int open = 0; open < 2; ++open) {
    const absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(path);
    ASSERT_TRUE(log.ok()) << log.status();
    for (const LostRange& lost : (*log)->recovery().lost) {
      EXPECT_NE(lost.acknowledgement, Acknowledgement::kAcknowledged) << lost.ToString();
    }
    const std::string payload = absl::StrCat("after open ", open);
    const absl::StatusOr<SequenceNumber> sequence = (*log)->Append(payload);
    ASSERT_TRUE(sequence.ok()) << sequence.status();
    acknowledged.push_back(payload);
  }

  // The power goes: only what the disk has is left.
  const std::string later = MountCopyOfDisk() + "/log";
  RebootedFileSystem rebooted(PosixFileSystem(), 1);
  const std::vector<std::string> payloads = Payloads(later, &rebooted);
  size_t at = 0;
  for (const std::string& payload : acknowledged) {
    while (at < payloads.size() && payloads[at] != payload) ++at;
    EXPECT_LT(at, payloads.size()) << payload << " was acknowledged and is gone, or out of order";
  }
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  millrace::available = millrace::PrepareRealFileSystems(millrace::kMakeExt4);
  return RUN_ALL_TESTS();
}
