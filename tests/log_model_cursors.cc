// Cursors: opening, reading forward, committing.

#include "tests/log_model_cursors.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace millrace {
namespace {

using OnDisk = ModelCursor::OnDisk;

constexpr const char* kNames[] = {"a", "b", "cursor-3", "D.4"};
constexpr size_t kMostOpen = 3;

CursorStart DrawStart(ModelRun& run) {
  switch (run.choices.Below(5)) {
    case 0:
      return CursorStart::Latest();
    case 2:
      return CursorStart::AtTime(absl::Now() - absl::Microseconds(run.choices.Below(10'000)));
    case 1:
      return CursorStart::At(run.choices.Below(run.model.last() + 4));
    default:
      return CursorStart::Earliest();
  }
}

struct Bounds {
  SequenceNumber lowest;
  SequenceNumber highest;
};

// What a new cursor counts as consumed.
Bounds StartBounds(const ModelRun& run, const CursorStart& start) {
  const LogModel& model = run.model;
  switch (start.kind) {
    case CursorStart::Kind::kEarliest:
      return {model.first_retained() - 1, model.first_retained() - 1};
    case CursorStart::Kind::kSequence: {
      const SequenceNumber committed = std::max<SequenceNumber>(start.sequence, 1) - 1;
      return {committed, committed};
    }
    case CursorStart::Kind::kLatest:
      return {model.durable(), model.last()};
    case CursorStart::Kind::kTime:
      break;
  }
  // When they were written only the log knows.
  return {model.first_retained() - 1, model.last()};
}

void CheckOpenError(ModelRun& run, ModelCursor& cursor, const CursorStart& start,
                    const absl::Status& status) {
  const LogModel& model = run.model;
  const Bounds bounds = StartBounds(run, start);
  const bool may_be_new = cursor.on_disk != OnDisk::kPresent;
  if (absl::IsOutOfRange(status) && may_be_new && start.kind == CursorStart::Kind::kSequence &&
      bounds.highest > model.durable()) {
    cursor.on_disk = OnDisk::kAbsent;
    return;
  }
  // What a dead disk shows proves nothing.
  const bool disk_explains = run.DiskExplains(status) || !run.disk.powered();
  if (run.state == ModelRun::State::kOpen && disk_explains) {
    // Perhaps it was made.
    if (cursor.on_disk == OnDisk::kAbsent) {
      cursor.lowest = bounds.lowest;
      cursor.highest = bounds.highest;
    } else {
      cursor.lowest = std::min(cursor.lowest, bounds.lowest);
      cursor.highest = std::max(cursor.highest, bounds.highest);
    }
    if (may_be_new) cursor.on_disk = OnDisk::kUnknown;
    return;
  }
  run.ExpectOk("OpenCursor", status);
}

void OpenOne(ModelRun& run, const std::string& name) {
  ModelCursor& cursor = run.model_cursors[name];
  CursorOptions options;
  options.start = DrawStart(run);
  options.checkpoint_records = run.choices.Of({uint64_t{0}, uint64_t{1}, uint64_t{7}});
  options.checkpoint_interval =
      run.choices.OneIn(4) ? absl::ZeroDuration() : absl::InfiniteDuration();
  run.Describe(absl::StrCat(name, ", start kind ", static_cast<int>(options.start.kind), " at ",
                            options.start.sequence, ", checkpoint each ",
                            options.checkpoint_records));
  absl::StatusOr<std::unique_ptr<Cursor>> opened = run.log->OpenCursor(name, options);
  if (!opened.ok()) return CheckOpenError(run, cursor, options.start, opened.status());
  const SequenceNumber at = (*opened)->committed();
  const Bounds start = StartBounds(run, options.start);
  const bool as_new = cursor.on_disk != OnDisk::kPresent && at >= start.lowest &&
                      at <= start.highest && at <= run.model.last();
  const bool as_before =
      cursor.on_disk != OnDisk::kAbsent && at >= cursor.lowest && at <= cursor.highest;
  if (!as_new && !as_before) {
    const bool absent = cursor.on_disk == OnDisk::kAbsent;
    return run.Differ(absl::StrCat("cursor ", name, " begins behind a number between ",
                                   absent ? start.lowest : cursor.lowest, " and ",
                                   absent ? start.highest : cursor.highest),
                      absl::StrCat(at));
  }
  // A new one does not begin before its record is durable.
  if (!as_before) run.model.KnowDurable(at);
  cursor.shown = cursor.delivered = cursor.committed = cursor.checkpointed = at;
  cursor.Checkpointed(at);
  cursor.untold_truncation.reset();
  run.cursors.push_back({name, options, *std::move(opened)});
  CheckPosition(run, run.cursors.back());
}

bool IsOpen(const ModelRun& run, const std::string& name) {
  return std::any_of(run.cursors.begin(), run.cursors.end(),
                     [&](const OpenModelCursor& open) { return open.name == name; });
}

void RunOpenCursor(ModelRun& run) {
  if (run.choices.OneIn(32)) {
    static constexpr const char* kBad[] = {"", ".hidden", "a/b", "a b"};
    const std::string name = run.choices.Of(kBad);
    run.Describe("\"" + name + "\"");
    run.ExpectCode("a bad name", run.log->OpenCursor(name).status(),
                   absl::StatusCode::kInvalidArgument);
    return;
  }
  const std::string name = run.choices.Of(kNames);
  if (IsOpen(run, name)) {
    run.Describe(name + ", which is open");
    const absl::Status status = run.log->OpenCursor(name).status();
    if (!run.DiskExplains(status)) {
      run.ExpectCode("a cursor that is open", status, absl::StatusCode::kAborted);
    }
    return;
  }
  if (run.cursors.size() < kMostOpen) OpenOne(run, name);
}

void RunCloseCursor(ModelRun& run) {
  if (run.cursors.empty()) return;
  const size_t index = run.choices.Below(run.cursors.size());
  OpenModelCursor& open = run.cursors[index];
  run.Describe(open.name);
  ModelCursor& cursor = run.ModelOf(open);
  open.cursor = nullptr;
  if (cursor.committed != cursor.checkpointed) {
    if (run.disk_may_fail) {
      cursor.CheckpointInDoubt(cursor.committed);
    } else {
      cursor.Checkpointed(cursor.committed);
    }
  }
  run.cursors.erase(run.cursors.begin() + static_cast<ptrdiff_t>(index));
}

void RunNext(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  run.Describe(absl::StrCat(open->name, ", after ", run.ModelOf(*open).delivered));
  for (uint64_t left = 1 + run.choices.Below(8); left > 0 && !run.differs(); --left) {
    if (run.fault.SkipsEntry()) open->cursor->Next(absl::ZeroDuration()).IgnoreError();
    const absl::StatusOr<Entry> entry = open->cursor->Next(absl::ZeroDuration());
    // What a dead disk shows proves nothing; the process is as good as dead, too.
    if (!run.disk.powered()) return;
    if (!entry.ok()) return CheckNoEntry(run, *open, entry.status());
    CheckEntry(run, *open, *entry);
  }
  if (!run.differs()) CheckPosition(run, *open);
}

void RunCommit(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  ModelCursor& cursor = run.ModelOf(*open);
  // Until it was told of a truncation its position is not for use.
  if (cursor.untold_truncation.has_value()) return;
  SequenceNumber through = cursor.delivered;
  if (run.choices.OneIn(4)) through = run.choices.Below(cursor.delivered + 3);
  run.Describe(absl::StrCat(open->name, " through ", through));
  const SequenceNumber before = cursor.checkpointed;
  const absl::Status status = open->cursor->Commit(through);
  if (through > cursor.delivered) {
    run.ExpectCode("a commit beyond what was delivered", status, absl::StatusCode::kOutOfRange);
    return;
  }
  const bool moves = through > cursor.committed;
  cursor.committed = std::max(cursor.committed, through);
  if (!status.ok()) {
    cursor.CheckpointInDoubt(cursor.committed);
    if (!run.DiskExplains(status)) run.Differ("Commit succeeds", status.ToString());
    return;
  }
  const SequenceNumber after = open->cursor->checkpointed();
  const bool counted = moves && open->options.checkpoint_records != 0 &&
                       cursor.committed - before >= open->options.checkpoint_records;
  const bool timed = open->options.checkpoint_interval != absl::InfiniteDuration();
  if (after == cursor.committed) {
    if (after != before && !counted && !(moves && timed)) {
      return run.Differ(absl::StrCat("no checkpoint is due; checkpointed is ", before),
                        absl::StrCat(after));
    }
    if (after != before) cursor.Checkpointed(after);
  } else if (after != before || counted) {
    return run.Differ(absl::StrCat("checkpointed is ", counted ? cursor.committed : before),
                      absl::StrCat(after));
  }
  CheckPosition(run, *open);
}

void RunCheckpoint(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  ModelCursor& cursor = run.ModelOf(*open);
  if (cursor.untold_truncation.has_value()) return;
  run.Describe(absl::StrCat(open->name, " of ", cursor.committed));
  if (run.fault.SwallowsCheckpoint()) return cursor.Checkpointed(cursor.committed);
  const absl::Status status = open->cursor->Checkpoint();
  if (status.ok()) {
    // Nothing is written otherwise, and a Reset that failed stays in doubt.
    if (cursor.committed != cursor.checkpointed) cursor.Checkpointed(cursor.committed);
    CheckPosition(run, *open);
    return;
  }
  cursor.CheckpointInDoubt(cursor.committed);
  if (!run.DiskExplains(status)) run.Differ("Checkpoint succeeds", status.ToString());
}

constexpr ModelOperation kOperations[] = {
    {"OpenCursor", 20, RunOpenCursor},
    {"close a cursor", 8, RunCloseCursor},
    {"Next", 150, RunNext},
    {"Commit", 60, RunCommit},
    {"Checkpoint", 8, RunCheckpoint},
};

}  // namespace

std::span<const ModelOperation> CursorOperations() { return kOperations; }

OpenModelCursor* PickCursor(ModelRun& run) {
  if (run.cursors.empty()) OpenOne(run, run.choices.Of(kNames));
  if (run.cursors.empty() || run.differs()) return nullptr;
  return &run.cursors[run.choices.Below(run.cursors.size())];
}

void CheckEntry(ModelRun& run, const OpenModelCursor& open, const Entry& entry) {
  ModelCursor& cursor = run.ModelOf(open);
  const SequenceNumber next = cursor.next();
  const std::string who = absl::StrCat("cursor ", open.name);
  if (entry.kind == Entry::Kind::kTruncated || cursor.untold_truncation.has_value()) {
    const bool told = entry.kind == Entry::Kind::kTruncated;
    if (!told || !cursor.untold_truncation.has_value() ||
        entry.truncated_after != *cursor.untold_truncation) {
      return run.Differ(cursor.untold_truncation.has_value()
                            ? absl::StrCat(who, " tells that the log was truncated after ",
                                           *cursor.untold_truncation)
                            : absl::StrCat(who, " shows record ", next),
                        told ? absl::StrCat("truncated after ", entry.truncated_after)
                             : absl::StrCat("entry kind ", static_cast<int>(entry.kind),
                                            ", record ", entry.record.sequence));
    }
    cursor.untold_truncation.reset();
    ++run.tally.truncated_entries;
    return;
  }
  if (entry.kind == Entry::Kind::kLost) {
    const LostRange& lost = entry.lost;
    if (lost.cause != LossCause::kTrimmed || lost.first != next || lost.last < lost.first ||
        lost.last >= run.model.first_retained()) {
      return run.Differ(absl::StrCat(who, " shows record ", next, "; the first one kept is ",
                                     run.model.first_retained()),
                        lost.ToString());
    }
    ++run.tally.trimmed_entries;
    cursor.Delivered(lost.last);
    return;
  }
  if (entry.record.sequence != next) {
    return run.Differ(absl::StrCat(who, " shows record ", next),
                      absl::StrCat("record ", entry.record.sequence));
  }
  if (auto wrong = run.model.Judge(entry.record)) {
    return run.Differ(who + " shows the record as accepted", *wrong);
  }
  // Readers are shown nothing that a power cut could take back.
  run.model.KnowDurable(next);
  cursor.Delivered(next);
}

void CheckNoEntry(ModelRun& run, const OpenModelCursor& open, const absl::Status& status) {
  const ModelCursor& cursor = run.ModelOf(open);
  const bool due = cursor.next() <= run.model.durable() || cursor.untold_truncation.has_value();
  const bool closed = run.state == ModelRun::State::kClosed;
  const bool may_have_failed = run.disk_may_fail || run.failure.has_value();
  if (!due && !closed && absl::IsDeadlineExceeded(status)) return;
  if (!due && closed && absl::IsCancelled(status)) return;
  if (!due && may_have_failed && absl::IsFailedPrecondition(status)) return;
  if (run.DiskExplains(status)) return;
  run.Differ(due ? absl::StrCat("cursor ", open.name, " shows entry ", cursor.next(), "; up to ",
                                run.model.durable(), " is durable")
                 : absl::StrCat("cursor ", open.name, " has nothing to show"),
             status.ToString());
}

void CheckPosition(ModelRun& run, const OpenModelCursor& open) {
  const ModelCursor& cursor = run.ModelOf(open);
  if (cursor.untold_truncation.has_value()) return;
  const Cursor& real = *open.cursor;
  if (real.delivered() == cursor.delivered && real.committed() == cursor.committed &&
      real.checkpointed() == cursor.checkpointed) {
    return;
  }
  run.Differ(absl::StrCat("cursor ", open.name, ": delivered ", cursor.delivered, ", committed ",
                          cursor.committed, ", checkpointed ", cursor.checkpointed),
             absl::StrCat(real.delivered(), ", ", real.committed(), ", ", real.checkpointed()));
}

}  // namespace millrace
