// Truncation: a segment whose header begins a new epoch and names where the kept records
// end. With it durable, what lies behind is dead, whatever becomes of the files.

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "queue/sabotage.h"
#include "wal/check.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_cut.h"
#include "wal/segment_name.h"
#include "wal/wal_core.h"

namespace millrace {

absl::Status WalCore::TruncateAfter(SequenceNumber last_to_keep) {
  WAL_CHECK(!closed_);
  absl::Status status = Write();
  if (!status.ok()) return status;
  if (last_to_keep + 1 < first_retained_ || last_to_keep > last_written_) {
    return absl::OutOfRangeError(absl::StrCat("cannot truncate after record ", last_to_keep,
                                              ": choose one from ", first_retained_ - 1,
                                              " (drops all) to ", last_written_, " (drops none)"));
  }
  if (last_to_keep == last_written_) return absl::OkStatus();

  std::shared_ptr<SegmentNode> kept = segments_->Find(last_to_keep);
  Predecessor predecessor = below_;
  if (kept->first_sequence > last_to_keep) {
    kept = nullptr;
  } else {
    absl::StatusOr<Predecessor> end = EndAfter(kept, last_to_keep);
    if (!end.ok()) return end.status();
    predecessor = *end;
  }
  // The header must not name what a power cut may still take away.
  status = Sync(SyncReason::kTrim);
  if (status.ok()) status = BeginEpoch(predecessor, last_to_keep);
  if (!status.ok()) return status;
  DropBehind(kept, predecessor);
  return absl::OkStatus();
}

// `node`'s segment as the predecessor of record `last_to_keep` + 1.
absl::StatusOr<Predecessor> WalCore::EndAfter(const std::shared_ptr<SegmentNode>& node,
                                              SequenceNumber last_to_keep) {
  Predecessor predecessor;
  predecessor.number = node->number;
  predecessor.incarnation = node->incarnation;
  if (node->sealed() && node->last_sequence() <= last_to_keep) {
    // All of it. Numbers between were lost before, and reported.
    predecessor.last_sequence = node->last_sequence();
    predecessor.cut = node->end();
    return predecessor;
  }
  const std::string name = SegmentName(node->number);
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(*directory_, name, OpenMode::kRead, &file);
  if (opened < 0) return IoError("open", name, opened);
  CutRequest request;
  request.name = name;
  request.log_id = log_id_;
  request.number = node->number;
  request.incarnation = node->incarnation;
  request.first = node->first_sequence;
  request.end = node->sealed() ? node->end() : active_->end();
  request.last_to_keep = last_to_keep;
  const absl::StatusOr<SegmentCut> cut = FindCut(*file, request);
  if (!cut.ok()) return cut.status();
  predecessor.last_sequence = last_to_keep;
  predecessor.cut = cut->offset;
  predecessor.digest = cut->digest;
  return predecessor;
}

// Makes the header durable that ends the log behind `predecessor`.
absl::Status WalCore::BeginEpoch(const Predecessor& predecessor, SequenceNumber last_to_keep) {
  const uint64_t record_bytes = active_->header().capacity - kFramesOffset;
  const uint64_t file_bytes = kFramesOffset + std::min(options_.segment_bytes, record_bytes);
  const Fill fill = NextFill();
  std::unique_ptr<SegmentWriter> old = std::move(active_);
  const SegmentStart start{epoch_ + (MILLRACE_SABOTAGE(no_new_epoch) ? 0 : 1), last_to_keep + 1,
                           last_to_keep, predecessor};
  absl::Status status = BeginSegment(start, file_bytes, fill);
  if (!status.ok()) {
    active_ = std::move(old);
    return IsPassing(status) ? status : Fail(std::move(status));
  }
  counters_.bytes_written += old->written_bytes();
  ++counters_.rotations;
  status = active_->Write();
  if (status.ok()) status = SyncSegment(*active_, SyncReason::kTrim);
  // From here on the records are gone. The superblock says so once more, for the case
  // that this header is damaged one day.
  if (status.ok()) {
    status = superblock_->Update([&](Superblock& s) {
      s.epoch = start.epoch;
      s.epoch_base = predecessor.last_sequence;
      s.mark = last_to_keep;
      s.begun_segment = active_->header().number;
    });
    if (IsPassing(status)) status = absl::OkStatus();
  }
  if (!status.ok()) return Fail(std::move(status));
  epoch_ = start.epoch;
  epoch_base_ = predecessor.last_sequence;
  epoch_bases_ = active_->header().epoch_bases;
  next_ = last_to_keep + 1;
  last_written_ = last_durable_ = marked_ = last_to_keep;
  // As large as this one: it was not filled.
  supply_->Expect(file_bytes, fill);
  return absl::OkStatus();
}

// Shows readers a chain that ends with `kept`, cut, and the active segment. A node is
// final once it is sealed, so those up to the cut are made anew. Null: nothing is kept.
void WalCore::DropBehind(const std::shared_ptr<SegmentNode>& kept, const Predecessor& predecessor) {
  std::vector<std::shared_ptr<SegmentNode>> old;
  for (std::shared_ptr<SegmentNode> node = segments_->First();; node = node->next()) {
    old.push_back(node);
    if (!node->sealed()) break;
  }
  const auto dropped = kept == nullptr ? old.begin() : std::find(old.begin(), old.end(), kept) + 1;
  std::shared_ptr<SegmentNode> next = active_node_;
  for (auto it = dropped; it != old.begin();) {
    const SegmentNode& node = **--it;
    auto renewed = std::make_shared<SegmentNode>(node.number, node.incarnation, node.first_sequence,
                                                 node.file_use);
    if (*it == kept) {
      renewed->Seal(predecessor.cut, predecessor.last_sequence, std::move(next));
    } else {
      renewed->Seal(node.end(), node.last_sequence(), std::move(next));
    }
    next = std::move(renewed);
  }
  segments_->Replace(std::move(next));
  trimmed_.insert(trimmed_.end(), std::make_move_iterator(dropped),
                  std::make_move_iterator(old.end()));
}

}  // namespace millrace
