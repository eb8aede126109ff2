#ifndef MILLRACE_EXAMPLES_STDERR_LISTENER_H_
#define MILLRACE_EXAMPLES_STDERR_LISTENER_H_

#include <cstdio>
#include <string>

#include "millrace/event_listener.h"

// Writes the events of a log to standard error, one line each.
//
//   options.event_listener = std::make_shared<StderrListener>();
class StderrListener : public millrace::EventListener {
 public:
  void OnEvent(const millrace::Event& e) override {
    // One string and one call, so that lines of several logs do not mix.
    std::string line(millrace::EventSeverityName(e.severity));
    line.append(" ").append(e.log).append(": ").append(e.name).append(": ").append(e.text);
    std::fputs(line.append("\n").c_str(), stderr);
  }
};

#endif  // MILLRACE_EXAMPLES_STDERR_LISTENER_H_
