#include "tools/millrace/mention_recovery.h"

#include "tools/millrace/command.h"

namespace millrace {

void MentionRecovery(std::string_view command, const RecoveryReport& report) {
  if (report.outcome == RecoveryReport::Outcome::kRecovered || !report.lost.empty()) {
    Complain(command, "the log was not closed in order, or is damaged; recovery found:\n" +
                          report.ToString());
  }
}

}  // namespace millrace
