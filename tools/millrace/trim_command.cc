#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "millrace/log.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/human.h"
#include "tools/millrace/output.h"
#include "tools/millrace/owner.h"
#include "tools/millrace/picture.h"
#include "tools/millrace/trim_plan.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "trim";

// Of the segments that go, so many of the oldest and of the newest are listed without --all.
constexpr size_t kListedAtEachEnd = 3;

constexpr std::string_view kLimits[] = {"before", "keep-bytes", "older-than", "consumed"};

absl::Status CheckLimits(const Invocation& invocation) {
  int given = 0;
  for (const std::string_view limit : kLimits) given += invocation.Given(limit) ? 1 : 0;
  if (given == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "it takes one of --before, --keep-bytes, --older-than, --consumed");
}

absl::StatusOr<SequenceNumber> Wanted(const Invocation& invocation, const Owner& owner) {
  if (invocation.Given("before")) return invocation.Number("before");
  if (invocation.Given("keep-bytes")) {
    return KeepingBytes(owner.picture, invocation.Bytes("keep-bytes"));
  }
  if (invocation.On("consumed")) return KeepingUnconsumed(owner.picture);
  return KeepingSince(owner.picture, absl::Now() - invocation.Duration("older-than"),
                      owner.reader.get());
}

bool Refused(const Invocation& invocation, const TrimPlan& plan) {
  return !plan.in_the_way.empty() && !invocation.On("force");
}

std::string Text(const Invocation& invocation, const Owner& owner, const TrimPlan& plan) {
  if (plan.records == 0) {
    return "nothing to trim: only whole segments go, and none is that old\n";
  }
  std::string text = invocation.On("all") ? SegmentTable(plan.segments)
                                          : ShortSegmentTable(plan.segments, kListedAtEachEnd);
  text += "\n";
  for (const CursorInfo& cursor : plan.in_the_way) {
    absl::StrAppendFormat(&text, "%s: cursor %s has consumed up to %d only\n",
                          invocation.On("force") ? "passed over" : "in the way", cursor.name,
                          cursor.checkpointed);
  }
  const char* verb = "would go";
  if (owner.apply) verb = Refused(invocation, plan) ? "were to go" : "are gone";
  absl::StrAppendFormat(
      &text, "records %d to %d %s: %s in %s, %s; the log %s with %d\n", owner.picture.first,
      plan.first_to_keep - 1, verb, Counted(plan.records, "record"),
      Counted(plan.segments.size(), "segment"), HumanBytes(static_cast<double>(plan.bytes)),
      owner.apply && !Refused(invocation, plan) ? "begins" : "would begin", plan.first_to_keep);
  if (Refused(invocation, plan)) {
    return text +
           "refused: nothing was changed; let the cursor consume, move or delete it, trim "
           "less, or --force\n";
  }
  return owner.apply ? text : text + PlanOnly(owner);
}

nlohmann::ordered_json Document(const Invocation& invocation, const Owner& owner,
                                const TrimPlan& plan) {
  nlohmann::ordered_json segments = nlohmann::ordered_json::array();
  for (const SegmentInfo& segment : plan.segments) segments.push_back(SegmentJson(segment));
  nlohmann::ordered_json cursors = nlohmann::ordered_json::array();
  for (const CursorInfo& cursor : plan.in_the_way) {
    cursors.push_back(CursorJson(owner.picture, cursor));
  }
  const bool refused = Refused(invocation, plan);
  return {{"applied", owner.apply && !refused},
          {"refused", refused},
          {"first", owner.picture.first},
          {"first_to_keep", plan.first_to_keep},
          {"records", plan.records},
          {"bytes", plan.bytes},
          {"segments", std::move(segments)},
          {"cursors_in_the_way", std::move(cursors)}};
}

ExitCode Run(const Invocation& invocation) {
  if (absl::Status status = CheckLimits(invocation); !status.ok()) return Fail(kName, status);
  absl::StatusOr<Owner> owner = Look(kName, invocation);
  if (!owner.ok()) return Fail(kName, owner.status());
  const absl::StatusOr<SequenceNumber> wanted = Wanted(invocation, *owner);
  if (!wanted.ok()) return Fail(kName, wanted.status());
  const absl::StatusOr<TrimPlan> plan = PlanTrim(owner->picture, *wanted);
  if (!plan.ok()) return Fail(kName, plan.status());
  if (owner->apply) {
    absl::Status status;
    if (plan->records > 0 && !Refused(invocation, *plan)) {
      status = owner->log->TrimBefore(plan->first_to_keep, invocation.On("force")
                                                               ? TrimMode::kForce
                                                               : TrimMode::kRespectCursors);
    }
    const absl::Status closed = owner->log->Close();
    if (status.ok()) status = closed;
    if (!status.ok()) return Fail(kName, status);
  }
  Output output;
  output.Write(invocation.On("json") ? JsonLine(Document(invocation, *owner, *plan))
                                     : Text(invocation, *owner, *plan));
  output.Flush();
  if (!output.status().ok()) return Fail(kName, output.status());
  return Refused(invocation, *plan) ? ExitCode::kUsage : ExitCode::kFine;
}

}  // namespace

Command TrimCommand() {
  using Kind = Flag::Kind;
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "give up a log's oldest segments",
      .description =
          "Says which segments, records and bytes would go, and which cursors stand in the way; "
          "with "
          "--apply it opens the log and trims it. Only whole segments go, so that somewhat more "
          "may "
          "be kept than asked for. Where a cursor has not consumed what would go, nothing is done "
          "and the exit code is 1, unless --force is given.",
      .flags = {{.name = "all",
                 .help = "list every segment that goes, not only the first and the last three; "
                         "--json always does"},
                ApplyFlag(),
                {.kind = Kind::kNumber,
                 .name = "before",
                 .argument = "N",
                 .help = "give up what stands before record N",
                 .least = 1},
                {.name = "consumed", .help = "give up what every cursor has consumed"},
                {.name = "force", .help = "also what a cursor has not consumed"},
                JsonFlag(),
                {.kind = Kind::kBytes,
                 .name = "keep-bytes",
                 .argument = "SIZE",
                 .help = "keep the newest segments, of SIZE together at most, and the last one in "
                         "any case"},
                {.kind = Kind::kDuration,
                 .name = "older-than",
                 .argument = "AGE",
                 .help = "give up what was written longer ago than AGE, as 90s, 36h, 7d"}},
      .json = {{"applied", "whether it was done"},
               {"refused", "whether a cursor was in the way"},
               {"first", "the oldest record before"},
               {"first_to_keep", "the oldest record after"},
               {"records", "how many go"},
               {"bytes", "of the files that go"},
               {"segments", "that go, as in `millrace stat --json`"},
               {"cursors_in_the_way", "that have not consumed them, likewise"}},
      .examples = {{"millrace trim --older-than=7d /var/tmp/journal", "what would go"},
                   {"millrace trim --keep-bytes=10GiB --apply /var/tmp/journal",
                    "bound the disk that a log takes"}},
      .run = Run,
  };
}

}  // namespace millrace
