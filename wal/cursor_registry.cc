#include "wal/cursor_registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace millrace {
namespace {

// Under no lock and in no turn.
absl::Status Told(const CursorCommit& commit, absl::Status status) {
  if (!status.ok() && commit.events() != nullptr) {
    commit.events()->CheckpointFailed(commit.name(), status);
  }
  return status;
}

void KeepFirst(absl::Status* first, absl::Status status) {
  if (first->ok()) *first = std::move(status);
}

}  // namespace

// --- While a log is opened ------------------------------------------------------------

void CursorRegistry::SetLog(Directory* directory, const LogId& log_id, SharedCheckpoints* shared) {
  MutexLock lock(&mu_);
  shared_ = shared;
  directory_ = directory;
  log_id_ = log_id;
}

void CursorRegistry::AddEpoch(uint64_t epoch, SequenceNumber base) {
  MutexLock lock(&mu_);
  // One that lowers less than a later one does lowers nothing.
  while (!epochs_.empty() && epochs_.back().base >= base) epochs_.pop_back();
  epochs_.push_back({epoch, base});
}

void CursorRegistry::Set(std::string_view name, SequenceNumber committed, SequenceNumber written) {
  MutexLock lock(&mu_);
  Entry& entry = EntryOf(name);
  entry.committed = committed;
  entry.written = written;
  entry.on_disk = true;
}

CursorRegistry::Entry& CursorRegistry::EntryOf(std::string_view name) {
  const auto found = entries_.find(name);
  return found != entries_.end() ? found->second : entries_[std::string(name)];
}

// --- Opening and closing a cursor -----------------------------------------------------

void CursorRegistry::BeginOpen(std::string_view name) {
  MutexLock lock(&mu_);
  AwaitTrim();
  ++EntryOf(name).opening;
}

void CursorRegistry::EndOpen(std::string_view name, std::shared_ptr<CursorCommit> commit) {
  MutexLock lock(&mu_);
  Entry& entry = EntryOf(name);
  --entry.opening;
  if (commit != nullptr) {
    entry.open = std::move(commit);
    SetLowered(name, entry.open->posted());
  } else if (!entry.on_disk && entry.opening == 0) {
    entries_.erase(entries_.find(name));
  }
}

CursorCheckpoint CursorRegistry::Counted(std::string_view name,
                                         const CursorCheckpoint& written) const {
  MutexLock lock(&mu_);
  CursorCheckpoint counted = Lowered(written);
  const auto found = entries_.find(name);
  // It may have been removed and made anew since.
  if (found != entries_.end() && found->second.on_disk &&
      found->second.written == written.committed && found->second.committed < counted.committed) {
    counted = CursorCheckpoint{.epoch = counted.epoch, .committed = found->second.committed};
  }
  return counted;
}

CursorCheckpoint CursorRegistry::Lowered(const CursorCheckpoint& checkpoint) const {
  CursorCheckpoint lowered = checkpoint;
  for (const Epoch& later : epochs_) {
    if (later.epoch <= checkpoint.epoch) continue;
    // The place was that of a record that is gone.
    if (lowered.committed > later.base) lowered = CursorCheckpoint{.committed = later.base};
    lowered.epoch = later.epoch;
  }
  return lowered;
}

void CursorRegistry::SetLowered(std::string_view name, const CursorCheckpoint& written) {
  Entry& entry = EntryOf(name);
  entry.committed = Lowered(written).committed;
  entry.written = written.committed;
  entry.on_disk = true;
}

void CursorRegistry::Close(CursorCommit& commit) {
  MutexLock files(&files_mu_);
  std::shared_ptr<CursorCommit> kept;  // until its turn has ended
  CursorTurn turn(&commit);
  commit.CloseFile();
  MutexLock lock(&mu_);
  const auto found = entries_.find(commit.name());
  if (found != entries_.end() && found->second.open.get() == &commit) {
    kept = std::move(found->second.open);
  }
}

