#ifndef MILLRACE_TOOLS_QUICKSTART_DEMO_WRITER_H_
#define MILLRACE_TOOLS_QUICKSTART_DEMO_WRITER_H_

#include <string>

#include "absl/status/status.h"
#include "tools/quickstart_demo/oracle.h"
#include "tools/quickstart_demo/workload.h"

namespace millrace {

inline constexpr int kBeforeKill = 0;
inline constexpr int kAfterKill = 1;

// Opens the log in `directory` anew and appends the whole workload, each producer in a thread of
// its own that waits for every record to be durable. What was promised stands in `oracle` at all
// times.
absl::Status AppendAll(const std::string& directory, const Workload& workload, Oracle* oracle);

// Opens it after a crash, prints the recovery report, finds in the log how far each producer had
// come, and appends the rest.
absl::Status AppendRest(const std::string& directory, const Workload& workload, Oracle* oracle);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_QUICKSTART_DEMO_WRITER_H_
