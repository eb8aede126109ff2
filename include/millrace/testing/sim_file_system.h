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
#include "millrace/testing/sim_options.h"
#include "millrace/testing/sim_rule.h"

namespace millrace {

// A file system in memory that knows what a power cut would leave of it. README.md beside
// this file is the guide to it.
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

// Names one crash image of a given state: a seed, or a mask of pending units.
using ImageId = uint64_t;
inline constexpr ImageId kSubsetImage = uint64_t{1} << 63;

enum class SimVerdict : uint8_t {
  kProceed,
  kPretend,  // answer with success and do nothing: a disk that lies
};

class SimFileSystem final : public FileSystem {
 public:
  using Hook = std::function<SimVerdict(const FileCall&)>;
  using ImageVisitor = std::function<void(SimFileSystem& image, ImageId id)>;
  using Delay = std::function<void(const FileCall&, uint64_t delay)>;

  explicit SimFileSystem(const SimOptions& options);
  // With the script's rules and capacity.
  explicit SimFileSystem(const SimScript& script);
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

  // A copy with all its pending operations, powered on, without rules and hooks.
  std::unique_ptr<SimFileSystem> Clone() const;

  // Of what calls see: names, sizes and bytes. Equal states have equal hashes.
  uint64_t Hash() const;

  // Faults.

  // Returns a handle for RuleHits. Of several matching rules the first that is
  // due acts, beside delays; each counts every matching call.
  int AddRule(const SimRule& rule);
  void ClearRules();
  uint64_t RuleHits(int rule) const;
  // Called before every operation, without any lock held; may draw images.
  void SetHook(Hook hook);
  // How many bytes all files together may have: beyond, ENOSPC.
  void SetCapacity(std::optional<uint64_t> bytes);
  // Called by SimRule::Action::kDelay before the call takes effect, without any lock held:
  // it may wait for another thread, or put a clock of the test forward.
  void SetDelay(Delay delay);
  FaultCounts Faults() const;
  // Options, capacity and rules as they are now: to be printed when a test fails, and to be
  // parsed to have it again.
  SimScript Script() const;

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
