#ifndef MILLRACE_EXAMPLES_SPDLOG_LISTENER_H_
#define MILLRACE_EXAMPLES_SPDLOG_LISTENER_H_

#include "millrace/event_listener.h"
#include "spdlog/spdlog.h"

// Hands the events of a log to spdlog.
//
//   options.event_listener = std::make_shared<SpdlogListener>();
class SpdlogListener : public millrace::EventListener {
 public:
  void OnEvent(const millrace::Event& e) override {
    spdlog::log(Level(e.severity), "{}: {}: {}", e.log, e.name, e.text);
  }

 private:
  static spdlog::level::level_enum Level(millrace::EventSeverity severity) {
    if (severity == millrace::EventSeverity::kInfo) return spdlog::level::info;
    if (severity == millrace::EventSeverity::kWarning) return spdlog::level::warn;
    return spdlog::level::err;
  }
};

#endif  // MILLRACE_EXAMPLES_SPDLOG_LISTENER_H_
