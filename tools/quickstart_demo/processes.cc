#include "tools/quickstart_demo/processes.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace millrace {

namespace {

// Forks with nothing buffered, which both processes would write.
pid_t ForkFlushed() {
  std::fflush(nullptr);
  return fork();
}

}  // namespace

ChildProcess::ChildProcess(const std::function<absl::Status()>& work) : pid_(ForkFlushed()) {
  if (pid_ != 0) return;
  // No writer is left behind if the parent is ended, however.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const absl::Status status = work();
  if (!status.ok()) absl::FPrintF(stderr, "   %s\n", status.ToString());
  std::fflush(nullptr);
  _exit(status.ok() ? 0 : 1);
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0 || ended_) return;
  Kill();
  Wait([] {});
}

bool ChildProcess::HasEnded() {
  if (pid_ > 0 && !ended_) ended_ = waitpid(pid_, &wait_status_, WNOHANG) == pid_;
  return pid_ <= 0 || ended_;
}

void ChildProcess::Kill() {
  if (!HasEnded()) kill(pid_, SIGKILL);
}

Ending ChildProcess::Wait(const std::function<void()>& meanwhile) {
  if (pid_ <= 0) return {Ending::Kind::kFailed, "could not be started"};
  while (!HasEnded()) {
    absl::SleepFor(absl::Milliseconds(2));
    meanwhile();
  }
  if (WIFSIGNALED(wait_status_)) {
    const int signal = WTERMSIG(wait_status_);
    const auto kind = signal == SIGKILL ? Ending::Kind::kKilled : Ending::Kind::kFailed;
    return {kind, absl::StrFormat("ended by signal %d (%s)", signal, sigdescr_np(signal))};
  }
  const int code = WEXITSTATUS(wait_status_);
  return {code == 0 ? Ending::Kind::kFine : Ending::Kind::kFailed,
          absl::StrFormat("exit code %d", code)};
}

}  // namespace millrace
