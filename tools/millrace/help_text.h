#ifndef MILLRACE_TOOLS_MILLRACE_HELP_TEXT_H_
#define MILLRACE_TOOLS_MILLRACE_HELP_TEXT_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tools/millrace/command.h"

namespace millrace {

inline constexpr std::string_view kTitle = "a write-ahead log that many threads append to at once";

// What a log is: a paragraph each.
inline constexpr std::array<std::string_view, 2> kIntroduction = {
    "A log is a directory. It holds records, numbered from 1 in the order in which they were "
    "appended, in segment files that follow one another, and cursors: named places up to which a "
    "reader has consumed the records, each on its own. One program at a time appends; any number "
    "read beside it.",
    "A record that was acknowledged as durable survives a crash. Whatever is lost to damage is "
    "named by its numbers, never passed over."};

// The five things that people do with a log.
inline constexpr std::array kFirstSteps = {
    Example{"seq 5 | millrace append /tmp/numbers", "append: a record for each line"},
    Example{"millrace cat --with-sequence /tmp/numbers", "read"},
    Example{"millrace tail -f /tmp/numbers", "follow"},
    Example{"millrace stat /tmp/numbers", "look: extent, segments, cursors"},
    Example{"millrace verify /tmp/numbers", "check: all bytes, any loss named"},
};

// `text` in lines of at most `width` characters, each indented by `indent`, the first one only if
// it does not follow something on its line.
enum class FirstLine { kIndented, kAsItIs };
std::string Wrap(std::string_view text, size_t indent, size_t width, FirstLine first);

// The paragraphs of a description.
std::vector<std::string_view> Paragraphs(std::string_view text);

// What stands behind a flag: its help and its standard value.
std::string FlagHelp(const Flag& flag);

std::string ProgramHelp(const std::vector<Command>& commands);
std::string CommandHelp(const Command& command);
// Of the commands that begin with the word `group`, as `cursor`.
std::string GroupHelp(std::string_view group, const std::vector<Command>& commands);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_HELP_TEXT_H_
