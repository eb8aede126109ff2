// Shows what happens to a log on standard error.
//
// Usage: event_adapters DIRECTORY
//
// stderr_listener.h, absl_log_listener.h and spdlog_listener.h are to be copied.

#include <cstdio>
#include <memory>

#include "examples/stderr_listener.h"
#include "millrace/log.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: event_adapters DIRECTORY\n");
    return 1;
  }
  millrace::Options options;
  options.event_listener = std::make_shared<StderrListener>();
  // Small ones, so that some are full soon.
  options.segment_bytes = options.initial_segment_bytes = 8192;

  auto log = millrace::Log::Open(argv[1], options);
  if (!log.ok()) {
    std::fprintf(stderr, "%s\n", log.status().ToString().c_str());
    return 1;
  }
  for (int i = 0; i < 100; ++i) {
    if (auto number = (*log)->Append(
            "it happened, and this is what it was about: one hundred times of it fill a segment");
        !number.ok()) {
      std::fprintf(stderr, "%s\n", number.status().ToString().c_str());
      return 1;
    }
  }
  const absl::Status closed = (*log)->Close();
  return closed.ok() ? 0 : 1;
}
