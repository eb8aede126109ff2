#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/cursor.h"
#include "millrace/log.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/find_cursor.h"
#include "tools/millrace/human.h"
#include "tools/millrace/output.h"
#include "tools/millrace/owner.h"
#include "tools/millrace/position.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "cursor move";
constexpr std::string_view kArguments = "DIR NAME POSITION";

struct Move {
  std::string cursor;
  std::optional<SequenceNumber> from;  // consumed before; none: the cursor is new
  SequenceNumber next = 1;             // what it reads next, after
};

absl::StatusOr<Move> Plan(const Invocation& invocation, const Owner& owner) {
  Move move;
  move.cursor = invocation.words()[1];
  const absl::StatusOr<CursorInfo> cursor = FindCursor(owner.picture, move.cursor);
  if (cursor.ok()) {
    if (absl::Status status = CheckReadable(*cursor); !status.ok()) return status;
    move.from = cursor->checkpointed;
  } else if (!invocation.On("create")) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s; --create makes one", cursor.status().message()));
  }
  const absl::StatusOr<SequenceNumber> next =
      ResolvePosition(invocation.words()[2], owner.picture, owner.reader.get());
  if (!next.ok()) return next.status();
  move.next = *next;
  return move;
}

absl::Status Apply(const Move& move, Log* log) {
  CursorOptions options;
  options.start = CursorStart::At(move.next);
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = log->OpenCursor(move.cursor, options);
  if (!cursor.ok()) return cursor.status();
  return (*cursor)->Reset(move.next);
}

std::string Text(const Owner& owner, const Move& move) {
  const char* verb = owner.apply ? "reads" : "would read";
  std::string text =
      move.next > owner.picture.last
          ? absl::StrFormat("cursor %s %s what comes after record %d", move.cursor, verb,
                            owner.picture.last)
          : absl::StrFormat("cursor %s %s record %d next, of %d to %d", move.cursor, verb,
                            move.next, owner.picture.first, owner.picture.last);
  if (move.from.has_value()) {
    const SequenceNumber before = std::max(*move.from + 1, owner.picture.first);
    if (move.next > before) {
      absl::StrAppendFormat(&text, ", and %s over %s: %d to %d", owner.apply ? "passes" : "pass",
                            Counted(move.next - before, "record"), before, move.next - 1);
    } else if (move.next < before) {
      absl::StrAppendFormat(&text, ", and %s again: %d to %d",
                            Counted(before - move.next, "record"), move.next, before - 1);
    } else {
      text += ", as before";
    }
  } else {
    text += "; it is new";
  }
  text += "\n";
  return owner.apply ? text : text + PlanOnly(owner);
}

nlohmann::ordered_json Document(const Owner& owner, const Move& move) {
  nlohmann::ordered_json object = {{"applied", owner.apply}, {"name", move.cursor}};
  object["from"] = nullptr;
  if (move.from.has_value()) object["from"] = *move.from;
  object["to"] = move.next - 1;
  object["first"] = owner.picture.first;
  object["last"] = owner.picture.last;
  return object;
}

ExitCode Run(const Invocation& invocation) {
  absl::StatusOr<Owner> owner = Look(kName, invocation);
  if (!owner.ok()) {
    return Fail(kName, ExplainMissingLog(kName, kArguments, invocation, owner.status()));
  }
  const absl::StatusOr<Move> move = Plan(invocation, *owner);
  if (!move.ok()) return Fail(kName, move.status());
  if (owner->apply) {
    absl::Status status = Apply(*move, owner->log.get());
    const absl::Status closed = owner->log->Close();
    if (status.ok()) status = closed;
    if (!status.ok()) return Fail(kName, status);
  }
  Output output;
  output.Write(invocation.On("json") ? JsonLine(Document(*owner, *move)) : Text(*owner, *move));
  output.Flush();
  return output.status().ok() ? ExitCode::kFine : Fail(kName, output.status());
}

}  // namespace

Command CursorMoveCommand() {
  return {
      .name = kName,
      .arguments = kArguments,
      .summary = "set what a cursor reads next",
      .description =
          "POSITION is the number of the record to read next, `earliest`, `latest` (what is "
          "appended "
          "from now on), or a time as 2026-01-31T12:00:00Z (the first record written then or "
          "later, "
          "by the writer's clock).\n"
          "Says what the cursor would read again or pass over; with --apply it opens the log and "
          "moves "
          "the cursor, durably. A cursor that does not exist is made only with --create.",
      .flags = {ApplyFlag(),
                {.name = "create",
                 .help = "make the cursor if there is none of that "
                         "name"},
                JsonFlag()},
      .json = {{"applied", "whether it was done"},
               {"name", "of the cursor"},
               {"from", "the last number it had consumed; null if it is new"},
               {"to", "the last number that counts as consumed after"},
               {"first", "the oldest record kept"},
               {"last", "the newest record"}},
      .examples = {{"millrace cursor move /var/tmp/journal billing earliest",
                    "what reading all again would mean"},
                   {"millrace cursor move --apply /var/tmp/journal billing 2026-01-31T12:00:00Z",
                    "begin at a time"}},
      .least_words = 3,
      .most_words = 3,
      .run = Run,
  };
}

}  // namespace millrace
