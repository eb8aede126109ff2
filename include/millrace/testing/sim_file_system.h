#ifndef MILLRACE_TESTING_SIM_FILE_SYSTEM_H_
#define MILLRACE_TESTING_SIM_FILE_SYSTEM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/file_system.h"
#include "millrace/language.h"
#include "millrace/testing/file_call.h"

namespace millrace {

// A file system in memory that knows what a power cut would leave of it.
//
// Each file and each directory has two states: the volatile one, which every
// call sees, and the durable one, to which Sync brings the first. What lies
// between them is a list of pending operations. A crash image is one file system
// that the disk could hold after losing power now: any subset of the pending
// 512-byte sectors, any version of a sector that was written more than once,
// sectors torn at a byte, sizes and directory entries lost or kept on their own.
//
//   SimFileSystem disk({.seed = 1});
//   ... let a log write to `disk` ...
//   disk.ForEachCrashImage(/*budget=*/64, seed, [&](SimFileSystem& image, ImageId id) {
//     ... recover from `image`; what was acknowledged must be there ...
//   });
//
// To try every point of a workload, run it once with a hook (SetHook), which is
// called before each operation, and draw images there: what a crash inside call n
// can leave is among what it can leave before call n + 1, when the workload has
// been promised most. CrashAt runs into one point for real, with the errors that
// the code under test then sees.
//
// Everything follows from the seeds. Thread-safe; the objects it hands out must
// not outlive it. An image shares memory with its origin and lives on its own.

struct SimOptions {
  uint64_t seed = 1;
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

  // What a sync that failed leaves of the size: ext4 keeps the new one, and zeros
  // in it; xfs and btrfs go back.
  enum class FailedSync : uint8_t { kKeepsSize, kRevertsSize } failed_sync = FailedSync::kKeepsSize;

  // Kinds of damage beyond lost sectors, sizes and entries.
  bool torn_sectors = true;
  bool garbage = true;              // inside the range of an unsynced write
  bool stale_holes = true;          // bytes of deleted files in what was never written
  bool powersafe_overwrite = true;  // false: garbage may cover the whole sector

  bool overwrites_in_place = true;  // Directory::OverwritesInPlace
};

// What became of the unsynced operations in the images drawn so far.
struct DamageCounts {
  uint64_t images = 0;
  uint64_t lost_write = 0;   // a sector as it was before all of its writes
  uint64_t old_version = 0;  // a sector between two of its writes
  uint64_t torn_sector = 0;  // one version up to a byte, another from there on
  uint64_t garbage = 0;      // random bytes where a write was under way
  uint64_t size_lost = 0;    // a file not as long as it was made
  uint64_t stale_hole = 0;   // never written, and full of something else
  uint64_t lost_create = 0;
  uint64_t lost_rename = 0;
  uint64_t lost_unlink = 0;
};

// Names one crash image of a given state: a seed, or a mask of pending units.
using ImageId = uint64_t;
inline constexpr ImageId kSubsetImage = uint64_t{1} << 63;

enum class SimVerdict : uint8_t {
  kProceed,
  kPretend,  // answer with success and do nothing: a disk that lies
};

struct SimRule {
  enum class Action : uint8_t {
    kFail,       // returns -error, without effect
    kShort,      // moves at most `bytes`, which may be 0
    kLosePages,  // a sync: returns -error, and the pending pages pass for clean though
                 // the disk never got them; the next sync returns 0 (ext4, xfs, btrfs)
    kPretend,
  };
  static constexpr uint64_t kForever = ~uint64_t{0};

  FileOp op = FileOp::kWrite;
  Action action = Action::kFail;
  int error = 0;
  uint64_t bytes = 0;
  std::string name = "*";  // a glob over FileCall::name
  uint64_t first = 1;      // the first matching call that it hits
  uint64_t count = 1;      // how many it hits from there on
};

enum class CrashMoment : uint8_t {
  kBefore,  // the call does nothing and fails
  kInside,  // the call takes effect, but its caller hears -EIO
  kAfter,   // the call succeeds, and is the last one that does
};

class SimFileSystem final : public FileSystem {
 public:
  using Hook = std::function<SimVerdict(const FileCall&)>;
  using ImageVisitor = std::function<void(SimFileSystem& image, ImageId id)>;

  explicit SimFileSystem(const SimOptions& options);
  ~SimFileSystem() override;

  IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                         std::unique_ptr<Directory>* directory) override;
  IoResult Random(std::span<char> out) override;
  uint64_t BootId() override;

  // Crashing.

  // Cuts the power at the mutating call with this number, counted from now on:
  // afterwards every call returns -EIO until PowerOn.
  void CrashAt(uint64_t number, CrashMoment moment);
  void CutPower();
  bool powered() const;
  // Goes on from one crash image of the present state. What was opened before
  // stays dead.
  void PowerOn(ImageId id);
  // SIGKILL: nothing is lost, but files opened before are dead and locks free.
  void KillProcess();

  // Images of the present state. A given state and id always give the same one.
  std::unique_ptr<SimFileSystem> CrashImage(ImageId id, DamageCounts* damage = nullptr) const;
  // The number of things that a crash can keep or lose each on its own: pending
  // sectors, sizes, entry operations.
  uint64_t PendingUnits() const;
  // Visits up to `budget` images: all subsets of the pending units where the
  // budget holds them and there are at most ten units, then random ones; a state
  // without pending units has a single image. Returns the number visited.
  uint64_t ForEachCrashImage(uint64_t budget, uint64_t seed, const ImageVisitor& visit,
                             DamageCounts* damage = nullptr) const;

  // A copy with all its pending operations, powered on, without rules and hook.
  std::unique_ptr<SimFileSystem> Clone() const;

  // Of what calls see: names, sizes and bytes. Equal states have equal hashes.
  uint64_t Hash() const;

  // Faults.

  // Returns a handle for RuleHits. Of several matching rules the first that is
  // due acts; each counts every matching call.
  int AddRule(const SimRule& rule);
  void ClearRules();
  uint64_t RuleHits(int rule) const;
  // Called before every operation, without any lock held; may draw images.
  void SetHook(Hook hook);
  // How many bytes all files together may have: beyond, ENOSPC.
  void SetCapacity(std::optional<uint64_t> bytes);

  // Damage at rest: to volatile and durable state alike. A path is that of the
  // directory, '/', and the name.
  void FlipBit(const std::string& path, uint64_t offset, int bit);
  void WriteFileBytes(const std::string& path, std::string_view bytes);
  void DeleteFile(const std::string& path);
  void SetLinkCount(const std::string& path, uint64_t links);

  // Looking. Bytes as calls see them, or as they surely are on the disk; nullopt
  // where there is no such entry.
  std::optional<std::string> ReadFileBytes(const std::string& path) const;
  std::optional<std::string> ReadDurableBytes(const std::string& path) const;
  std::vector<std::string> FileNames(const std::string& directory) const;
  uint64_t MutatingCalls() const;
  uint64_t Calls(FileOp op) const;
  // The latest calls with their results, one a line.
  std::string Describe() const;

 private:
  friend class SimFile;
  friend class SimDirectory;
  struct State;

  explicit SimFileSystem(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTING_SIM_FILE_SYSTEM_H_
