#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/flags.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "stat";

// Whether a program has the log open. Asks without locking: a lock, however short, would be in the
// way of a program that opens the log meanwhile.
bool IsLocked(const std::string& directory) {
  const int fd = open((directory + "/LOCK").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool asked = fcntl(fd, F_OFD_GETLK, &lock) == 0;
  close(fd);
  return asked && lock.l_type != F_UNLCK;
}

struct Picture {
  std::string directory;
  RecoveryReport report;
  bool locked = false;
  SequenceNumber last = kNoSequence;  // that can be read
  std::vector<SegmentInfo> segments;
  std::vector<CursorInfo> cursors;

  uint64_t records() const {
    return last < report.first_retained ? 0 : last - report.first_retained + 1;
  }
  std::string_view state() const {
    if (locked) return "open: a program appends to it";
    return report.outcome == RecoveryReport::Outcome::kClean
               ? "closed in order"
               : "not closed in order: the next open will recover it";
  }
};

absl::StatusOr<Picture> Look(const std::string& directory) {
  Picture picture;
  picture.directory = directory;
  LogReaderOptions options;
  options.limit = LogReaderOptions::Limit::kReadable;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(directory, options);
  if (!reader.ok()) return reader.status();
  picture.report = (*reader)->recovery();
  picture.locked = IsLocked(directory);
  picture.last = (*reader)->limit();
  absl::StatusOr<std::vector<SegmentInfo>> segments = (*reader)->Segments();
  if (!segments.ok()) return segments.status();
  picture.segments = *std::move(segments);
  absl::StatusOr<std::vector<CursorInfo>> cursors = (*reader)->Cursors();
  if (!cursors.ok()) return cursors.status();
  picture.cursors = *std::move(cursors);
  return picture;
}

std::string RecordsOf(const SegmentInfo& segment) {
  if (segment.first > segment.last || segment.last == kNoSequence) return "-";
  return absl::StrFormat("%d..%d", segment.first, segment.last);
}

void AppendTables(const Picture& picture, std::string* text) {
  absl::StrAppendFormat(text, "\n%8s  %-8s  %24s  %14s  %s\n", "segment", "state", "records",
                        "bytes", "file");
  for (const SegmentInfo& segment : picture.segments) {
    absl::StrAppendFormat(text, "%8d  %-8s  %24s  %14d  %s\n", segment.number,
                          SegmentStateName(segment.state), RecordsOf(segment), segment.file_bytes,
                          segment.file_name);
  }
  if (picture.cursors.empty()) return;
  absl::StrAppendFormat(text, "\n%-24s  %-8s  %12s  %12s\n", "cursor", "state", "checkpoint",
                        "behind");
  for (const CursorInfo& cursor : picture.cursors) {
    const uint64_t behind =
        picture.last > cursor.checkpointed ? picture.last - cursor.checkpointed : 0;
    absl::StrAppendFormat(text, "%-24s  %-8s  %12d  %12d\n", cursor.name,
                          CursorFileStateName(cursor.state), cursor.checkpointed, behind);
  }
}

std::string Text(const Picture& picture) {
  const RecoveryReport& report = picture.report;
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    absl::StrAppendFormat(&text, "%-14s  %s\n", name, value);
  };
  line("log", picture.directory);
  line("state", std::string(picture.state()));
  line("records", picture.records() == 0 ? "none"
                                         : absl::StrFormat("%d (%d to %d)", picture.records(),
                                                           report.first_retained, picture.last));
  line("known durable", absl::StrFormat("up to %d", report.mark));
  line("epoch", absl::StrFormat("%d", report.epoch));
  if (report.tail_bytes > 0) {
    line("torn tail", absl::StrFormat("%d bytes in segment %d from byte %d on", report.tail_bytes,
                                      report.tail_segment, report.tail_offset));
  }
  for (const LostRange& lost : report.lost) line("lost", lost.ToString());
  for (const std::string& file : report.ignored_files) line("ignored file", file);
  AppendTables(picture, &text);
  return text;
}

nlohmann::ordered_json Document(const Picture& picture) {
  nlohmann::ordered_json segments = nlohmann::ordered_json::array();
  for (const SegmentInfo& segment : picture.segments) {
    segments.push_back({{"number", segment.number},
                        {"file", segment.file_name},
                        {"state", SegmentStateName(segment.state)},
                        {"first", segment.first},
                        {"last", segment.last},
                        {"frames_end", segment.frames_end},
                        {"bytes", segment.file_bytes}});
  }
  nlohmann::ordered_json cursors = nlohmann::ordered_json::array();
  for (const CursorInfo& cursor : picture.cursors) {
    cursors.push_back({{"name", cursor.name},
                       {"state", CursorFileStateName(cursor.state)},
                       {"checkpointed", cursor.checkpointed},
                       {"epoch", cursor.epoch}});
  }
  return {{"directory", picture.directory},
          {"open", picture.locked},
          {"records", picture.records()},
          {"first", picture.report.first_retained},
          {"last", picture.last},
          {"recovery", ReportJson(picture.report)},
          {"segments", std::move(segments)},
          {"cursors", std::move(cursors)}};
}

ExitCode Run(const std::vector<std::string>& words) {
  const absl::StatusOr<Picture> picture = Look(words[0]);
  if (!picture.ok()) return Fail(kName, picture.status());
  Output output;
  output.Write(absl::GetFlag(FLAGS_json) ? JsonDocument(Document(*picture)) : Text(*picture));
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
      .help =
          R"(Reads only what a crash can have left undecided, so that it is quick; `millrace verify` reads all.
Changes nothing. The exit code is 2 if damage was met.

  --json  one document
)",
      .flags = {"json"},
      .run = Run,
  };
}

}  // namespace millrace
