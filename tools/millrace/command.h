#ifndef MILLRACE_TOOLS_MILLRACE_COMMAND_H_
#define MILLRACE_TOOLS_MILLRACE_COMMAND_H_

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "tools/millrace/flag.h"
#include "tools/millrace/invocation.h"

namespace millrace {

// What the process ends with; scripts rely on these.
enum class ExitCode : int {
  kFine = 0,
  kUsage = 1,
  kDamage = 2,
  kIoError = 3,
  kLocked = 4,
};

struct ExitMeaning {
  ExitCode code;
  std::string_view meaning;
};
inline constexpr std::array kExitMeanings = {
    ExitMeaning{ExitCode::kFine, "fine"},
    ExitMeaning{ExitCode::kUsage, "wrong usage, or refused: nothing was changed"},
    ExitMeaning{ExitCode::kDamage, "damage was found"},
    ExitMeaning{ExitCode::kIoError, "I/O error, no such log, or interrupted before the end"},
    ExitMeaning{ExitCode::kLocked, "another process has the log open"},
};

ExitCode ExitCodeFor(const absl::Status& status);

struct Example {
  std::string_view line;     // as it is typed
  std::string_view meaning;  // what it does
};

// A key of the objects that --json prints.
struct JsonKey {
  std::string_view name;
  std::string_view meaning;
};

// What stands behind `millrace`. All that is said of a command is made of this: its help, its
// completion, its part of the manual.
struct Command {
  std::string_view name;         // "cat", "cursor move"
  std::string_view arguments;    // its words: "DIR NAME"
  std::string_view summary;      // one line, without a capital and a full stop
  std::string_view description;  // paragraphs, one line each; wrapped where they are shown
  std::vector<Flag> flags;
  std::vector<JsonKey> json = {};
  std::vector<Example> examples = {};
  std::vector<std::string_view> first_words = {};  // what the first word may be; empty: a directory
  size_t least_words = 1;
  size_t most_words = 1;
  ExitCode (*run)(const Invocation& invocation);
};

Command AppendCommand();
Command BackupCommand();
Command BenchCommand();
Command CatCommand();
Command CompletionCommand();
Command CursorDeleteCommand();
Command CursorListCommand();
Command CursorMoveCommand();
Command DumpCommand();
Command HelpCommand();
Command ManCommand();
Command SalvageCommand();
Command StatCommand();
Command TailCommand();
Command TrimCommand();
Command TruncateCommand();
Command VerifyCommand();

// All of them, in the order in which they are listed.
std::vector<Command> AllCommands();

// Writes "millrace COMMAND: message" to standard error.
void Complain(std::string_view command, std::string_view message);
// The same for an error; returns what the process should end with.
ExitCode Fail(std::string_view command, const absl::Status& status);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_COMMAND_H_
