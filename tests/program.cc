#include "tests/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

namespace millrace {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

[[noreturn]] void Die(const std::string& what) {
  std::perror(what.c_str());
  std::abort();
}

// After a fork, before the program takes over.
[[noreturn]] void Become(const std::string& path, const std::vector<std::string>& arguments,
                         int input, int output, int errors) {
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  std::string program = path;
  std::vector<std::string> copies = arguments;
  std::vector<char*> pointers = {program.data()};
  for (std::string& argument : copies) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  execv(program.c_str(), pointers.data());
  _exit(127);
}

}  // namespace

Program::Program(const std::string& path, const std::vector<std::string>& arguments,
                 const std::string& directory) {
  // A program that ends early is seen by its exit code.
  signal(SIGPIPE, SIG_IGN);
  static std::atomic<int> count{0};
  // relaxed: only uniqueness counts.
  const std::string stem =
      directory + "/program" + std::to_string(count.fetch_add(1, std::memory_order_relaxed));
  output_path_ = stem + ".out";
  errors_path_ = stem + ".err";
  constexpr int kFlags = O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC;
  const int output = open(output_path_.c_str(), kFlags, 0600);
  const int errors = open(errors_path_.c_str(), kFlags, 0600);
  int ends[2];
  if (output < 0 || errors < 0 || pipe2(ends, O_CLOEXEC) != 0) Die(directory);
  pid_ = fork();
  if (pid_ < 0) Die("fork");
  if (pid_ == 0) Become(path, arguments, ends[0], output, errors);
  close(output);
  close(errors);
  close(ends[0]);
  input_ = ends[1];
}

Program::~Program() {
  CloseInput();
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Program::Send(const std::string& input) {
  size_t done = 0;
  while (done < input.size()) {
    const ssize_t written = write(input_, input.data() + done, input.size() - done);
    if (written < 0 && errno != EINTR) return;
    if (written > 0) done += static_cast<size_t>(written);
  }
}

void Program::CloseInput() {
  if (input_ >= 0) close(input_);
  input_ = -1;
}

void Program::Signal(int signal) { kill(pid_, signal); }

std::string Program::Output() const { return ReadFile(output_path_); }

bool Program::WaitForOutput(const std::string& text) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (Output().find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

ProgramResult Program::Wait() {
  CloseInput();
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Output(), ReadFile(errors_path_)};
}

ProgramResult RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                         const std::string& directory, const std::string& input) {
  Program program(path, arguments, directory);
  program.Send(input);
  return program.Wait();
}

}  // namespace millrace
