#include "tools/millrace/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace millrace {

InterruptWatch::InterruptWatch() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

InterruptWatch::~InterruptWatch() {
  if (signal_fd_ >= 0) close(signal_fd_);
}

bool InterruptWatch::Wait(absl::Duration timeout) {
  if (seen_) return true;
  pollfd waited = {signal_fd_, POLLIN, 0};
  const auto milliseconds = static_cast<int>(absl::ToInt64Milliseconds(timeout));
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
      return Ready::kInput;
    }
  }
  return Ready::kInterrupt;
}

}  // namespace millrace
