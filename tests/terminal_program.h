#ifndef MILLRACE_TESTS_TERMINAL_PROGRAM_H_
#define MILLRACE_TESTS_TERMINAL_PROGRAM_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace millrace {

// A program whose standard input, output and error are one terminal, of 80 columns and 24 rows.
class TerminalProgram {
 public:
  // `path` is relative to the workspace's root.
  TerminalProgram(const std::string& path, const std::vector<std::string>& arguments);
  TerminalProgram(const TerminalProgram&) = delete;
  TerminalProgram& operator=(const TerminalProgram&) = delete;
  // Kills it if it still runs.
  ~TerminalProgram();

  void Signal(int signal);

  // Waits until what it has printed contains `text`; false after half a minute, or at its end.
  bool WaitForOutput(const std::string& text);
  // All that it has printed and was waited for.
  const std::string& Output() const { return output_; }

  // Its exit code; -1 if a signal ended it.
  int Wait();

 private:
  // False at the end of the output, or where none comes for `milliseconds`.
  bool Read(int milliseconds);

  int terminal_ = -1;
  pid_t pid_ = -1;
  std::string output_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_TERMINAL_PROGRAM_H_
