#ifndef MILLRACE_TOOLS_MILLRACE_INTERRUPT_H_
#define MILLRACE_TOOLS_MILLRACE_INTERRUPT_H_

#include <signal.h>

#include "absl/time/time.h"

namespace millrace {

// Turns SIGINT and SIGTERM from sudden ends into something to look at. Made before any thread is
// started: the signals stay blocked in all of them. The end
// of this gives them back to this thread as they were.
class InterruptWatch {
 public:
  InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;
  ~InterruptWatch();

  // True once one of the signals has come. Waits up to `timeout` for one.
  bool Wait(absl::Duration timeout);

  enum class Ready { kFile, kInterrupt };
  // Waits until `fd` can be read (its end counts) or a signal has come.
  Ready WaitForInput(int fd);
  // Waits until `fd` can be written to (that nobody reads it counts) or, if it cannot, a signal has
  // come.
  Ready WaitForOutput(int fd);

 private:
  sigset_t mask_before_;
  int signal_fd_ = -1;
  bool seen_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_INTERRUPT_H_
