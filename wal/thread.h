#ifndef MILLRACE_WAL_THREAD_H_
#define MILLRACE_WAL_THREAD_H_

#include <pthread.h>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace millrace {

// A thread with a name that blocks all signals, so that no handler of the
// program ever runs in the middle of a write to the log.
//
// Started and joined by one thread at a time.
class Thread {
 public:
  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  // Must not be running.
  ~Thread();

  // Runs `body` in a new thread. `name` has at most 15 bytes, which is what the
  // kernel keeps. Errors: ResourceExhausted (no thread could be made).
  absl::Status Start(const char* name, absl::AnyInvocable<void()> body);

  bool started() const { return started_; }

  // Whether the calling thread was started by this class, and so blocks all signals.
  static bool IsOurs();

  // Waits until the body has returned. Without effect if it was not started.
  void Join();

 private:
  bool started_ = false;
  pthread_t thread_ = {};
};

}  // namespace millrace

#endif  // MILLRACE_WAL_THREAD_H_
