#include "bench/compare/disk_counters.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

// Fields of /sys/dev/block/M:N/stat (Documentation/block/stat.rst).
constexpr size_t kWrites = 4;
constexpr size_t kFlushes = 15;

// The first number in /proc/fs/jbd2/<disk>-<inode>/info is that of the transactions.
std::optional<uint64_t> JournalCommits(const std::string& disk) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/fs/jbd2", error)) {
    if (entry.path().filename().string().rfind(disk + "-", 0) != 0) continue;
    std::ifstream file(entry.path() / "info");
    uint64_t commits = 0;
    if (file >> commits) return commits;
  }
  return std::nullopt;
}

}  // namespace

std::optional<DiskCounters> ReadDiskCounters(const std::string& directory) {
  struct stat info = {};
  if (stat(directory.c_str(), &info) != 0) return std::nullopt;
  const std::string device =
      absl::StrCat("/sys/dev/block/", major(info.st_dev), ":", minor(info.st_dev));
  std::ifstream file(device + "/stat");
  std::vector<uint64_t> fields;
  for (uint64_t field = 0; file >> field;) fields.push_back(field);
  if (fields.size() <= kFlushes) return std::nullopt;
  std::error_code error;
  const std::string disk = std::filesystem::canonical(device, error).filename().string();
  return DiskCounters{.writes = fields[kWrites],
                      .flushes = fields[kFlushes],
                      .journal_commits = JournalCommits(disk)};
}

}  // namespace millrace
