#ifndef MILLRACE_WAL_RECOVERY_CHAIN_H_
#define MILLRACE_WAL_RECOVERY_CHAIN_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/log_inventory.h"
#include "wal/recovery.h"
#include "wal/segment_scan.h"

namespace millrace {

// The marks found so far, of which only those of the live epoch count in full.
class MarkBook {
 public:
  // Older epochs' marks count up to `base`.
  MarkBook(uint64_t epoch, SequenceNumber base) : epoch_(epoch), base_(base) {}

  void Add(const StatedMark& stated) {
    if (stated.epoch > epoch_) return;
    const SequenceNumber counts =
        stated.epoch == epoch_ ? stated.mark : std::min(stated.mark, base_);
    mark_ = std::max(mark_, counts);
  }
  SequenceNumber mark() const { return mark_; }

 private:
  const uint64_t epoch_;
  const SequenceNumber base_;
  SequenceNumber mark_ = 0;
};

// A segment of the chain, and as much of its content as had to be read.
struct ChainLink {
  const SegmentFile* file = nullptr;
  uint64_t number = 0;
  uint64_t incarnation = 0;
  uint64_t epoch = 0;
  const SegmentHeader* header = nullptr;  // null: lost
  SequenceNumber first = 0;
  // Where the successor's header says that it ends. Without a value it is the
  // newest one, or its successor is lost.
  std::optional<Predecessor> named_end;
  std::optional<ClosingFooter> footer;  // at the file's very end
  std::optional<SegmentScan> scan;      // unset: proven durable, not read

  // The device would not sync it. If `scan` has records above the mark, `trusted` ends
  // before them.
  bool sync_failed = false;
  std::optional<SegmentScan> trusted;

  // The header names a predecessor that is lost: this one, and what is there.
  uint64_t lost_predecessor = 0;
  LossCause lost_cause = LossCause::kMissingSegment;

  SequenceNumber last() const;        // first - 1: no record
  SequenceNumber last_valid() const;  // the highest record that is intact
  uint64_t end() const;
  uint64_t digest() const;
  uint64_t records() const;
};

struct RecoveryChain {
  std::vector<ChainLink> links;  // oldest first
  // What the oldest link's header names (the number is 0 if it names none, or
  // if it is lost) and whether all that was given up.
  Predecessor below;
  bool below_is_trimmed = false;
  SequenceNumber mark = 0;
  SequenceNumber first_retained = 1;
  uint64_t bytes_scanned = 0;
  // The segment behind the last link, if it is known to have been begun and is lost.
  uint64_t lost_newest = 0;  // 0: none
  LossCause lost_newest_cause = LossCause::kMissingSegment;
  bool lost_newest_is_counted = false;  // the mark says how many records were in it
};

// Follows the predecessors from the highest segment down, and reads those of
// which the marks do not prove that they are whole.
//
// Errors: Unimplemented (a newer version's frame); I/O errors.
absl::StatusOr<RecoveryChain> FollowChain(Directory& directory, const LogInventory& inventory,
                                          const RecoveryOptions& options);

// Scans a segment outside of any chain, for whatever it holds, of whatever numbers.
absl::StatusOr<SegmentScan> ScanLooseSegment(Directory& directory, const LogInventory& inventory,
                                             const SegmentFile& file);

}  // namespace millrace

#endif  // MILLRACE_WAL_RECOVERY_CHAIN_H_
