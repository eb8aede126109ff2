#ifndef MILLRACE_TOOLS_MILLRACE_COMMAND_H_
#define MILLRACE_TOOLS_MILLRACE_COMMAND_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace millrace {

// What the process ends with; scripts rely on these.
enum class ExitCode : int {
  kFine = 0,
  kUsage = 1,
  kDamage = 2,
  kIoError = 3,
  kLocked = 4,
};

ExitCode ExitCodeFor(const absl::Status& status);

// One word after `millrace`.
struct Command {
  std::string_view name;
  std::string_view arguments;           // "DIR [SEGMENT]"
  std::string_view summary;             // one line, for the list of commands
  std::string_view help;                // below the usage line
  std::vector<std::string_view> flags;  // those it takes
  size_t least_words = 1;
  size_t most_words = 1;
  ExitCode (*run)(const std::vector<std::string>& words);
};

Command AppendCommand();
Command BenchCommand();
Command CatCommand();
Command DumpCommand();
Command StatCommand();
Command TailCommand();
Command VerifyCommand();

// Writes "millrace COMMAND: message" to standard error.
void Complain(std::string_view command, std::string_view message);
// The same for an error; returns what the process should end with.
ExitCode Fail(std::string_view command, const absl::Status& status);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_COMMAND_H_
