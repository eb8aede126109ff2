#include "tools/millrace/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

namespace millrace {

InterruptWatch::InterruptWatch() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, &mask_before_);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

InterruptWatch::~InterruptWatch() {
  // Those that have come have been heard, or came too late to change anything.
  signalfd_siginfo taken;
  while (read(signal_fd_, &taken, sizeof(taken)) > 0) {
  }
  if (signal_fd_ >= 0) close(signal_fd_);
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

bool InterruptWatch::Wait(absl::Duration timeout) {
  if (seen_) return true;
  pollfd waited = {signal_fd_, POLLIN, 0};
  // An int of milliseconds ends after 24 days.
  const auto milliseconds =
      static_cast<int>(absl::ToInt64Milliseconds(std::min(timeout, absl::Hours(24))));
  seen_ = poll(&waited, 1, milliseconds) > 0;
  return seen_;
}

InterruptWatch::Ready InterruptWatch::WaitForInput(int fd) {
  while (!seen_) {
    pollfd waited[2] = {{signal_fd_, POLLIN, 0}, {fd, POLLIN, 0}};
    if (poll(waited, 2, -1) <= 0) continue;
    if (waited[0].revents != 0) {
      seen_ = true;
    } else if (waited[1].revents != 0) {
      return Ready::kFile;
    }
  }
  return Ready::kInterrupt;
}

InterruptWatch::Ready InterruptWatch::WaitForOutput(int fd) {
  while (true) {
    pollfd waited[2] = {{fd, POLLOUT, 0}, {signal_fd_, POLLIN, 0}};
    if (poll(waited, 2, -1) <= 0) continue;
    if (waited[0].revents != 0) return Ready::kFile;
    if (waited[1].revents != 0) {
      seen_ = true;
      return Ready::kInterrupt;
    }
  }
}

}  // namespace millrace
