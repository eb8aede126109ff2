#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

#include "wal/testing/sim_disk.h"
#include "wal/testing/sim_image_odds.h"

namespace millrace {
namespace {

class ImageDrawer {
 public:
  ImageDrawer(const SimDisk& disk, const SimOptions& options, ImageId id, DamageCounts* damage)
      : disk_(disk), options_(options), damage_(damage) {
    odds_.random = SimRandom(id);
    if ((id & kSubsetImage) != 0) {
      odds_.style = Style::kSubset;
      odds_.mask = id & ~kSubsetImage;
      return;
    }
    constexpr uint32_t kOdds[] = {0, 32, 128, 224, 256};
    odds_.keep_sectors = kOdds[odds_.random.Below(5)];
    odds_.keep_entries = kOdds[odds_.random.Below(5)];
    odds_.keep_size = kOdds[odds_.random.Below(5)];
    if (options.torn_sectors && odds_.random.OneIn(2)) odds_.tear = 64;
    if (options.garbage && odds_.random.OneIn(4)) odds_.garbage = 48;
    if (options.stale_holes && odds_.random.OneIn(4))
      odds_.stale = odds_.random.OneIn(2) ? 256 : 128;
    if (odds_.random.OneIn(4)) ChooseCut();
  }

  SimDisk Draw();

 private:
  using Style = SimImageOdds::Style;

  void ChooseCut();
  SimEntries DrawEntries(const SimDirectoryState& directory);
  bool KeepsEntry(const SimPendingEntry& entry);
  void CountEntry(const SimPendingEntry& entry);

  const SimDisk& disk_;
  const SimOptions& options_;
  DamageCounts* const damage_;
  SimImageOdds odds_;
};

// The inodes that have something pending and that an image can show, in an order
// that depends on names only.
std::vector<const SimInode*> PendingInodes(const SimDisk& disk) {
  std::vector<const SimInode*> inodes;
  const auto add = [&](const SimInode* inode) {
    if (inode->pending.empty()) return;
    if (std::find(inodes.begin(), inodes.end(), inode) == inodes.end()) inodes.push_back(inode);
  };
  for (const auto& [path, directory] : disk.directories) {
    for (const auto& [name, inode] : directory.durable) add(inode.get());
    for (const SimPendingEntry& entry : directory.pending) add(entry.inode.get());
  }
  return inodes;
}

uint64_t UnitsOf(const SimInode& inode, uint32_t sector_bytes) {
  std::unordered_set<uint64_t> sectors;
  for (const SimPendingWrite& write : inode.pending) {
    if (write.length() == 0) continue;
    const uint64_t last = (write.offset + write.length() - 1) / sector_bytes;
    for (uint64_t s = write.offset / sector_bytes; s <= last; ++s) sectors.insert(s);
  }
  return sectors.size() + (inode.ChangesSize() ? 1 : 0);
}

void ImageDrawer::ChooseCut() {
  uint64_t first = ~uint64_t{0};
  uint64_t last = 0;
  const auto extend = [&](uint64_t number) {
    first = std::min(first, number);
    last = std::max(last, number);
  };
  for (const SimInode* inode : PendingInodes(disk_)) {
    extend(inode->pending.front().number);
    extend(inode->pending.back().number);
  }
  for (const auto& [path, directory] : disk_.directories) {
    for (const SimPendingEntry& entry : directory.pending) extend(entry.number);
  }
  if (first > last) return;
  odds_.style = Style::kOrdered;
  odds_.cut = first + odds_.random.Below(last - first + 1);
}

bool ImageDrawer::KeepsEntry(const SimPendingEntry& entry) {
  switch (odds_.style) {
    case Style::kSubset:
      return odds_.TakeBit();
    case Style::kOrdered:
      return entry.number < odds_.cut || (entry.number == odds_.cut && odds_.random.OneIn(2));
    case Style::kScattered:
      return odds_.Chance(odds_.keep_entries);
  }
  return false;
}

void ImageDrawer::CountEntry(const SimPendingEntry& entry) {
  switch (entry.kind) {
    case SimPendingEntry::Kind::kCreate:
      ++damage_->lost_create;
      return;
    case SimPendingEntry::Kind::kRename:
      ++damage_->lost_rename;
      return;
    case SimPendingEntry::Kind::kUnlink:
      ++damage_->lost_unlink;
      return;
  }
}

SimEntries ImageDrawer::DrawEntries(const SimDirectoryState& directory) {
  SimEntries entries = directory.durable;
  bool lost_before = false;
  for (const SimPendingEntry& entry : directory.pending) {
    bool keep = KeepsEntry(entry);
    if (options_.entries == SimOptions::Entries::kPrefix && lost_before) keep = false;
    if (keep) {
      entry.ApplyTo(&entries);
      if (lost_before) ++damage_->overtaken_entry;
    } else {
      CountEntry(entry);
      lost_before = true;
    }
  }
  return entries;
}

SimDisk ImageDrawer::Draw() {
  SimDisk image;
  image.graveyard = disk_.graveyard;
  image.next_inode = disk_.next_inode;
  // Few files: a list is faster than a map.
  std::vector<std::pair<const SimInode*, std::shared_ptr<SimInode>>> drawn;
  const auto find = [&drawn](const SimInode* inode) {
    return std::find_if(drawn.begin(), drawn.end(),
                        [inode](const auto& entry) { return entry.first == inode; });
  };
  for (const auto& [path, directory] : disk_.directories) {
    SimDirectoryState& state = image.directories[path];
    state.cached = DrawEntries(directory);
    for (const auto& [name, inode] : state.cached) {
      if (find(inode.get()) == drawn.end()) drawn.emplace_back(inode.get(), nullptr);
    }
  }
  SimContentDrawer content(disk_, options_, &odds_, damage_);
  const auto draw = [&](const SimInode& inode) {
    auto copy = std::make_shared<SimInode>();
    copy->id = inode.id;
    copy->links = std::max<uint64_t>(1, inode.links);
    copy->cached = copy->durable = content.Draw(inode);
    return copy;
  };
  for (const SimInode* inode : PendingInodes(disk_)) {
    const auto found = find(inode);
    if (found != drawn.end()) {
      found->second = draw(*inode);
    } else if (odds_.style == Style::kSubset) {
      const uint64_t units = UnitsOf(*inode, options_.sector_bytes);
      odds_.mask = units < 64 ? odds_.mask >> units : 0;
    }
  }
  for (auto& [path, directory] : image.directories) {
    for (auto& [name, inode] : directory.cached) {
      std::shared_ptr<SimInode>& copy = find(inode.get())->second;
      if (copy == nullptr) copy = draw(*inode);
      inode = copy;
    }
    directory.durable = directory.cached;
  }
  ++damage_->images;
  return image;
}

}  // namespace

uint64_t SimDisk::PendingUnits(const SimOptions& options) const {
  uint64_t units = 0;
  for (const SimInode* inode : PendingInodes(*this)) units += UnitsOf(*inode, options.sector_bytes);
  for (const auto& [path, directory] : directories) units += directory.pending.size();
  return units;
}

SimDisk SimDisk::CrashImage(const SimOptions& options, ImageId id, DamageCounts* damage) const {
  DamageCounts unused;
  return ImageDrawer(*this, options, id, damage == nullptr ? &unused : damage).Draw();
}

}  // namespace millrace
