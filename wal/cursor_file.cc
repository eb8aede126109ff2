#include "wal/cursor_file.h"

#include <errno.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_format.h"
#include "queue/sabotage.h"
#include "wal/io.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

// How often a name may be deleted, or made, while it is being opened.
constexpr int kTries = 100;

absl::Status WriteSlot(SlotFile& file, const CursorSlot& slot) {
  return file.Write(slot.generation, [&slot](int place, std::span<char, kSlotBytes> bytes) {
    EncodeCursorSlot(slot, place, bytes);
  });
}

absl::Status ChangesAllTheTime(std::string_view name) {
  return absl::AbortedError(absl::StrFormat(
      "cursor %s was made or deleted by others %d times meanwhile; try again", name, kTries));
}

}  // namespace

// --- Opening ------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<SlotFile>> CursorFile::OpenLocked(Directory& directory,
                                                                 const std::string& file_name,
                                                                 std::string_view name,
                                                                 OpenMode mode) {
  absl::StatusOr<std::unique_ptr<SlotFile>> file = SlotFile::Open(directory, file_name, mode);
  if (!file.ok()) return file.status();
  if (absl::Status status = LockCursorFile((*file)->file(), name); !status.ok()) return status;
  const absl::StatusOr<bool> named = (*file)->HasItsName();
  if (!named.ok()) return named.status();
  if (!*named) return nullptr;
  return file;
}

absl::StatusOr<std::unique_ptr<CursorFile>> CursorFile::Open(
    Directory& directory, const LogId& log_id, std::string_view name,
    const absl::StatusOr<CursorCheckpoint>& first, SharedCheckpoints* shared) {
  if (absl::Status status = CheckCursorName(name); !status.ok()) return status;
  const std::string file_name = CursorFileName(name);
  for (int i = 0; i < kTries; ++i) {
    absl::StatusOr<std::unique_ptr<SlotFile>> home =
        OpenLocked(directory, file_name, name, OpenMode::kReadWrite);
    if (absl::IsNotFound(home.status())) {
      if (!first.ok()) return first.status();
      absl::Status status = Create(directory, log_id, name, *first, shared);
      if (!status.ok()) return status;
      continue;
    }
    if (!home.ok()) return home.status();
    if (*home == nullptr) continue;
    // What can be read may be in memory only: whoever wrote it is gone, and so is the error of
    // a sync that failed. It is shown only once it is durable.
    const IoResult durable = SyncFile((*home)->file());
    (*home)->file().DropCache();
    if (durable < 0) return IoError("sync", file_name, durable);
    SharedEntries entries;
    if (shared == nullptr || shared->MayHoldNewer()) entries = SharedEntries::Read(directory);
    const StoredCursor stored = ReadCursor(name, (*home)->file(), entries);
    if (absl::Status status = CheckStoredCursor(stored, log_id); !status.ok()) return status;
    // Also of a file that was there: who made it may have failed to do it.
    const IoResult synced = SyncDirectory(directory);
    if (synced < 0) return IoError("sync directory of", file_name, synced);
    std::unique_ptr<CursorFile> file(new CursorFile(log_id, *std::move(home), stored, shared));
    if (shared != nullptr) shared->Join(file.get());
    return file;
  }
  return ChangesAllTheTime(name);
}

