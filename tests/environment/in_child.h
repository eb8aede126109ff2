#ifndef MILLRACE_IN_CHILD_H_
#define MILLRACE_IN_CHILD_H_

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

namespace millrace {

// Runs `body` in a forked child, whose limits and death are its own, and returns what is wrong:
// what `body` says, or how the child died; empty if nothing. To be called without other threads.
template <class Body>
std::string InChild(Body body) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return "no pipe";
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    close(pipe_ends[0]);
    const std::string problem = body();
    const ssize_t written = write(pipe_ends[1], problem.data(), problem.size());
    _exit(written == static_cast<ssize_t>(problem.size()) ? 0 : 1);
  }
  close(pipe_ends[1]);
  std::string problem;
  char buffer[4096];
  for (ssize_t n; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
    problem.append(buffer, static_cast<size_t>(n));
  }
  close(pipe_ends[0]);
  int status = -1;
  waitpid(child, &status, 0);
  if (status != 0) absl::StrAppend(&problem, "the child died: wait status ", status);
  return problem;
}

}  // namespace millrace

#endif  // MILLRACE_IN_CHILD_H_
