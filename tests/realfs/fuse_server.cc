#include "tests/realfs/fuse_server.h"

#include <errno.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace millrace {
namespace {

constexpr uint32_t kMaxWriteBytes = 1 << 20;
constexpr uint32_t kOldestMinor = 23;  // before it replies have other sizes
constexpr uint64_t kForeverSeconds = 1 << 30;

class Server {
 public:
  Server(int fuse, std::span<char> content, SharedDisk* shared)
      : fuse_(fuse), content_(content), shared_(shared), request_(kMaxWriteBytes + 4096) {}

  void Run() {
    while (true) {
      const ssize_t bytes = read(fuse_, request_.data(), request_.size());
      if (bytes < 0) {
        // ENOENT: the request was taken back before it was read.
        if (errno == EINTR || errno == EAGAIN || errno == ENOENT) continue;
        return;  // ENODEV: unmounted
      }
      if (static_cast<size_t>(bytes) < sizeof(fuse_in_header)) return;
      Answer();
    }
  }

 private:
  template <class T>
  const T& Argument() const {
    return *reinterpret_cast<const T*>(request_.data() + sizeof(fuse_in_header));
  }
  const fuse_in_header& header() const {
    return *reinterpret_cast<const fuse_in_header*>(request_.data());
  }

  void Reply(int error, const void* body, size_t bytes) {
    fuse_out_header out = {};
    out.len = static_cast<uint32_t>(sizeof out + bytes);
    out.error = error;
    out.unique = header().unique;
    const iovec pieces[] = {{&out, sizeof out}, {const_cast<void*>(body), bytes}};
    // An error says that nobody waits for it any more.
    if (writev(fuse_, pieces, bytes == 0 ? 1 : 2) < 0) return;
  }
  void ReplyStatus(int error) { Reply(error, nullptr, 0); }

  void Answer() {
    switch (header().opcode) {
      case FUSE_INIT:
        return Init();
      case FUSE_GETATTR:
        return GetAttributes();
      case FUSE_OPEN: {
        fuse_open_out out = {};
        // Nothing of it is cached in between: a write that the loop device makes is a request.
        out.open_flags = FOPEN_DIRECT_IO;
        return Reply(0, &out, sizeof out);
      }
      case FUSE_READ:
        return Read();
      case FUSE_WRITE:
        return Write();
      case FUSE_FSYNC:
        return ReplyStatus(
            shared_->recording.Append(RecordedCall::Kind::kFlush, 0, nullptr, 0) ? 0 : -EIO);
      case FUSE_FLUSH:  // of close(2): promises nothing
      case FUSE_RELEASE:
      case FUSE_ACCESS:
      case FUSE_DESTROY:
        return ReplyStatus(0);
      case FUSE_STATFS: {
        const fuse_statfs_out out = {};
        return Reply(0, &out, sizeof out);
      }
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT:
        return;  // these have no answer
      default:
        return ReplyStatus(-ENOSYS);
    }
  }

  void Init() {
    const auto& in = Argument<fuse_init_in>();
    if (in.major != FUSE_KERNEL_VERSION || in.minor < kOldestMinor) return ReplyStatus(-EPROTO);
    fuse_init_out out = {};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = std::min<uint32_t>(in.minor, FUSE_KERNEL_MINOR_VERSION);
    out.max_readahead = in.max_readahead;
    out.flags = in.flags & (FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES);
    out.max_background = 64;
    out.congestion_threshold = 48;
    out.max_write = kMaxWriteBytes;
    out.max_pages = kMaxWriteBytes / 4096;
    Reply(0, &out, sizeof out);
  }

  void GetAttributes() {
    fuse_attr_out out = {};
    out.attr_valid = kForeverSeconds;
    out.attr.ino = FUSE_ROOT_ID;
    out.attr.size = content_.size();
    out.attr.blocks = content_.size() / 512;
    out.attr.blksize = 4096;
    out.attr.mode = S_IFREG | 0600;
    out.attr.nlink = 1;
    Reply(0, &out, sizeof out);
  }

  void Read() {
    const auto& in = Argument<fuse_read_in>();
    if (in.offset >= content_.size()) return ReplyStatus(0);
    const uint64_t bytes = std::min<uint64_t>(in.size, content_.size() - in.offset);
    Reply(0, content_.data() + in.offset, bytes);
  }

  bool Refused(uint64_t begin, uint64_t end) {
    for (DiskFault& fault : shared_->faults) {
      // acquire: pairs with the release in RamDisk::FailWrites, which sets `end` first.
      const uint64_t from = fault.begin.load(std::memory_order_acquire);
      const uint64_t to = fault.end.load(std::memory_order_acquire);
      if (begin >= to || from >= end) continue;
      // release: pairs with the acquire in RamDisk::refused.
      fault.refused.fetch_add(1, std::memory_order_release);
      return true;
    }
    return false;
  }

  void Write() {
    const auto& in = Argument<fuse_write_in>();
    const char* bytes = request_.data() + sizeof(fuse_in_header) + sizeof(fuse_write_in);
    if (in.offset > content_.size() || in.size > content_.size() - in.offset) {
      return ReplyStatus(-ENOSPC);
    }
    if (Refused(in.offset, in.offset + in.size)) return ReplyStatus(-EIO);
    if (!shared_->recording.Append(RecordedCall::Kind::kWrite, in.offset, bytes, in.size)) {
      return ReplyStatus(-EIO);
    }
    std::memcpy(content_.data() + in.offset, bytes, in.size);
    fuse_write_out out = {};
    out.size = in.size;
    Reply(0, &out, sizeof out);
  }

  const int fuse_;
  const std::span<char> content_;
  SharedDisk* const shared_;
  std::vector<char> request_;
};

}  // namespace

void ServeDisk(int fuse, std::span<char> content, SharedDisk* shared) {
  Server(fuse, content, shared).Run();
}

}  // namespace millrace
