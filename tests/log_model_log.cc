// Operations on the log as a whole: flushing, trimming, truncating, watermarks, counters.

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/log_model_run.h"

namespace millrace {
namespace {

using Survivors = LogModel::Survivors;

void RunFlush(ModelRun& run) {
  FlushOptions options;
  options.durability =
      run.choices.Of({Durability::kDurable, Durability::kWritten, Durability::kDurable});
  if (run.choices.OneIn(32)) options.durability = Durability::kBuffered;
  if (run.choices.OneIn(4)) {
    options.timeout = run.choices.Of({absl::ZeroDuration(), absl::Microseconds(30)});
  }
  const absl::Status status = run.log->Flush(options);
  if (options.durability == Durability::kBuffered) {
    run.ExpectCode("a flush into nothing", status, absl::StatusCode::kInvalidArgument);
    return;
  }
  if (absl::IsDeadlineExceeded(status) && options.timeout != absl::InfiniteDuration()) return;
  // Flushes that gave up are still under way.
  if (absl::IsResourceExhausted(status) && !run.DiskExplains(status)) return;
  if (!run.ExpectOk("Flush", status)) return;
  run.model.KnowWritten(run.model.last());
  if (options.durability == Durability::kDurable) run.model.KnowDurable(run.model.last());
}

void RunWaitDurable(ModelRun& run) {
  LogModel& model = run.model;
  const SequenceNumber s = run.choices.Below(model.last() + 3);
  const bool certain = s <= model.durable();
  const absl::Duration timeout =
      certain ? absl::InfiniteDuration()
              : run.choices.Of({absl::ZeroDuration(), absl::Microseconds(30)});
  run.Describe(absl::StrCat("up to ", s));
  const absl::Status status = run.log->WaitDurable(s, timeout);
  if (absl::IsDeadlineExceeded(status) && !certain) return;
  if (certain && !status.ok()) {
    return run.Differ(absl::StrCat("record ", s, " is durable, up to ", model.durable()),
                      status.ToString());
  }
  if (!run.ExpectOk("WaitDurable", status)) return;
  if (s > model.last()) return run.Differ("record " + std::to_string(s) + " was never given", "OK");
  model.KnowDurable(s);
}

// Whether some cursor's checkpoint is behind `first_to_keep`: `may` counts those that are perhaps.
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
  const SequenceNumber first_retained = model.first_retained();
  const SequenceNumber from = first_retained - std::min<SequenceNumber>(first_retained, 2);
  const SequenceNumber first_to_keep = from + run.choices.Below(model.last() + 4 - from);
  const TrimMode mode = run.choices.OneIn(2) ? TrimMode::kForce : TrimMode::kRespectCursors;
  const bool respects = mode == TrimMode::kRespectCursors;
  run.Describe(absl::StrCat("before ", first_to_keep, respects ? "" : ", forced"));
  const absl::Status status = run.log->TrimBefore(first_to_keep, mode);
  if (absl::IsOutOfRange(status) && first_to_keep > model.durable() + 1) return;
  if (absl::IsFailedPrecondition(status) && respects && CursorIsBehind(run, first_to_keep, true)) {
    return;
  }
  // Without space to say it in, the trim may happen at the next opening, and the log goes on.
  const bool goes_on = absl::IsResourceExhausted(status) && run.DiskExplains(status) &&
                       !absl::StrContains(status.message(), "has failed");
  if (goes_on || !run.ExpectOk("TrimBefore", status)) return model.TrimInDoubt(first_to_keep);
  if (first_to_keep > model.last() + 1) {
    return run.Differ("trimming beyond the end is OutOfRange", "OK");
  }
  if (respects && CursorIsBehind(run, first_to_keep, false)) {
    return run.Differ("trimming what a cursor still needs is FailedPrecondition", "OK");
  }
  model.KnowDurable(first_to_keep - std::min<SequenceNumber>(first_to_keep, 1));
  const SequenceNumber first = run.log->first_retained();
  const SequenceNumber most = std::max(first_to_keep, first_retained);
  if (first < first_retained || first > most) {
    return run.Differ(absl::StrCat("first_retained is between ", first_retained, " and ", most),
                      absl::StrCat(first));
  }
  if (first > first_retained) ++run.tally.trims;
  model.KnowRetained(first);
}

// Also of the appends whose results are still to come, and of the cursors.
void Truncate(ModelRun& run, SequenceNumber last_to_keep) {
  if (last_to_keep < run.model.last()) ++run.tally.truncations;
  run.model.Truncate(last_to_keep);
  for (auto& [name, cursor] : run.model_cursors) cursor.Truncate(last_to_keep);
  for (PendingResult& append : run.pending) {
    const bool dropped = append.first + append.count - 1 > last_to_keep;
    if (append.fate == PendingResult::Fate::kExpected && dropped) {
      append.fate = PendingResult::Fate::kTruncated;
    }
  }
  for (ModelProducer& producer : run.producers) {
    producer.last = std::min(producer.last, last_to_keep);
  }
}

void RunTruncate(ModelRun& run) {
  LogModel& model = run.model;
  const SequenceNumber first = model.first_retained();
  const SequenceNumber from = first - std::min<SequenceNumber>(first, 2);
  SequenceNumber last_to_keep = from + run.choices.Below(model.last() + 3 - from);
  // Mostly only a few records go, so that logs do not stay short.
  if (run.choices.Below(4) != 0 && last_to_keep + 8 < model.last()) {
    last_to_keep = model.last() - run.choices.Below(8);
  }
  run.Describe(absl::StrCat("after ", last_to_keep, " of ", model.last()));
  const bool out_of_range = last_to_keep + 1 < first || last_to_keep > model.last();
  const bool inside_batch =
      !out_of_range && last_to_keep >= first && model.InsideBatch(last_to_keep);
  absl::Status status;
  if (out_of_range || inside_batch || !run.fault.SwallowsTruncation()) {
    status = run.log->TruncateAfter(last_to_keep);
  }
  if (out_of_range || inside_batch) {
    run.ExpectCode(
        out_of_range ? "truncating out of range" : "truncating inside a batch", status,
        out_of_range ? absl::StatusCode::kOutOfRange : absl::StatusCode::kInvalidArgument);
    return;
  }
  // Results of before it, with numbers that will be given again.
  run.TakeCallbacks();
  if (run.ExpectOk("TruncateAfter", status)) return Truncate(run, last_to_keep);
  if (run.differs() || run.state == ModelRun::State::kClosed) return;
  // Which of both, only the next opening tells. The error may be that of a cursor: the log goes on.
  run.failure.reset();
  run.disk_may_fail = true;
  model.TruncationInDoubt(last_to_keep);
  for (auto& [name, cursor] : run.model_cursors) {
    cursor.lowest = std::min(cursor.lowest, last_to_keep);
  }
  if (run.choices.OneIn(2)) run.disk.CutPower();
  run.Reopen(Survivors::kDurable);
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
  const bool rose = first > model.first_retained() && !run.failure.has_value();
  if (first < model.first_retained() || rose) {
    return run.Differ(absl::StrCat("first_retained is ", model.first_retained()),
                      absl::StrCat(first));
  }
  model.KnowDurable(durable);
  model.KnowWritten(written);
}

bool Within(uint64_t value, uint64_t least, uint64_t most) {
  return value >= least && value <= most;
}

void RunStats(ModelRun& run) {
  LogStats stats = run.log->stats();
  run.fault.AfterStats(&stats);
  const ModelRun::Counters& counters = run.counters;
  const std::string found =
      absl::StrCat("accepted ", stats.accepted, ", acknowledged ", stats.acknowledged, ", failed ",
                   stats.failed, ", pending ", stats.pending, ", withdrawn ", stats.withdrawn,
                   ", dropped ", stats.dropped_records);
  if (!Within(stats.accepted, counters.accepted, counters.accepted + counters.in_doubt) ||
      !Within(stats.withdrawn, counters.withdrawn, counters.withdrawn + counters.in_doubt) ||
      stats.dropped_records != counters.dropped) {
    return run.Differ(
        absl::StrCat("accepted ", counters.accepted, ", withdrawn ", counters.withdrawn,
                     " (either up to ", counters.in_doubt, " more), dropped ", counters.dropped),
        found);
  }
  if (stats.accepted != stats.acknowledged + stats.failed + stats.pending) {
    return run.Differ("accepted = acknowledged + failed + pending", found);
  }
  const uint64_t least_failed = counters.failed + stats.withdrawn;
  if (stats.failed < least_failed || stats.acknowledged < counters.acknowledged) {
    return run.Differ(absl::StrCat("failed ", least_failed, " or more, acknowledged ",
                                   counters.acknowledged, " or more"),
                      found);
  }
  if (!run.disk_may_fail && !run.failure.has_value() && stats.failed != stats.withdrawn) {
    return run.Differ("nothing failed but what was withdrawn", found);
  }
  if (run.state == ModelRun::State::kClosed && stats.pending != 0) {
    return run.Differ("nothing is pending once the log is closed", found);
  }
}

constexpr ModelOperation kOperations[] = {
    {"Flush", 12, RunFlush},           {"WaitDurable", 12, RunWaitDurable},
    {"TrimBefore", 10, RunTrim},       {"TruncateAfter", 8, RunTruncate},
    {"watermarks", 40, RunWatermarks}, {"stats", 20, RunStats},
};

}  // namespace

std::span<const ModelOperation> LogOperations() { return kOperations; }

}  // namespace millrace
