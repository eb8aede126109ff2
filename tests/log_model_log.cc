// Operations on the log as a whole: flushing, trimming, watermarks, counters.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/log_model_run.h"

namespace millrace {
namespace {

void RunFlush(ModelRun& run) {
  const SequenceNumber last = run.model.last();
  FlushOptions options;
  if (run.ExpectOk("Flush", run.log->Flush(options))) run.model.KnowDurable(last);
}

// The cursor, if any, whose checkpoint is surely behind `first_to_keep`; `may` also counts those
// that are perhaps.
bool CursorIsBehind(const ModelRun& run, SequenceNumber first_to_keep, bool may) {
  for (const auto& [name, cursor] : run.model_cursors) {
    if (cursor.on_disk == ModelCursor::OnDisk::kAbsent) continue;
    if (cursor.on_disk == ModelCursor::OnDisk::kUnknown && !may) continue;
    if ((may ? cursor.lowest : cursor.highest) + 1 < first_to_keep) return true;
  }
  return false;
}

void RunTrim(ModelRun& run) {
  LogModel& model = run.model;
  const SequenceNumber from =
      model.first_retained() - std::min<SequenceNumber>(model.first_retained(), 2);
  const SequenceNumber first_to_keep = from + run.choices.Below(model.last() + 4 - from);
  const TrimMode mode = run.choices.OneIn(2) ? TrimMode::kForce : TrimMode::kRespectCursors;
  const bool respects = mode == TrimMode::kRespectCursors;
  run.Describe(absl::StrCat("before ", first_to_keep, respects ? "" : ", forced"));
  const absl::Status status = run.log->TrimBefore(first_to_keep, mode);
  if (absl::IsOutOfRange(status) && first_to_keep > model.durable() + 1) return;
  if (absl::IsFailedPrecondition(status) && respects && CursorIsBehind(run, first_to_keep, true)) {
    return;
  }
  if (!run.ExpectOk("TrimBefore", status)) return model.TrimInDoubt(first_to_keep);
  if (first_to_keep > model.last() + 1) {
    return run.Differ("trimming beyond the end is OutOfRange", "OK");
  }
  if (respects && CursorIsBehind(run, first_to_keep, false)) {
    return run.Differ("trimming what a cursor still needs is FailedPrecondition", "OK");
  }
  model.KnowDurable(first_to_keep - std::min<SequenceNumber>(first_to_keep, 1));
  const SequenceNumber first = run.log->first_retained();
  const SequenceNumber most = std::max(first_to_keep, model.first_retained());
  if (first < model.first_retained() || first > most) {
    return run.Differ(
        absl::StrCat("first_retained is between ", model.first_retained(), " and ", most),
        absl::StrCat(first));
  }
  model.KnowRetained(first);
}

void RunWatermarks(ModelRun& run) {
  LogModel& model = run.model;
  // The lower first: both only rise meanwhile.
  const SequenceNumber durable = run.log->last_durable();
  const SequenceNumber written = run.log->last_written();
  const SequenceNumber first = run.log->first_retained();
  if (durable < model.durable() || written < model.written() || durable > written ||
      written > model.last()) {
    return run.Differ(absl::StrCat(model.durable(), " <= last_durable <= last_written <= ",
                                   model.last(), ", and last_written >= ", model.written()),
                      absl::StrCat("last_durable ", durable, ", last_written ", written));
  }
  if (first < model.first_retained() ||
      (first > model.first_retained() && !run.failure.has_value())) {
    return run.Differ(absl::StrCat("first_retained is ", model.first_retained()),
                      absl::StrCat(first));
  }
  model.KnowDurable(durable);
  model.KnowWritten(written);
}

constexpr ModelOperation kOperations[] = {
    {"Flush", 12, RunFlush},
    {"TrimBefore", 10, RunTrim},
    {"watermarks", 40, RunWatermarks},
};

}  // namespace

std::span<const ModelOperation> LogOperations() { return kOperations; }

}  // namespace millrace
