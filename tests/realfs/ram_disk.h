#ifndef MILLRACE_RAM_DISK_H_
#define MILLRACE_RAM_DISK_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/realfs/disk_recording.h"

namespace millrace {

// A disk in memory, as a file on which a loop device can be put: served over /dev/fuse by a
// process of its own, which records every write and flush.
//
// A process of its own, since this one may wait in the kernel for the disk while it dies. It ends
// by itself when the file is unmounted, and the file is unmounted, at the latest, when the last
// process in this one's mount namespace is gone (PrivateMounts): nothing outlives a test that is
// killed.
class RamDisk {
 public:
  // Serves `bytes` of zeros as `path`, an existing empty file of the caller's. To be called
  // without other threads: it forks.
  static absl::StatusOr<std::unique_ptr<RamDisk>> Make(const std::string& path, uint64_t bytes);

  RamDisk(const RamDisk&) = delete;
  RamDisk& operator=(const RamDisk&) = delete;
  ~RamDisk();

  const std::string& path() const { return path_; }
  // The bytes that the disk holds now. To be changed only while nobody uses the disk.
  std::span<char> content() { return content_; }
  DiskRecording& recording() { return shared_->recording; }

  // From now on every write that touches [begin, end) fails with EIO; at most SharedDisk::kFaults.
  absl::Status FailWrites(uint64_t begin, uint64_t end);
  void HealWrites();
  // How many writes were refused since the last FailWrites of a healthy disk.
  uint64_t refused() const;

 private:
  RamDisk(std::string path, std::span<char> content, SharedDisk* shared)
      : path_(std::move(path)), content_(content), shared_(shared) {}
  absl::Status Start();

  const std::string path_;
  const std::span<char> content_;
  SharedDisk* const shared_;
  pid_t server_ = -1;
  bool mounted_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_RAM_DISK_H_
