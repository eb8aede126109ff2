#ifndef MILLRACE_TOOLS_MILLRACE_TERMINAL_H_
#define MILLRACE_TOOLS_MILLRACE_TERMINAL_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace {

struct TerminalSize {
  size_t columns = 80;
  size_t rows = 24;
};

// False of a file and of a pipe.
bool IsTerminal(int fd);
// 80 by 24 where the terminal does not say.
TerminalSize SizeOf(int fd);

// The first lines of `text` that fit, each cut to the width, so that it is known how many lines the
// cursor has to go up to write over them. `lines` is set to that.
std::string Fitted(std::string_view text, const TerminalSize& size, size_t* lines);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_TERMINAL_H_
