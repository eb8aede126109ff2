#include "tests/realfs/ram_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>
#include <utility>

#include "absl/strings/str_format.h"
#include "tests/realfs/fuse_server.h"
#include "tests/realfs/private_mounts.h"

namespace millrace {
namespace {

absl::StatusOr<char*> SharedMemory(uint64_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, "mmap");
  return static_cast<char*>(memory);
}

constexpr uint64_t kSharedBytes = sizeof(SharedDisk) + DiskRecording::kMaxDataBytes;
static_assert(offsetof(SharedDisk, recording) + sizeof(DiskRecording) == sizeof(SharedDisk),
              "the recording's data follow it");

}  // namespace

absl::StatusOr<std::unique_ptr<RamDisk>> RamDisk::Make(const std::string& path, uint64_t bytes) {
  const absl::StatusOr<char*> content = SharedMemory(bytes);
  if (!content.ok()) return content.status();
  const absl::StatusOr<char*> shared = SharedMemory(kSharedBytes);
  if (!shared.ok()) return shared.status();
  std::unique_ptr<RamDisk> disk(new RamDisk(path, {*content, bytes}, new (*shared) SharedDisk));
  const absl::Status started = disk->Start();
  if (!started.ok()) return started;
  return disk;
}

absl::Status RamDisk::Start() {
  const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fuse < 0) return absl::ErrnoToStatus(errno, "open /dev/fuse");
  const std::string options = absl::StrFormat("fd=%d,rootmode=100000,user_id=0,group_id=0", fuse);
  absl::Status status;
  // Mounted first: what is not mounted cannot be served.
  mounted_ =
      mount("millrace_ram_disk", path_.c_str(), "fuse", MS_NODEV | MS_NOSUID, options.c_str()) == 0;
  if (!mounted_) {
    status = absl::ErrnoToStatus(errno, "mount of a FUSE file system on " + path_);
  } else if (server_ = fork(); server_ < 0) {
    status = absl::ErrnoToStatus(errno, "fork");
  } else if (server_ == 0) {
    // Out of the mounts' namespace, or it would keep them alive, and they it.
    if (!LeavePrivateMounts()) _exit(1);
    ServeDisk(fuse, content_, shared_);
    _exit(0);
  }
  // The connection is the server's alone from here on: if it ends, requests fail, and none waits.
  close(fuse);
  return status;
}

RamDisk::~RamDisk() {
  if (mounted_ && umount2(path_.c_str(), 0) != 0) umount2(path_.c_str(), MNT_DETACH);
  if (server_ > 0) waitpid(server_, nullptr, 0);
  munmap(content_.data(), content_.size());
  munmap(static_cast<void*>(shared_), kSharedBytes);
}

absl::Status RamDisk::FailWrites(uint64_t begin, uint64_t end) {
  for (DiskFault& fault : shared_->faults) {
    // relaxed: this process alone writes it.
    if (fault.end.load(std::memory_order_relaxed) != 0) continue;
    fault.refused.store(0, std::memory_order_relaxed);  // relaxed: read by this process
    // release: `begin` before `end`, without which nothing is refused; pairs with the acquire in
    // the server.
    fault.begin.store(begin, std::memory_order_release);
    fault.end.store(end, std::memory_order_release);
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrFormat("%u ranges fail already; that is the most", SharedDisk::kFaults));
}

void RamDisk::HealWrites() {
  for (DiskFault& fault : shared_->faults) {
    // release: pairs with the acquire in the server.
    fault.end.store(0, std::memory_order_release);
    fault.begin.store(0, std::memory_order_release);
  }
}

uint64_t RamDisk::refused() const {
  uint64_t refused = 0;
  for (const DiskFault& fault : shared_->faults) {
    // acquire: pairs with the release in the server.
    refused += fault.refused.load(std::memory_order_acquire);
  }
  return refused;
}

}  // namespace millrace
