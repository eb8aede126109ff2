#ifndef MILLRACE_TOOLS_MILLRACE_PROGRESS_H_
#define MILLRACE_TOOLS_MILLRACE_PROGRESS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace millrace {

// "reading  42%  1.2 GiB of 2.9 GiB  310.5 MiB/s  5.6 s left", rewritten in place on the terminal
// that standard error is; nothing where it is none. Wiped out by the destructor.
class Progress {
 public:
  enum class Mode : uint8_t { kQuiet, kIfTerminal };
  // `total_bytes` 0: unknown; only `what` is shown.
  Progress(Mode mode, std::string_view what, uint64_t total_bytes);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  // At most ten times a second.
  void Show(uint64_t done_bytes);

 private:
  std::string Line(uint64_t done_bytes, absl::Time now) const;

  const bool shown_;
  const std::string what_;
  const uint64_t total_bytes_;
  const absl::Time start_;
  absl::Time shown_at_ = absl::InfinitePast();
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_PROGRESS_H_
