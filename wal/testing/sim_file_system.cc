#include "millrace/testing/sim_file_system.h"

#include <errno.h>
#include <limits.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "wal/check.h"
#include "wal/testing/sim_state.h"

namespace millrace {
namespace {

// Nothing that a test writes is longer; a wild offset must not eat the memory.
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 31;

IoResult CheckName(std::string_view name) {
  if (name.empty() || name == "." || name == ".." ||
      name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    return -EINVAL;
  }
  return name.size() > NAME_MAX ? -ENAMETOOLONG : 0;
}

std::string Trimmed(const std::string& path) {
  const size_t last = path.find_last_not_of('/');
  return last == std::string::npos ? "/" : path.substr(0, last + 1);
}

}  // namespace

class SimFile final : public File {
 public:
  using State = SimFileSystem::State;

  SimFile(State* state, std::shared_ptr<SimInode> inode, std::string_view name, OpenMode mode)
      : state_(state),
        inode_(std::move(inode)),
        name_(name),
        writable_(mode != OpenMode::kRead),
        generation_(state->generation),
        handle_(state->next_handle++),
        errors_seen_(inode_->sync_errors) {}

  ~SimFile() override {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    Unlock();
  }

  IoResult Read(uint64_t offset, std::span<char> out) override {
    return Run(FileOp::kRead, offset, out.size(), [&](const FileCall&, const auto& admission) {
      const std::string& bytes = inode_->cached.get();
      if (offset >= bytes.size()) return IoResult{0};
      const uint64_t length =
          std::min({static_cast<uint64_t>(out.size()), bytes.size() - offset, admission.limit});
      memcpy(out.data(), bytes.data() + offset, length);
      state_->CorruptRead(admission.corrupt_bits, out.first(length));
      if (admission.limit < out.size()) ++state_->faults.shortened;
      return static_cast<IoResult>(length);
    });
  }

  IoResult Write(uint64_t offset, std::span<const std::string_view> pieces) override {
    if (!writable_) return -EBADF;
    if (pieces.size() > IOV_MAX) return -EINVAL;
    uint64_t total = 0;
    for (const std::string_view piece : pieces) total += piece.size();
    if (offset > kMaxFileBytes || total > kMaxFileBytes - offset) return -EFBIG;
    return Run(FileOp::kWrite, offset, total, [&](const FileCall& call, const auto& admission) {
      const IoResult room = total == 0 ? 0 : state_->Room(*inode_, offset, total, admission);
      if (room < 0) return room;
      const uint64_t length = std::min(static_cast<uint64_t>(room), admission.limit);
      if (admission.limit < total) ++state_->faults.shortened;
      std::string bytes;
      bytes.reserve(total);
      for (const std::string_view piece : pieces) bytes += piece;
      bytes.resize(length);
      inode_->Write(call.number, offset, std::move(bytes));
      return static_cast<IoResult>(length);
    });
  }

  IoResult Sync() override {
    return Run(FileOp::kSync, 0, 0, [&](const FileCall&, const auto& admission) {
      if (const std::optional<IoResult> late = inode_->ReportLateLoss()) {
        ++state_->faults.late_errors;
        errors_seen_ = inode_->sync_errors;
        return *late;
      }
      if (admission.lose_pages) return LosePages(admission.lose_error);
      inode_->Persist();
      if (state_->options.new_entry == SimOptions::NewEntry::kSyncedWithFile) {
        state_->disk.PersistEntriesOf(*inode_);
      }
      // Every File that was open when a sync failed hears of it once.
      if (errors_seen_ == inode_->sync_errors) return IoResult{0};
      errors_seen_ = inode_->sync_errors;
      ++state_->faults.other_errors;
      return IoResult{-inode_->sync_error};
    });
  }

  IoResult Truncate(uint64_t size) override {
    if (!writable_) return -EINVAL;
    if (size > kMaxFileBytes) return -EFBIG;
    return Run(FileOp::kTruncate, 0, size, [&](const FileCall& call, const auto&) {
      if (size < inode_->cached.size()) state_->disk.Bury(inode_->cached);
      inode_->SetSize(call.number, size);
      return IoResult{0};
    });
  }

