#ifndef MILLRACE_WAL_TESTING_SIM_IMAGE_ODDS_H_
#define MILLRACE_WAL_TESTING_SIM_IMAGE_ODDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "wal/testing/sim_disk.h"

namespace millrace {

// How one crash image is drawn, and the dice for it.
//
// A subset image keeps exactly those units (sectors, sizes, entry operations)
// whose bit is set in its mask. An ordered image is that of a disk which had come
// some way through the calls, the last of them torn. A scattered image decides for
// each unit alone, with odds that belong to the image, so that some lose nearly
// all and some nearly nothing.
struct SimImageOdds {
  enum class Style : uint8_t { kSubset, kOrdered, kScattered };

  // Chances are given in 256ths.
  bool Chance(uint32_t of_256) { return random.Below(256) < of_256; }
  bool TakeBit() {
    const bool bit = (mask & 1) != 0;
    mask >>= 1;
    return bit;
  }

  Style style = Style::kScattered;
  SimRandom random{0};
  uint64_t mask = 0;
  uint64_t cut = 0;  // kOrdered: calls before this one are on the disk
  uint32_t keep_sectors = 0;
  uint32_t keep_entries = 0;
  uint32_t keep_size = 0;
  uint32_t tear = 0;
  uint32_t garbage = 0;
  uint32_t stale = 0;
};

// What happens to one sector. Versions are counted from 0, before any pending
// write; the bytes before `tear` are of version `head`, the others of `tail`.
struct SimSectorPlan {
  uint32_t writes = 0;    // pending ones that touch it
  uint32_t in_order = 0;  // those that came before the cut of an ordered image
  uint32_t head = 0;
  uint32_t tail = 0;
  uint32_t tear = 0;
  uint32_t last_begin = 0;  // the part of the sector that the last write covers
  uint32_t last_end = 0;
  uint32_t applied = 0;
  bool garbage = false;
  bool stale = false;
};

// Draws the bytes of one file after a crash.
class SimContentDrawer {
 public:
  SimContentDrawer(const SimDisk& disk, const SimOptions& options, SimImageOdds* odds,
                   DamageCounts* damage)
      : disk_(disk), options_(options), odds_(*odds), damage_(damage) {}

  SimBytes Draw(const SimInode& inode);

 private:
  using Style = SimImageOdds::Style;

  void PlanSectors(const SimInode& inode);
  void ChooseVersion(SimSectorPlan* plan);
  uint64_t DrawSize(const SimInode& inode, uint64_t longest);
  void FillStaleHoles(uint64_t durable_size, uint64_t size, std::string* bytes);
  void ApplyPlanned(const SimPendingWrite& write, std::string* bytes);
  void FillGarbage(uint64_t size, std::string* bytes);
  void CountSectors(uint64_t durable_size, uint64_t size);

  const SimDisk& disk_;
  const SimOptions& options_;
  SimImageOdds& odds_;
  DamageCounts* const damage_;
  uint64_t first_sector_ = 0;
  std::vector<SimSectorPlan> plans_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_TESTING_SIM_IMAGE_ODDS_H_
