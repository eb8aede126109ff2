#include "tools/millrace/watch.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/human.h"
#include "tools/millrace/interrupt.h"
#include "tools/millrace/output.h"
#include "tools/millrace/picture.h"
#include "tools/millrace/terminal.h"

namespace millrace {
namespace {

// More often would measure the looking.
constexpr absl::Duration kShortestInterval = absl::Milliseconds(10);

// One look, and what happened since the one before it.
struct Look {
  Picture picture;
  absl::Time time;
  std::optional<double> records_per_second;
  std::optional<double> bytes_per_second;
};

// Bytes of frames by the number of their segment.
std::map<uint64_t, uint64_t> FrameBytes(const Picture& picture) {
  std::map<uint64_t, uint64_t> bytes;
  for (const SegmentInfo& segment : picture.segments) {
    if (HoldsRecords(segment)) bytes[segment.number] = segment.frames_end;
  }
  return bytes;
}

// What was written since `before`; what was trimmed meanwhile does not count against it.
uint64_t BytesAdded(const Picture& before, const Picture& now) {
  const std::map<uint64_t, uint64_t> old = FrameBytes(before);
  uint64_t added = 0;
  for (const auto& [number, bytes] : FrameBytes(now)) {
    const auto found = old.find(number);
    const uint64_t known = found == old.end() ? 0 : found->second;
    added += bytes > known ? bytes - known : 0;
  }
  return added;
}

absl::StatusOr<Look> LookAgain(const std::string& directory, const std::optional<Look>& before,
                               LogReader* reader) {
  if (before.has_value()) {
    if (absl::Status status = reader->Refresh(); !status.ok()) return status;
  }
  absl::StatusOr<Picture> picture = LookAt(directory, reader);
  if (!picture.ok()) return picture.status();
  Look look = {*std::move(picture), absl::Now(), std::nullopt, std::nullopt};
  if (!before.has_value()) return look;
  const double seconds = std::max(1e-9, absl::ToDoubleSeconds(look.time - before->time));
  const Picture& then = before->picture;
  const uint64_t records = std::max(look.picture.last, then.last) - then.last;
  look.records_per_second = static_cast<double>(records) / seconds;
  look.bytes_per_second = static_cast<double>(BytesAdded(then, look.picture)) / seconds;
  return look;
}

std::string Rates(const Look& look) {
  if (!look.records_per_second.has_value()) return "-";
  return absl::StrFormat("%s records/s, %s/s", HumanCount(*look.records_per_second),
                         HumanBytes(*look.bytes_per_second));
}

// For a terminal.
std::string Screen(const Look& look) {
  const Picture& picture = look.picture;
  std::string text;
  absl::StrAppendFormat(&text, "%s  %s\n", picture.directory,
                        absl::FormatTime("%H:%M:%S", look.time, absl::LocalTimeZone()));
  absl::StrAppendFormat(&text, "state     %s\n", picture.state());
  absl::StrAppendFormat(
      &text, "records   %s, durable up to %d\n",
      picture.records() == 0 ? "none" : absl::StrFormat("%d to %d", picture.first, picture.last),
      picture.mark);
  absl::StrAppendFormat(&text, "size      %s in %s\n",
                        HumanBytes(static_cast<double>(picture.bytes())),
                        Counted(picture.files(), "segment"));
  absl::StrAppendFormat(&text, "growth    %s\n", Rates(look));
  if (!picture.cursors.empty()) text += "\n" + CursorTable(picture);
  return text;
}

// For a file: one line.
std::string Line(const Look& look) {
  const Picture& picture = look.picture;
  std::string text = absl::StrFormat(
      "%s records=%s durable=%d segments=%d size=%s growth=%s",
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", look.time, absl::UTCTimeZone()),
      picture.records() == 0 ? "none" : absl::StrFormat("%d..%d", picture.first, picture.last),
      picture.mark, picture.files(), HumanBytes(static_cast<double>(picture.bytes())), Rates(look));
  for (const CursorInfo& cursor : picture.cursors) {
    absl::StrAppendFormat(&text, " behind[%s]=%d", cursor.name, picture.LagOf(cursor));
  }
  return text + "\n";
}

nlohmann::ordered_json Document(const Look& look) {
  const Picture& picture = look.picture;
  nlohmann::ordered_json cursors = nlohmann::ordered_json::array();
  for (const CursorInfo& cursor : picture.cursors) cursors.push_back(CursorJson(picture, cursor));
  nlohmann::ordered_json object = {{"time", TimeText(look.time)},  {"directory", picture.directory},
                                   {"open", picture.locked},       {"first", picture.first},
                                   {"last", picture.last},         {"mark", picture.mark},
                                   {"records", picture.records()}, {"bytes", picture.bytes()},
                                   {"segments", picture.files()},  {"records_per_second", nullptr},
                                   {"bytes_per_second", nullptr},  {"cursors", std::move(cursors)}};
  if (look.records_per_second.has_value()) {
    object["records_per_second"] = *look.records_per_second;
    object["bytes_per_second"] = *look.bytes_per_second;
  }
  return object;
}

}  // namespace

ExitCode Watch(std::string_view command, const Invocation& invocation, LogReader* reader) {
  const absl::Duration interval = invocation.Duration("watch");
  if (interval < kShortestInterval) {
    return Fail(command, absl::InvalidArgumentError(absl::StrFormat(
                             "--watch is %s; it takes %s or more", absl::FormatDuration(interval),
                             absl::FormatDuration(kShortestInterval))));
  }
  InterruptWatch interrupt;
  Output output(&interrupt);
  const bool in_place = IsTerminal(STDOUT_FILENO) && !invocation.On("json");
  std::optional<Look> before;
  size_t lines = 0;
  while (true) {
    absl::StatusOr<Look> look = LookAgain(invocation.directory(), before, reader);
    if (!look.ok()) return Fail(command, look.status());
    if (in_place) {
      // Up over the picture before this one, and away with it.
      if (lines > 0) output.Write(absl::StrFormat("\033[%dA\r\033[J", lines));
      output.Write(Fitted(Screen(*look), SizeOf(STDOUT_FILENO), &lines));
    } else {
      output.Write(invocation.On("json") ? JsonLine(Document(*look)) : Line(*look));
    }
    before = *std::move(look);
    output.Flush();
    if (!output.status().ok()) return Fail(command, output.status());
    if (output.reader_gone() || interrupt.Wait(interval)) break;
  }
  return before->picture.report.lost.empty() ? ExitCode::kFine : ExitCode::kDamage;
}

}  // namespace millrace
