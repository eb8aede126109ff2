#include "wal/shared_checkpoints.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>
#include <utility>

#include "wal/check.h"
#include "wal/io.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

constexpr std::string_view kAsideName = "CURSORS.aside";

// By how much a home's generation is raised when it takes over from CURSORS: more than
// any slot can be ahead of it that was not found or could not be read, and that
// may be found some day.
constexpr uint64_t kOutbid = uint64_t{1} << 32;

uint64_t Outbid(uint64_t generation) {
  return generation < ~uint64_t{0} - kOutbid ? generation + kOutbid : ~uint64_t{0};
}

}  // namespace

SharedCheckpoints::SharedCheckpoints(FileSystem& file_system, Directory& directory)
    : file_system_(file_system), directory_(directory) {}

SharedCheckpoints::~SharedCheckpoints() {
  MutexLock lock(&mu_);
  WAL_CHECK(members_.empty() || Forked());
}

// --- Open ---------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<SharedCheckpoints>> SharedCheckpoints::Open(FileSystem& file_system,
                                                                           Directory& directory,
                                                                           const LogId& log_id) {
  std::unique_ptr<SharedCheckpoints> shared(new SharedCheckpoints(file_system, directory));
  const SharedEntries entries = SharedEntries::Read(directory);
  if (absl::IsResourceExhausted(entries.report().status)) return entries.report().status;
  const absl::StatusOr<std::vector<StoredCursor>> cursors = ReadCursors(directory);
  if (!cursors.ok()) return cursors.status();

  Report& report = shared->report_;
  report.invalid_blocks = entries.report().invalid_blocks;
  report.status = shared->MoveAllHome(log_id, entries, *cursors);
  if (report.status.ok()) report.status = shared->RemoveFile(log_id, entries);
  if (!report.status.ok()) {
    MutexLock lock(&shared->mu_);
    shared->retired_ = report.status;
    shared->may_hold_newer_ = true;
  }
  return shared;
}

namespace {

// One that CURSORS says anything about is moved even if its home is newer: what was read there
// may be what a failed sync has left in memory only.
bool MustMove(const StoredCursor& cursor, const LogId& log_id) {
  return cursor.BelongsTo(log_id) && (cursor.has_entry || cursor.entry_found);
}

}  // namespace

// Goes on after an error, of which it returns the first: CURSORS must then stay.
absl::Status SharedCheckpoints::MoveAllHome(const LogId& log_id, const SharedEntries& entries,
                                            const std::vector<StoredCursor>& cursors) {
  absl::Status first;
  for (const StoredCursor& cursor : cursors) {
    if (!MustMove(cursor, log_id)) continue;
    absl::Status status = MoveHome(log_id, entries, cursor.name);
    if (first.ok()) first = std::move(status);
  }
  return first;
}

absl::Status SharedCheckpoints::MoveHome(const LogId& log_id, const SharedEntries& entries,
                                         const std::string& name) {
  absl::StatusOr<std::unique_ptr<SlotFile>> home =
      SlotFile::Open(directory_, CursorFileName(name), OpenMode::kReadWrite);
  if (absl::IsNotFound(home.status())) return absl::OkStatus();
  if (!home.ok()) return home.status();
  absl::Status status = LockCursorFile((*home)->file(), name);
  if (!status.ok()) return status;
  const absl::StatusOr<bool> named = (*home)->HasItsName();
  if (!named.ok()) return named.status();
  if (!*named) return absl::OkStatus();
  // Again, now that it cannot change any more.
  const StoredCursor cursor = ReadCursor(name, (*home)->file(), entries);
  if (!MustMove(cursor, log_id)) return absl::OkStatus();
  CursorSlot slot = SlotFor(cursor.checkpoint);
  slot.log_id = log_id;
  slot.generation = GenerationBeside(cursor.slot, Outbid(cursor.generation));
  slot.name = name;
  slot.cursor_incarnation = cursor.cursor_incarnation;
  status = (*home)->Write(slot.generation, [&slot](int place, std::span<char, kSlotBytes> bytes) {
    EncodeCursorSlot(slot, place, bytes);
  });
  if (!status.ok()) return status;
  if (cursor.from_entry) ++report_.moved_home;
  if (!cursor.entry_found) report_.lost.push_back(name);
  return absl::OkStatus();
}

// The directory need not be synced: whatever comes back, the homes outbid it.
absl::Status SharedCheckpoints::RemoveFile(const LogId& log_id, const SharedEntries& entries) {
  const SharedBlocksReport& found = entries.report();
  if (!found.exists) return absl::OkStatus();
  // Not ours to delete.
  if (!found.status.ok() || found.newer_blocks > 0 || entries.HoldsOtherLogsThan(log_id)) {
    const IoResult renamed = directory_.Rename(kSharedCheckpointsName, kAsideName);
    if (renamed < 0) return IoError("set aside", kSharedCheckpointsName, renamed);
    report_.set_aside = true;
    return absl::OkStatus();
  }
  const IoResult removed = directory_.Unlink(kSharedCheckpointsName);
  if (removed < 0 && removed != -ENOENT) return IoError("unlink", kSharedCheckpointsName, removed);
  return absl::OkStatus();
}

