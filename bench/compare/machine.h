#ifndef MILLRACE_BENCH_COMPARE_MACHINE_H_
#define MILLRACE_BENCH_COMPARE_MACHINE_H_

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace millrace {

// What the figures were measured on: processor, memory, kernel, file system of `directory`, load
// before, date, and a warning where durable figures would say nothing.
nlohmann::ordered_json MachineJson(const std::string& directory);

// Whether `directory` is in memory, where nothing is durable.
bool IsInMemory(const std::string& directory);

// Makes a new directory in `base`, or if that is empty in $TMPDIR or /tmp. Its name begins with
// `prefix`.
absl::StatusOr<std::string> MakeScratchDirectory(std::string base, const std::string& prefix);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_MACHINE_H_
