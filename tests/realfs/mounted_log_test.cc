// Goal: on a file system that is full, read-only, or turns read-only under it, a log says so, loses
// nothing that was acknowledged, and can still be read.
// Method: a small tmpfs, and an ext4 whose disk refuses every write, so that its journal is
// aborted.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/options.h"
#include "tests/environment/acknowledged_records.h"
#include "tests/realfs/make_ext4.h"
#include "tests/realfs/private_mounts.h"
#include "tests/realfs/ram_disk.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

absl::Status available;

class MountedLogTest : public testing::Test {
 protected:
  MountedLogTest() { options_.segment_bytes = options_.initial_segment_bytes = 8192; }
  void SetUp() override {
    if (!available.ok()) GTEST_SKIP() << available;
    ASSERT_EQ(mkdir(mount_point_.c_str(), 0700), 0);
  }
  ~MountedLogTest() override {
    log_.reset();
    umount2(mount_point_.c_str(), MNT_DETACH);
  }

  void MountTmpfs(const char* options) {
    ASSERT_EQ(mount("none", mount_point_.c_str(), "tmpfs", 0, options), 0);
  }
  absl::Status Open() {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options_);
    if (log.ok()) log_ = *std::move(log);
    return log.status();
  }

  const TempDirectory temp_;
  const std::string mount_point_ = temp_.Sub("mounted");
  const std::string directory_ = mount_point_ + "/log";
  Options options_;
  AcknowledgedRecords records_;
  std::unique_ptr<Log> log_;
};

TEST_F(MountedLogTest, FullFileSystemLosesNothingAndIsUsedAgainOnceThereIsSpace) {
  MountTmpfs("size=512k");
  const std::string filler = mount_point_ + "/filler";
  const int file = open(filler.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(posix_fallocate(file, 0, 256 << 10), 0);
  close(file);
  ASSERT_EQ(Open(), absl::OkStatus());
  records_.set_timeout(absl::Seconds(2));
  const absl::Status full = records_.AppendMany(*log_, 1000);
  ASSERT_FALSE(full.ok()) << "the file system never was full";
  EXPECT_TRUE(absl::IsResourceExhausted(full) || absl::IsDeadlineExceeded(full)) << full;
  EXPECT_GT(records_.size(), 50u);
  EXPECT_EQ(records_.Missing(directory_), "");
  fs::remove(filler);
  log_->Close(absl::Seconds(10)).IgnoreError();
  log_.reset();
  ASSERT_EQ(Open(), absl::OkStatus());
  records_.set_timeout(absl::InfiniteDuration());
  EXPECT_EQ(records_.AppendMany(*log_, 50), absl::OkStatus());
  EXPECT_EQ(log_->Close(), absl::OkStatus());
  EXPECT_EQ(records_.Missing(directory_), "");
}

TEST_F(MountedLogTest, ReadOnlyFileSystemIsNamedAndCanBeRead) {
  MountTmpfs("size=8m");
  ASSERT_EQ(Open(), absl::OkStatus());
  ASSERT_EQ(records_.AppendMany(*log_, 20), absl::OkStatus());
  ASSERT_EQ(log_->Close(), absl::OkStatus());
  log_.reset();
  ASSERT_EQ(mount("none", mount_point_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const absl::Status status = Open();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("Read-only file system"), status.message().npos) << status;
  EXPECT_NE(status.message().find("for writing"), status.message().npos) << status;
  EXPECT_NE(status.message().find(directory_), status.message().npos) << status;
  EXPECT_EQ(records_.Missing(directory_), "");
}

TEST_F(MountedLogTest, FileSystemThatTurnsReadOnlyEndsAppendsAndNotReads) {
  std::fclose(std::fopen(temp_.Sub("disk").c_str(), "w"));
  const absl::StatusOr<std::unique_ptr<RamDisk>> disk =
      RamDisk::Make(temp_.Sub("disk"), uint64_t{16} << 20);
  ASSERT_TRUE(disk.ok()) << disk.status();
  const int file = open((*disk)->path().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(MakeExt4(file), absl::OkStatus());
  absl::StatusOr<std::unique_ptr<LoopMount>> mounted =
      LoopMount::Make(file, mount_point_, "ext4", "data=journal,errors=remount-ro");
  close(file);
  ASSERT_TRUE(mounted.ok()) << mounted.status();
  ASSERT_EQ(Open(), absl::OkStatus());
  ASSERT_EQ(records_.AppendMany(*log_, 20), absl::OkStatus());
  const absl::StatusOr<std::unique_ptr<Cursor>> cursor = log_->OpenCursor("reader");
  ASSERT_TRUE(cursor.ok()) << cursor.status();

  ASSERT_EQ((*disk)->FailWrites(0, uint64_t{16} << 20), absl::OkStatus());
  records_.set_timeout(absl::Seconds(10));
  const size_t before = records_.size();
  EXPECT_FALSE(records_.AppendMany(*log_, 20).ok());
  EXPECT_EQ(records_.size(), before) << "acknowledged what the disk refused";
  EXPECT_NE(open((mount_point_ + "/new").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600) >= 0, true)
      << "the file system did not turn read-only";
  for (size_t i = 0; i < before; ++i) {
    const absl::StatusOr<Entry> entry = (*cursor)->Next(absl::Seconds(30));
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->kind, Entry::Kind::kRecord);
  }
  EXPECT_FALSE((*cursor)->Commit(before).ok() && (*cursor)->Checkpoint().ok());
  EXPECT_EQ(records_.Missing(directory_), "");
  EXPECT_FALSE(log_->Close(absl::Seconds(30)).ok());
  log_.reset();
  EXPECT_FALSE(Open().ok());
  EXPECT_EQ(records_.Missing(directory_), "");
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  millrace::available = millrace::PrepareRealFileSystems(millrace::kMakeExt4);
  return RUN_ALL_TESTS();
}
