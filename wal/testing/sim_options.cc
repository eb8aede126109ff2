#include "millrace/testing/sim_options.h"

namespace millrace {

SimOptions OptionsOf(SimProfile profile, uint64_t seed) {
  SimOptions options;
  options.seed = seed;
  if (profile == SimProfile::kStrict) return options;
  options.entries = SimOptions::Entries::kPrefix;
  if (profile == SimProfile::kOrdered) return options;
  options.new_entry = SimOptions::NewEntry::kSyncedWithFile;
  switch (profile) {
    case SimProfile::kStrict:
    case SimProfile::kOrdered:
    case SimProfile::kExt4:
      break;
    case SimProfile::kXfs:
      options.failed_sync = SimOptions::FailedSync::kRevertsSize;
      break;
    case SimProfile::kBtrfs:
      options.failed_sync = SimOptions::FailedSync::kRevertsSize;
      options.overwrites_in_place = false;
      break;
    case SimProfile::kBtrfs2020:
      options.failed_sync = SimOptions::FailedSync::kRevertsCache;
      options.overwrites_in_place = false;
      break;
    case SimProfile::kExt4Journal:
      options.failed_sync = SimOptions::FailedSync::kReportsLate;
      break;
    case SimProfile::kExt4JournalHurt:
      options.failed_sync = SimOptions::FailedSync::kAbortsJournal;
      break;
  }
  return options;
}

std::string_view ProfileName(SimProfile profile) {
  static constexpr std::string_view kNames[kSimProfiles] = {
      "strict", "ordered",    "ext4",         "xfs",
      "btrfs",  "btrfs-2020", "ext4-journal", "ext4-journal-hurt"};
  return kNames[static_cast<int>(profile)];
}

DamageCounts& DamageCounts::operator+=(const DamageCounts& other) {
  images += other.images;
  lost_write += other.lost_write;
  old_version += other.old_version;
  torn_sector += other.torn_sector;
  garbage += other.garbage;
  neighbour_garbage += other.neighbour_garbage;
  size_lost += other.size_lost;
  zero_hole += other.zero_hole;
  stale_hole += other.stale_hole;
  lost_create += other.lost_create;
  lost_rename += other.lost_rename;
  lost_unlink += other.lost_unlink;
  overtaken_entry += other.overtaken_entry;
  return *this;
}

}  // namespace millrace