// Under another name until its first checkpoint is durable: a file that bears the
// cursor's name and has no valid slot is then always damage, never a crash, and
// the cursor is not quietly begun anew.
absl::Status CursorFile::Create(Directory& directory, const LogId& log_id, std::string_view name,
                                const CursorCheckpoint& first, SharedCheckpoints* shared) {
  const std::string new_name = std::string(name).append(kNewCursorSuffix);
  const std::string file_name = CursorFileName(name);
  const absl::StatusOr<std::unique_ptr<SlotFile>> file =
      OpenLocked(directory, new_name, name, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  if (*file == nullptr) return absl::OkStatus();
  // Now alone; but another opener may have finished in between.
  std::unique_ptr<File> probe;
  const IoResult probed = OpenFile(directory, file_name, OpenMode::kRead, &probe);
  if (probed == 0) return absl::OkStatus();
  if (probed != -ENOENT) return IoError("open", file_name, probed);

  // A crash may have left the checkpoint of an earlier cursor there.
  const IoResult emptied = TruncateFile((*file)->file(), 0);
  if (emptied < 0) return IoError("truncate", new_name, emptied);
  CursorSlot slot = SlotFor(first);
  slot.log_id = log_id;
  slot.generation = 1;
  slot.name = name;
  slot.cursor_incarnation = shared == nullptr ? 0 : shared->DrawIncarnation();
  if (MILLRACE_SABOTAGE(rename_before_sync)) {
    directory.Rename(new_name, file_name);
    return WriteSlot(**file, slot);
  }
  if (absl::Status status = WriteSlot(**file, slot); !status.ok()) return status;
  const IoResult error = directory.Rename(new_name, file_name);
  return error < 0 ? IoError("rename", new_name, error) : absl::OkStatus();
}

absl::Status CursorFile::Delete(Directory& directory, const LogId& log_id, std::string_view name,
                                DeleteMode mode) {
  if (absl::Status status = CheckCursorName(name); !status.ok()) return status;
  const std::string file_name = CursorFileName(name);
  for (int i = 0; i < kTries; ++i) {
    const absl::StatusOr<std::unique_ptr<SlotFile>> home =
        OpenLocked(directory, file_name, name, OpenMode::kReadWrite);
    if (!home.ok() && !absl::IsNotFound(home.status())) return home.status();
    if (home.ok()) {
      if (*home == nullptr) continue;
      if (mode == DeleteMode::kIfValid) {
        absl::Status status =
            CheckStoredCursor(ReadCursor(name, (*home)->file(), SharedEntries()), log_id);
        if (!status.ok()) return status;
      }
      // The lock is held: whoever opens the name sees this file until it is gone.
      const IoResult removed = directory.Unlink(file_name);
      if (removed < 0) return IoError("unlink", file_name, removed);
    }
    // Also if it is gone already: who deleted it may have failed to do it.
    const IoResult synced = SyncDirectory(directory);
    if (synced < 0) return IoError("sync directory of", file_name, synced);
    if (home.ok()) return absl::OkStatus();
    return absl::NotFoundError(absl::StrFormat(
        "there is no cursor %s: no file %s is in the log's directory; check the name", name,
        file_name));
  }
  return ChangesAllTheTime(name);
}

CursorFile::CursorFile(const LogId& log_id, std::unique_ptr<SlotFile> home,
                       const StoredCursor& stored, SharedCheckpoints* shared)
    : name_(stored.name),
      log_id_(log_id),
      incarnation_(stored.cursor_incarnation != 0 || shared == nullptr ? stored.cursor_incarnation
                                                                       : shared->DrawIncarnation()),
      shared_(shared),
      home_(std::move(home)),
      generation_(stored.generation),
      checkpoint_(stored.checkpoint),
      home_slot_(stored.slot),
      home_is_newest_(!stored.from_entry),
      home_names_entry_(stored.has_entry),
      home_names_incarnation_(stored.cursor_incarnation != 0),
      home_highest_(stored.highest_committed),
      published_(stored.checkpoint) {}

CursorFile::~CursorFile() {
  if (shared_ == nullptr || shared_->Forked()) return;
  bool went_home;
  {
    MutexLock lock(&mu_);
    went_home = GoHomeLocked();
  }
  using Departure = SharedCheckpoints::Departure;
  shared_->Leave(this, went_home ? Departure::kWentHome : Departure::kLeftEntry);
}

// --- Writing ------------------------------------------------------------------------

CursorCheckpoint CursorFile::checkpoint() const {
  MutexLock lock(&published_mu_);
  return published_;
}

void CursorFile::Publish(const CursorCheckpoint& checkpoint) {
  checkpoint_ = checkpoint;
  MutexLock lock(&published_mu_);
  published_ = checkpoint;
}

absl::Status CursorFile::Write(const CursorCheckpoint& checkpoint) {
  const Pending pending = {this, checkpoint};
  return WriteAll(std::span(&pending, 1));
}

// All are locked until what they wrote together is durable.
absl::Status CursorFile::WriteAll(std::span<const Pending> pending) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::vector<Pending> all(pending.begin(), pending.end());
  // The one order in which anybody takes several.
  std::sort(all.begin(), all.end(), [](const Pending& a, const Pending& b) {
    return std::less<CursorFile*>()(a.file, b.file);
  });
  for (const Pending& one : all) one.file->mu_.Lock();
  absl::Status status = WriteLocked(all);
  for (const Pending& one : all) one.file->mu_.Unlock();
  return status;
}

absl::Status CursorFile::WriteLocked(std::span<Pending> pending) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::vector<SharedCheckpoints::Request> requests;
  std::vector<bool> shares;
  for (Pending& one : pending) {
    one.checkpoint = one.file->Truncated(one.checkpoint);
    const auto request = one.file->RequestFor(one.checkpoint);
    shares.push_back(request.has_value());
    if (request.has_value()) requests.push_back(*request);
  }
  const bool durable = !requests.empty() && pending.front().file->shared_->Write(requests);
  absl::Status first;
  size_t next = 0;
  for (size_t i = 0; i < pending.size(); ++i) {
    const auto& [file, checkpoint] = pending[i];
    if (shares[i] && durable) file->EntryWritten(checkpoint, requests[next].slot);
    if (shares[i]) ++next;
    if (shares[i] && durable) continue;
    absl::Status status = file->WriteHome(checkpoint);
    if (first.ok()) first = std::move(status);
  }
  return first;
}

