#include "wal/recovery.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "queue/sabotage.h"
#include "wal/io_status.h"
#include "wal/log_inventory.h"
#include "wal/recovery_chain.h"
#include "wal/recovery_judge.h"
#include "wal/recovery_table.h"
#include "wal/recovery_unsynced.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

using Fate = FileFateTable::Fate;
using Holds = FileFateTable::Holds;
using Kind = FileTable::Kind;
using Place = FileFateTable::Place;

// Sorts out the files once it is known what the chain is.
class FileSorter {
 public:
  FileSorter(Directory& directory, const LogInventory& inventory, const RecoveryChain& chain,
             const RecoveryVerdict& verdict)
      : directory_(directory), inventory_(inventory), chain_(chain), verdict_(verdict) {
    // By what was given up, not by what is kept: where nothing is, what stands
    // between may be waiting to be set aside.
    if (chain.below_is_trimmed) lowest_needed_ = chain.below.number + 1;
    for (size_t i = 0; i < chain.links.size(); ++i) {
      if (verdict.links[i].place == Place::kTrimmed) lowest_needed_ = chain.links[i].number + 1;
    }
  }

  absl::Status Sort(RecoveredLog* log, RecoveryReport* report) {
    for (const SegmentFile& file : inventory_.files) {
      absl::StatusOr<RecoveryVerdict::Fate> place = PlaceOf(file);
      if (!place.ok()) return place.status();
      const std::string name = SegmentName(file.number);
      switch (FileFateTable::Decide(file.kind, place->place, place->holds)) {
        case Fate::kKeep:
          break;
        case Fate::kRemove:
          log->removable.push_back(name);
          break;
        case Fate::kSetAside:
          log->set_aside.push_back(name);
          break;
        case Fate::kIgnore:
          report->ignored_files.push_back(name);
          break;
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<RecoveryVerdict::Fate> PlaceOf(const SegmentFile& file) const;
  absl::StatusOr<Holds> HoldsOfFile(const SegmentFile& file) const;
  bool NamedAsLost(uint64_t number) const;

  Directory& directory_;
  const LogInventory& inventory_;
  const RecoveryChain& chain_;
  const RecoveryVerdict& verdict_;
  // What is numbered below it was given up. 0: nothing was.
  uint64_t lowest_needed_ = 0;
};

bool FileSorter::NamedAsLost(uint64_t number) const {
  return std::any_of(chain_.links.begin(), chain_.links.end(),
                     [number](const ChainLink& link) { return link.lost_predecessor == number; });
}

absl::StatusOr<Holds> FileSorter::HoldsOfFile(const SegmentFile& file) const {
  switch (file.kind) {
    case Kind::kActive:
    case Kind::kHeaderLost: {
      absl::StatusOr<SegmentScan> scan = ScanLooseSegment(directory_, inventory_, file);
      if (!scan.ok()) {
        // What cannot be judged now is left alone; but a newer version's frames
        // mean that nothing may be touched.
        if (absl::IsUnimplemented(scan.status()) && ErrnoOf(scan.status()) == 0) {
          return scan.status();
        }
        return Holds::kSomething;
      }
      return HoldsOf(*scan);
    }
    case Kind::kMisnamed:
      return file.header.number < lowest_needed_ ? Holds::kNothingNeeded : Holds::kSomething;
    default:
      return NamedAsLost(file.number) ? Holds::kSomething : Holds::kNothingNeeded;
  }
}

absl::StatusOr<RecoveryVerdict::Fate> FileSorter::PlaceOf(const SegmentFile& file) const {
  const auto& links = chain_.links;
  const auto link =
      std::lower_bound(links.begin(), links.end(), file.number,
                       [](const ChainLink& l, uint64_t number) { return l.number < number; });
  if (link != links.end() && link->number == file.number) {
    return verdict_.links[link - links.begin()];
  }
  RecoveryVerdict::Fate fate;
  const bool trimmed = file.number < lowest_needed_;
  fate.place = trimmed && file.IsSegment() ? Place::kTrimmed : Place::kOffChain;
  if (fate.place == Place::kTrimmed) return fate;
  absl::StatusOr<Holds> holds = HoldsOfFile(file);
  if (!holds.ok()) return holds.status();
  fate.holds = *holds;
  return fate;
}

RecoveryReport::Outcome OutcomeOf(const LogInventory& inventory, const RecoveryChain& chain,
                                  const RecoveryVerdict& verdict) {
  using Outcome = RecoveryReport::Outcome;
  if (!inventory.exists) return Outcome::kCreated;
  if (chain.links.empty() || verdict.cut || verdict.stopped || verdict.lost_at_end) {
    return Outcome::kRecovered;
  }
  const ChainLink& top = chain.links.back();
  if (top.footer.has_value()) return Outcome::kClean;
  // A segment without room for a footer: the superblock says it instead.
  const bool consistent = inventory.superblock_counts && inventory.superblock.clean &&
                          inventory.superblock.mark == top.last() && !top.sync_failed &&
                          top.scan->end_nonzero_bytes == 0;
  return consistent ? Outcome::kClean : Outcome::kRecovered;
}

std::optional<ChainSegment> NewestOf(const LogInventory& inventory, const RecoveryChain& chain,
                                     const RecoveryVerdict& verdict) {
  if (chain.links.empty() || verdict.stopped) return std::nullopt;
  const ChainLink& top = chain.links.back();
  const ChainSegment* last = verdict.kept.empty() ? nullptr : &verdict.kept.back();
  const bool top_kept = last != nullptr && last->number == top.number;
  // What its file goes on with was dropped when the live epoch began.
  const bool ended = top.epoch < inventory.epoch;
  if (top_kept && (verdict.cut || !ended)) return std::nullopt;
  // Nothing but a segment behind the last that is kept keeps readers from what its file goes on
  // with. It is none that is there where those of the live epoch are lost, or dropped by the cut.
  const bool dropped = verdict.cut && top.first > verdict.next_sequence;
  if (ended || dropped) {
    const SequenceNumber kept = last == nullptr ? kNoSequence : last->last_sequence;
    return ChainSegment{.number = inventory.highest_number,
                        .first_sequence = kept + 1,
                        .last_sequence = kept,
                        .end = kFramesOffset};
  }
  return ChainSegment{.number = top.number,
                      .incarnation = top.incarnation,
                      .first_sequence = top.first,
                      .last_sequence = top.first - 1,
                      .end = kFramesOffset,
                      .file_bytes = top.file->bytes};
}

// Where the live epoch began; where nothing tells it, behind what is kept of older ones, so that
// the next open, which is told, keeps that as well.
SequenceNumber EpochBaseOf(const LogInventory& inventory, const RecoveryChain& chain,
                           const RecoveryVerdict& verdict) {
  if (inventory.epoch_base.has_value()) return *inventory.epoch_base;
  SequenceNumber base = 0;
  for (const ChainSegment& kept : verdict.kept) {
    const auto link = std::find_if(chain.links.begin(), chain.links.end(),
                                   [&](const ChainLink& l) { return l.number == kept.number; });
    if (link->epoch < inventory.epoch) base = std::max(base, kept.last_sequence);
  }
  return base;
}

absl::Status FillLog(FileSystem& file_system, const RecoveryOptions& options,
                     const LogInventory& inventory, const RecoveryChain& chain,
                     RecoveryVerdict verdict, RecoveredLog* log) {
  log->exists = inventory.exists;
  log->log_id = inventory.log_id;
  if (inventory.exists && !inventory.id_known && options.access == Access::kReadWrite) {
    const IoResult drawn = file_system.Random(log->log_id);
    if (drawn < 0) return IoError("draw random bytes for", "the log's id", drawn);
  }
  log->newest = NewestOf(inventory, chain, verdict);
  log->epoch_base = EpochBaseOf(inventory, chain, verdict);
  log->chain = std::move(verdict.kept);
  log->unsynced = std::move(verdict.unsynced);
  log->epoch = inventory.epoch;
  log->epoch_bases = inventory.epoch_bases;
  if (inventory.epoch > 1) log->epoch_bases.Push(inventory.epoch, log->epoch_base);
  log->mark = chain.mark;
  log->first_retained = chain.first_retained;
  log->next_sequence = verdict.next_sequence;
  log->predecessor = verdict.predecessor;
  if (MILLRACE_SABOTAGE(tail_not_cut) && verdict.cut) log->predecessor.cut += kBlockBytes;
  log->below = verdict.below;
  log->next_segment = inventory.highest_number + 1;
  // So that intact records which are cut off never count again.
  log->starts_new_epoch = verdict.stopped || verdict.withheld;
  log->superblock = inventory.superblock;
  if (log->next_segment > kMaxSegmentNumber) {
    return absl::ResourceExhaustedError(
        absl::StrCat("segment numbers are used up: ", SegmentName(inventory.highest_number),
                     " is the last; if that file is none of this log's, move it away"));
  }
  return absl::OkStatus();
}

void FillReport(const LogInventory& inventory, const RecoveryChain& chain, const RecoveredLog& log,
                RecoveryReport* report) {
  report->first_retained = log.first_retained;
  report->next_sequence = log.next_sequence;
  report->mark = log.mark;
  report->epoch = log.epoch;
  report->segments = log.chain.size();
  report->bytes_scanned = chain.bytes_scanned + inventory.bytes_read;
  std::sort(report->ignored_files.begin(), report->ignored_files.end());
}

}  // namespace

absl::StatusOr<RecoveredLog> Recover(FileSystem& file_system, Directory& directory,
                                     const RecoveryOptions& options, RecoveryReport* report) {
  *report = RecoveryReport();
  absl::StatusOr<LogInventory> inventory = TakeInventory(directory);
  if (!inventory.ok()) return inventory.status();
  absl::StatusOr<RecoveryChain> chain = FollowChain(directory, *inventory, options);
  if (!chain.ok()) return chain.status();
  absl::StatusOr<RecoveryVerdict> verdict =
      JudgeChain(*chain, options, file_system.BootId(), report);
  if (!verdict.ok()) return verdict.status();
  absl::Status status = TakeUnsynced(*chain, options.policy, &*verdict, report);
  if (!status.ok()) return status;

  RecoveredLog log;
  report->ignored_files = std::move(inventory->ignored);
  status = FileSorter(directory, *inventory, *chain, *verdict).Sort(&log, report);
  if (!status.ok()) return status;
  report->outcome = OutcomeOf(*inventory, *chain, *verdict);
  report->last_recovered = verdict->last_recovered;
  status = FillLog(file_system, options, *inventory, *chain, *std::move(verdict), &log);
  if (!status.ok()) return status;
  FillReport(*inventory, *chain, log, report);
  return log;
}

}  // namespace millrace
