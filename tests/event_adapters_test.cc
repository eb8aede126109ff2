// Goal: the adapters that people are told to copy compile, and give each event with its
// severity, log, name and text.
// Method: shows each one an event. spdlog and Abseil's log are no dependencies of Millrace: a
// look-alike of each, with the signatures used, stands in.

#include <string>

#include "absl/base/log_severity.h"
#include "absl/log/log.h"
#include "examples/absl_log_listener.h"
#include "examples/spdlog_listener.h"
#include "examples/stderr_listener.h"
#include "gtest/gtest.h"
#include "spdlog/spdlog.h"

namespace millrace {
namespace {

Event SomeEvent(EventSeverity severity) {
  Event event;
  event.severity = severity;
  event.name = "trimmed";
  event.log = "/the/log";
  event.text = "trimmed 3 segments {}";
  return event;
}

constexpr char kSaid[] = "/the/log: trimmed: trimmed 3 segments {}";

TEST(EventAdaptersTest, StderrGetsALineOfEach) {
  StderrListener listener;
  testing::internal::CaptureStderr();
  listener.OnEvent(SomeEvent(EventSeverity::kInfo));
  listener.OnEvent(SomeEvent(EventSeverity::kWarning));
  listener.OnEvent(SomeEvent(EventSeverity::kError));
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            std::string("info ") + kSaid + "\nwarning " + kSaid + "\nerror " + kSaid + "\n");
}

TEST(EventAdaptersTest, SpdlogGetsEachWithItsLevel) {
  SpdlogListener listener;
  listener.OnEvent(SomeEvent(EventSeverity::kInfo));
  listener.OnEvent(SomeEvent(EventSeverity::kWarning));
  listener.OnEvent(SomeEvent(EventSeverity::kError));
  ASSERT_EQ(spdlog::lines.size(), 3u);
  EXPECT_EQ(spdlog::lines[0].level, spdlog::level::info);
  EXPECT_EQ(spdlog::lines[1].level, spdlog::level::warn);
  EXPECT_EQ(spdlog::lines[2].level, spdlog::level::err);
  EXPECT_EQ(spdlog::lines[0].text, kSaid);
}

TEST(EventAdaptersTest, AbseilGetsEachWithItsSeverity) {
  AbslLogListener listener;
  listener.OnEvent(SomeEvent(EventSeverity::kInfo));
  listener.OnEvent(SomeEvent(EventSeverity::kWarning));
  listener.OnEvent(SomeEvent(EventSeverity::kError));
  const auto& lines = absl_log_lookalike::lines;
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].severity, absl::LogSeverity::kInfo);
  EXPECT_EQ(lines[1].severity, absl::LogSeverity::kWarning);
  EXPECT_EQ(lines[2].severity, absl::LogSeverity::kError);
  EXPECT_EQ(lines[0].text, kSaid);
}

}  // namespace
}  // namespace millrace
