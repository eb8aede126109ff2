// How a run opens its log, lets go of it, and adopts what the next opening found.

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "millrace/log_reader.h"
#include "tests/log_model_run.h"

namespace millrace {
namespace {

using Survivors = LogModel::Survivors;

constexpr uint64_t kKiB = 1024;

}  // namespace

Options ModelRun::DrawOptions() {
  Options drawn;
  drawn.file_system = &disk;
  drawn.recovery_policy = choices.Of(
      {RecoveryPolicy::kSalvage, RecoveryPolicy::kStrict, RecoveryPolicy::kStopAtFirstLoss});
  drawn.segment_bytes = choices.Of({8 * kKiB, 8 * kKiB, 12 * kKiB, 32 * kKiB});
  drawn.initial_segment_bytes = 8 * kKiB;
  drawn.queue_records = choices.Of({64u, 100u, 256u});
  drawn.queue_bytes = choices.Of({64 * kKiB, 128 * kKiB});
  drawn.group_bytes = choices.Of({4 * kKiB, 16 * kKiB});
  drawn.sync_policy.records = choices.Of({0u, 0u, 1u, 5u});
  drawn.sync_policy.bytes = choices.Of({0 * kKiB, 0 * kKiB, 1 * kKiB});
  drawn.sync_policy.interval = choices.Of({absl::ZeroDuration(), absl::Microseconds(100)});
  drawn.unsynced_bytes = 64 * kKiB;
  drawn.idle_mark_delay = choices.Of({absl::Milliseconds(50), absl::Milliseconds(1)});
  return drawn;
}

uint64_t ModelRun::ErrorHits() const {
  return armed_error_.has_value() ? disk.RuleHits(*armed_error_) : 0;
}

void ModelRun::ArmCrash() {
  const uint64_t number = 1 + choices.Below(1 + choices.Below(40));
  const CrashMoment moment =
      choices.Of({CrashMoment::kBefore, CrashMoment::kInside, CrashMoment::kAfter});
  Describe(absl::StrCat("(power off at change ", number, ")"));
  disk_may_fail = crash_armed_ = true;
  disk.CrashAt(number, moment);
}

void ModelRun::ArmError() {
  SimRule rule;
  rule.op = choices.Of({FileOp::kSync, FileOp::kSync, FileOp::kWrite, FileOp::kWrite,
                        FileOp::kDirectorySync, FileOp::kCreate, FileOp::kRename, FileOp::kAllocate,
                        FileOp::kUnlink, FileOp::kTruncate});
  rule.name = choices.Of({"*", "*.seg", "*.cursor", "LOG"});
  rule.error = choices.Of({EIO, EIO, ENOSPC});
  rule.first = 1 + choices.Below(4);
  if (rule.op == FileOp::kSync && choices.OneIn(2)) rule.action = SimRule::Action::kLosePages;
  Describe(absl::StrCat("(", std::string(FileOpName(rule.op)), " of ", rule.name, " fails, call ",
                        rule.first, ")"));
  disk_may_fail = true;
  armed_error_ = disk.AddRule(rule);
}

// What was told to fail no longer does, but for a power cut that is under way.
void ModelRun::Calm() {
  if (!disk.powered()) {
    ++tally.power_cuts;
    disk.PowerOn(choices.Below(uint64_t{1} << 62));
    crash_armed_ = false;
  }
  disk.ClearRules();
  armed_error_.reset();
  fault.Arm(disk);
  disk_may_fail = crash_armed_;
  failure.reset();
}

void ModelRun::Reopen(Survivors survivors) {
  if (log != nullptr) LetGo();
  if (differs()) return;
  if (survivors == Survivors::kAll && ErrorHits() > 0) survivors = Survivors::kSynced;
  Calm();
  while (!TryOpen(&survivors)) {
    if (differs()) return;
  }
  Adopt(survivors);
}

// All that was opened goes, in one of the orders in which a program may do it.
void ModelRun::LetGo() {
  const bool cursors_first = choices.OneIn(2);
  if (cursors_first) CloseCursors();
  if (choices.OneIn(4)) {
    log = nullptr;
  } else {
    ExpectOk("Close", log->Close());
  }
  ResolveAll();
  if (!cursors_first) CloseCursors();
  producers.clear();
  log = nullptr;
}

// After Close every append is resolved.
void ModelRun::ResolveAll() {
  TakeCallbacks();
  for (PendingResult& append : pending) {
    if (differs()) break;
    if (!append.ticket.has_value()) {
      Differ(absl::StrCat("the callback of id ", append.id, " is called before Close returns"),
             "it was not");
    } else {
      Resolve(&append, append.ticket->Wait(absl::ZeroDuration()));
    }
  }
  pending.clear();
}

void ModelRun::CloseCursors() {
  for (OpenModelCursor& open : cursors) {
    ModelCursor& cursor = ModelOf(open);
    open.cursor = nullptr;
    if (cursor.committed == cursor.checkpointed) continue;
    // The destructor's checkpoint, whose error is lost.
    if (disk_may_fail || fault.SwallowsCheckpoint()) {
      cursor.CheckpointInDoubt(cursor.committed);
    } else {
      cursor.Checkpointed(cursor.committed);
    }
  }
  cursors.clear();
}

// True once the log is open; false: try again, or the run differs.
bool ModelRun::TryOpen(Survivors* survivors) {
  options = DrawOptions();
  const bool certain = exists_ && !disk_may_fail &&
                       (*survivors == Survivors::kAll || *survivors == Survivors::kSynced);
  if (certain && choices.OneIn(16)) {
    options.create_mode = CreateMode::kMustNotExist;
    const absl::Status status = Log::Open(kModelDirectory, options).status();
    ExpectCode("opening with kMustNotExist", status, absl::StatusCode::kAlreadyExists);
    return false;
  }
  if (certain && choices.OneIn(4)) options.create_mode = CreateMode::kMustExist;
  // Not both: what an opening cuts since it could not sync it is named in its report only.
  if (choices.OneIn(8)) {
    ArmCrash();
  } else if (choices.OneIn(16) && !crash_armed_) {
    ArmError();
  }
  absl::StatusOr<std::unique_ptr<Log>> opened = Log::Open(kModelDirectory, options);
  if (opened.ok()) {
    if (ErrorHits() > 0) *survivors = Survivors::kNamed;
    log = *std::move(opened);
    exists_ = true;
    ++tally.openings;
    return true;
  }
  ++tally.failed_openings;
  if (!ExplainsFailedOpen(opened.status(), survivors)) {
    Differ("Log::Open succeeds", opened.status().ToString());
  }
  Calm();
  return false;
}

bool ModelRun::ExplainsFailedOpen(const absl::Status& status, Survivors* survivors) {
  Note(absl::StrCat("opening fails: ", status.message()));
  const bool disk_failed = !disk.powered() || ErrorHits() > 0;
  if (disk_failed) *survivors = Survivors::kDurable;
  // What a dead disk shows proves nothing.
  if (!disk.powered()) return true;
  // After a failed write or sync, and no power cut since, kStrict may miss written records.
  if (absl::IsDataLoss(status) && options.recovery_policy == RecoveryPolicy::kStrict) {
    return *survivors == Survivors::kDurable;
  }
  return disk_failed && DiskExplains(status);
}

void ModelRun::Adopt(Survivors survivors) {
  state = State::kOpen;
  counters = {};
  const RecoveryReport& report = log->recovery();
  if (auto wrong = model.Reopen(survivors, report)) return Differ("a recovery as promised", *wrong);
  Note(absl::StrCat("opened: ", model.first_retained(), "..", model.last()));
  // A crash may come with the first idle mark, but nothing lowers what is durable.
  if (log->last_durable() != model.last() || log->last_written() != model.last()) {
    return Differ(absl::StrCat("last_written and last_durable are ", model.last()),
                  absl::StrCat(log->last_written(), " and ", log->last_durable()));
  }
  if (log->first_retained() != model.first_retained()) {
    return Differ(absl::StrCat("first_retained is ", model.first_retained()),
                  absl::StrCat(log->first_retained()));
  }
  for (auto& [name, cursor] : model_cursors) {
    cursor.untold_truncation.reset();
    cursor.lowest = std::min(cursor.lowest, model.last());
    cursor.highest = std::min(cursor.highest, model.last());
  }
  if (survivors != Survivors::kAll || choices.OneIn(8)) ReadEverything();
}

// By a reader from outside: every record is there, as it was accepted.
void ModelRun::ReadEverything() {
  LogReaderOptions reader_options;
  reader_options.file_system = &disk;
  reader_options.limit = LogReaderOptions::Limit::kReadable;
  auto reader = LogReader::Open(kModelDirectory, reader_options);
  SequenceNumber expected = model.first_retained();
  const SequenceNumber last = model.last();
  absl::Status status = reader.status();
  while (status.ok() && expected <= last) {
    const absl::StatusOr<Entry> entry = (*reader)->Next();
    // What the dead disk shows proves nothing.
    if (!disk.powered()) return;
    status = entry.status();
    if (!status.ok()) break;
    if (entry->kind != Entry::Kind::kRecord || entry->record.sequence != expected) {
      return Differ(absl::StrCat("the reader shows record ", expected, " of ", last),
                    entry->kind == Entry::Kind::kRecord
                        ? absl::StrCat("record ", entry->record.sequence)
                        : entry->lost.ToString());
    }
    if (auto wrong = model.Judge(entry->record)) return Differ("the record as accepted", *wrong);
    ++expected;
  }
  if (!status.ok() && disk.powered()) {
    Differ(absl::StrCat("the reader shows record ", expected, " of ", last), status.ToString());
  }
}

}  // namespace millrace
