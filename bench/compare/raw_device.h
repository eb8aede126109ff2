#ifndef MILLRACE_BENCH_COMPARE_RAW_DEVICE_H_
#define MILLRACE_BENCH_COMPARE_RAW_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "bench/compare/histogram.h"

namespace millrace {

// Writes of one size to one file, one after the other: what the device and the file system allow,
// with nothing of a log in between.
struct RawWork {
  // Where the blocks go.
  enum class Place : uint8_t {
    kAppend,     // the end of a growing file
    kAllocated,  // fallocated, never written
    kOverwrite,  // written and synced before; from the beginning again when all was overwritten
  } place = Place::kAppend;

  enum class Way : uint8_t {
    kSynced,      // write, then fdatasync
    kDirect,      // O_DIRECT | O_DSYNC
    kCached,      // write alone
    kDirectRing,  // O_DIRECT, io_uring with RWF_DSYNC; `in_flight` at once. Not kAppend.
  } way = Way::kSynced;

  size_t block_bytes = 4096;
  int in_flight = 1;
  // Of kCached, if not 0: write-back begins with each write, and whenever so many bytes may wait
  // for it there is a sync, as in a log that bounds them.
  uint64_t unsynced_bytes = 0;
  uint64_t file_bytes = uint64_t{16} << 20;  // of kAllocated and kOverwrite
  // Ends after this time, or after so many bytes if that is not 0; then an eighth more come before.
  double seconds = 0.4;
  uint64_t total_bytes = 0;
};

struct RawResult {
  double seconds = 0;
  uint64_t writes = 0;
  uint64_t bytes = 0;
  LatencyHistogram latency;  // of one write with its sync
};

// In a new file `path`. Unimplemented: this build or this system cannot.
absl::StatusOr<RawResult> MeasureRaw(const RawWork& work, const std::string& path);

// Reads the files, in blocks of 1 MiB, from the page cache where they are in it, and has `look` see
// each block.
absl::StatusOr<RawResult> ReadFiles(
    const std::string& directory, const std::function<void(std::string_view)>& look = [](auto) {});

// Drops the cached pages of all files of `directory`, synced before.
absl::Status DropCached(const std::string& directory);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_RAW_DEVICE_H_
