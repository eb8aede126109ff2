// Cursors: reading in batches and ahead, moving, listing, deleting.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/log_model_cursors.h"
#include "tests/log_model_run.h"

namespace millrace {
namespace {

using OnDisk = ModelCursor::OnDisk;

void RunNextBatch(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  const ModelCursor& cursor = run.ModelOf(*open);
  std::string memory(run.choices.Of({8, 300, 3000, 20'000}), '\0');
  run.Describe(absl::StrCat(open->name, ", after ", cursor.delivered, ", into ", memory.size()));
  std::vector<Entry> entries;
  const absl::StatusOr<size_t> count =
      open->cursor->NextBatch(std::span<char>(memory), &entries, absl::ZeroDuration());
  if (!run.disk.powered()) return;
  if (absl::IsInvalidArgument(count.status())) {
    // Nothing is passed over: whether it does not fit only the record tells.
    const SequenceNumber next = cursor.next();
    const ModelContent* content = next <= run.model.last() ? &run.model.at(next).content : nullptr;
    if (content == nullptr ||
        content->payload_bytes + ModelContent::kMaxExtrasBytes <= memory.size()) {
      run.Differ("the next record fits", count.status().ToString());
    }
    return;
  }
  if (!count.ok()) return CheckNoEntry(run, *open, count.status());
  if (*count != entries.size() || *count == 0) {
    return run.Differ("NextBatch says how many entries there are, at least one",
                      absl::StrCat(*count, " for ", entries.size()));
  }
  for (const Entry& entry : entries) {
    if (!run.differs()) CheckEntry(run, *open, entry);
  }
  if (!run.differs()) CheckPosition(run, *open);
}

void RunPeek(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  ModelCursor& cursor = run.ModelOf(*open);
  const uint64_t most = run.choices.Below(6);
  run.Describe(absl::StrCat(open->name, ", ", most, " after ", cursor.delivered));
  const absl::StatusOr<std::span<const Entry>> entries = open->cursor->Peek(most);
  if (!run.disk.powered()) return;
  if (!entries.ok()) {
    if (!run.DiskExplains(entries.status())) {
      run.Differ("Peek succeeds", entries.status().ToString());
    }
    return;
  }
  if (entries->size() > most) return run.Differ("Peek shows at most what was asked for", "more");
  // On a copy: the position does not change, but for what a truncation did to it.
  const ModelCursor before = cursor;
  for (const Entry& entry : *entries) {
    if (!run.differs()) CheckEntry(run, *open, entry);
  }
  if (run.differs()) return;
  const SequenceNumber next = cursor.next();
  const SequenceNumber shown = cursor.shown;
  cursor = before;
  cursor.shown = shown;
  if (entries->size() < most && next <= run.model.durable() && entries->empty()) {
    return run.Differ(absl::StrCat("Peek shows entry ", next), "nothing");
  }
  CheckPosition(run, *open);
}

// Where a seek may go. OutOfRange is certain, possible, or impossible.
struct Range {
  bool certain_in;
  bool certain_out;
};

Range RangeOf(const ModelRun& run, SequenceNumber next) {
  const LogModel& model = run.model;
  const bool below = next < model.first_retained();
  return {!below && next <= model.durable() + 1, below || next > model.last() + 1};
}

SequenceNumber DrawTarget(ModelRun& run) {
  const LogModel& model = run.model;
  if (run.choices.OneIn(8)) return run.choices.Below(model.last() + 4);
  const SequenceNumber first = model.first_retained();
  return first + run.choices.Below(model.durable() + 2 - std::min(first, model.durable() + 1));
}

// True if the cursor has moved.
bool CheckMove(ModelRun& run, SequenceNumber next, const absl::Status& status) {
  const Range range = RangeOf(run, next);
  if (absl::IsOutOfRange(status)) {
    if (range.certain_in) run.Differ(absl::StrCat("record ", next, " is there"), status.ToString());
    return false;
  }
  if (!status.ok()) {
    if (!run.DiskExplains(status)) run.Differ("the seek succeeds", status.ToString());
    return false;
  }
  if (range.certain_out) {
    run.Differ(absl::StrCat("moving to ", next, " is OutOfRange: ", run.model.first_retained(),
                            "..", run.model.last(), " are there"),
               "OK");
  }
  run.model.KnowDurable(next - 1);
  return true;
}

void RunSeek(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  ModelCursor& cursor = run.ModelOf(*open);
  const SequenceNumber next = DrawTarget(run);
  run.Describe(absl::StrCat(open->name, " to ", next));
  if (!CheckMove(run, next, open->cursor->Seek(next))) return;
  cursor.delivered = next - 1;
  CheckPosition(run, *open);
}

void RunRewind(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  ModelCursor& cursor = run.ModelOf(*open);
  run.Describe(open->name);
  const absl::Status status = open->cursor->Rewind();
  if (!status.ok()) {
    if (!run.DiskExplains(status)) run.Differ("Rewind succeeds", status.ToString());
    return;
  }
  cursor.delivered = cursor.committed;
  CheckPosition(run, *open);
}

void RunReset(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  ModelCursor& cursor = run.ModelOf(*open);
  const SequenceNumber next = DrawTarget(run);
  run.Describe(absl::StrCat(open->name, " to ", next));
  const absl::Status status = open->cursor->Reset(next);
  if (!CheckMove(run, next, status)) {
    if (!status.ok() && !absl::IsOutOfRange(status)) cursor.CheckpointInDoubt(next - 1);
    return;
  }
  cursor.delivered = cursor.committed = next - 1;
  cursor.Checkpointed(next - 1);
  CheckPosition(run, *open);
}

void RunSeekToTime(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  LogModel& model = run.model;
  ModelCursor& cursor = run.ModelOf(*open);
  const SequenceNumber first = model.first_retained();
  if (model.last() < first) return;
  const SequenceNumber picked = first + run.choices.Below(model.last() + 1 - first);
  const absl::Time time = model.at(picked).time;
  if (time == absl::InfinitePast() || model.at(picked).time_may_be_lost) return;
  run.Describe(absl::StrCat(open->name, " to the time of ", picked));
  const absl::Status status = open->cursor->SeekToTime(time);
  if (!run.disk.powered()) return;
  if (!status.ok()) {
    if (!run.DiskExplains(status)) run.Differ("SeekToTime succeeds", status.ToString());
    return;
  }
  const SequenceNumber next = open->cursor->delivered() + 1;
  if (next < first || next > model.last() + 1) {
    return run.Differ(absl::StrCat("a place in ", first, "..", model.last()), absl::StrCat(next));
  }
  // Of those whose time was seen: the ones before are older, the one that was picked is not.
  if (next > picked) {
    return run.Differ(absl::StrCat("a place not behind ", picked), absl::StrCat(next));
  }
  for (SequenceNumber s = next - std::min<SequenceNumber>(next, 20); s < next; ++s) {
    if (s < first || model.at(s).time_may_be_lost) continue;
    if (model.at(s).time >= time) {
      return run.Differ(absl::StrCat("a place not behind ", s, ", which is not older"),
                        absl::StrCat(next));
    }
  }
  model.KnowDurable(next - 1);
  cursor.delivered = next - 1;
  CheckPosition(run, *open);
}

void RunLag(ModelRun& run) {
  OpenModelCursor* open = PickCursor(run);
  if (open == nullptr) return;
  const ModelCursor& cursor = run.ModelOf(*open);
  const absl::StatusOr<CursorLag> lag = open->cursor->Lag();
  if (!run.disk.powered()) return;
  if (!lag.ok()) {
    if (!run.DiskExplains(lag.status())) run.Differ("Lag succeeds", lag.status().ToString());
    return;
  }
  const SequenceNumber consumed = std::max(cursor.committed, run.model.first_retained() - 1);
  const auto behind = [&](SequenceNumber end) { return end - std::min(end, consumed); };
  const uint64_t least = behind(run.model.durable());
  const uint64_t most = behind(run.model.last());
  if (lag->records < least || lag->records > most || (lag->records == 0) != (lag->bytes == 0)) {
    run.Differ(absl::StrCat("cursor ", open->name, " is between ", least, " and ", most,
                            " records behind, and bytes accordingly"),
               absl::StrCat(lag->records, " records, ", lag->bytes, " bytes"));
  }
}

void RunListCursors(ModelRun& run) {
  const std::vector<CursorStatus> listed = run.log->ListCursors();
  size_t expected = 0;
  for (const auto& known : run.model_cursors) {
    const std::string& name = known.first;
    const ModelCursor& cursor = known.second;
    const auto found = std::find_if(listed.begin(), listed.end(),
                                    [&](const CursorStatus& s) { return s.name == name; });
    const bool is_listed = found != listed.end();
    if (is_listed) ++expected;
    if (cursor.on_disk == OnDisk::kUnknown) continue;
    if (is_listed != (cursor.on_disk == OnDisk::kPresent)) {
      return run.Differ(absl::StrCat("cursor ", name, is_listed ? " is not there" : " is there"),
                        is_listed ? "it is listed" : "it is not listed");
    }
    if (!is_listed) continue;
    const bool open = std::any_of(run.cursors.begin(), run.cursors.end(),
                                  [&](const OpenModelCursor& o) { return o.name == name; });
    if (found->open != open || found->checkpointed < cursor.lowest ||
        found->checkpointed > cursor.highest) {
      return run.Differ(
          absl::StrCat("cursor ", name, open ? ", open" : ", not open", ", checkpointed between ",
                       cursor.lowest, " and ", cursor.highest),
          absl::StrCat(found->open ? "open" : "not open", ", checkpointed ", found->checkpointed));
    }
  }
  if (expected != listed.size()) run.Differ("only cursors that were made are listed", "others");
}

void RunDeleteCursor(ModelRun& run) {
  if (run.model_cursors.empty()) return;
  auto it = run.model_cursors.begin();
  std::advance(it, static_cast<ptrdiff_t>(run.choices.Below(run.model_cursors.size())));
  auto& [name, cursor] = *it;
  const std::string& wanted = name;
  const bool open = std::any_of(run.cursors.begin(), run.cursors.end(),
                                [&](const OpenModelCursor& o) { return o.name == wanted; });
  const DeleteMode mode = run.choices.Of({DeleteMode::kIfValid, DeleteMode::kWhatever});
  run.Describe(absl::StrCat(name, open ? ", which is open" : ""));
  const absl::Status status = run.log->DeleteCursor(name, mode);
  if (open) {
    run.ExpectCode("deleting a cursor that is open", status, absl::StatusCode::kAborted);
    return;
  }
  if (status.ok() || absl::IsNotFound(status)) {
    const OnDisk wrong = status.ok() ? OnDisk::kAbsent : OnDisk::kPresent;
    if (cursor.on_disk == wrong && run.disk.powered()) {
      return run.Differ(absl::StrCat("cursor ", name, status.ok() ? " is not there" : " is there"),
                        status.ToString());
    }
    cursor = ModelCursor();
    return;
  }
  if (cursor.on_disk == OnDisk::kPresent) cursor.on_disk = OnDisk::kUnknown;
  if (!run.DiskExplains(status) && run.disk.powered()) run.ExpectOk("DeleteCursor", status);
}

void RunCheckpointCursors(ModelRun& run) {
  const absl::Status status = run.log->CheckpointCursors();
  if (!status.ok() && !run.DiskExplains(status)) {
    return run.Differ("CheckpointCursors succeeds", status.ToString());
  }
  for (const OpenModelCursor& open : run.cursors) {
    ModelCursor& cursor = run.ModelOf(open);
    if (!status.ok()) {
      // Some of them may have been written.
      cursor.CheckpointInDoubt(cursor.committed);
      cursor.checkpointed = open.cursor->checkpointed();
    } else if (cursor.committed != cursor.checkpointed) {
      cursor.Checkpointed(cursor.committed);
    }
    if (!run.differs()) CheckPosition(run, open);
  }
}

constexpr ModelOperation kOperations[] = {
    {"NextBatch", 60, RunNextBatch},
    {"Peek", 40, RunPeek},
    {"Seek", 20, RunSeek},
    {"Rewind", 10, RunRewind},
    {"Reset", 6, RunReset},
    {"SeekToTime", 10, RunSeekToTime},
    {"Lag", 10, RunLag},
    {"ListCursors", 10, RunListCursors},
    {"DeleteCursor", 4, RunDeleteCursor},
    {"CheckpointCursors", 8, RunCheckpointCursors},
};

}  // namespace

std::span<const ModelOperation> SeekOperations() { return kOperations; }

}  // namespace millrace
