// Goal: who keeps a log on a file system of which nothing is promised can know it.
// Method: the real file system, under the number of another.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/file_system.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "millrace/testing/forwarding_file_system.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

// The target's files, in directories that say they are of file system `type`.
class TypedFileSystem final : public FileSystem {
 public:
  TypedFileSystem(FileSystem* target, uint64_t type) : target_(target), type_(type) {}

  IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                         std::unique_ptr<Directory>* directory) override {
    std::unique_ptr<Directory> opened;
    const IoResult result = target_->OpenDirectory(path, mode, &opened);
    if (result >= 0) *directory = std::make_unique<TypedDirectory>(std::move(opened), type_);
    return result;
  }
  IoResult Random(std::span<char> out) override { return target_->Random(out); }
  uint64_t BootId() override { return target_->BootId(); }

 private:
  class TypedDirectory final : public Directory {
   public:
    TypedDirectory(std::unique_ptr<Directory> target, uint64_t type)
        : target_(std::move(target)), type_(type) {}
    IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) override {
      return target_->Open(name, mode, file);
    }
    IoResult List(std::vector<std::string>* names) override { return target_->List(names); }
    IoResult Rename(std::string_view from, std::string_view to) override {
      return target_->Rename(from, to);
    }
    IoResult Unlink(std::string_view name) override { return target_->Unlink(name); }
    IoResult Sync() override { return target_->Sync(); }
    bool OverwritesInPlace() override { return target_->OverwritesInPlace(); }
    uint64_t FileSystemType() override { return type_; }

   private:
    const std::unique_ptr<Directory> target_;
    const uint64_t type_;
  };

  FileSystem* const target_;
  const uint64_t type_;
};

std::string DoubtfulIn(FileSystem* file_system, const std::string& directory) {
  Options options;
  options.file_system = file_system;
  const auto log = Log::Open(directory, options);
  EXPECT_TRUE(log.ok()) << log.status();
  if (!log.ok()) return "not opened";
  EXPECT_TRUE((*log)->Append("it works all the same").ok());
  const RecoveryReport& report = (*log)->recovery();
  // A person reads it too, where there is something to read.
  EXPECT_EQ(report.ToString().find("file system") != std::string::npos,
            !report.doubtful_file_system.empty())
      << report.ToString();
  return report.doubtful_file_system;
}

TEST(FileSystemTypeTest, ReportNamesWhatTheLogLiesOn) {
  const TempDirectory temp;
  TypedFileSystem nfs(PosixFileSystem(), 0x6969);
  TypedFileSystem overlay(PosixFileSystem(), 0x794C7630);
  TypedFileSystem ext4(PosixFileSystem(), 0xEF53);
  TypedFileSystem unknown(PosixFileSystem(), 0);
  EXPECT_EQ(DoubtfulIn(&nfs, temp.Sub("log")), "nfs");
  EXPECT_EQ(DoubtfulIn(&overlay, temp.Sub("log")), "overlay") << "at each opening";
  EXPECT_EQ(DoubtfulIn(&ext4, temp.Sub("log")), "");
  EXPECT_EQ(DoubtfulIn(&unknown, temp.Sub("log")), "");
}

TEST(FileSystemTypeTest, ForwardedDirectoriesHaveTheirTargetsType) {
  const TempDirectory temp;
  TypedFileSystem cifs(PosixFileSystem(), 0xFF534D42);
  ForwardingFileSystem forwarding(&cifs, [](const FileCall&) { return std::optional<IoResult>(); });
  EXPECT_EQ(DoubtfulIn(&forwarding, temp.Sub("log")), "cifs");
}

}  // namespace
}  // namespace millrace
