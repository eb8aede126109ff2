#ifndef MILLRACE_TESTS_LOOKALIKE_ABSL_LOG_LOG_H_
#define MILLRACE_TESTS_LOOKALIKE_ABSL_LOG_LOG_H_

#include <sstream>
#include <string>
#include <vector>

#include "absl/base/log_severity.h"

// As much of Abseil's log, which Debian 12's Abseil lacks, as examples/absl_log_listener.h uses.
// Keeps what it is given.
namespace absl_log_lookalike {

struct Line {
  absl::LogSeverity severity;
  std::string text;
};
inline std::vector<Line> lines;

class Message {
 public:
  explicit Message(absl::LogSeverity severity) : severity_(severity) {}
  ~Message() { lines.push_back({severity_, text_.str()}); }

  template <typename T>
  Message& operator<<(const T& value) {
    text_ << value;
    return *this;
  }

 private:
  const absl::LogSeverity severity_;
  std::ostringstream text_;
};

}  // namespace absl_log_lookalike

#define LOG(severity) ABSL_LOG_LOOKALIKE_##severity
#define ABSL_LOG_LOOKALIKE_LEVEL(severity) ::absl_log_lookalike::Message(severity)

#endif  // MILLRACE_TESTS_LOOKALIKE_ABSL_LOG_LOG_H_
