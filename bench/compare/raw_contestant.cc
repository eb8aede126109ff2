#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/compare/contestant.h"

namespace millrace {
namespace {

class RawLoop : public Contestant {
 public:
  ~RawLoop() override {
    if (fd_ >= 0) close(fd_);
  }

  std::string name() const override { return "write + fdatasync"; }
  std::string settings() const override {
    return "one thread, one record at a time, a growing file";
  }

  absl::Status Open(const std::string& directory) override {
    fd_ = open((directory + "/raw").c_str(), O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC,
               0600);
    if (fd_ < 0) return absl::ErrnoToStatus(errno, "open " + directory + "/raw");
    syncs_ = 0;
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Appender>> NewAppender() override {
    return std::make_unique<RawAppender>(this);
  }

  absl::Status Drain() override { return absl::OkStatus(); }
  std::optional<uint64_t> syncs() const override { return syncs_; }

  absl::Status Close() override {
    const int fd = fd_;
    fd_ = -1;
    return close(fd) == 0 ? absl::OkStatus() : absl::ErrnoToStatus(errno, "close");
  }

 private:
  class RawAppender : public Appender {
   public:
    explicit RawAppender(RawLoop* loop) : loop_(loop) {}

    absl::Status Append(std::string_view record) override {
      const ssize_t written = write(loop_->fd_, record.data(), record.size());
      if (written < 0) return absl::ErrnoToStatus(errno, "write");
      if (static_cast<size_t>(written) != record.size()) return absl::DataLossError("short write");
      if (fdatasync(loop_->fd_) != 0) return absl::ErrnoToStatus(errno, "fdatasync");
      ++loop_->syncs_;
      return absl::OkStatus();
    }

   private:
    RawLoop* const loop_;
  };

  int fd_ = -1;
  uint64_t syncs_ = 0;  // by the one appending thread
};

}  // namespace

std::unique_ptr<Contestant> NewRawLoop() { return std::make_unique<RawLoop>(); }

}  // namespace millrace
