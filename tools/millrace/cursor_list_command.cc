#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/find_cursor.h"
#include "tools/millrace/human.h"
#include "tools/millrace/output.h"
#include "tools/millrace/picture.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "cursor list";
constexpr std::string_view kArguments = "DIR";

// When the oldest record that `cursor` has not consumed was written; nullopt if there is none.
absl::StatusOr<std::optional<absl::Time>> OldestUnconsumed(const Picture& picture,
                                                           const CursorInfo& cursor,
                                                           LogReader* reader) {
  if (picture.LagOf(cursor) == 0) return std::optional<absl::Time>();
  const absl::StatusOr<absl::Time> time =
      TimeOf(std::max(cursor.checkpointed + 1, picture.first), reader);
  if (!time.ok()) return time.status();
  if (*time == absl::InfiniteFuture()) return std::optional<absl::Time>();
  return std::optional<absl::Time>(*time);
}

ExitCode Run(const Invocation& invocation) {
  absl::StatusOr<std::unique_ptr<LogReader>> reader = OpenReader(invocation.directory());
  if (!reader.ok()) {
    return Fail(kName, ExplainMissingLog(kName, kArguments, invocation, reader.status()));
  }
  const absl::StatusOr<Picture> picture = LookAt(invocation.directory(), reader->get());
  if (!picture.ok()) return Fail(kName, picture.status());
  const absl::Time now = absl::Now();
  Output output;
  Table table({{"cursor"},
               {"state"},
               {"consumed up to", Table::Align::kRight},
               {"behind", Table::Align::kRight},
               {"since", Table::Align::kRight}});
  bool damaged = false;
  for (const CursorInfo& cursor : picture->cursors) {
    damaged = damaged || cursor.state == CursorInfo::State::kDamaged;
    const bool valid = cursor.state == CursorInfo::State::kValid;
    absl::StatusOr<std::optional<absl::Time>> oldest = std::optional<absl::Time>();
    if (valid) oldest = OldestUnconsumed(*picture, cursor, reader->get());
    if (!oldest.ok()) return Fail(kName, oldest.status());
    if (invocation.On("json")) {
      nlohmann::ordered_json object = CursorJson(*picture, cursor);
      if (oldest->has_value()) object["oldest_unconsumed"] = TimeText(**oldest);
      output.Write(JsonLine(object));
      continue;
    }
    table.Add({cursor.name, std::string(CursorFileStateName(cursor.state)),
               valid ? std::to_string(cursor.checkpointed) : "-",
               valid ? std::to_string(picture->LagOf(cursor)) : "-",
               oldest->has_value() ? HumanDuration(std::max(now - **oldest, absl::ZeroDuration()))
                                   : "-"});
  }
  if (!invocation.On("json")) {
    output.Write(picture->cursors.empty() ? "no cursors\n" : table.Text());
  }
  output.Flush();
  if (!output.status().ok()) return Fail(kName, output.status());
  return damaged ? ExitCode::kDamage : ExitCode::kFine;
}

}  // namespace

Command CursorListCommand() {
  return {
      .name = kName,
      .arguments = kArguments,
      .summary = "list a log's cursors and how far they are behind",
      .description =
          "By their durable checkpoints, which may be a moment behind what a running reader has "
          "committed. Behind counts the durable records that were not consumed; since tells how "
          "long "
          "ago the oldest of them was written. Changes nothing, beside a program that appends or "
          "not. The exit code is 2 if the checkpoint of a cursor is damaged.",
      .flags = {JsonFlag()},
      .json = {{"name", "of the cursor; an object for each"},
               {"state", "valid, damaged, foreign (another log's) or newer"},
               {"checkpointed", "the last number it has durably consumed"},
               {"epoch", "of the log at that time"},
               {"lag_records", "durable records after that"},
               {"oldest_unconsumed", "when the first of them was written, if there is one"}},
      .examples = {{"millrace cursor list /var/tmp/journal", "who is behind"}},
      .run = Run,
  };
}

}  // namespace millrace
