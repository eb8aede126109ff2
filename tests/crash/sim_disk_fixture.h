#ifndef MILLRACE_SIM_DISK_FIXTURE_H_
#define MILLRACE_SIM_DISK_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/file_system.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/io.h"

namespace millrace {

// A simulated disk with one directory, "/log".
class SimDiskFixture : public testing::Test {
 protected:
  SimDiskFixture() { Start(SimScript{}); }

  void Start(const SimScript& script) {
    disks_.push_back(std::make_unique<SimFileSystem>(script));
    disk_ = disks_.back().get();
    Reopen();
  }
  void Start(SimProfile profile) {
    Start(SimScript{.options = OptionsOf(profile), .capacity = std::nullopt, .rules = {}});
  }
  void Reopen() { ASSERT_EQ(disk_->OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0); }
  std::unique_ptr<File> Open(std::string_view name, OpenMode mode = OpenMode::kCreate) {
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open(name, mode, &file), 0) << name;
    return file;
  }
  // `bytes` in file `name`, durable with its entry.
  std::unique_ptr<File> Synced(std::string_view name, std::string_view bytes) {
    std::unique_ptr<File> file = Open(name);
    EXPECT_EQ(WriteFully(*file, 0, bytes).error, 0);
    EXPECT_EQ(file->Sync(), 0);
    EXPECT_EQ(directory_->Sync(), 0);
    return file;
  }
  static IoResult Write(File& file, std::string_view bytes) {
    return file.Write(0, std::span(&bytes, 1));
  }
  static std::string ReadAll(File& file) {
    std::string bytes(4096, '\0');
    const IoResult result = ReadFully(file, 0, bytes);
    EXPECT_GE(result, 0);
    bytes.resize(static_cast<size_t>(std::max<IoResult>(result, 0)));
    return bytes;
  }
  // What a power cut now leaves of a file that has nothing pending.
  std::string AfterPowerCut(const std::string& name) {
    return disk_->CrashImage(kSubsetImage)->ReadFileBytes("/log/" + name).value_or("(no entry)");
  }

  // All of them: files that are open must not outlive theirs.
  std::vector<std::unique_ptr<SimFileSystem>> disks_;
  SimFileSystem* disk_ = nullptr;
  std::unique_ptr<Directory> directory_;
};

}  // namespace millrace

#endif  // MILLRACE_SIM_DISK_FIXTURE_H_