// --- Members ------------------------------------------------------------------------

void SharedCheckpoints::Join(Member* member) {
  MutexLock lock(&mu_);
  members_.push_back({.member = member});
}

void SharedCheckpoints::Leave(Member* member, Departure departure) {
  MutexLock lock(&mu_);
  while (going_home_ == member) changed_.Wait(&mu_);
  std::erase_if(members_, [member](const Attendance& a) { return a.member == member; });
  may_hold_newer_ = may_hold_newer_ || departure == Departure::kLeftEntry;
}

void SharedCheckpoints::Close() {
  MutexLock lock(&mu_);
  closed_ = true;
  while (true) {
    if (going_home_ != nullptr) {
      changed_.Wait(&mu_);
      continue;
    }
    const auto next = std::find_if(members_.begin(), members_.end(),
                                   [](const Attendance& a) { return !a.went_home; });
    if (next == members_.end()) break;
    next->went_home = true;
    Member* const member = next->member;
    going_home_ = member;
    // It takes a lock of its own, under which others take this one.
    mu_.Unlock();
    const bool went_home = member->GoHome();
    mu_.Lock();
    may_hold_newer_ = may_hold_newer_ || !went_home;
    going_home_ = nullptr;
    changed_.NotifyAll();
  }
  // Nobody writes any more: who did held what GoHome has waited for. The directory need not be
  // synced, as above.
  if (file_ == nullptr || may_hold_newer_) return;
  file_.reset();
  directory_.Unlink(kSharedCheckpointsName);
}

absl::Status SharedCheckpoints::status() const {
  MutexLock lock(&mu_);
  return retired_;
}

bool SharedCheckpoints::CanWrite() const { return retired_.ok() && !closed_; }

bool SharedCheckpoints::Sharing() const {
  MutexLock lock(&mu_);
  return CanWrite() && members_.size() >= 2;
}

bool SharedCheckpoints::MayHoldNewer() const {
  MutexLock lock(&mu_);
  return may_hold_newer_;
}

std::optional<uint32_t> SharedCheckpoints::TakeEntry() {
  MutexLock lock(&mu_);
  if (!free_entries_.empty()) {
    const uint32_t entry = free_entries_.back();
    free_entries_.pop_back();
    return entry;
  }
  if (entries_ == kMaxSharedEntries) return std::nullopt;
  return entries_++;
}

void SharedCheckpoints::ReturnEntry(uint32_t entry) {
  MutexLock lock(&mu_);
  free_entries_.push_back(entry);
}

uint64_t SharedCheckpoints::DrawIncarnation() {
  std::array<char, sizeof(uint64_t)> drawn = {};
  if (file_system_.Random(drawn) < 0) return 0;
  return std::bit_cast<uint64_t>(drawn);
}

// --- Writing ------------------------------------------------------------------------

bool SharedCheckpoints::Write(std::span<const Request> requests) {
  MutexLock lock(&mu_);
  if (gathering_ == nullptr) gathering_ = std::make_shared<Batch>();
  const std::shared_ptr<Batch> batch = gathering_;
  batch->requests.insert(batch->requests.end(), requests.begin(), requests.end());
  while (!batch->done) {
    if (has_leader_) {
      changed_.Wait(&mu_);
    } else {
      Lead();
    }
  }
  return batch->durable;
}

// Writes what has gathered. While it does, more gathers.
void SharedCheckpoints::Lead() {
  const std::shared_ptr<Batch> batch = std::move(gathering_);
  gathering_ = nullptr;
  if (CanWrite()) {
    has_leader_ = true;
    mu_.Unlock();
    const bool durable = WriteBatch(*batch);
    mu_.Lock();
    batch->durable = durable;
    has_leader_ = false;
  }
  batch->done = true;
  changed_.NotifyAll();
}

bool SharedCheckpoints::WriteBatch(const Batch& batch) {
  if (file_ == nullptr) {
    // Open has removed it.
    const IoResult opened =
        OpenFile(directory_, kSharedCheckpointsName, OpenMode::kCreateExclusive, &file_);
    if (opened < 0) {
      if (!IsOutOfSpace(opened)) Retire(IoError("create", kSharedCheckpointsName, opened));
      return false;
    }
  }
  for (const Request& request : batch.requests) {
    const uint64_t offset = request.entry * kSharedEntryBytes + request.slot * kBlockBytes;
    const WriteOutcome outcome =
        WriteFully(*file_, offset, std::string_view(request.bytes.data(), request.bytes.size()));
    if (outcome.error == 0) continue;
    if (!IsOutOfSpace(outcome.error)) {
      Retire(IoErrorAt("write", kSharedCheckpointsName, offset, outcome.error));
    }
    return false;
  }
  IoResult synced = SyncFile(*file_);
  if (synced >= 0 && !directory_synced_) synced = SyncDirectory(directory_);
  if (synced < 0) {
    Retire(IoError("sync", kSharedCheckpointsName, synced));
    return false;
  }
  directory_synced_ = true;
  return true;
}

void SharedCheckpoints::Retire(const absl::Status& status) {
  MutexLock lock(&mu_);
  retired_ = status;
}

}  // namespace millrace
