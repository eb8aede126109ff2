// The commands that tell of the others.

#include <string>

#include "tools/millrace/command.h"
#include "tools/millrace/completion.h"
#include "tools/millrace/help_text.h"
#include "tools/millrace/manual_page.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

ExitCode PrintAll(std::string_view command, const std::string& text) {
  Output output;
  output.Write(text);
  output.Flush();
  return output.status().ok() ? ExitCode::kFine : Fail(command, output.status());
}

ExitCode RunCompletion(const Invocation& invocation) {
  constexpr std::string_view kName = "completion";
  const std::string& shell = invocation.words()[0];
  if (shell == "bash") return PrintAll(kName, BashCompletion(AllCommands()));
  if (shell == "zsh") return PrintAll(kName, ZshCompletion(AllCommands()));
  if (shell == "fish") return PrintAll(kName, FishCompletion(AllCommands()));
  return Fail(kName, absl::InvalidArgumentError("SHELL is \"" + shell +
                                                "\"; it takes one of: bash, zsh, fish"));
}

ExitCode RunMan(const Invocation&) { return PrintAll("man", ManualPage(AllCommands())); }

ExitCode RunHelp(const Invocation& invocation) {
  const std::vector<Command> commands = AllCommands();
  std::string wanted;
  for (const std::string& word : invocation.words()) wanted += (wanted.empty() ? "" : " ") + word;
  if (wanted.empty()) return PrintAll("help", ProgramHelp(commands));
  for (const Command& command : commands) {
    if (command.name == wanted) return PrintAll("help", CommandHelp(command));
  }
  const std::string group = GroupHelp(wanted, commands);
  if (!group.empty()) return PrintAll("help", group);
  return Fail("help", absl::InvalidArgumentError("there is no command \"" + wanted +
                                                 "\"; `millrace help` lists them"));
}

}  // namespace

Command CompletionCommand() {
  return {
      .name = "completion",
      .arguments = "bash|zsh|fish",
      .summary = "print what makes a shell complete commands and flags",
      .description = "The script goes to standard output; the examples say where it belongs.",
      .flags = {},
      .examples = {{"source <(millrace completion bash)", "for this shell, or in ~/.bashrc"},
                   {"millrace completion zsh > ~/.zfunc/_millrace",
                    "in a directory that zsh's fpath names"},
                   {"millrace completion fish > ~/.config/fish/completions/millrace.fish",
                    "for every fish from now on"}},
      .first_words = {"bash", "zsh", "fish"},
      .run = RunCompletion,
  };
}

Command ManCommand() {
  return {
      .name = "man",
      .arguments = "",
      .summary = "print the page of the manual",
      .description = "In roff, for man(1).",
      .flags = {},
      .examples = {{"millrace man | man -l -", "read it"},
                   {"millrace man > /usr/local/share/man/man1/millrace.1", "install it"}},
      .least_words = 0,
      .most_words = 0,
      .run = RunMan,
  };
}

Command HelpCommand() {
  return {
      .name = "help",
      .arguments = "[COMMAND]",
      .summary = "say what a command does, as --help behind it does",
      .description = "Without a command, what a log is and which commands there are.",
      .flags = {},
      .examples = {{"millrace help cursor move", "as `millrace cursor move --help`"}},
      .first_words = {"append", "backup", "bench", "cat", "completion", "cursor", "dump", "man",
                      "salvage", "stat", "tail", "trim", "truncate", "verify"},
      .least_words = 0,
      .most_words = 2,
      .run = RunHelp,
  };
}

}  // namespace millrace