  IoResult Allocate(uint64_t size) override {
    if (!writable_) return -EBADF;
    if (size == 0) return -EINVAL;
    if (size > kMaxFileBytes) return -EFBIG;
    return Run(FileOp::kAllocate, 0, size, [&](const FileCall& call, const auto& admission) {
      const IoResult room = state_->Room(*inode_, 0, size, admission);
      if (room < 0) return room;
      if (static_cast<uint64_t>(room) < size) {
        return IoResult{admission.end < size ? -admission.end_error : -ENOSPC};
      }
      inode_->SetSize(call.number, std::max<uint64_t>(size, inode_->cached.size()));
      return IoResult{0};
    });
  }

  IoResult DropCache() override {
    return Run(FileOp::kDropCache, 0, 0, [&](const FileCall&, const auto&) {
      inode_->DropCache();
      return IoResult{0};
    });
  }

  IoResult Stat(FileInfo* info) override {
    return Run(FileOp::kStat, 0, 0, [&](const FileCall&, const auto&) {
      info->kind = FileInfo::Kind::kRegular;
      info->size = inode_->cached.size();
      info->link_count = inode_->links;
      info->device = 1;
      info->inode = inode_->id;
      return IoResult{0};
    });
  }

  IoResult TryLock(LockMode mode) override {
    if (mode == LockMode::kExclusive && !writable_) return -EBADF;
    return Run(FileOp::kLock, 0, 0, [&](const FileCall&, const auto&) {
      SimInode& inode = *inode_;
      if (inode.exclusive_holder != 0 && inode.exclusive_holder != handle_)
        return IoResult{-EAGAIN};
      const bool shared_by_others =
          std::any_of(inode.shared_holders.begin(), inode.shared_holders.end(),
                      [&](uint64_t holder) { return holder != handle_; });
      if (mode == LockMode::kExclusive && shared_by_others) return IoResult{-EAGAIN};
      Unlock();
      if (mode == LockMode::kExclusive) {
        inode.exclusive_holder = handle_;
      } else {
        inode.shared_holders.push_back(handle_);
      }
      return IoResult{0};
    });
  }

 private:
  template <typename Body>
  IoResult Run(FileOp op, uint64_t offset, uint64_t bytes, Body body) {
    return state_->Run({.op = op, .name = name_, .offset = offset, .bytes = bytes}, generation_,
                       body);
  }

  // These under the lock.
  IoResult LosePages(int error) {
    if (!inode_->pending.empty()) ++state_->faults.lost_pages;
    if (state_->options.failed_sync == SimOptions::FailedSync::kAbortsJournal) {
      error = EROFS;
      state_->read_only = true;
      ++state_->faults.journal_aborts;
    }
    const IoResult result = inode_->LosePages(state_->options.failed_sync, error);
    errors_seen_ = inode_->sync_errors;
    return result;
  }
  void Unlock() {
    if (inode_->exclusive_holder == handle_) inode_->exclusive_holder = 0;
    std::erase(inode_->shared_holders, handle_);
  }

  State* const state_;
  const std::shared_ptr<SimInode> inode_;
  const std::string name_;
  const bool writable_;
  const uint64_t generation_;
  const uint64_t handle_;
  uint64_t errors_seen_;  // of inode_->sync_errors
};

class SimDirectory final : public Directory {
 public:
  using State = SimFileSystem::State;

  SimDirectory(State* state, std::string path)
      : state_(state), path_(std::move(path)), generation_(state->generation) {}

  IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) override {
    if (const IoResult error = CheckName(name); error != 0) return error;
    file->reset();
    const bool creates =
        (mode == OpenMode::kCreate || mode == OpenMode::kCreateExclusive) && !Exists(name);
    const IoResult result = Run(creates ? FileOp::kCreate : FileOp::kOpen, name,
                                [&](const FileCall& call, const auto&) {
                                  return OpenEntry(call.number, name, mode, file);
                                });
    if (result < 0) file->reset();
    return result;
  }

  IoResult List(std::vector<std::string>* names) override {
    names->clear();
    return Run(FileOp::kList, ".", [&](const FileCall&, const auto&) {
      for (const auto& [name, inode] : Here().cached) names->push_back(name);
      return IoResult{0};
    });
  }

  IoResult Rename(std::string_view from, std::string_view to) override {
    if (const IoResult error = CheckName(from); error != 0) return error;
    if (const IoResult error = CheckName(to); error != 0) return error;
    return Run(FileOp::kRename, from, [&](const FileCall& call, const auto&) {
      SimEntries& entries = Here().cached;
      const auto source = entries.find(from);
      if (source == entries.end()) return IoResult{-ENOENT};
      const auto target = entries.find(to);
      if (target == source) return IoResult{0};
      if (target != entries.end()) Release(target->second.get());
      Pend(call.number, SimPendingEntry::Kind::kRename, source->second, from, to);
      return IoResult{0};
    });
  }