bool CursorFile::GoesBack(const CursorCheckpoint& checkpoint) const {
  return checkpoint.committed < checkpoint_.committed || checkpoint.committed < home_highest_;
}

std::optional<SharedCheckpoints::Request> CursorFile::RequestFor(
    const CursorCheckpoint& checkpoint) {
  if (shared_ == nullptr || !home_names_incarnation_ || GoesBack(checkpoint)) return std::nullopt;
  if (!shared_->Sharing()) return std::nullopt;
  const uint64_t generation = GenerationBeside(entry_slot_, generation_);
  if (generation == ~uint64_t{0}) return std::nullopt;
  if (!entry_.has_value()) entry_ = shared_->TakeEntry();
  if (!entry_.has_value()) return std::nullopt;
  generation_ = generation;
  SharedCheckpoints::Request request;
  request.entry = *entry_;
  request.slot = static_cast<int>(generation % 2);
  EncodeCursorSlot(Block(checkpoint), request.slot, request.bytes);
  return request;
}

void CursorFile::EntryWritten(const CursorCheckpoint& checkpoint, int slot) {
  entry_slot_ = slot;
  Publish(checkpoint);
  home_is_newest_ = false;
  // Once, so that the loss of CURSORS does not go unseen. Nothing else depends on it.
  if (!home_names_entry_) WriteHomeSlot(checkpoint, EntryUse::kInUse).IgnoreError();
}

absl::Status CursorFile::WriteHome(const CursorCheckpoint& checkpoint) {
  const bool goes_back = GoesBack(checkpoint);
  absl::Status status = WriteHomeSlot(checkpoint, EntryUse::kNone);
  if (!status.ok() || !goes_back) return status;
  // It is durable as it is. If this fails, home_highest_ has the next one try it again.
  if (WriteHomeSlot(checkpoint, EntryUse::kNone).ok()) home_highest_ = checkpoint.committed;
  return absl::OkStatus();
}

absl::Status CursorFile::WriteHomeSlot(const CursorCheckpoint& checkpoint, EntryUse use) {
  // Also if it fails: nobody knows what the slot then holds, and an entry must outbid it.
  generation_ = GenerationBeside(home_slot_, generation_);
  CursorSlot block = Block(checkpoint);
  block.has_entry = use == EntryUse::kInUse;
  home_highest_ = std::max(home_highest_, checkpoint.committed);
  absl::Status status = WriteSlot(*home_, block);
  if (!status.ok()) return status;
  home_slot_ = static_cast<int>(generation_ % 2);
  home_is_newest_ = true;
  home_names_entry_ = block.has_entry;
  home_names_incarnation_ = incarnation_ != 0;
  Publish(checkpoint);
  return absl::OkStatus();
}

CursorSlot CursorFile::Block(const CursorCheckpoint& checkpoint) const {
  CursorSlot slot = SlotFor(checkpoint);
  slot.log_id = log_id_;
  slot.generation = generation_;
  slot.name = name_;
  slot.cursor_incarnation = incarnation_;
  return slot;
}

bool CursorFile::GoHome() {
  MutexLock lock(&mu_);
  return GoHomeLocked();
}

bool CursorFile::GoHomeLocked() {
  if (!home_is_newest_ || home_names_entry_) {
    if (!WriteHome(Truncated(checkpoint_)).ok()) return false;
  }
  if (entry_.has_value()) shared_->ReturnEntry(*entry_);
  entry_.reset();
  entry_slot_ = -1;
  return true;
}

// --- Truncation ---------------------------------------------------------------------

CursorCheckpoint CursorFile::Truncated(CursorCheckpoint checkpoint) const {
  // Of the truncations after its epoch the first reached down furthest.
  const auto lowest = std::find_if(truncations_.begin(), truncations_.end(),
                                   [&](const Truncation& t) { return t.epoch > checkpoint.epoch; });
  if (lowest == truncations_.end()) return checkpoint;
  checkpoint.epoch = truncations_.back().epoch;
  if (checkpoint.committed <= lowest->last) return checkpoint;
  return {.epoch = checkpoint.epoch, .committed = lowest->last};
}

absl::Status CursorFile::Clamp(uint64_t epoch, SequenceNumber last) {
  MutexLock lock(&mu_);
  // Whoever is lowered by those is lowered further by this one.
  while (!truncations_.empty() && truncations_.back().last >= last) truncations_.pop_back();
  truncations_.push_back({epoch, last});
  const CursorCheckpoint lowered = Truncated(checkpoint_);
  if (lowered == checkpoint_ && home_highest_ <= last) return absl::OkStatus();
  return WriteHome(lowered);
}

}  // namespace millrace
