#ifndef MILLRACE_TOOLS_QUICKSTART_DEMO_DAMAGE_H_
#define MILLRACE_TOOLS_QUICKSTART_DEMO_DAMAGE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace millrace {

// Changes one bit of the first place in the log's segment files where `record` stands.
//
// Errors: NotFound (nowhere).
absl::Status DamageRecord(const std::string& directory, std::string_view record);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_QUICKSTART_DEMO_DAMAGE_H_
