#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/human.h"
#include "tools/millrace/output.h"
#include "tools/millrace/picture.h"
#include "tools/millrace/watch.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "stat";

// Enough to see how things are going; a log may have thousands.
constexpr size_t kSegmentsShown = 12;

void AppendSegments(const Picture& picture, bool all, std::string* text) {
  std::vector<SegmentInfo> shown = picture.segments;
  *text += "\n";
  if (!all && shown.size() > kSegmentsShown) {
    const size_t hidden = shown.size() - kSegmentsShown;
    shown.erase(shown.begin(), shown.begin() + static_cast<std::ptrdiff_t>(hidden));
    absl::StrAppendFormat(text, "the newest %d of %d segments (--all shows the others):\n",
                          shown.size(), picture.segments.size());
  }
  *text += SegmentTable(shown);
}

std::string Text(const Picture& picture, bool all) {
  const RecoveryReport& report = picture.report;
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    absl::StrAppendFormat(&text, "%-14s %s\n", name, value);
  };
  line("log", picture.directory);
  line("state", std::string(picture.state()));
  line("records", picture.records() == 0 ? "none"
                                         : absl::StrFormat("%d (%d to %d)", picture.records(),
                                                           picture.first, picture.last));
  line("known durable", absl::StrFormat("up to %d", picture.mark));
  line("size", absl::StrFormat("%s in %s", HumanBytes(static_cast<double>(picture.bytes())),
                               Counted(picture.files(), "segment")));
  line("epoch", absl::StrFormat("%d", report.epoch));
  if (report.tail_bytes > 0) line(picture.tail_name(), TailText(report));
  for (const LostRange& lost : report.lost) line("LOST", lost.ToString());
  for (const std::string& file : report.ignored_files) line("ignored file", file);
  AppendSegments(picture, all, &text);
  if (!picture.cursors.empty()) text += "\n" + CursorTable(picture);
  return text;
}

nlohmann::ordered_json Document(const Picture& picture) {
  nlohmann::ordered_json segments = nlohmann::ordered_json::array();
  for (const SegmentInfo& segment : picture.segments) segments.push_back(SegmentJson(segment));
  nlohmann::ordered_json cursors = nlohmann::ordered_json::array();
  for (const CursorInfo& cursor : picture.cursors) cursors.push_back(CursorJson(picture, cursor));
  return {{"directory", picture.directory},
          {"open", picture.locked},
          {"records", picture.records()},
          {"first", picture.first},
          {"last", picture.last},
          {"mark", picture.mark},
          {"bytes", picture.bytes()},
          {"recovery", ReportJson(picture.report)},
          {"segments", std::move(segments)},
          {"cursors", std::move(cursors)}};
}

ExitCode Run(const Invocation& invocation) {
  const std::string& directory = invocation.directory();
  absl::StatusOr<std::unique_ptr<LogReader>> reader = OpenReader(directory);
  if (!reader.ok()) return Fail(kName, reader.status());
  if (invocation.Given("watch")) return Watch(kName, invocation, reader->get());
  const absl::StatusOr<Picture> picture = LookAt(directory, reader->get());
  if (!picture.ok()) return Fail(kName, picture.status());
  Output output;
  output.Write(invocation.On("json") ? JsonLine(Document(*picture))
                                     : Text(*picture, invocation.On("all")));
  output.Flush();
  if (!output.status().ok()) return Fail(kName, output.status());
  return picture->report.lost.empty() ? ExitCode::kFine : ExitCode::kDamage;
}

}  // namespace

Command StatCommand() {
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "show a log's extent, state, files and cursors",
      .description =
          "Reads only what a crash can have left undecided, so that it is quick; `millrace verify` "
          "reads all. Changes nothing, beside a program that appends or not. The exit code is 2 if "
          "damage was met.\n"
          "With --watch it looks again and again, and shows how fast the log grows and how far "
          "each cursor is behind: in place on a terminal, otherwise one line each time. Ends on "
          "SIGINT or SIGTERM.",
      .flags = {{.name = "all", .help = "list every segment, not only the newest"},
                JsonFlag(),
                {.kind = Flag::Kind::kDuration,
                 .name = "watch",
                 .argument = "INTERVAL",
                 .help = "go on looking, this often",
                 .implied = "1s"}},
      .json = {{"directory", "as it was given"},
               {"open", "whether a program has the log open"},
               {"records", "how many there are"},
               {"first", "number of the oldest record kept"},
               {"last", "number of the newest one that can be read"},
               {"mark", "highest number known durable"},
               {"bytes", "of the segment files that hold them"},
               {"recovery", "what opening found: outcome, lost, tail, epoch and more"},
               {"segments", "number, file, state, first, last, frames_end, bytes of each"},
               {"cursors", "name, state, checkpointed, epoch, lag_records of each"},
               {"time",
                "of --watch, which prints this, directory, open, first, last, mark, "
                "records, bytes, segments (how many), cursors, and"},
               {"records_per_second", "since the look before; null the first time"},
               {"bytes_per_second", "the same, in bytes of segments"}},
      .examples = {{"millrace stat /var/tmp/journal", "how it stands"},
                   {"millrace stat --watch=5s /var/tmp/journal", "how it goes"}},
      .run = Run,
  };
}

}  // namespace millrace
