#include "absl/status/status.h"
#include "bench/compare/raw_file.h"

#ifdef MILLRACE_HAS_LIBURING

#include <fcntl.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "liburing.h"

namespace millrace {
namespace {

using Clock = std::chrono::steady_clock;

absl::Status RingError(int negative_errno, const char* call) {
  if (negative_errno == -ENOSYS || negative_errno == -EPERM || negative_errno == -EOPNOTSUPP) {
    return absl::UnimplementedError(std::string("this system has no io_uring for it: ") + call +
                                    ": " + std::strerror(-negative_errno));
  }
  return absl::ErrnoToStatus(-negative_errno, call);
}

// Keeps `in_flight` writes under way and reaps them one by one.
class RingLoop {
 public:
  RingLoop(const RawWork& work, int fd, io_uring* ring)
      : work_(work),
        fd_(fd),
        ring_(ring),
        block_(MakeBlock(work.block_bytes)),
        begun_(static_cast<size_t>(work.in_flight)) {}

  absl::StatusOr<RawResult> Run() {
    const Clock::time_point begin = Clock::now();
    const Clock::time_point end = begin + std::chrono::duration_cast<Clock::duration>(
                                              std::chrono::duration<double>(work_.seconds));
    for (size_t slot = 0; slot < begun_.size(); ++slot) Submit(slot);
    while (true) {
      io_uring_cqe* done = nullptr;
      // Submits what was prepared, too.
      if (const int error = io_uring_submit_and_wait(ring_, 1); error < 0) {
        return RingError(error, "io_uring_submit");
      }
      while (io_uring_peek_cqe(ring_, &done) == 0) {
        const int written = done->res;
        const size_t slot = done->user_data;
        io_uring_cqe_seen(ring_, done);
        --under_way_;
        if (written < 0) return RingError(written, "io_uring write");
        if (static_cast<size_t>(written) != work_.block_bytes) {
          return absl::DataLossError("short write");
        }
        const Clock::time_point now = Clock::now();
        result_.latency.Record(static_cast<uint64_t>((now - begun_[slot]).count()));
        ++result_.writes;
        if (now < end) Submit(slot);
      }
      if (under_way_ == 0) break;
    }
    result_.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    result_.bytes = result_.writes * work_.block_bytes;
    return result_;
  }

 private:
  void Submit(size_t slot) {
    io_uring_sqe* const entry = io_uring_get_sqe(ring_);
    io_uring_prep_write(entry, fd_, block_.get(), static_cast<unsigned>(work_.block_bytes),
                        OffsetOf(work_, next_++));
    entry->rw_flags = RWF_DSYNC;
    entry->user_data = slot;
    begun_[slot] = Clock::now();
    ++under_way_;
  }

  const RawWork work_;
  const int fd_;
  io_uring* const ring_;
  const Block block_;
  std::vector<Clock::time_point> begun_;
  uint64_t next_ = 0;
  size_t under_way_ = 0;
  RawResult result_;
};

}  // namespace

absl::StatusOr<RawResult> MeasureRing(const RawWork& work, int fd) {
  io_uring ring = {};
  const int error = io_uring_queue_init(static_cast<unsigned>(work.in_flight), &ring, 0);
  if (error < 0) return RingError(error, "io_uring_queue_init");
  auto close_ring = absl::MakeCleanup([&] { io_uring_queue_exit(&ring); });
  return RingLoop(work, fd, &ring).Run();
}

}  // namespace millrace

#else

namespace millrace {

absl::StatusOr<RawResult> MeasureRing(const RawWork&, int) {
  return absl::UnimplementedError("built without liburing (Debian's liburing-dev)");
}

}  // namespace millrace

#endif
