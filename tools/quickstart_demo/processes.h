#ifndef MILLRACE_TOOLS_QUICKSTART_DEMO_PROCESSES_H_
#define MILLRACE_TOOLS_QUICKSTART_DEMO_PROCESSES_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace millrace {

// How a child process ended.
struct Ending {
  enum class Kind { kFine, kFailed, kKilled } kind = Kind::kFailed;
  std::string description;
};

// A child process that runs `work`, prints its error if it has one, and exits. The caller has one
// thread only.
class ChildProcess {
 public:
  explicit ChildProcess(const std::function<absl::Status()>& work);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  // Kills it if it was not waited for.
  ~ChildProcess();

  // True once it has ended. Does not wait.
  bool HasEnded();
  void Kill();
  // Waits, calling `meanwhile` now and then.
  Ending Wait(const std::function<void()>& meanwhile);

 private:
  pid_t pid_ = -1;  // -1: could not be started, or was waited for
  int wait_status_ = 0;
  bool ended_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_QUICKSTART_DEMO_PROCESSES_H_
