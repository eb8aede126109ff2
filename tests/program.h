#ifndef MILLRACE_TESTS_PROGRAM_H_
#define MILLRACE_TESTS_PROGRAM_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace millrace {

// What a program printed and how it ended.
struct ProgramResult {
  int exit_code = -1;  // -1: ended by a signal
  std::string output;
  std::string errors;
};

// A program of this repository that runs beside the test. `path` is relative to the workspace's
// root.
class Program {
 public:
  // Its standard output and error go to files in `directory`.
  Program(const std::string& path, const std::vector<std::string>& arguments,
          const std::string& directory);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  // Kills it if it still runs.
  ~Program();

  // Writes to its standard input.
  void Send(const std::string& input);
  void CloseInput();
  void Signal(int signal);

  // What it has printed so far.
  std::string Output() const;
  // Waits until that contains `text`; false after half a minute.
  bool WaitForOutput(const std::string& text) const;

  ProgramResult Wait();

 private:
  std::string output_path_;
  std::string errors_path_;
  pid_t pid_ = -1;
  int input_ = -1;
};

// Runs it to its end with `input` as its standard input.
ProgramResult RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                         const std::string& directory, const std::string& input = "");

}  // namespace millrace

#endif  // MILLRACE_TESTS_PROGRAM_H_
