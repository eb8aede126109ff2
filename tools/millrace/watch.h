#ifndef MILLRACE_TOOLS_MILLRACE_WATCH_H_
#define MILLRACE_TOOLS_MILLRACE_WATCH_H_

#include <string_view>

#include "millrace/log_reader.h"
#include "tools/millrace/command.h"

namespace millrace {

// `stat --watch`: looks at the log until a signal comes, and shows what changes. `reader` is not
// owned.
ExitCode Watch(std::string_view command, const Invocation& invocation, LogReader* reader);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_WATCH_H_
