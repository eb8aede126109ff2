#include "tools/millrace/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tools/millrace/human.h"
#include "tools/millrace/terminal.h"

namespace millrace {

Progress::Progress(Mode mode, std::string_view what, uint64_t total_bytes)
    : shown_(mode == Mode::kIfTerminal && IsTerminal(STDERR_FILENO)),
      what_(what),
      total_bytes_(total_bytes),
      start_(absl::Now()) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void Progress::Show(uint64_t done_bytes) {
  if (!shown_) return;
  const absl::Time now = absl::Now();
  if (now - shown_at_ < absl::Milliseconds(100)) return;
  shown_at_ = now;
  std::fprintf(stderr, "\r%s\033[K", Line(std::min(done_bytes, total_bytes_), now).c_str());
}

std::string Progress::Line(uint64_t done_bytes, absl::Time now) const {
  const auto done = static_cast<double>(done_bytes);
  const auto total = static_cast<double>(total_bytes_);
  if (total_bytes_ == 0) return what_;
  std::string line = absl::StrFormat("%s %3.0f%%  %s of %s", what_, 100 * done / total,
                                     HumanBytes(done), HumanBytes(total));
  const double seconds = absl::ToDoubleSeconds(now - start_);
  if (done > 0 && seconds >= 0.1) {
    const double rate = done / seconds;
    absl::StrAppendFormat(&line, "  %s/s  %s left", HumanBytes(rate),
                          HumanDuration(absl::Seconds((total - done) / rate)));
  }
  return line;
}

}  // namespace millrace
