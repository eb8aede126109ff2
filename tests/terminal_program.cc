#include "tests/terminal_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace millrace {
namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

// After a fork, before the program takes over.
[[noreturn]] void Become(const std::string& path, const std::vector<std::string>& arguments,
                         const std::string& terminal) {
  setsid();
  const int fd = open(terminal.c_str(), O_RDWR);
  for (int standard = 0; standard < 3; ++standard) dup2(fd, standard);
  std::string program = path;
  std::vector<std::string> copies = arguments;
  std::vector<char*> pointers = {program.data()};
  for (std::string& argument : copies) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  execv(program.c_str(), pointers.data());
  _exit(127);
}

}  // namespace

TerminalProgram::TerminalProgram(const std::string& path,
                                 const std::vector<std::string>& arguments) {
  terminal_ = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal_ < 0 || grantpt(terminal_) != 0 || unlockpt(terminal_) != 0) Die("posix_openpt");
  const winsize size = {24, 80, 0, 0};
  if (ioctl(terminal_, TIOCSWINSZ, &size) != 0) Die("TIOCSWINSZ");
  const std::string name = ptsname(terminal_);
  pid_ = fork();
  if (pid_ < 0) Die("fork");
  if (pid_ == 0) Become(path, arguments, name);
}

TerminalProgram::~TerminalProgram() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(terminal_);
}

void TerminalProgram::Signal(int signal) { kill(pid_, signal); }

bool TerminalProgram::Read(int milliseconds) {
  pollfd waited = {terminal_, POLLIN, 0};
  if (poll(&waited, 1, milliseconds) <= 0) return false;
  char bytes[4096];
  // EIO once the program has ended.
  const ssize_t got = read(terminal_, bytes, sizeof(bytes));
  if (got <= 0) return false;
  output_.append(bytes, static_cast<size_t>(got));
  return true;
}

bool TerminalProgram::WaitForOutput(const std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (output_.find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    // Also not ready while the program has not opened the terminal yet.
    if (Read(50)) continue;
    siginfo_t ended = {};
    waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == pid_ && !Read(0)) return output_.find(text) != std::string::npos;
  }
  return true;
}

int TerminalProgram::Wait() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  int status = 0;
  pid_t ended = 0;
  // Whoever does not read keeps the program from ending.
  while ((ended = waitpid(pid_, &status, WNOHANG)) == 0) {
    Read(10);
    if (std::chrono::steady_clock::now() > deadline) kill(pid_, SIGKILL);
  }
  while (Read(0)) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace millrace
