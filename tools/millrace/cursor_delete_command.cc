#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/log.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/find_cursor.h"
#include "tools/millrace/human.h"
#include "tools/millrace/output.h"
#include "tools/millrace/owner.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "cursor delete";
constexpr std::string_view kArguments = "DIR NAME";

std::string Text(const Owner& owner, const CursorInfo& cursor) {
  std::string text =
      absl::StrFormat("cursor %s %s deleted", cursor.name, owner.apply ? "is" : "would be");
  if (cursor.state == CursorInfo::State::kValid) {
    absl::StrAppendFormat(&text, "; it had consumed up to %d, and was %s behind",
                          cursor.checkpointed, Counted(owner.picture.LagOf(cursor), "record"));
  }
  text += "\n";
  return owner.apply ? text : text + PlanOnly(owner);
}

ExitCode Run(const Invocation& invocation) {
  absl::StatusOr<Owner> owner = Look(kName, invocation);
  if (!owner.ok()) {
    return Fail(kName, ExplainMissingLog(kName, kArguments, invocation, owner.status()));
  }
  const absl::StatusOr<CursorInfo> cursor = FindCursor(owner->picture, invocation.words()[1]);
  if (!cursor.ok()) return Fail(kName, cursor.status());
  absl::Status status;
  if (!invocation.On("force")) status = CheckReadable(*cursor);
  if (status.ok() && owner->apply) {
    status = owner->log->DeleteCursor(
        cursor->name, invocation.On("force") ? DeleteMode::kWhatever : DeleteMode::kIfValid);
    const absl::Status closed = owner->log->Close();
    if (status.ok()) status = closed;
  }
  if (!status.ok()) return Fail(kName, status);
  Output output;
  if (invocation.On("json")) {
    nlohmann::ordered_json object = {{"applied", owner->apply}};
    object.update(CursorJson(owner->picture, *cursor));
    output.Write(JsonLine(object));
  } else {
    output.Write(Text(*owner, *cursor));
  }
  output.Flush();
  return output.status().ok() ? ExitCode::kFine : Fail(kName, output.status());
}

}  // namespace

Command CursorDeleteCommand() {
  return {
      .name = kName,
      .arguments = kArguments,
      .summary = "forget a cursor, so that it holds trimming back no longer",
      .description =
          "Says which cursor would go and how far it had come; with --apply it opens the log and "
          "deletes the cursor's checkpoint, durably. Records are not touched. The name is new "
          "again "
          "after that.",
      .flags = {ApplyFlag(),
                {.name = "force",
                 .help = "also if its checkpoint is damaged, another log's or newer"},
                JsonFlag()},
      .json = {{"applied", "whether it was done"},
               {"name", "of the cursor"},
               {"state", "valid, damaged, foreign or newer"},
               {"checkpointed", "the last number it had consumed"},
               {"epoch", "of the log at that time"},
               {"lag_records", "durable records after that"}},
      .examples = {{"millrace cursor delete --apply /var/tmp/journal billing",
                    "nobody reads for billing any more"}},
      .least_words = 2,
      .most_words = 2,
      .run = Run,
  };
}

}  // namespace millrace
