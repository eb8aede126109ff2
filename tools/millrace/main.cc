// The command line: `millrace COMMAND --help` teaches.

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/parse.h"
#include "millrace/version.h"
#include "tools/millrace/command.h"

namespace millrace {
namespace {

std::vector<Command> AllCommands() {
  return {AppendCommand(), CatCommand(),  TailCommand(), StatCommand(),
          VerifyCommand(), DumpCommand(), BenchCommand()};
}

void Print(std::FILE* to, std::string_view text) { std::fwrite(text.data(), 1, text.size(), to); }

void PrintHelp(std::FILE* to) {
  Print(to,
        "millrace: a write-ahead log that many threads append to at once\n"
        "\n"
        "Usage: millrace COMMAND [FLAGS] DIR\n"
        "DIR is the directory of a log.\n"
        "\n"
        "Commands:\n");
  for (const Command& command : AllCommands()) {
    std::fprintf(to, "  %-8s%s\n", std::string(command.name).c_str(),
                 std::string(command.summary).c_str());
  }
  Print(to,
        "\n"
        "  seq 5 | millrace append /tmp/numbers     append five records\n"
        "  millrace cat --with_sequence /tmp/numbers\n"
        "  millrace verify /tmp/numbers             read every byte, name every loss\n"
        "\n"
        "`millrace COMMAND --help` tells more; --json prints JSON; --version the version.\n"
        "Exit codes: 0 fine, 1 wrong usage, 2 damage found, 3 I/O error, 4 locked by another "
        "process.\n");
}

void PrintCommandHelp(std::FILE* to, const Command& command) {
  Print(to, "Usage: millrace ");
  Print(to, command.name);
  Print(to, " [FLAGS] ");
  Print(to, command.arguments);
  Print(to, "\n\n");
  Print(to, command.help);
}

// The name of the flag that `argument` sets, or nothing if it is a word.
std::string FlagName(std::string_view argument) {
  if (argument.size() < 2 || argument[0] != '-') return "";
  argument.remove_prefix(argument[1] == '-' ? 2 : 1);
  std::string name(argument.substr(0, argument.find('=')));
  // --with-sequence is --with_sequence, whatever one is used to.
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

bool Takes(const Command& command, std::string_view flag) {
  const auto& flags = command.flags;
  if (std::find(flags.begin(), flags.end(), flag) != flags.end()) return true;
  return flag.starts_with("no") &&
         std::find(flags.begin(), flags.end(), flag.substr(2)) != flags.end();
}

int Usage(const Command& command, const std::string& message) {
  Complain(command.name, message);
  std::fprintf(stderr, "Try: millrace %s --help\n", std::string(command.name).c_str());
  return static_cast<int>(ExitCode::kUsage);
}

// `arguments` are those after the command's name.
int RunCommand(const Command& command, std::vector<std::string> arguments) {
  for (std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == "--help" || argument == "-h") {
      PrintCommandHelp(stdout, command);
      return static_cast<int>(ExitCode::kFine);
    }
    const std::string flag = FlagName(argument);
    if (flag.empty()) continue;
    if (!Takes(command, flag)) return Usage(command, "it has no flag " + argument);
    const size_t value = argument.find('=');
    argument = "--" + flag + (value == std::string::npos ? "" : argument.substr(value));
  }
  std::string program = "millrace";
  std::vector<char*> pointers = {program.data()};
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  // Ends the process with 1, the code for wrong usage, where a value does not fit its flag.
  const std::vector<char*> rest =
      absl::ParseCommandLine(static_cast<int>(pointers.size()), pointers.data());
  const std::vector<std::string> words(std::next(rest.begin()), rest.end());
  if (words.size() < command.least_words || words.size() > command.most_words) {
    return Usage(command, "it takes " + std::string(command.arguments));
  }
  return static_cast<int>(command.run(words));
}

int Main(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    PrintHelp(stderr);
    return static_cast<int>(ExitCode::kUsage);
  }
  std::string_view name = arguments[0];
  const auto commands = AllCommands();
  const auto find = [&](std::string_view wanted) {
    return std::find_if(commands.begin(), commands.end(),
                        [&](const Command& command) { return command.name == wanted; });
  };
  if (name == "--version") {
    std::printf("millrace %s\n", std::string(kVersion).c_str());
    return static_cast<int>(ExitCode::kFine);
  }
  if (name == "--help" || name == "-h" || name == "help") {
    const auto command = arguments.size() > 1 ? find(arguments[1]) : commands.end();
    if (command == commands.end()) {
      PrintHelp(stdout);
    } else {
      PrintCommandHelp(stdout, *command);
    }
    return static_cast<int>(ExitCode::kFine);
  }
  const auto command = find(name);
  if (command == commands.end()) {
    std::fprintf(stderr, "millrace: no command \"%s\"\n", arguments[0].c_str());
    PrintHelp(stderr);
    return static_cast<int>(ExitCode::kUsage);
  }
  return RunCommand(*command, {std::next(arguments.begin()), arguments.end()});
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  // A reader that has gone is seen where its pipe is written to.
  signal(SIGPIPE, SIG_IGN);
  return millrace::Main({argv + 1, argv + argc});
}
