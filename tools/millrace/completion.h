#ifndef MILLRACE_TOOLS_MILLRACE_COMPLETION_H_
#define MILLRACE_TOOLS_MILLRACE_COMPLETION_H_

#include <string>
#include <vector>

#include "tools/millrace/command.h"

namespace millrace {

// Scripts that make a shell complete commands, flags and the values of flags.
std::string BashCompletion(const std::vector<Command>& commands);
std::string ZshCompletion(const std::vector<Command>& commands);
std::string FishCompletion(const std::vector<Command>& commands);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_COMPLETION_H_
