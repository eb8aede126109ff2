#ifndef MILLRACE_PRIVATE_MOUNTS_H_
#define MILLRACE_PRIVATE_MOUNTS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace millrace {

// Gives this process mounts of its own, which nobody else sees and which are gone with it,
// however it ends. To be called once, before there are threads. An error says what this machine
// does not allow.
absl::Status EnterPrivateMounts();

// Puts a child without threads back among the mounts of everybody.
bool LeavePrivateMounts();

// Why tests with file systems of their own cannot run here; ok if they can. Looks for root,
// /dev/fuse, loop devices and the program `mkfs`, and enters private mounts.
absl::Status PrepareRealFileSystems(const char* mkfs);

// A loop device that shows the bytes of a file. It is detached when its last user closes it: at
// once by the destructor, or when the file system on it is unmounted.
class LoopDevice {
 public:
  // `file` may be closed afterwards.
  static absl::StatusOr<std::unique_ptr<LoopDevice>> Attach(int file);
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;
  ~LoopDevice();
  const std::string& path() const { return path_; }

 private:
  LoopDevice(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  const std::string path_;
  const int fd_;
};

// A file system, mounted on a directory from a loop device on `file` until it is destroyed.
class LoopMount {
 public:
  static absl::StatusOr<std::unique_ptr<LoopMount>> Make(int file, const std::string& directory,
                                                         const std::string& type,
                                                         const std::string& options);
  LoopMount(const LoopMount&) = delete;
  LoopMount& operator=(const LoopMount&) = delete;
  ~LoopMount();
  const std::string& directory() const { return directory_; }
  // Errors: Unavailable (in use), and what the file system met on its way down.
  absl::Status Unmount();

 private:
  explicit LoopMount(std::string directory) : directory_(std::move(directory)) {}
  const std::string directory_;
  bool mounted_ = true;
};

}  // namespace millrace

#endif  // MILLRACE_PRIVATE_MOUNTS_H_
