#ifndef MILLRACE_TOOLS_QUICKSTART_DEMO_FIGURES_H_
#define MILLRACE_TOOLS_QUICKSTART_DEMO_FIGURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/compare/histogram.h"
#include "tools/quickstart_demo/oracle.h"
#include "tools/quickstart_demo/workload.h"

namespace millrace {

// What one way of writing achieved.
struct Figures {
  std::string name;
  double records_per_second = 0;
  double syncs_per_second = 0;
  double records_per_sync = 0;
  LatencyHistogram latency;
};

// Writes records of `record_bytes` to a new file in `directory` for `seconds`, each with a write
// and an fdatasync of its own: what the device allows without a group.
absl::StatusOr<Figures> MeasureRawLoop(const std::string& directory, uint64_t record_bytes,
                                       double seconds);

// Both sittings of the producers together.
Figures FiguresOf(const Workload& workload, uint64_t acknowledged_before_kill, Oracle* oracle);

std::string TableOf(const std::vector<Figures>& rows);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_QUICKSTART_DEMO_FIGURES_H_
