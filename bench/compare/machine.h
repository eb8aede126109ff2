#ifndef MILLRACE_BENCH_COMPARE_MACHINE_H_
#define MILLRACE_BENCH_COMPARE_MACHINE_H_

#include <string>

#include "nlohmann/json.hpp"

namespace millrace {

// What the figures were measured on: processor, memory, kernel, file system of `directory`, load
// before, date, and a warning where durable figures would say nothing.
nlohmann::ordered_json MachineJson(const std::string& directory);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_MACHINE_H_
