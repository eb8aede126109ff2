// Does to a log what the input says, operation by operation, and the same to a model of it: appends
// of every kind, cursors, trims, truncations, crashes, failing calls, reopenings. They must agree.
//
// The input makes every choice; the timing of the log's threads is their own, so that a rare
// difference may take several tries to be seen again.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>

#include "tests/log_model_content.h"
#include "tests/log_model_fault.h"
#include "tests/log_model_run.h"

namespace millrace {
namespace {

// An input that makes more would take too long for a fuzzer.
constexpr uint64_t kMostOperations = 2000;

void RunOperations(std::span<const uint8_t> bytes) {
  ModelFault none;
  ModelRun run(ModelChoices(bytes), &none);
  const std::optional<std::string> difference = run.Run(kMostOperations);
  if (!difference.has_value()) return;
  std::fprintf(stderr, "%s\n", difference->c_str());
  std::abort();
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::RunOperations(std::span(data, size));
  return 0;
}
