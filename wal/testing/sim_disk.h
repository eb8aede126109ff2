#ifndef MILLRACE_WAL_TESTING_SIM_DISK_H_
#define MILLRACE_WAL_TESTING_SIM_DISK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/testing/sim_file_system.h"

// The state behind SimFileSystem: files and directories with what is pending on
// them, and the drawing of crash images. No locks, no faults, no handles.

namespace millrace {

// A small generator (splitmix64): seeding it costs nothing, which matters where
// every image has a seed of its own.
class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // Uniform over [0, bound); `bound` > 0.
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  void Fill(char* out, size_t size);

 private:
  uint64_t state_;
};

// Bytes that copies share until one of them changes.
class SimBytes {
 public:
  SimBytes();
  explicit SimBytes(std::string bytes);
  const std::string& get() const;
  size_t size() const { return get().size(); }
  std::string& Mutable();
  uint64_t Hash() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

// A change of a file that no sync has covered. Its bytes are data.size() ones,
// or `zeros` zeros: what a truncation takes away.
struct SimPendingWrite {
  uint64_t number = 0;  // of the call
  uint64_t offset = 0;
  std::string data;
  uint64_t zeros = 0;
  uint64_t size_before = 0;
  uint64_t size_after = 0;

  uint64_t length() const { return data.size() + zeros; }
  bool ChangesSize() const { return size_before != size_after; }
};

struct SimInode {
  uint64_t id = 0;
  uint64_t links = 1;
  SimBytes cached;   // what calls see
  SimBytes durable;  // what the last sync made of it
  std::vector<SimPendingWrite> pending;
  bool phantom = false;  // `cached` shows pages that a failed sync has dropped

  // Syncs that failed and what they returned: each File that was open hears it once.
  uint64_t sync_errors = 0;
  int sync_error = 0;
  // FailedSync::kReportsLate: what the next sync goes back to, and returns.
  std::optional<SimBytes> late_loss;
  int late_error = 0;

  uint64_t exclusive_holder = 0;  // handles; 0: none
  std::vector<uint64_t> shared_holders;

  void Write(uint64_t number, uint64_t offset, std::string bytes);
  void SetSize(uint64_t number, uint64_t size);
  void Persist();
  // A sync that loses what is pending. Returns what its caller hears.
  IoResult LosePages(SimOptions::FailedSync kind, int error);
  // If the sync before this one lost pages and did not say so: loses those, and what is
  // pending, and says so.
  std::optional<IoResult> ReportLateLoss();
  void DropCache();
  bool ChangesSize() const;  // whether anything pending does
};

using SimEntries = std::map<std::string, std::shared_ptr<SimInode>, std::less<>>;

struct SimPendingEntry {
  enum class Kind : uint8_t { kCreate, kRename, kUnlink };
  uint64_t number = 0;
  Kind kind = Kind::kCreate;
  std::shared_ptr<SimInode> inode;
  std::string name;
  std::string to;  // kRename

  void ApplyTo(SimEntries* entries) const;
};

struct SimDirectoryState {
  SimEntries cached;
  SimEntries durable;
  std::vector<SimPendingEntry> pending;
};

struct SimDisk {
  std::map<std::string, SimDirectoryState, std::less<>> directories;
  std::vector<SimBytes> graveyard;  // the last deleted files: what stale holes show
  uint64_t next_inode = 1;

  void Bury(const SimBytes& bytes);
  // The entry operations that a sync of a new file makes durable along with it.
  void PersistEntriesOf(const SimInode& inode);
  uint64_t UsedBytes() const;
  uint64_t Hash() const;
  SimDisk Clone() const;

  uint64_t PendingUnits(const SimOptions& options) const;
  SimDisk CrashImage(const SimOptions& options, ImageId id, DamageCounts* damage) const;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_TESTING_SIM_DISK_H_
