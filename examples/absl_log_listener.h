#ifndef MILLRACE_EXAMPLES_ABSL_LOG_LISTENER_H_
#define MILLRACE_EXAMPLES_ABSL_LOG_LISTENER_H_

#include "absl/base/log_severity.h"
#include "absl/log/log.h"
#include "millrace/event_listener.h"

// Hands the events of a log to Abseil's, of LTS 20230125 or later.
//
//   options.event_listener = std::make_shared<AbslLogListener>();
class AbslLogListener : public millrace::EventListener {
 public:
  void OnEvent(const millrace::Event& e) override {
    LOG(LEVEL(Severity(e.severity))) << e.log << ": " << e.name << ": " << e.text;
  }

 private:
  static absl::LogSeverity Severity(millrace::EventSeverity severity) {
    if (severity == millrace::EventSeverity::kInfo) return absl::LogSeverity::kInfo;
    if (severity == millrace::EventSeverity::kWarning) return absl::LogSeverity::kWarning;
    return absl::LogSeverity::kError;
  }
};

#endif  // MILLRACE_EXAMPLES_ABSL_LOG_LISTENER_H_
