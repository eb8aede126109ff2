#ifndef MILLRACE_BENCH_COMPARE_CHILD_PROGRAM_H_
#define MILLRACE_BENCH_COMPARE_CHILD_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/compare/histogram.h"
#include "bench/compare/probe.h"
#include "nlohmann/json.hpp"

namespace millrace {

// Runs a program, `words` being its path and arguments, and returns the JSON that it wrote to its
// standard output. Errors: Unavailable (it cannot be run); Aborted (it failed or wrote
// something else).
absl::StatusOr<nlohmann::json> RunForJson(const std::vector<std::string>& words);

// The work of go-diskqueue's Put, or of its reading. Unimplemented without its program.
struct DiskqueueWork {
  enum class Kind : uint8_t { kPut, kRead } kind = Kind::kPut;
  int producers = 1;
  size_t record_bytes = 128;
  int sync_every = 1;    // 0: no sync
  uint64_t records = 0;  // of kRead
};
absl::StatusOr<LoadResult> RunDiskqueue(const Bench& bench, const DiskqueueWork& work,
                                        const std::string& directory);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_CHILD_PROGRAM_H_
