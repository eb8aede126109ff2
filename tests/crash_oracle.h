#ifndef MILLRACE_CRASH_ORACLE_H_
#define MILLRACE_CRASH_ORACLE_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "millrace/options.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/cursor_file.h"
#include "wal/segment_supply.h"
#include "wal/wal_core.h"

namespace millrace {

// The directory in which all simulated logs live.
inline constexpr char kSimDirectory[] = "log";

// What the log was told and has promised, kept outside of it.
class CrashOracle {
 public:
  // The log gave `payloads` the numbers from `first` on; all of them or none
  // survive. Numbers from `first` on that were given before are forgotten.
  void Accepted(SequenceNumber first, std::vector<std::string> payloads);
  // Everything up to `s` was promised to survive.
  void Acknowledged(SequenceNumber s);
  // Records below `s` may be gone.
  void TrimRequested(SequenceNumber s) { trim_ = std::max(trim_, s); }
  // From the call to its return a checkpoint may be that of before or that one; afterwards
  // that one must be found, and no record after it may be trimmed.
  void CheckpointBegun(const std::string& cursor, SequenceNumber committed);
  void CheckpointReturned(const std::string& cursor);
  // The disk harms whole sectors of so many bytes around what it writes: acknowledged records
  // that share one may be gone, at the end of the log or by name.
  void AllowHarmBeside(uint64_t sector_bytes) { harm_beside_ = sector_bytes; }
  // From the call to TruncateAfter(s) until it returns either all records after `s` are
  // dropped or none is. From then on they must not come back, whatever their numbers are
  // given to.
  void TruncationBegun(SequenceNumber s) { truncating_ = s; }
  void TruncationReturned();

  SequenceNumber acknowledged() const { return acknowledged_; }
  SequenceNumber last() const { return entries_.size(); }
  // Differs whenever something else is demanded of what a crash leaves.
  uint64_t Digest() const;

  struct Recovered {
    SequenceNumber first = 1;
    std::vector<std::string> payloads;  // from `first` on
    std::set<SequenceNumber> lost;      // that a reader was told of; their payloads are empty
    std::vector<std::pair<std::string, SequenceNumber>> cursors;  // and what they committed
    RecoveryReport report;
  };

  // What is wrong with `recovered`, or nullopt. The contract's clauses are named
  // as in the reliability programme: C1 no acknowledged loss, C2 loss of a suffix
  // only, C3 no invention, C5 batches, C9 no false report.
  std::optional<std::string> Check(const Recovered& recovered) const;

 private:
  std::optional<std::string> CheckRecords(const Recovered& recovered) const;
  std::optional<std::string> CheckPayload(const Recovered& recovered, SequenceNumber s) const;
  std::optional<std::string> CheckLosses(const Recovered& recovered, SequenceNumber last) const;
  std::optional<std::string> CheckCursors(const Recovered& recovered) const;

  struct CursorBounds {
    bool durable = false;  // it was there when a call returned
    SequenceNumber lowest = 0;
    SequenceNumber highest = 0;
  };
  struct Accepted_ {
    std::string payload;
    SequenceNumber batch_last = 0;  // of the batch that it belongs to
  };
  std::vector<Accepted_> entries_;  // of record i + 1
  SequenceNumber acknowledged_ = 0;
  SequenceNumber trim_ = 1;
  uint64_t harm_beside_ = 0;
  std::map<std::string, CursorBounds> cursors_;
  std::optional<SequenceNumber> truncating_;
  uint64_t truncations_ = 0;
  // What was dropped, under the number that it had.
  std::multimap<SequenceNumber, std::string> dropped_;
};

// Opens the log on `disk` as after a crash, reads all of it, and, if `probe` is
// not empty, appends it durably, and UnsyncedProbe(probe) without a sync. Returns an error
// message if the log does not open or a read fails.
std::optional<std::string> RecoverAll(SimFileSystem& disk, const Options& options,
                                      const std::string& probe, CrashOracle::Recovered* recovered);

inline std::string UnsyncedProbe(const std::string& probe) {
  return probe + " and, without a sync, a few bytes more";
}

// A log on a simulated disk, driven step by step, that keeps the oracle true.
class SimLog {
 public:
  SimLog(SimFileSystem& disk, const Options& options, CrashOracle& oracle)
      : disk_(disk), options_(options), oracle_(oracle) {}

  void Open();
  void Append(size_t bytes, Durability durability = Durability::kDurable);
  void AppendBatch(std::vector<size_t> sizes);
  void Write();
  void Sync();
  // Write and Sync.
  void Commit();
  void IdleMark();
  void Trim(SequenceNumber first_to_keep);
  void Truncate(SequenceNumber last_to_keep);
  // Makes `committed`, which is durable, the checkpoint of the cursor, which is made at its
  // first.
  void Checkpoint(const std::string& cursor, SequenceNumber committed);
  void Close();
  // From now on calls of the disk fail as it says.
  void AddRule(const SimRule& rule) { disk_.AddRule(rule); }
  // SIGKILL: what was written stays.
  void Kill();

  WalCore& core() { return *core_; }

 private:
  std::string NextPayload(size_t bytes);

  SimFileSystem& disk_;
  const Options options_;
  CrashOracle& oracle_;
  InlineSegmentSupply supply_;
  std::unique_ptr<WalCore> core_;
  std::map<std::string, std::unique_ptr<CursorFile>> cursors_;  // open
  std::deque<std::string> bodies_;                              // must live until Write
  uint64_t appends_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_CRASH_ORACLE_H_
