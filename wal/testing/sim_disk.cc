#include "wal/testing/sim_disk.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "wal/check.h"
#include "xxhash.h"

namespace millrace {

uint64_t SimRandom::Next() {
  state_ += 0x9E3779B97F4A7C15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

void SimRandom::Fill(char* out, size_t size) {
  while (size > 0) {
    const uint64_t word = Next();
    const size_t step = std::min(size, sizeof(word));
    memcpy(out, &word, step);
    out += step;
    size -= step;
  }
}

struct SimBytes::Shared {
  std::string bytes;
  std::atomic<uint64_t> hash{0};  // 0: not computed
};

SimBytes::SimBytes() {
  // Every image makes files, to give them their bytes later.
  static const std::shared_ptr<Shared>& empty =
      *new std::shared_ptr<Shared>(std::make_shared<Shared>());
  shared_ = empty;
}

SimBytes::SimBytes(std::string bytes) : shared_(std::make_shared<Shared>()) {
  shared_->bytes = std::move(bytes);
}

const std::string& SimBytes::get() const { return shared_->bytes; }

std::string& SimBytes::Mutable() {
  if (shared_.use_count() > 1) {
    auto copy = std::make_shared<Shared>();
    copy->bytes = shared_->bytes;
    shared_ = std::move(copy);
  } else {
    // acquire: the last other owner may have read the bytes in another thread;
    // pairs with the decrement in its shared_ptr's destructor.
    std::atomic_thread_fence(std::memory_order_acquire);
    // relaxed: nobody else has a reference.
    shared_->hash.store(0, std::memory_order_relaxed);
  }
  return shared_->bytes;
}

uint64_t SimBytes::Hash() const {
  // relaxed: two threads may both compute it, from bytes that neither changes.
  uint64_t hash = shared_->hash.load(std::memory_order_relaxed);
  if (hash == 0) {
    hash = XXH3_64bits(get().data(), size()) | 1;
    // relaxed: as above.
    shared_->hash.store(hash, std::memory_order_relaxed);
  }
  return hash;
}

namespace {

void Apply(const SimPendingWrite& write, std::string* bytes) {
  const uint64_t end = write.offset + write.length();
  if (bytes->size() < end) bytes->resize(end);
  if (write.zeros > 0) memset(bytes->data() + write.offset, 0, write.zeros);
  if (!write.data.empty())
    memcpy(bytes->data() + write.offset, write.data.data(), write.data.size());
  if (write.ChangesSize()) bytes->resize(write.size_after);
}

}  // namespace

void SimInode::Write(uint64_t number, uint64_t offset, std::string bytes) {
  if (bytes.empty()) return;
  SimPendingWrite& write = pending.emplace_back();
  write.number = number;
  write.offset = offset;
  write.size_before = cached.size();
  write.size_after = std::max<uint64_t>(cached.size(), offset + bytes.size());
  write.data = std::move(bytes);
  Apply(write, &cached.Mutable());
}

void SimInode::SetSize(uint64_t number, uint64_t size) {
  if (size == cached.size()) return;
  SimPendingWrite& write = pending.emplace_back();
  write.number = number;
  write.size_before = cached.size();
  write.size_after = size;
  if (size < cached.size()) {
    write.offset = size;
    write.zeros = cached.size() - size;
  }
  Apply(write, &cached.Mutable());
}

void SimInode::Persist() {
  if (pending.empty()) return;
  std::string& bytes = durable.Mutable();
  for (const SimPendingWrite& write : pending) Apply(write, &bytes);
  pending.clear();
}

IoResult SimInode::LosePages(SimOptions::FailedSync kind, int error) {
  switch (kind) {
    case SimOptions::FailedSync::kReportsLate:
      late_loss = durable;
      late_error = error;
      Persist();
      return 0;
    case SimOptions::FailedSync::kKeepsSize:
    case SimOptions::FailedSync::kAbortsJournal:
      if (durable.size() != cached.size()) durable.Mutable().resize(cached.size());
      break;
    case SimOptions::FailedSync::kRevertsSize:
    case SimOptions::FailedSync::kRevertsCache:
      break;
  }
  pending.clear();
  phantom = kind != SimOptions::FailedSync::kRevertsCache;
  if (!phantom) cached = durable;
  ++sync_errors;
  sync_error = error;
  return -error;
}

std::optional<IoResult> SimInode::ReportLateLoss() {
  if (!late_loss.has_value()) return std::nullopt;
  durable = *std::exchange(late_loss, std::nullopt);
  return LosePages(SimOptions::FailedSync::kKeepsSize, late_error);
}

void SimInode::DropCache() {
  // Dirty pages stay, as they do in a kernel. Without a failed sync behind it the
  // cache holds nothing but the truth.
  if (!phantom) return;
  cached = durable;
  for (const SimPendingWrite& write : pending) Apply(write, &cached.Mutable());
  phantom = false;
}

bool SimInode::ChangesSize() const {
  return std::any_of(pending.begin(), pending.end(),
                     [](const SimPendingWrite& write) { return write.ChangesSize(); });
}

void SimPendingEntry::ApplyTo(SimEntries* entries) const {
  switch (kind) {
    case Kind::kCreate:
      (*entries)[name] = inode;
      return;
    case Kind::kRename:
      // By inode, not by name: an earlier rename of it may have been lost, and a
      // file has one name at a time.
      std::erase_if(*entries, [&](const auto& entry) { return entry.second == inode; });
      (*entries)[to] = inode;
      return;
    case Kind::kUnlink: {
      const auto found = entries->find(name);
      if (found != entries->end() && found->second == inode) entries->erase(found);
      return;
    }
  }
}

void SimDisk::Bury(const SimBytes& bytes) {
  constexpr size_t kGraves = 4;
  if (bytes.size() == 0) return;
  graveyard.push_back(bytes);
  if (graveyard.size() > kGraves) graveyard.erase(graveyard.begin());
}

void SimDisk::PersistEntriesOf(const SimInode& inode) {
  for (auto& [path, directory] : directories) {
    std::erase_if(directory.pending, [&, &entries = directory.durable](const auto& entry) {
      if (entry.kind != SimPendingEntry::Kind::kCreate || entry.inode.get() != &inode) return false;
      entry.ApplyTo(&entries);
      return true;
    });
  }
}

uint64_t SimDisk::UsedBytes() const {
  uint64_t used = 0;
  for (const auto& [path, directory] : directories) {
    for (const auto& [name, inode] : directory.cached) used += inode->cached.size();
  }
  return used;
}

uint64_t SimDisk::Hash() const {
  uint64_t hash = 0;
  for (const auto& [path, directory] : directories) {
    hash = XXH3_64bits_withSeed(path.data(), path.size(), hash);
    for (const auto& [name, inode] : directory.cached) {
      hash = XXH3_64bits_withSeed(name.data(), name.size(), hash);
      hash = SimRandom(hash ^ inode->cached.Hash()).Next();
    }
  }
  return hash;
}

SimDisk SimDisk::Clone() const {
  std::unordered_map<const SimInode*, std::shared_ptr<SimInode>> copies;
  const auto copy_of = [&](const std::shared_ptr<SimInode>& inode) {
    std::shared_ptr<SimInode>& copy = copies[inode.get()];
    if (copy == nullptr) {
      copy = std::make_shared<SimInode>(*inode);
      copy->exclusive_holder = 0;
      copy->shared_holders.clear();
    }
    return copy;
  };
  SimDisk clone = *this;
  for (auto& [path, directory] : clone.directories) {
    for (auto& [name, inode] : directory.cached) inode = copy_of(inode);
    for (auto& [name, inode] : directory.durable) inode = copy_of(inode);
    for (SimPendingEntry& entry : directory.pending) entry.inode = copy_of(entry.inode);
  }
  return clone;
}

}  // namespace millrace
