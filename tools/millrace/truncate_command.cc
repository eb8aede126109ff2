#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/log.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/human.h"
#include "tools/millrace/output.h"
#include "tools/millrace/owner.h"
#include "tools/millrace/picture.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "truncate";

struct TruncatePlan {
  SequenceNumber last_to_keep = kNoSequence;
  uint64_t records = 0;              // that go
  std::vector<CursorInfo> set_back;  // that have consumed some of them
};

// The batch that `last_to_keep` is a part of and not the end of.
//
// Errors: InvalidArgument (there is one).
absl::Status CheckBatch(const Owner& owner, SequenceNumber last_to_keep) {
  absl::Status status;
  for (const SegmentInfo& segment : owner.picture.segments) {
    if (!HoldsRecords(segment) || segment.first > last_to_keep || segment.last < last_to_keep) {
      continue;
    }
    absl::Status walked = owner.reader->WalkSegment(segment.number, [&](const FrameInfo& frame) {
      if (frame.kind != FrameInfo::Kind::kBatch || frame.sequence > last_to_keep) return;
      const SequenceNumber end = frame.sequence + frame.records - 1;
      if (end <= last_to_keep) return;
      status = absl::InvalidArgumentError(absl::StrFormat(
          "record %d is inside the batch %d to %d, which is kept or dropped as a whole; use "
          "--after=%d or --after=%d",
          last_to_keep, frame.sequence, end, frame.sequence - 1, end));
    });
    if (!walked.ok()) return walked;
  }
  return status;
}

absl::StatusOr<TruncatePlan> Plan(const Invocation& invocation, const Owner& owner) {
  const Picture& picture = owner.picture;
  TruncatePlan plan;
  plan.last_to_keep = invocation.Number("after");
  if (picture.records() == 0 && plan.last_to_keep != picture.last) {
    return absl::OutOfRangeError(absl::StrFormat(
        "--after is %d; the log holds no records, so that none can be dropped", plan.last_to_keep));
  }
  if (plan.last_to_keep + 1 < picture.first || plan.last_to_keep > picture.last) {
    return absl::OutOfRangeError(absl::StrFormat(
        "--after is %d; the log holds records %d to %d, so that it takes %d to %d",
        plan.last_to_keep, picture.first, picture.last, picture.first - 1, picture.last));
  }
  if (absl::Status status = CheckBatch(owner, plan.last_to_keep); !status.ok()) return status;
  plan.records = picture.last - plan.last_to_keep;
  for (const CursorInfo& cursor : picture.cursors) {
    if (cursor.state == CursorInfo::State::kValid && cursor.checkpointed > plan.last_to_keep) {
      plan.set_back.push_back(cursor);
    }
  }
  return plan;
}

std::string Text(const Owner& owner, const TruncatePlan& plan) {
  if (plan.records == 0) return "nothing to truncate: the log ends with that record\n";
  std::string text = absl::StrFormat(
      "records %d to %d %s, for good: %s; the next append gets number %d\n", plan.last_to_keep + 1,
      owner.picture.last, owner.apply ? "are dropped" : "would be dropped",
      Counted(plan.records, "record"), plan.last_to_keep + 1);
  for (const CursorInfo& cursor : plan.set_back) {
    absl::StrAppendFormat(&text, "cursor %s %s set back from %d\n", cursor.name,
                          owner.apply ? "is" : "would be", cursor.checkpointed);
  }
  return owner.apply ? text : text + PlanOnly(owner);
}

nlohmann::ordered_json Document(const Owner& owner, const TruncatePlan& plan) {
  nlohmann::ordered_json cursors = nlohmann::ordered_json::array();
  for (const CursorInfo& cursor : plan.set_back) {
    cursors.push_back(CursorJson(owner.picture, cursor));
  }
  return {{"applied", owner.apply},
          {"last_to_keep", plan.last_to_keep},
          {"last", owner.picture.last},
          {"records", plan.records},
          {"cursors_set_back", std::move(cursors)}};
}

ExitCode Run(const Invocation& invocation) {
  if (!invocation.Given("after")) {
    return Fail(kName, absl::InvalidArgumentError("it needs --after=N: the last record to keep"));
  }
  absl::StatusOr<Owner> owner = Look(kName, invocation);
  if (!owner.ok()) return Fail(kName, owner.status());
  const absl::StatusOr<TruncatePlan> plan = Plan(invocation, *owner);
  if (!plan.ok()) return Fail(kName, plan.status());
  if (owner->apply) {
    absl::Status status;
    if (plan->records > 0) status = owner->log->TruncateAfter(plan->last_to_keep);
    const absl::Status closed = owner->log->Close();
    if (status.ok()) status = closed;
    if (!status.ok()) return Fail(kName, status);
  }
  Output output;
  output.Write(invocation.On("json") ? JsonLine(Document(*owner, *plan)) : Text(*owner, *plan));
  output.Flush();
  return output.status().ok() ? ExitCode::kFine : Fail(kName, output.status());
}

}  // namespace

Command TruncateCommand() {
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "drop a log's newest records, for good",
      .description =
          "Says which records would be dropped and which cursors would be set back; with --apply "
          "it "
          "opens the log and truncates it. The numbers of dropped records go to others. A batch is "
          "kept or dropped as a whole.",
      .flags = {{.kind = Flag::Kind::kNumber,
                 .name = "after",
                 .argument = "N",
                 .help = "keep record N and drop those after it; needed"},
                ApplyFlag(),
                JsonFlag()},
      .json = {{"applied", "whether it was done"},
               {"last_to_keep", "the newest record after"},
               {"last", "the newest record before"},
               {"records", "how many are dropped"},
               {"cursors_set_back",
                "that had consumed some of them, as in `millrace stat --json`"}},
      .examples = {{"millrace truncate --after=1000 /var/tmp/journal", "what would be dropped"},
                   {"millrace truncate --after=1000 --apply /var/tmp/journal", "drop it"}},
      .run = Run,
  };
}

}  // namespace millrace
