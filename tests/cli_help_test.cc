// Goal: help, completion and manual say of every command what it takes, all the same, and wrong
// usage is told apart. Method: goes through the table of commands; runs the program that is
// delivered, and the shell and the formatter that read what it prints, where they are installed.

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/version.h"
#include "tests/cli_fixture.h"
#include "tests/program.h"
#include "tools/millrace/command.h"

namespace millrace {
namespace {

class CliHelpTest : public CliTest {
 protected:
  static std::vector<std::string> Words(const Command& command) {
    const std::string name(command.name);
    const size_t space = name.find(' ');
    if (space == std::string::npos) return {name};
    return {name.substr(0, space), name.substr(space + 1)};
  }

  ProgramResult Help(const Command& command) {
    std::vector<std::string> arguments = Words(command);
    arguments.push_back("--help");
    return Millrace(arguments);
  }

  // What bash offers behind `words`, of which the last is being typed.
  std::vector<std::string> Completed(const std::vector<std::string>& words) {
    std::string line = "COMP_WORDS=(";
    for (const std::string& word : words) line += "'" + word + "' ";
    line += "); COMP_CWORD=" + std::to_string(words.size() - 1);
    const std::string script = std::string("source <(") + kMillrace + " completion bash) && " +
                               line + " && _millrace && printf '%s\\n' \"${COMPREPLY[@]}\"";
    const ProgramResult result = RunProgram("/bin/bash", {"-c", script}, temp_.path());
    EXPECT_EQ(0, result.exit_code) << result.errors;
    EXPECT_EQ("", result.errors);
    return Lines(result.output);
  }
};

TEST_F(CliHelpTest, ProgramHelpListsEveryCommandWithinEightyColumns) {
  const ProgramResult help = Millrace({"--help"});
  EXPECT_EQ(kFine, help.exit_code);
  for (const Command& command : AllCommands()) {
    ExpectContains(help.output, "\n  " + std::string(command.name) + " ");
    ExpectContains(help.output, std::string(command.summary.substr(0, 20)));
  }
  for (const std::string& line : Lines(help.output)) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_EQ(help.output, Millrace({"help"}).output);
  EXPECT_EQ(help.output, Millrace({"-h"}).output);
  EXPECT_EQ("millrace " + std::string(kVersion) + "\n", Millrace({"--version"}).output);
}

TEST_F(CliHelpTest, HelpOfEachCommandNamesItsFlagsKeysAndExamples) {
  for (const Command& command : AllCommands()) {
    const ProgramResult help = Help(command);
    EXPECT_EQ(kFine, help.exit_code);
    EXPECT_EQ(0u, help.output.find("Usage: millrace " + std::string(command.name)));
    for (const Flag& flag : command.flags) ExpectContains(help.output, "\n  " + flag.Usage());
    for (const JsonKey& key : command.json) {
      ExpectContains(help.output, "\n  " + std::string(key.name) + " ");
    }
    EXPECT_FALSE(command.examples.empty()) << command.name;
    for (const Example& example : command.examples) {
      ExpectContains(help.output, "\n  " + std::string(example.line) + "\n");
    }
    for (const std::string& line : Lines(help.output)) {
      EXPECT_LE(line.size(), 80u) << line;
    }
    std::vector<std::string> words = Words(command);
    words.insert(words.begin(), "help");
    EXPECT_EQ(help.output, Millrace(words).output);
  }
}

TEST_F(CliHelpTest, TableOfCommandsIsSound) {
  std::set<std::string_view> names;
  std::set<std::string> first_words;
  for (const Command& command : AllCommands()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name;
    first_words.insert(Words(command)[0]);
    EXPECT_LE(command.summary.size(), 66u) << command.name;
    std::set<std::string_view> flags;
    for (const Flag& flag : command.flags) {
      EXPECT_TRUE(flags.insert(flag.name).second) << command.name << " " << flag.name;
      EXPECT_NE("", flag.help) << flag.name;
      EXPECT_EQ(flag.kind == Flag::Kind::kSwitch, flag.argument.empty()) << flag.name;
      EXPECT_EQ(flag.kind == Flag::Kind::kChoice, !flag.choices.empty()) << flag.name;
      for (const std::string_view value : {flag.standard, flag.implied}) {
        EXPECT_TRUE(value.empty() || flag.Check(std::string(value)).ok()) << flag.name;
      }
    }
    EXPECT_EQ(flags.contains("json"), !command.json.empty()) << command.name;
  }
  for (const Command& command : AllCommands()) {
    if (command.name != "help") continue;
    first_words.erase("help");
    EXPECT_EQ(std::set<std::string>(command.first_words.begin(), command.first_words.end()),
              first_words);
  }
}

TEST_F(CliHelpTest, KeysThatAreDocumentedAreThoseThatArePrinted) {
  Append("k=1\nplain\n", {"--key-separator=="});
  MakeCursor("billing", 1);
  const std::string at = log();
  const std::vector<std::vector<std::string>> calls = {{"cat", "--json", at},
                                                       {"tail", "--json", at},
                                                       {"stat", "--json", at},
                                                       {"verify", "--json", at},
                                                       {"dump", "--json", "--hex", at},
                                                       {"cursor", "list", "--json", at},
                                                       {"trim", "--before=1", "--json", at}};
  for (const std::vector<std::string>& call : calls) {
    for (const Command& command : AllCommands()) {
      const std::vector<std::string> words = Words(command);
      if (!std::equal(words.begin(), words.end(), call.begin())) continue;
      std::set<std::string> documented;
      for (const JsonKey& key : command.json) documented.emplace(key.name);
      for (const Json& object : JsonLines(call)) {
        for (const auto& item : object.items()) {
          EXPECT_TRUE(documented.contains(item.key())) << command.name << ": " << item.key();
        }
      }
    }
  }
}

TEST_F(CliHelpTest, BashCompletesCommandsFlagsAndValues) {
  const std::vector<std::string> commands = Completed({"millrace", ""});
  const auto offers = [](const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  for (const Command& command : AllCommands()) {
    EXPECT_TRUE(offers(commands, Words(command)[0])) << command.name;
    std::vector<std::string> typed = Words(command);
    typed.insert(typed.begin(), "millrace");
    typed.push_back("-");
    const std::vector<std::string> flags = Completed(typed);
    for (const Flag& flag : command.flags) {
      const bool found = offers(flags, flag.Dashed()) || offers(flags, flag.Dashed() + "=");
      EXPECT_TRUE(found) << command.name << " " << flag.Dashed();
    }
  }
  EXPECT_EQ(std::vector<std::string>({"durable"}),
            Completed({"millrace", "append", "--durability", "=", "d"}));
  EXPECT_TRUE(offers(Completed({"millrace", "cursor", ""}), "list"));
  EXPECT_EQ(std::vector<std::string>({"zsh"}), Completed({"millrace", "completion", "z"}));
}

TEST_F(CliHelpTest, ScriptsForOtherShellsNameEveryFlag) {
  const std::string zsh = Millrace({"completion", "zsh"}).output;
  const std::string fish = Millrace({"completion", "fish"}).output;
  EXPECT_EQ(0u, zsh.find("#compdef millrace\n"));
  for (const Command& command : AllCommands()) {
    ExpectContains(zsh, "    '" + std::string(command.name) + "')\n");
    for (const Flag& flag : command.flags) {
      ExpectContains(zsh, "'" + flag.Dashed());
      ExpectContains(fish, (flag.name.size() == 1 ? " -s " : " -l ") + std::string(flag.name));
    }
  }
  // Quotes come in pairs in every line, or the shells would read on behind it. One inside quotes
  // stands as '\'', which is three.
  for (const std::string& line : Lines(zsh + fish)) {
    size_t inside = 0;
    for (size_t at = 0; (at = line.find("'\\''", at)) != std::string::npos; at += 4) ++inside;
    const auto quotes = static_cast<size_t>(std::count(line.begin(), line.end(), '\''));
    EXPECT_EQ(0u, (quotes - 3 * inside) % 2) << line;
  }
  EXPECT_EQ(kUsage, Millrace({"completion", "tcsh"}).exit_code);
}

TEST_F(CliHelpTest, ManualPageIsFormattedWithoutWarnings) {
  const std::string page = Millrace({"man"}).output;
  EXPECT_EQ(0u, page.find(".TH MILLRACE 1 "));
  for (const char* section : {"NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS"}) {
    ExpectContains(page, std::string("\n.SH ") + section + "\n");
  }
  for (const Command& command : AllCommands()) {
    ExpectContains(page, "\n.SS millrace " + std::string(command.name));
  }
  if (!std::filesystem::exists("/usr/bin/groff")) GTEST_SKIP() << "groff is not installed";
  const ProgramResult formatted = RunProgram(
      "/usr/bin/groff", {"-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-u"}, temp_.path(), page);
  EXPECT_EQ(0, formatted.exit_code);
  EXPECT_EQ("", formatted.errors);
  ExpectContains(formatted.output, "--with-sequence");
  ExpectContains(formatted.output, "EXIT STATUS");
}

TEST_F(CliHelpTest, WrongUsageIsToldApart) {
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"frobnicate"},
                                                       {"cursor"},
                                                       {"cursor", "frobnicate"},
                                                       {"help", "frobnicate"},
                                                       {"cat"},
                                                       {"cat", log(), "more"},
                                                       {"cat", "--producers=3", log()},
                                                       {"cat", "--json=yes", log()},
                                                       {"cat", "--from=x", log()},
                                                       {"cat", "--from=-1", log()},
                                                       {"cat", log(), "--from"},
                                                       {"cat", "--framing=length", "--json", log()},
                                                       {"append", "--framing=csv", log()},
                                                       {"append", "--durability=very", log()},
                                                       {"append", "--producers=0", log()},
                                                       {"append", "--segment-bytes=1k", log()},
                                                       {"append", "--segment-bytes=1KiB", log()},
                                                       {"bench", "--rounds=0"},
                                                       {"bench", "--seconds=99"}};
  for (const std::vector<std::string>& arguments : wrong) {
    const ProgramResult result = Millrace(arguments);
    EXPECT_EQ(kUsage, result.exit_code) << testing::PrintToString(arguments);
    EXPECT_NE("", result.errors) << testing::PrintToString(arguments);
    EXPECT_EQ("", result.output) << testing::PrintToString(arguments);
  }
  EXPECT_FALSE(std::filesystem::exists(log()));
  const std::string errors = Millrace({"cat", "--from=x", log()}).errors;
  ExpectContains(errors, "--from is \"x\"; it takes a number\nTry: millrace cat --help");
}

TEST_F(CliHelpTest, MissingLogIsAnIoErrorForAllButAppend) {
  const std::vector<std::vector<std::string>> calls = {{"cat"},
                                                       {"tail"},
                                                       {"stat"},
                                                       {"stat", "--watch"},
                                                       {"verify"},
                                                       {"dump"},
                                                       {"cursor", "list"},
                                                       {"trim", "--before=1"},
                                                       {"trim", "--before=1", "--apply"}};
  for (std::vector<std::string> call : calls) {
    call.push_back(log());
    const ProgramResult result = Millrace(call);
    EXPECT_EQ(kIoError, result.exit_code) << testing::PrintToString(call);
    ExpectContains(result.errors, log());
    EXPECT_EQ("", result.output);
  }
  EXPECT_FALSE(std::filesystem::exists(log()));
}

}  // namespace
}  // namespace millrace
