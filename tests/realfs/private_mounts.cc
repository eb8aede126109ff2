#include "tests/realfs/private_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace millrace {
namespace {

int everybodys_mounts = -1;

// Somebody else may take the free device between asking and configuring.
constexpr int kAttempts = 100;

}  // namespace

absl::Status EnterPrivateMounts() {
  everybodys_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (everybodys_mounts < 0) return absl::ErrnoToStatus(errno, "open /proc/self/ns/mnt");
  if (unshare(CLONE_NEWNS) != 0) return absl::ErrnoToStatus(errno, "unshare(CLONE_NEWNS)");
  // Without this the new mounts would spread to the namespace that we came from.
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, "making the mounts private");
  }
  return absl::OkStatus();
}

bool LeavePrivateMounts() { return setns(everybodys_mounts, CLONE_NEWNS) == 0; }

absl::Status PrepareRealFileSystems(const char* mkfs) {
  if (geteuid() != 0) return absl::PermissionDeniedError("mounting file systems takes root");
  for (const char* device : {"/dev/fuse", "/dev/loop-control"}) {
    const int fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("open ", device));
    close(fd);
  }
  if (access(mkfs, X_OK) != 0) return absl::ErrnoToStatus(errno, mkfs);
  return EnterPrivateMounts();
}

absl::StatusOr<std::unique_ptr<LoopDevice>> LoopDevice::Attach(int file) {
  const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return absl::ErrnoToStatus(errno, "open /dev/loop-control");
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) {
      status = absl::ErrnoToStatus(errno, "LOOP_CTL_GET_FREE");
      break;
    }
    std::string path = absl::StrFormat("/dev/loop%d", number);
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    loop_config config = {};
    config.fd = static_cast<uint32_t>(file);
    config.block_size = 512;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
      close(control);
      return std::unique_ptr<LoopDevice>(new LoopDevice(std::move(path), fd));
    }
    const int error = errno;
    status = absl::ErrnoToStatus(error, fd < 0 ? "open " + path : "LOOP_CONFIGURE of " + path);
    const bool taken = error == EBUSY || error == ENXIO;
    if (fd >= 0) close(fd);
    if (!taken) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + attempt));
  }
  close(control);
  return status;
}

LoopDevice::~LoopDevice() { close(fd_); }

absl::StatusOr<std::unique_ptr<LoopMount>> LoopMount::Make(int file, const std::string& directory,
                                                           const std::string& type,
                                                           const std::string& options) {
  const absl::StatusOr<std::unique_ptr<LoopDevice>> device = LoopDevice::Attach(file);
  if (!device.ok()) return device.status();
  if (mount((*device)->path().c_str(), directory.c_str(), type.c_str(), MS_NOATIME,
            options.c_str()) != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("mount -t ", type, " -o ", options, " on ", directory));
  }
  return std::unique_ptr<LoopMount>(new LoopMount(directory));
}

absl::Status LoopMount::Unmount() {
  if (!mounted_) return absl::OkStatus();
  if (umount2(directory_.c_str(), 0) != 0) {
    return absl::ErrnoToStatus(errno, "umount " + directory_);
  }
  mounted_ = false;
  return absl::OkStatus();
}

LoopMount::~LoopMount() {
  if (!Unmount().ok()) umount2(directory_.c_str(), MNT_DETACH);
}

}  // namespace millrace
