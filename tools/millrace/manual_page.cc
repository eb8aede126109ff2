#include "tools/millrace/manual_page.h"

#include <string_view>

#include "absl/strings/str_format.h"
#include "millrace/version.h"
#include "tools/millrace/help_text.h"

namespace millrace {
namespace {

// `text` so that roff shows it as it stands: no request at the start of a line, dashes that can be
// copied, quotes that are none of roff's.
std::string Escaped(std::string_view text) {
  std::string escaped;
  if (text.starts_with('.') || text.starts_with('\'')) escaped += "\\&";
  for (const char c : text) {
    switch (c) {
      case '\\':
        escaped += "\\e";
        break;
      case '-':
        escaped += "\\-";
        break;
      case '\'':
        escaped += "\\(aq";
        break;
      case '`':
        escaped += "\\(ga";
        break;
      case '^':
        escaped += "\\(ha";
        break;
      case '~':
        escaped += "\\(ti";
        break;
      case '"':
        escaped += "\\(dq";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

void AppendTagged(std::string* page, std::string_view tag, std::string_view text) {
  absl::StrAppendFormat(page, ".TP\n.B %s\n%s\n", Escaped(tag), Escaped(text));
}

void AppendExample(std::string* page, const Example& example) {
  absl::StrAppendFormat(page, ".PP\n%s:\n.PP\n.in +4n\n.nf\n%s\n.fi\n.in\n",
                        Escaped(example.meaning), Escaped(example.line));
}

void AppendCommand(std::string* page, const Command& command) {
  absl::StrAppendFormat(page, ".SS millrace %s%s %s\n", Escaped(command.name),
                        command.flags.empty() ? "" : " [FLAGS]", Escaped(command.arguments));
  std::string summary(command.summary);
  summary[0] = static_cast<char>(summary[0] - 'a' + 'A');
  absl::StrAppendFormat(page, "%s.\n", Escaped(summary));
  for (const std::string_view paragraph : Paragraphs(command.description)) {
    absl::StrAppendFormat(page, ".PP\n%s\n", Escaped(paragraph));
  }
  for (const Flag& flag : command.flags) AppendTagged(page, flag.Usage(), FlagHelp(flag));
  if (!command.json.empty()) *page += ".PP\nKeys of the objects that \\-\\-json prints:\n";
  for (const JsonKey& key : command.json) AppendTagged(page, key.name, key.meaning);
  for (const Example& example : command.examples) AppendExample(page, example);
}

}  // namespace

std::string ManualPage(const std::vector<Command>& commands) {
  std::string page =
      absl::StrFormat(".TH MILLRACE 1 \"\" \"Millrace %s\" \"User Commands\"\n", Escaped(kVersion));
  absl::StrAppendFormat(&page, ".SH NAME\nmillrace \\- %s\n", Escaped(kTitle));
  page += ".SH SYNOPSIS\n.B millrace\n.I COMMAND\n.RI [ FLAGS ]\n.I DIR\n.SH DESCRIPTION\n";
  for (const std::string_view paragraph : kIntroduction) {
    absl::StrAppendFormat(&page, "%s\n.PP\n", Escaped(paragraph));
  }
  page += "To begin with:\n";
  for (const Example& step : kFirstSteps) AppendExample(&page, step);
  page += ".SH COMMANDS\n";
  for (const Command& command : commands) AppendCommand(&page, command);
  page += ".SH EXIT STATUS\n";
  for (const ExitMeaning& exit : kExitMeanings) {
    AppendTagged(&page, absl::StrFormat("%d", static_cast<int>(exit.code)), exit.meaning);
  }
  return page;
}

}  // namespace millrace
