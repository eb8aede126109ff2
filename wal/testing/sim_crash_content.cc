#include <algorithm>
#include <cstring>
#include <utility>

#include "wal/testing/sim_image_odds.h"

namespace millrace {

void SimContentDrawer::PlanSectors(const SimInode& inode) {
  const uint64_t sector_bytes = options_.sector_bytes;
  uint64_t begin = ~uint64_t{0};
  uint64_t end = 0;
  for (const SimPendingWrite& write : inode.pending) {
    if (write.length() == 0) continue;
    begin = std::min(begin, write.offset / sector_bytes);
    end = std::max(end, (write.offset + write.length() + sector_bytes - 1) / sector_bytes);
  }
  plans_.clear();
  if (begin > end) return;
  first_sector_ = begin;
  plans_.resize(end - begin);
  for (const SimPendingWrite& write : inode.pending) {
    if (write.length() == 0) continue;
    const uint64_t write_end = write.offset + write.length();
    const bool at_cut = write.number == odds_.cut;
    const uint64_t cut_byte = !at_cut ? 0 : write.offset + odds_.random.Below(write.length() + 1);
    for (uint64_t s = write.offset / sector_bytes; s * sector_bytes < write_end; ++s) {
      SimSectorPlan& plan = plans_[s - begin];
      const uint64_t start = s * sector_bytes;
      ++plan.writes;
      plan.last_begin = static_cast<uint32_t>(std::max(write.offset, start) - start);
      plan.last_end = static_cast<uint32_t>(std::min(write_end, start + sector_bytes) - start);
      if (write.number < odds_.cut || (at_cut && start + sector_bytes <= cut_byte)) {
        ++plan.in_order;
      } else if (at_cut && start + plan.last_begin < cut_byte && options_.torn_sectors) {
        plan.tear = static_cast<uint32_t>(cut_byte - start);
      }
    }
  }
}

void SimContentDrawer::ChooseVersion(SimSectorPlan* plan) {
  switch (odds_.style) {
    case Style::kSubset:
      plan->head = plan->tail = odds_.TakeBit() ? plan->writes : 0;
      return;
    case Style::kOrdered:
      plan->head = plan->tail = plan->in_order;
      if (plan->tear > 0) ++plan->head;
      return;
    case Style::kScattered:
      break;
  }
  const auto draw = [&]() -> uint32_t {
    if (odds_.Chance(odds_.keep_sectors)) return plan->writes;
    if (odds_.random.OneIn(2)) return 0;
    return static_cast<uint32_t>(odds_.random.Below(plan->writes));
  };
  plan->head = plan->tail = draw();
  if (odds_.tear > 0 && odds_.Chance(odds_.tear)) {
    // Any other version behind the tear: the newer one may lie before or after it.
    const auto other = static_cast<uint32_t>(odds_.random.Below(plan->writes));
    plan->tail = other >= plan->head ? other + 1 : other;
    // Where the bytes differ, a tear shows; elsewhere it would not.
    const uint32_t inner = plan->last_end - plan->last_begin;
    plan->tear = plan->last_begin + static_cast<uint32_t>(odds_.random.Below(inner + 1));
  }
  plan->garbage = odds_.garbage > 0 && odds_.Chance(odds_.garbage);
}

uint64_t SimContentDrawer::DrawSize(const SimInode& inode, uint64_t longest) {
  // After a failed sync the sizes differ without a change of size pending.
  if (!inode.ChangesSize()) return longest;
  const uint64_t newest = inode.pending.back().size_after;
  uint64_t size = newest;
  switch (odds_.style) {
    case Style::kSubset:
      if (!odds_.TakeBit()) size = inode.durable.size();
      break;
    case Style::kOrdered:
      size = inode.durable.size();
      for (const SimPendingWrite& write : inode.pending) {
        if (!write.ChangesSize() || write.number > odds_.cut) continue;
        if (write.number < odds_.cut || odds_.random.OneIn(2)) size = write.size_after;
      }
      break;
    case Style::kScattered: {
      if (odds_.Chance(odds_.keep_size)) break;
      const uint64_t choice = odds_.random.Below(inode.pending.size() + 1);
      size = choice == 0 ? inode.durable.size() : inode.pending[choice - 1].size_after;
      break;
    }
  }
  if (size != newest) ++damage_->size_lost;
  return size;
}

void SimContentDrawer::FillStaleHoles(uint64_t durable_size, uint64_t size, std::string* bytes) {
  const uint64_t sector_bytes = options_.sector_bytes;
  // The file system zeroes the rest of the last block that it knows.
  uint64_t s = (durable_size + sector_bytes - 1) / sector_bytes;
  for (; s * sector_bytes < size; ++s) {
    SimSectorPlan* plan = nullptr;
    if (s >= first_sector_ && s - first_sector_ < plans_.size()) {
      plan = &plans_[s - first_sector_];
      if (plan->head != 0 || plan->tail != 0) continue;
    }
    if (!odds_.Chance(odds_.stale)) continue;
    if (plan != nullptr) plan->stale = true;
    ++damage_->stale_hole;
    const uint64_t start = s * sector_bytes;
    const uint64_t length = std::min<uint64_t>(sector_bytes, bytes->size() - start);
    const std::string* old = nullptr;
    if (!disk_.graveyard.empty()) {
      old = &disk_.graveyard[odds_.random.Below(disk_.graveyard.size())].get();
    }
    // At its old offset a stale frame is most like a live one.
    if (old != nullptr && start + length <= old->size() && !odds_.random.OneIn(8)) {
      memcpy(bytes->data() + start, old->data() + start, length);
    } else {
      odds_.random.Fill(bytes->data() + start, length);
    }
  }
}

void SimContentDrawer::ApplyPlanned(const SimPendingWrite& write, std::string* bytes) {
  if (write.length() == 0) return;
  const uint64_t sector_bytes = options_.sector_bytes;
  const uint64_t write_end = write.offset + write.length();
  const auto copy = [&](uint64_t from, uint64_t to) {
    if (from >= to) return;
    if (write.zeros > 0) {
      memset(bytes->data() + from, 0, to - from);
    } else {
      memcpy(bytes->data() + from, write.data.data() + (from - write.offset), to - from);
    }
  };
  for (uint64_t s = write.offset / sector_bytes; s * sector_bytes < write_end; ++s) {
    SimSectorPlan& plan = plans_[s - first_sector_];
    const uint64_t start = s * sector_bytes;
    const uint64_t from = std::max(write.offset, start);
    const uint64_t to = std::min(write_end, start + sector_bytes);
    const uint64_t middle = std::clamp(start + plan.tear, from, to);
    ++plan.applied;
    if (plan.applied <= plan.head) copy(from, plan.head == plan.tail ? to : middle);
    if (plan.applied <= plan.tail && plan.head != plan.tail) copy(middle, to);
  }
}

void SimContentDrawer::FillGarbage(uint64_t size, std::string* bytes) {
  for (size_t i = 0; i < plans_.size(); ++i) {
    const SimSectorPlan& plan = plans_[i];
    if (!plan.garbage) continue;
    const uint64_t start = (first_sector_ + i) * options_.sector_bytes;
    uint64_t from = start + plan.last_begin;
    uint64_t to = start + plan.last_end;
    if (!options_.powersafe_overwrite) {
      from = start;
      to = std::min<uint64_t>(start + options_.sector_bytes, bytes->size());
    }
    if (odds_.random.OneIn(2)) from += odds_.random.Below(to - from);
    if (from < size) {
      ++damage_->garbage;
      if (from < start + plan.last_begin || to > start + plan.last_end) {
        ++damage_->neighbour_garbage;
      }
    }
    odds_.random.Fill(bytes->data() + from, to - from);
  }
}

void SimContentDrawer::CountSectors(uint64_t durable_size, uint64_t size) {
  for (size_t i = 0; i < plans_.size(); ++i) {
    const SimSectorPlan& plan = plans_[i];
    if (plan.writes == 0 || (first_sector_ + i) * options_.sector_bytes >= size) continue;
    if (plan.head != plan.tail) {
      ++damage_->torn_sector;
    } else if (plan.head == 0) {
      ++damage_->lost_write;
      const bool was_there = (first_sector_ + i) * options_.sector_bytes < durable_size;
      if (!was_there && !plan.stale && !plan.garbage) ++damage_->zero_hole;
    } else if (plan.head < plan.writes) {
      ++damage_->old_version;
    }
  }
}

SimBytes SimContentDrawer::Draw(const SimInode& inode) {
  if (inode.pending.empty()) return inode.durable;
  PlanSectors(inode);
  for (SimSectorPlan& plan : plans_) {
    if (plan.writes > 0) ChooseVersion(&plan);
  }
  uint64_t longest = inode.durable.size();
  for (const SimPendingWrite& write : inode.pending) {
    longest = std::max({longest, write.offset + write.length(), write.size_after});
  }
  const uint64_t size = DrawSize(inode, longest);

  std::string bytes;
  bytes.reserve(longest);
  bytes = inode.durable.get();
  bytes.resize(longest);
  if (odds_.stale > 0) FillStaleHoles(inode.durable.size(), size, &bytes);
  for (const SimPendingWrite& write : inode.pending) ApplyPlanned(write, &bytes);
  FillGarbage(size, &bytes);
  CountSectors(inode.durable.size(), size);
  bytes.resize(size);
  return SimBytes(std::move(bytes));
}

}  // namespace millrace
