#ifndef MILLRACE_TESTING_SIM_OPTIONS_H_
#define MILLRACE_TESTING_SIM_OPTIONS_H_

#include <cstdint>
#include <string_view>

#include "millrace/language.h"

namespace millrace {

// What a simulated disk may do to what was not synced, and how its syncs fail.
struct SimOptions {
  uint64_t seed = 1;            // of Random() and of rules that act by chance
  uint32_t sector_bytes = 512;  // what the disk writes in one piece; 512 or 4096

  // Of the unsynced operations on a directory a crash keeps any subset, or, as
  // with an ordered journal, those before some point.
  enum class Entries : uint8_t { kAnySubset, kPrefix } entries = Entries::kAnySubset;

  // Whether syncing a new file makes its directory entry durable as well, as
  // ext4 does and POSIX does not promise.
  enum class NewEntry : uint8_t {
    kNeedsDirectorySync,
    kSyncedWithFile
  } new_entry = NewEntry::kNeedsDirectorySync;

  // What a sync that fails by SimRule::Action::kLosePages does. In all cases the pages
  // that it should have written pass for clean afterwards, though the disk never got
  // them: a later sync does not try again. Measured on Linux 6.18, but for the last.
  enum class FailedSync : uint8_t {
    // ext4: this sync returns the error, the next 0. Reads see the new bytes until
    // DropCache, then the old ones; what was appended is zeros.
    kKeepsSize,
    // xfs, btrfs: the same, but the file is as long as it was.
    kRevertsSize,
    // ext4 with data=journal, the journal being all right: this sync returns 0, and a power
    // cut now loses nothing; the next sync returns the error, and the pages of both
    // are lost.
    kReportsLate,
    // ext4 with data=journal, the journal being hit: -EROFS, as for everything that would
    // change the file system from then on, until the power comes back.
    kAbortsJournal,
    // btrfs of 2020: reads see the old bytes at once.
    kRevertsCache,
  } failed_sync = FailedSync::kKeepsSize;

  // Kinds of damage beyond lost sectors, sizes and entries.
  bool torn_sectors = true;
  bool garbage = true;              // inside the range of an unsynced write
  bool stale_holes = true;          // bytes of deleted files in what was never written
  bool powersafe_overwrite = true;  // false: garbage may cover the whole sector

  bool overwrites_in_place = true;  // Directory::OverwritesInPlace

  bool operator==(const SimOptions&) const = default;
};

// A file system to be like. The first two are of no file system in particular: what
// holds on kStrict holds on all of them.
enum class SimProfile : uint8_t {
  kStrict,   // what POSIX leaves open: the defaults of SimOptions
  kOrdered,  // kStrict, but directory operations reach the disk in their order
  kExt4,     // data=ordered
  kXfs,
  kBtrfs,
  kBtrfs2020,        // kBtrfs with FailedSync::kRevertsCache
  kExt4Journal,      // data=journal; a failed sync is reported late
  kExt4JournalHurt,  // data=journal; a failed sync aborts the journal
};
inline constexpr int kSimProfiles = static_cast<int>(SimProfile::kExt4JournalHurt) + 1;

SimOptions OptionsOf(SimProfile profile, uint64_t seed = 1);
// "strict", "ordered", "ext4", "xfs", "btrfs", "btrfs-2020", "ext4-journal",
// "ext4-journal-hurt".
std::string_view ProfileName(SimProfile profile);

// What became of the unsynced operations in the images drawn so far.
struct DamageCounts {
  uint64_t images = 0;
  uint64_t lost_write = 0;         // a sector as it was before all of its writes
  uint64_t old_version = 0;        // a sector between two of its writes
  uint64_t torn_sector = 0;        // one version up to a byte, another from there on
  uint64_t garbage = 0;            // random bytes where a write was under way
  uint64_t neighbour_garbage = 0;  // and beside it, in the same sector: no power-safe overwrite
  uint64_t size_lost = 0;          // a file not as long as it was made
  uint64_t zero_hole = 0;          // longer than before, and zeros where a write was lost
  uint64_t stale_hole = 0;         // never written, and full of something else
  uint64_t lost_create = 0;
  uint64_t lost_rename = 0;
  uint64_t lost_unlink = 0;
  uint64_t overtaken_entry = 0;  // kept, though an earlier one of its directory is lost

  DamageCounts& operator+=(const DamageCounts& other);
};

}  // namespace millrace

#endif  // MILLRACE_TESTING_SIM_OPTIONS_H_
