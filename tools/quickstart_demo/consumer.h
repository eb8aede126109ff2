#ifndef MILLRACE_TOOLS_QUICKSTART_DEMO_CONSUMER_H_
#define MILLRACE_TOOLS_QUICKSTART_DEMO_CONSUMER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tools/quickstart_demo/oracle.h"
#include "tools/quickstart_demo/settings.h"
#include "tools/quickstart_demo/workload.h"

namespace millrace {

// Consumer 0 reads in one sitting, consumer 1 in two.
inline constexpr std::string_view kConsumerNames[kConsumers] = {"audit", "billing"};

// Both consumers at once, in threads: the first reads all, the second this share of the log. Then
// ends this process as a crash would, with SIGKILL. Returns only after an error. What they were
// given stands in the oracle.
absl::Status ConsumeAndDie(const std::string& directory, const Workload& workload,
                           double stop_share, Sabotage sabotage, Oracle* oracle);

// The second consumer's second sitting, after a restart.
absl::Status ConsumeRest(const std::string& directory, const Workload& workload, Oracle* oracle);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_QUICKSTART_DEMO_CONSUMER_H_
