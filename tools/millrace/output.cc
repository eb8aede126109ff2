#include "tools/millrace/output.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace millrace {
namespace {

constexpr size_t kBufferBytes = size_t{64} * 1024;

}  // namespace

Output::~Output() { Flush(); }

size_t Output::Writable(size_t bytes) {
  if (interrupt_ == nullptr) return bytes;
  if (interrupt_->WaitForOutput(STDOUT_FILENO) == InterruptWatch::Ready::kInterrupt) return 0;
  // A pipe that is ready takes this many without blocking.
  return std::min<size_t>(bytes, PIPE_BUF);
}

bool Output::Write(std::string_view bytes) {
  if (reader_gone_ || !status_.ok()) return false;
  buffer_.append(bytes);
  return buffer_.size() < kBufferBytes || Flush();
}

bool Output::Flush() {
  if (reader_gone_ || !status_.ok()) return false;
  size_t done = 0;
  while (done < buffer_.size()) {
    const size_t writable = Writable(buffer_.size() - done);
    if (writable == 0) {
      reader_gone_ = true;
      break;
    }
    const ssize_t written = write(STDOUT_FILENO, buffer_.data() + done, writable);
    if (written >= 0) {
      done += static_cast<size_t>(written);
    } else if (errno == EAGAIN) {
      pollfd waited = {STDOUT_FILENO, POLLOUT, 0};
      poll(&waited, 1, -1);
    } else if (errno != EINTR) {
      reader_gone_ = errno == EPIPE;
      if (!reader_gone_) status_ = absl::ErrnoToStatus(errno, "write standard output");
      break;
    }
  }
  buffer_.clear();
  return !reader_gone_ && status_.ok();
}

}  // namespace millrace