absl::Status CursorRegistry::Delete(Directory& directory, const LogId& log_id,
                                    std::string_view name, DeleteMode mode) {
  MutexLock files(&files_mu_);
  {
    MutexLock lock(&mu_);
    const auto found = entries_.find(name);
    if (found != entries_.end() && found->second.open != nullptr) {
      return absl::AbortedError(absl::StrFormat(
          "cursor %s is open in this process: close it before it is deleted", name));
    }
  }
  absl::Status status = CursorFile::Delete(directory, log_id, name, mode);
  // If somebody else took the file away, it holds nothing back either.
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  MutexLock lock(&mu_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return status;
  if (found->second.opening == 0) {
    entries_.erase(found);
  } else {
    found->second = Entry{.opening = found->second.opening, .open = nullptr};
  }
  return status;
}

// --- Checkpoints ----------------------------------------------------------------------

// What is to be written in this turn for the last commit, if anything.
std::optional<CursorCheckpoint> CursorRegistry::ToWrite(CursorCommit& commit) const {
  if (commit.file() == nullptr) return std::nullopt;
  CursorCheckpoint posted = commit.posted();
  {
    MutexLock lock(&mu_);
    posted = Lowered(posted);
  }
  if (posted.committed == commit.file()->checkpoint().committed) return std::nullopt;
  return posted;
}

// Only now may what lies before be trimmed.
void CursorRegistry::AfterWrite(CursorCommit& commit) {
  commit.Wrote();
  const CursorCheckpoint written = commit.file()->checkpoint();
  MutexLock lock(&mu_);
  SetLowered(commit.name(), written);
}

absl::Status CursorRegistry::Write(CursorCommit& commit) {
  absl::Status status;
  {
    CursorTurn turn(&commit);
    const std::optional<CursorCheckpoint> checkpoint = ToWrite(commit);
    if (!checkpoint.has_value()) return absl::OkStatus();
    status = commit.file()->Write(*checkpoint);
    if (status.ok()) AfterWrite(commit);
  }
  return Told(commit, std::move(status));
}

absl::Status CursorRegistry::WriteAll() {
  std::vector<std::shared_ptr<CursorCommit>> open;
  {
    MutexLock lock(&mu_);
    for (const auto& [name, entry] : entries_) {
      if (entry.open != nullptr) open.push_back(entry.open);
    }
  }
  std::vector<std::shared_ptr<CursorCommit>> writing;
  std::vector<CursorFile::Pending> pending;
  for (std::shared_ptr<CursorCommit>& commit : open) {
    commit->BeginTurn();
    const std::optional<CursorCheckpoint> checkpoint = ToWrite(*commit);
    if (!checkpoint.has_value()) {
      commit->EndTurn();
      continue;
    }
    pending.push_back({commit->file(), *checkpoint});
    writing.push_back(std::move(commit));
  }
  absl::Status status = CursorFile::WriteAll(pending);
  std::vector<std::shared_ptr<CursorCommit>> failed;
  for (size_t i = 0; i < writing.size(); ++i) {
    if (pending[i].file->checkpoint().committed == pending[i].checkpoint.committed) {
      AfterWrite(*writing[i]);
    } else {
      failed.push_back(writing[i]);
    }
    writing[i]->EndTurn();
  }
  for (const auto& commit : failed) Told(*commit, status).IgnoreError();
  return status;
}

absl::Status CursorRegistry::Reset(CursorCommit& commit, const CursorCheckpoint& to,
                                   absl::FunctionRef<SequenceNumber()> first_retained) {
  absl::Status status;
  {
    CursorTurn turn(&commit);
    {
      // A trim that begins after this does not pass it; one that ended before is seen below.
      MutexLock lock(&mu_);
      AwaitTrim();
      Entry& entry = EntryOf(commit.name());
      entry.committed = std::min(entry.committed, to.committed);
    }
    const SequenceNumber first = first_retained();
    if (to.committed + 1 < first) {
      MutexLock lock(&mu_);
      SetLowered(commit.name(), commit.file()->checkpoint());
      return absl::OutOfRangeError(
          absl::StrFormat("cursor %s: cannot be reset to %d: the oldest record kept is %d, trimmed "
                          "meanwhile; reset it "
                          "to that or a later one",
                          commit.name(), to.committed + 1, first));
    }
    CursorCheckpoint checkpoint = to;
    {
      MutexLock lock(&mu_);
      checkpoint = Lowered(to);
    }
    // If it fails, the disk may say either: the lower one goes on to count.
    status = commit.file()->Write(checkpoint);
    if (status.ok()) {
      commit.Post(checkpoint);
      AfterWrite(commit);
    }
  }
  return Told(commit, std::move(status));
}

// --- Truncation -----------------------------------------------------------------------

absl::Status CursorRegistry::Truncate(SequenceNumber last, uint64_t epoch) {
  AddEpoch(epoch, last);
  MutexLock files(&files_mu_);
  std::vector<std::shared_ptr<CursorCommit>> open;
  std::vector<Checkpoint> unopened;
  {
    MutexLock lock(&mu_);
    for (auto& [name, entry] : entries_) {
      entry.committed = std::min(entry.committed, last);
      if (entry.open != nullptr) {
        open.push_back(entry.open);
      } else if (entry.on_disk && entry.written > entry.committed) {
        unopened.push_back({name, entry.committed});
      }
    }
  }
  absl::Status first;
  for (const auto& commit : open) KeepFirst(&first, ClampOpen(*commit, epoch));
  for (const Checkpoint& to : unopened) KeepFirst(&first, ClampFile(to, epoch));
  return first;
}

absl::Status CursorRegistry::ClampOpen(CursorCommit& commit, uint64_t epoch) {
  absl::Status status;
  {
    CursorTurn turn(&commit);
    const CursorCheckpoint written = commit.file()->checkpoint();
    SequenceNumber counted;
    {
      MutexLock lock(&mu_);
      counted = Lowered(written).committed;
    }
    // Also where less was committed: a write that failed may have left more.
    status = commit.file()->Clamp(epoch, counted);
    if (status.ok()) AfterWrite(commit);
  }
  return Told(commit, std::move(status));
}

absl::Status CursorRegistry::ClampFile(const Checkpoint& to, uint64_t epoch) {
  Directory* directory;
  LogId log_id;
  SharedCheckpoints* shared;
  {
    MutexLock lock(&mu_);
    shared = shared_;
    directory = directory_;
    log_id = log_id_;
  }
  // Never made here.
  absl::StatusOr<std::unique_ptr<CursorFile>> file =
      CursorFile::Open(*directory, log_id, to.name,
                       absl::NotFoundError("the file of the cursor was removed"), shared);
  absl::Status status = file.status();
  // Whatever epoch it bears: one of an epoch to come, or beyond the end, is not lowered by this
  // one as such.
  if (status.ok()) status = (*file)->Write({.epoch = epoch, .committed = to.committed});
  if (status.ok()) {
    MutexLock lock(&mu_);
    SetLowered(to.name, (*file)->checkpoint());
    return status;
  }
  // Removed, damaged, newer or another's meanwhile: no checkpoint of this log.
  const bool holds_none = absl::IsNotFound(status) || absl::IsDataLoss(status) ||
                          absl::IsUnimplemented(status) || absl::IsFailedPrecondition(status);
  return holds_none ? absl::OkStatus() : status;
}

// --- Looking --------------------------------------------------------------------------

std::optional<CursorRegistry::Checkpoint> CursorRegistry::Lowest() const {
  MutexLock lock(&mu_);
  return LowestLocked();
}

std::optional<CursorRegistry::Checkpoint> CursorRegistry::BeginTrim() {
  MutexLock lock(&mu_);
  trimming_ = true;
  return LowestLocked();
}

void CursorRegistry::EndTrim() {
  MutexLock lock(&mu_);
  trimming_ = false;
  trim_ended_.NotifyAll();
}

void CursorRegistry::AwaitTrim() {
  while (trimming_) trim_ended_.Wait(&mu_);
}

std::optional<CursorRegistry::Checkpoint> CursorRegistry::LowestLocked() const {
  std::optional<Checkpoint> lowest;
  for (const auto& [name, entry] : entries_) {
    if (!lowest.has_value() || entry.committed < lowest->committed) {
      lowest = {name, entry.committed};
    }
  }
  return lowest;
}

std::vector<CursorRegistry::Listed> CursorRegistry::List() const {
  std::vector<Listed> list;
  MutexLock lock(&mu_);
  for (const auto& [name, entry] : entries_) {
    if (entry.on_disk) list.push_back({name, entry.open != nullptr, entry.committed});
  }
  return list;
}

}  // namespace millrace