  IoResult Unlink(std::string_view name) override {
    if (const IoResult error = CheckName(name); error != 0) return error;
    return Run(FileOp::kUnlink, name, [&](const FileCall& call, const auto&) {
      const auto found = Here().cached.find(name);
      if (found == Here().cached.end()) return IoResult{-ENOENT};
      Release(found->second.get());
      Pend(call.number, SimPendingEntry::Kind::kUnlink, found->second, name, {});
      return IoResult{0};
    });
  }

  IoResult Sync() override {
    return Run(FileOp::kDirectorySync, ".", [&](const FileCall&, const auto& admission) {
      if (admission.lose_pages) return IoResult{-admission.lose_error};
      Here().durable = Here().cached;
      Here().pending.clear();
      return IoResult{0};
    });
  }

  bool OverwritesInPlace() override { return state_->options.overwrites_in_place; }

 private:
  template <typename Body>
  IoResult Run(FileOp op, std::string_view name, Body body) {
    return state_->Run({.op = op, .name = name}, generation_, body);
  }

  SimDirectoryState& Here() { return state_->disk.directories.find(path_)->second; }

  bool Exists(std::string_view name) {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    const auto here = state_->disk.directories.find(path_);
    return here != state_->disk.directories.end() && here->second.cached.contains(name);
  }

  IoResult OpenEntry(uint64_t number, std::string_view name, OpenMode mode,
                     std::unique_ptr<File>* file) {
    if (state_->read_only && mode != OpenMode::kRead) return -EROFS;
    auto found = Here().cached.find(name);
    if (found == Here().cached.end()) {
      if (mode != OpenMode::kCreate && mode != OpenMode::kCreateExclusive) return -ENOENT;
      auto inode = std::make_shared<SimInode>();
      inode->id = state_->disk.next_inode++;
      Pend(number, SimPendingEntry::Kind::kCreate, std::move(inode), name, {});
      found = Here().cached.find(name);
    } else if (mode == OpenMode::kCreateExclusive) {
      return -EEXIST;
    }
    *file = std::make_unique<SimFile>(state_, found->second, name, mode);
    return 0;
  }

  // Records the operation and does it in the volatile directory.
  void Pend(uint64_t number, SimPendingEntry::Kind kind, std::shared_ptr<SimInode> inode,
            std::string_view name, std::string_view to) {
    SimPendingEntry entry;
    entry.number = number;
    entry.kind = kind;
    entry.inode = std::move(inode);
    entry.name = name;
    entry.to = to;
    entry.ApplyTo(&Here().cached);
    Here().pending.push_back(std::move(entry));
  }

  void Release(SimInode* inode) {
    if (inode->links > 0) --inode->links;
    if (inode->links == 0) state_->disk.Bury(inode->cached);
  }

  State* const state_;
  const std::string path_;
  const uint64_t generation_;
};

IoResult SimFileSystem::OpenDirectory(const std::string& path, DirectoryMode mode,
                                      std::unique_ptr<Directory>* directory) {
  if (path.empty()) return -ENOENT;
  const std::string key = Trimmed(path);
  FileOp op = FileOp::kOpenDirectory;
  uint64_t generation = 0;
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    generation = state_->generation;
    const bool exists = state_->disk.directories.contains(key);
    if (mode == DirectoryMode::kCreate && !exists) op = FileOp::kMakeDirectory;
  }
  const IoResult result = state_->Run(
      {.op = op, .name = key}, generation, [&](const FileCall&, const State::Admission&) {
        if (op == FileOp::kMakeDirectory) {
          state_->disk.directories.try_emplace(key);
        } else if (!state_->disk.directories.contains(key)) {
          return IoResult{-ENOENT};
        }
        *directory = std::make_unique<SimDirectory>(state_.get(), key);
        return IoResult{0};
      });
  if (result < 0) directory->reset();
  return result;
}

IoResult SimFileSystem::Random(std::span<char> out) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->random.Fill(out.data(), out.size());
  return static_cast<IoResult>(out.size());
}

uint64_t SimFileSystem::BootId() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return SimRandom(state_->options.seed + (state_->boots << 32)).Next() | 1;
}

}  // namespace millrace
