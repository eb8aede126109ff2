#ifndef MILLRACE_BENCH_COMPARE_DISK_COUNTERS_H_
#define MILLRACE_BENCH_COMPARE_DISK_COUNTERS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace millrace {

// What the kernel counts of the disk that a directory lies on, by everybody who uses it.
struct DiskCounters {
  uint64_t writes = 0;   // requests that the device completed, after merging
  uint64_t flushes = 0;  // of its cache
  // Transactions of the file system's journal; absent where it has none or does not tell.
  std::optional<uint64_t> journal_commits;
};

// Nullopt where there is no such disk (tmpfs) or the kernel does not tell.
std::optional<DiskCounters> ReadDiskCounters(const std::string& directory);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_DISK_COUNTERS_H_
