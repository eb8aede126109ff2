#ifndef MILLRACE_TOOLS_QUICKSTART_DEMO_CHECKS_H_
#define MILLRACE_TOOLS_QUICKSTART_DEMO_CHECKS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/quickstart_demo/oracle.h"
#include "tools/quickstart_demo/workload.h"

namespace millrace {

// One promise and whether it was kept.
struct Check {
  enum class Result : uint8_t { kOk, kFailed };
  Result result = Result::kOk;
  std::string promise;
  std::string evidence;  // the numbers behind it
};

// The oracle's counts at the moment when the writer was dead.
struct KillPicture {
  std::vector<uint64_t> issued;        // of each producer
  std::vector<uint64_t> acknowledged;  // of each producer
  uint64_t total_issued() const;
  uint64_t total_acknowledged() const;
};
KillPicture PictureOf(const Workload& workload, const Oracle& oracle);

// True if the kill came while 20 to 80 % were acknowledged and appends were in flight.
bool KilledInTheMiddle(const Workload& workload, const KillPicture& picture);

// `billing_when_killed`: the second consumer's tally after its first sitting.
std::vector<Check> AllChecks(const Workload& workload, const KillPicture& picture,
                             const Tally& billing_when_killed, Oracle* oracle);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_QUICKSTART_DEMO_CHECKS_H_
