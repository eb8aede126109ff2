#ifndef MILLRACE_TESTS_LOOKALIKE_SPDLOG_SPDLOG_H_
#define MILLRACE_TESTS_LOOKALIKE_SPDLOG_SPDLOG_H_

#include <string>
#include <string_view>
#include <vector>

// As much of spdlog as examples/spdlog_listener.h uses, with the same signatures. Keeps what it
// is given.
namespace spdlog {

namespace level {
enum level_enum : int { trace, debug, info, warn, err, critical, off };
}  // namespace level

struct Line {
  level::level_enum level;
  std::string text;
};
inline std::vector<Line> lines;

template <typename... Arguments>
void log(level::level_enum level, std::string_view format, Arguments&&... arguments) {
  std::string text;
  const auto add = [&text, &format](std::string_view argument) {
    const size_t at = format.find("{}");
    text.append(format.substr(0, at)).append(argument);
    format.remove_prefix(at + 2);
  };
  (add(arguments), ...);
  lines.push_back({level, text.append(format)});
}

}  // namespace spdlog

#endif  // MILLRACE_TESTS_LOOKALIKE_SPDLOG_SPDLOG_H_
