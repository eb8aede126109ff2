#include "tools/millrace/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace millrace {

bool IsTerminal(int fd) { return isatty(fd) != 0; }

TerminalSize SizeOf(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

std::string Fitted(std::string_view text, const TerminalSize& size, size_t* lines) {
  std::string fitted;
  // The last row is for the terminal's cursor.
  for (*lines = 0; !text.empty() && *lines + 1 < size.rows; ++*lines) {
    const size_t end = std::min(text.find('\n'), text.size());
    fitted += std::string(text.substr(0, std::min(end, size.columns))) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return fitted;
}

}  // namespace millrace
