#ifndef MILLRACE_CUT_WORKLOAD_H_
#define MILLRACE_CUT_WORKLOAD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "millrace/file_system.h"
#include "tests/realfs/cut_oracle.h"
#include "tests/realfs/disk_recording.h"

namespace millrace {

struct CutWorkload {
  std::string directory;  // of the log
  FileSystem* file_system = nullptr;
  const DiskRecording* recording = nullptr;
  CutOracle* oracle = nullptr;
  uint64_t seed = 0;
  uint32_t generation = 1;    // which run on the same log it is
  uint64_t records_each = 0;  // of one producer
};

// Opens the log, or goes on on it, with several producers of every durability, a cursor that
// commits and a thread that trims, and closes it. Notes in the oracle what each was told. Ends
// early when the recording is nearly full.
absl::Status RunCutWorkload(const CutWorkload& workload);

}  // namespace millrace

#endif  // MILLRACE_CUT_WORKLOAD_H_
