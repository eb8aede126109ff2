#include "tools/millrace/completion.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_format.h"

namespace millrace {
namespace {

std::string FirstWord(std::string_view name) { return std::string(name.substr(0, name.find(' '))); }

// What may stand behind `millrace`, and behind `millrace cursor`.
std::vector<std::string> FirstWords(const std::vector<Command>& commands) {
  std::vector<std::string> words;
  for (const Command& command : commands) {
    const std::string word = FirstWord(command.name);
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return words;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string SecondWords(const std::vector<Command>& commands, const std::string& first) {
  std::vector<std::string> words;
  for (const Command& command : commands) {
    if (command.name.starts_with(first + " ")) {
      words.emplace_back(command.name.substr(first.size() + 1));
    }
  }
  return Joined(words);
}

std::string Choices(const Flag& flag) {
  return Joined(std::vector<std::string>(flag.choices.begin(), flag.choices.end()));
}

std::string FlagWords(const Command& command) {
  std::vector<std::string> words = {"--help"};
  for (const Flag& flag : command.flags) {
    const bool has_value = flag.kind != Flag::Kind::kSwitch && flag.name.size() > 1;
    words.push_back(flag.Dashed() + (has_value && flag.implied.empty() ? "=" : ""));
  }
  return Joined(words);
}

// In single quotes for a shell.
std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

// Brackets and colons mean something to _arguments.
std::string ZshText(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string ZshFlag(const Flag& flag) {
  std::string spec = flag.Dashed();
  if (flag.kind != Flag::Kind::kSwitch) {
    spec += flag.name.size() > 1 ? (flag.implied.empty() ? "=" : "=-") : "";
  }
  absl::StrAppendFormat(&spec, "[%s]", ZshText(flag.help));
  if (flag.kind == Flag::Kind::kSwitch) return Quoted(spec);
  absl::StrAppendFormat(&spec, "%s%s:", flag.implied.empty() ? ":" : "::", ZshText(flag.argument));
  if (flag.kind == Flag::Kind::kChoice) absl::StrAppendFormat(&spec, "(%s)", Choices(flag));
  return Quoted(spec);
}

}  // namespace

std::string BashCompletion(const std::vector<Command>& commands) {
  std::string text =
      "# Completion of millrace for bash: source <(millrace completion bash)\n"
      "_millrace() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} flag=\"\" flags=\"\" words=\"\" choices=\"\"\n"
      "  local command=${COMP_WORDS[1]:-}\n"
      "  # Bash makes a word of its own of the = in --flag=value.\n"
      "  if [[ $word == \"=\" ]]; then\n"
      "    word=\"\" flag=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  elif [[ ${COMP_WORDS[COMP_CWORD-1]} == \"=\" ]]; then\n"
      "    flag=${COMP_WORDS[COMP_CWORD-2]}\n"
      "  fi\n";
  absl::StrAppendFormat(&text,
                        "  if ((COMP_CWORD == 1)); then\n"
                        "    COMPREPLY=($(compgen -W \"%s --help --version\" -- \"$word\"))\n"
                        "    return\n"
                        "  fi\n",
                        Joined(FirstWords(commands)));
  for (const std::string& first : FirstWords(commands)) {
    const std::string second = SecondWords(commands, first);
    if (second.empty()) continue;
    absl::StrAppendFormat(&text,
                          "  if [[ $command == %s ]]; then\n"
                          "    if ((COMP_CWORD == 2)); then\n"
                          "      COMPREPLY=($(compgen -W \"%s\" -- \"$word\"))\n"
                          "      return\n"
                          "    fi\n"
                          "    command+=\" ${COMP_WORDS[2]}\"\n"
                          "  fi\n",
                          first, second);
  }
  text += "  case \"$command\" in\n";
  for (const Command& command : commands) {
    absl::StrAppendFormat(
        &text, "    \"%s\")\n      flags=\"%s\" words=\"%s\"\n", command.name, FlagWords(command),
        Joined(std::vector<std::string>(command.first_words.begin(), command.first_words.end())));
    for (const Flag& flag : command.flags) {
      if (flag.kind != Flag::Kind::kChoice) continue;
      absl::StrAppendFormat(&text, "      [[ $flag == %s ]] && choices=\"%s\"\n", flag.Dashed(),
                            Choices(flag));
    }
    text += "      ;;\n";
  }
  text +=
      "  esac\n"
      "  if [[ -n $flag ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$choices\" -- \"$word\"))\n"
      "  elif [[ $word == -* ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
      "    if [[ ${COMPREPLY[0]:-} == *= ]]; then compopt -o nospace 2>/dev/null; fi\n"
      "  elif [[ -n $words ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
      "  else\n"
      "    COMPREPLY=($(compgen -d -- \"$word\"))\n"
      "  fi\n"
      "  return 0\n"
      "}\n"
      "complete -o filenames -F _millrace millrace\n";
  return text;
}

std::string ZshCompletion(const std::vector<Command>& commands) {
  std::string text =
      "#compdef millrace\n"
      "# Completion of millrace for zsh: millrace completion zsh > DIR_OF_FPATH/_millrace\n"
      "_millrace() {\n"
      "  local command=${words[2]}\n";
  absl::StrAppendFormat(&text, "  if ((CURRENT == 2)); then\n    compadd %s\n    return\n  fi\n",
                        Joined(FirstWords(commands)));
  for (const std::string& first : FirstWords(commands)) {
    const std::string second = SecondWords(commands, first);
    if (second.empty()) continue;
    absl::StrAppendFormat(&text,
                          "  if [[ $command == %s ]]; then\n"
                          "    if ((CURRENT == 3)); then\n      compadd %s\n      return\n    fi\n"
                          "    command+=\" ${words[3]}\"\n    shift words\n    ((CURRENT--))\n"
                          "  fi\n",
                          first, second);
  }
  text += "  shift words\n  ((CURRENT--))\n  case \"$command\" in\n";
  for (const Command& command : commands) {
    absl::StrAppendFormat(&text, "    %s)\n      _arguments", Quoted(command.name));
    for (const Flag& flag : command.flags) text += " \\\n        " + ZshFlag(flag);
    const std::string words =
        Joined(std::vector<std::string>(command.first_words.begin(), command.first_words.end()));
    text += " \\\n        '--help[say what it does]'";
    if (command.most_words > 0) {
      absl::StrAppendFormat(
          &text, " \\\n        %s",
          words.empty() ? "'1:log:_files -/'" : Quoted("1::word:(" + words + ")"));
    }
    text += "\n      ;;\n";
  }
  return text + "  esac\n}\n_millrace \"$@\"\n";
}

std::string FishCompletion(const std::vector<Command>& commands) {
  std::string text =
      "# Completion of millrace for fish: millrace completion fish | source\n"
      "complete -c millrace -f\n";
  const std::string firsts = Joined(FirstWords(commands));
  for (const std::string& first : FirstWords(commands)) {
    const std::string second = SecondWords(commands, first);
    std::string_view summary;
    for (const Command& command : commands) {
      if (command.name == first) summary = command.summary;
    }
    absl::StrAppendFormat(
        &text, "complete -c millrace -n 'not __fish_seen_subcommand_from %s' -a %s -d %s\n", firsts,
        first, Quoted(summary.empty() ? second : std::string(summary)));
    if (second.empty()) continue;
    absl::StrAppendFormat(&text,
                          "complete -c millrace -n '__fish_seen_subcommand_from %s; and not "
                          "__fish_seen_subcommand_from %s' -a %s\n",
                          first, second, Quoted(second));
  }
  for (const Command& command : commands) {
    std::string condition;
    std::string_view name = command.name;
    for (size_t begin = 0; begin < name.size();) {
      const size_t end = std::min(name.find(' ', begin), name.size());
      absl::StrAppendFormat(&condition, "%s__fish_seen_subcommand_from %s",
                            condition.empty() ? "" : "; and ", name.substr(begin, end - begin));
      begin = end + 1;
    }
    const std::string start = absl::StrFormat("complete -c millrace -n %s", Quoted(condition));
    for (const Flag& flag : command.flags) {
      absl::StrAppendFormat(&text, "%s -%s %s", start, flag.name.size() == 1 ? "s" : "l",
                            flag.name);
      if (flag.kind == Flag::Kind::kChoice) {
        absl::StrAppendFormat(&text, " -x -a %s", Quoted(Choices(flag)));
      } else if (flag.kind != Flag::Kind::kSwitch && flag.implied.empty()) {
        text += " -x";
      }
      absl::StrAppendFormat(&text, " -d %s\n", Quoted(flag.help));
    }
    for (const std::string_view word : command.first_words) {
      absl::StrAppendFormat(&text, "%s -a %s\n", start, word);
    }
    if (command.first_words.empty() && command.most_words > 0) {
      absl::StrAppendFormat(&text, "%s -a '(__fish_complete_directories)'\n", start);
    }
  }
  return text;
}

}  // namespace millrace
