#include "tools/millrace/help_text.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace millrace {
namespace {

constexpr size_t kWidth = 80;
// Longer flags get a line of their own.
constexpr size_t kMostFlagColumns = 24;

// Two columns, the second one wrapped.
std::string TwoColumns(const std::vector<std::pair<std::string, std::string>>& rows) {
  size_t column = 0;
  for (const auto& [left, right] : rows) {
    if (left.size() <= kMostFlagColumns) column = std::max(column, left.size());
  }
  column += 4;
  std::string text;
  for (const auto& [left, right] : rows) {
    text += "  " + left;
    if (left.size() + 4 > column) {
      text += "\n" + std::string(column, ' ');
    } else {
      text.append(column - 2 - left.size(), ' ');
    }
    text += Wrap(right, column, kWidth, FirstLine::kAsItIs);
  }
  return text;
}

std::string ExamplesText(const Example* begin, const Example* end) {
  std::string text;
  for (const Example* example = begin; example != end; ++example) {
    absl::StrAppendFormat(&text, "  %s\n", example->line);
    text += Wrap(example->meaning, 6, kWidth, FirstLine::kIndented);
  }
  return text;
}

std::string ListOf(const std::vector<Command>& commands, std::string_view group) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Command& command : commands) {
    if (!command.name.starts_with(group)) continue;
    rows.emplace_back(command.name, command.summary);
  }
  return TwoColumns(rows);
}

}  // namespace

std::string Wrap(std::string_view text, size_t indent, size_t width, FirstLine first) {
  std::string wrapped;
  const std::string margin(indent, ' ');
  std::string line = first == FirstLine::kIndented ? margin : "";
  size_t used = indent;
  bool empty = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!empty && used + 1 + word.size() > width) {
      wrapped += line + "\n";
      line = margin;
      used = indent;
      empty = true;
    }
    if (!empty) line += ' ';
    line += word;
    used += word.size() + (empty ? 0 : 1);
    empty = false;
  }
  return wrapped + line + "\n";
}

std::vector<std::string_view> Paragraphs(std::string_view text) {
  std::vector<std::string_view> paragraphs;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) paragraphs.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return paragraphs;
}

std::string FlagHelp(const Flag& flag) {
  std::string text(flag.help);
  if (flag.kind == Flag::Kind::kChoice) text += "; " + flag.Domain();
  const std::string_view standard = flag.standard.empty() ? flag.implied : flag.standard;
  if (!standard.empty()) absl::StrAppendFormat(&text, " (default: %s)", standard);
  return text;
}

std::string ProgramHelp(const std::vector<Command>& commands) {
  std::string text = absl::StrFormat("millrace: %s\n\n", kTitle);
  text += "Usage: millrace COMMAND [FLAGS] DIR\n";
  for (const std::string_view paragraph : kIntroduction) {
    text += "\n" + Wrap(paragraph, 0, kWidth, FirstLine::kIndented);
  }
  std::vector<std::pair<std::string, std::string>> steps;
  text += "\nTo begin with:\n";
  for (const Example& step : kFirstSteps) {
    absl::StrAppendFormat(&text, "  %-44s %s\n", step.line, step.meaning);
  }
  text += "\nCommands:\n" + ListOf(commands, "") + "\n";
  text += Wrap(
      "`millrace COMMAND --help` tells more, with examples. --json makes every command print JSON, "
      "one object on each line. What would change or give up records only says so until it is told "
      "to --apply.",
      0, kWidth, FirstLine::kIndented);
  text += "\nExit codes:\n";
  for (const ExitMeaning& exit : kExitMeanings) {
    absl::StrAppendFormat(&text, "  %d  %s\n", static_cast<int>(exit.code), exit.meaning);
  }
  return text;
}

std::string CommandHelp(const Command& command) {
  std::string text = absl::StrFormat("Usage: millrace %s%s%s%s\n", command.name,
                                     command.flags.empty() ? "" : " [FLAGS]",
                                     command.arguments.empty() ? "" : " ", command.arguments);
  std::string summary(command.summary);
  summary[0] = static_cast<char>(summary[0] - 'a' + 'A');
  text += "\n" + Wrap(summary + ".", 0, kWidth, FirstLine::kIndented);
  for (const std::string_view paragraph : Paragraphs(command.description)) {
    text += "\n" + Wrap(paragraph, 0, kWidth, FirstLine::kIndented);
  }
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Flag& flag : command.flags) rows.emplace_back(flag.Usage(), FlagHelp(flag));
  if (!rows.empty()) text += "\nFlags:\n" + TwoColumns(rows);
  rows.clear();
  for (const JsonKey& key : command.json) rows.emplace_back(key.name, key.meaning);
  if (!rows.empty()) text += "\nKeys of --json:\n" + TwoColumns(rows);
  if (!command.examples.empty()) {
    const Example* begin = command.examples.data();
    text += "\nExamples:\n" + ExamplesText(begin, begin + command.examples.size());
  }
  return text;
}

std::string GroupHelp(std::string_view group, const std::vector<Command>& commands) {
  const std::string prefix = std::string(group) + " ";
  const std::string list = ListOf(commands, prefix);
  if (list.empty()) return "";
  return absl::StrFormat("Usage: millrace %s COMMAND [FLAGS] DIR\n\nCommands:\n%s\n", group, list) +
         Wrap(absl::StrFormat("`millrace %s COMMAND --help` tells more.", group), 0, kWidth,
              FirstLine::kIndented);
}

}  // namespace millrace
