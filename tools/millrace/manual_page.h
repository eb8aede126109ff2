#ifndef MILLRACE_TOOLS_MILLRACE_MANUAL_PAGE_H_
#define MILLRACE_TOOLS_MILLRACE_MANUAL_PAGE_H_

#include <string>
#include <vector>

#include "tools/millrace/command.h"

namespace millrace {

// millrace(1), in the man macros of roff.
std::string ManualPage(const std::vector<Command>& commands);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_MANUAL_PAGE_H_
