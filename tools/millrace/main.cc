// The command line: `millrace --help` teaches it.

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/version.h"
#include "tools/millrace/command.h"
#include "tools/millrace/help_text.h"

namespace millrace {
namespace {

void Print(std::FILE* to, std::string_view text) { std::fwrite(text.data(), 1, text.size(), to); }

int Usage(const Command& command, const std::string& message) {
  Complain(command.name, message);
  std::fprintf(stderr, "Try: millrace %s --help\n", std::string(command.name).c_str());
  return static_cast<int>(ExitCode::kUsage);
}

bool AsksForHelp(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return false;
    if (argument == "--help" || argument == "-h") return true;
  }
  return false;
}

// `arguments` are those after the command's name.
int RunCommand(const Command& command, const std::vector<std::string>& arguments) {
  if (AsksForHelp(arguments)) {
    Print(stdout, CommandHelp(command));
    return static_cast<int>(ExitCode::kFine);
  }
  const absl::StatusOr<Invocation> invocation = Invocation::Parse(command.flags, arguments);
  if (!invocation.ok()) return Usage(command, std::string(invocation.status().message()));
  const size_t words = invocation->words().size();
  if (words < command.least_words || words > command.most_words) {
    return Usage(command, command.most_words == 0 ? "it takes flags only, no words"
                                                  : "it takes " + std::string(command.arguments));
  }
  return static_cast<int>(command.run(*invocation));
}

// The command whose name `arguments` begin with, and how many of them that takes.
const Command* Find(const std::vector<Command>& commands, const std::vector<std::string>& arguments,
                    size_t* taken) {
  std::string name;
  for (*taken = 1; *taken <= std::min<size_t>(2, arguments.size()); ++*taken) {
    name += (*taken == 1 ? "" : " ") + arguments[*taken - 1];
    for (const Command& command : commands) {
      if (command.name == name) return &command;
    }
  }
  return nullptr;
}

int Main(const std::vector<std::string>& arguments) {
  const std::vector<Command> commands = AllCommands();
  if (arguments.empty()) {
    Print(stderr, ProgramHelp(commands));
    return static_cast<int>(ExitCode::kUsage);
  }
  const std::string& first = arguments[0];
  if (first == "--version") {
    std::printf("millrace %s\n", std::string(kVersion).c_str());
    return static_cast<int>(ExitCode::kFine);
  }
  if (first == "--help" || first == "-h") {
    Print(stdout, ProgramHelp(commands));
    return static_cast<int>(ExitCode::kFine);
  }
  size_t taken = 0;
  const Command* command = Find(commands, arguments, &taken);
  if (command != nullptr) {
    return RunCommand(*command,
                      {arguments.begin() + static_cast<std::ptrdiff_t>(taken), arguments.end()});
  }
  const std::string group = GroupHelp(first, commands);
  if (!group.empty() && AsksForHelp(arguments)) {
    Print(stdout, group);
    return static_cast<int>(ExitCode::kFine);
  }
  if (!group.empty()) {
    Print(stderr, group);
  } else {
    std::fprintf(stderr, "millrace: there is no command \"%s\"\nTry: millrace --help\n",
                 first.c_str());
  }
  return static_cast<int>(ExitCode::kUsage);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  // A reader that has gone is seen where its pipe is written to.
  signal(SIGPIPE, SIG_IGN);
  return millrace::Main({argv + 1, argv + argc});
}
