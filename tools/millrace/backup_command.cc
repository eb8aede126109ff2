#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "millrace/backup.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/human.h"
#include "tools/millrace/interrupt.h"
#include "tools/millrace/output.h"
#include "tools/millrace/picture.h"
#include "tools/millrace/progress.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "backup";

// Of a log that a program appends to, what that says is durable; of another, all that opening it
// would keep.
absl::StatusOr<std::unique_ptr<LogReader>> ReaderFor(const std::string& directory) {
  absl::StatusOr<std::unique_ptr<LogReader>> reader = OpenReader(directory);
  if (!reader.ok()) return reader;
  const absl::StatusOr<Picture> picture = LookAt(directory, reader->get());
  if (!picture.ok()) return picture.status();
  return picture->locked ? LogReader::Open(directory) : std::move(reader);
}

absl::StatusOr<BackupResult> Copy(const Invocation& invocation) {
  absl::StatusOr<std::unique_ptr<LogReader>> reader = ReaderFor(invocation.directory());
  if (!reader.ok()) return reader.status();
  InterruptWatch interrupt;
  const Progress::Mode mode =
      invocation.On("quiet") ? Progress::Mode::kQuiet : Progress::Mode::kIfTerminal;
  std::unique_ptr<Progress> progress;
  BackupOptions options;
  options.segment_bytes = invocation.Bytes("segment-bytes");
  if (invocation.On("strict")) options.damage = BackupOptions::Damage::kRefuse;
  options.progress = [&](const BackupProgress& so_far) {
    if (progress == nullptr) {
      progress = std::make_unique<Progress>(mode, "copying and checking", so_far.total_bytes);
    }
    progress->Show(so_far.done_bytes);
    return !interrupt.Wait(absl::ZeroDuration());
  };
  absl::StatusOr<BackupResult> result = (*reader)->Backup(invocation.words()[1], options);
  if (absl::IsCancelled(result.status())) {
    return absl::CancelledError("interrupted before the end; no copy was left");
  }
  return result;
}

std::string Names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

std::string Text(const Invocation& invocation, const BackupResult& result, absl::Duration took) {
  std::string text =
      absl::StrFormat("copied    %s, %s of payload", Counted(result.records, "record"),
                      HumanBytes(static_cast<double>(result.payload_bytes)));
  if (result.records > 0) absl::StrAppendFormat(&text, ": %d to %d", result.first, result.last);
  absl::StrAppendFormat(&text, "\ninto      %s: %s, %s\ncursors   %s\n", invocation.words()[1],
                        Counted(result.segments, "segment"),
                        HumanBytes(static_cast<double>(result.bytes)), Names(result.cursors));
  absl::StrAppendFormat(&text, "checked   read back and compared; took %s\n", HumanDuration(took));
  if (!result.cursors_left_out.empty()) {
    absl::StrAppendFormat(&text, "left out  damaged or foreign checkpoints of %s\n",
                          Names(result.cursors_left_out));
  }
  size_t places = 0;
  uint64_t records = 0;
  for (const LostRange& lost : result.lost) {
    const bool trimmed = lost.cause == LossCause::kTrimmed;
    absl::StrAppendFormat(&text, "%s %s\n", trimmed ? "trimmed  " : "lost     ", lost.ToString());
    places += trimmed ? 0 : 1;
    records += trimmed ? 0 : lost.records();
  }
  if (places == 0) return text;
  absl::StrAppendFormat(&text, "DAMAGE: %s, %s missing in log and copy alike\n",
                        Counted(places, "place"), Counted(records, "record"));
  return text;
}

nlohmann::ordered_json Document(const Invocation& invocation, const BackupResult& result) {
  nlohmann::ordered_json lost = nlohmann::ordered_json::array();
  for (const LostRange& range : result.lost) lost.push_back(LostJson(range));
  return {{"directory", invocation.directory()},
          {"copy", invocation.words()[1]},
          {"first", result.first},
          {"last", result.last},
          {"records", result.records},
          {"payload_bytes", result.payload_bytes},
          {"segments", result.segments},
          {"bytes", result.bytes},
          {"cursors", result.cursors},
          {"cursors_left_out", result.cursors_left_out},
          {"records_lost", result.records_lost()},
          {"lost", std::move(lost)}};
}

ExitCode Run(const Invocation& invocation) {
  const absl::Time start = absl::Now();
  const absl::StatusOr<BackupResult> result = Copy(invocation);
  if (!result.ok()) return Fail(kName, result.status());
  Output output;
  output.Write(invocation.On("json") ? JsonLine(Document(invocation, *result))
                                     : Text(invocation, *result, absl::Now() - start));
  output.Flush();
  if (!output.status().ok()) return Fail(kName, output.status());
  // What the program that has the log trimmed meanwhile is no damage.
  const bool damaged =
      std::any_of(result->lost.begin(), result->lost.end(),
                  [](const LostRange& lost) { return lost.cause != LossCause::kTrimmed; });
  return damaged ? ExitCode::kDamage : ExitCode::kFine;
}

}  // namespace

Command BackupCommand() {
  return {
      .name = kName,
      .arguments = "DIR COPY",
      .summary = "copy a log into a new one, and check the copy",
      .description =
          "COPY is a directory that is new or empty. It gets every durable record of the log, with "
          "its number and time, and the cursors' checkpoints; then it is read back and compared. A "
          "program may go on appending to the log. What is left of a backup that was interrupted "
          "cannot be opened as a log.\n"
          "The copy is a log of its own: to go back to it, open it in place of the other. Records "
          "that cannot be read are named, and all others copied; the exit code is 2 then.",
      .flags = {JsonFlag(),
                {.name = "quiet",
                 .help =
                     "do not show how far it has come; that is done only where standard error is "
                     "a terminal"},
                {.kind = Flag::Kind::kBytes,
                 .name = "segment-bytes",
                 .argument = "SIZE",
                 .standard = "64MiB",
                 .help = "bytes of records in a segment of the copy, 8KiB to 1GiB"},
                {.name = "strict", .help = "copy nothing if a record cannot be read"}},
      .json = {{"directory", "as it was given"},
               {"copy", "likewise"},
               {"first", "the oldest record"},
               {"last", "the newest"},
               {"records", "how many were copied"},
               {"payload_bytes", "of these"},
               {"segments", "files of the copy"},
               {"bytes", "of these"},
               {"cursors", "whose checkpoints were copied"},
               {"cursors_left_out", "whose checkpoints are damaged or another log's"},
               {"records_lost", "that cannot be read"},
               {"lost", "each such place, as in `millrace verify --json`"}},
      .examples = {{"millrace backup /var/tmp/journal /backup/journal-$(date +%F)", "each day"}},
      .least_words = 2,
      .most_words = 2,
      .run = Run,
  };
}

}  // namespace millrace
