#ifndef MILLRACE_TOOLS_MILLRACE_MENTION_RECOVERY_H_
#define MILLRACE_TOOLS_MILLRACE_MENTION_RECOVERY_H_

#include <string_view>

#include "millrace/recovery_report.h"

namespace millrace {

// Says on standard error what opening a log had to decide, if anything.
void MentionRecovery(std::string_view command, const RecoveryReport& report);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_MENTION_RECOVERY_H_
