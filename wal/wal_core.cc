#include "wal/wal_core.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "queue/sabotage.h"
#include "wal/check.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

constexpr uint64_t kGroupFrameBytes = FrameBytes(kGroupBodyBytes);

// Where a sync covers less than this, zeros are written into the next segment ahead of time; see
// Fill.
constexpr uint64_t kSmallSyncBytes = uint64_t{64} << 10;

}  // namespace

uint64_t WalCore::MaxBodyBytes(const Options& options) {
  return options.segment_bytes - kGroupFrameBytes - kFrameHeaderBytes;
}

WalCore::WalCore(FileSystem& file_system, std::unique_ptr<Directory> directory, Options options,
                 SegmentSupply* supply, int64_t now_ns)
    : file_system_(file_system),
      directory_(std::move(directory)),
      options_(std::move(options)),
      supply_(supply),
      now_ns_(now_ns) {}

WalCore::~WalCore() {
  if (!closed_ && factory_ != nullptr) supply_->Detach();
}

absl::Status WalCore::BeginSegment(const SegmentStart& start, uint64_t file_bytes, Fill fill) {
  absl::StatusOr<PreparedSegment> prepared = supply_->Take(file_bytes, fill);
  if (!prepared.ok()) return prepared.status();
  if (prepared->origin == PreparedSegment::Origin::kRecycled) ++counters_.recycled_segments;
  SegmentHeader header;
  header.log_id = log_id_;
  header.number = prepared->number;
  const IoResult drawn = file_system_.Random(
      std::span<char>(reinterpret_cast<char*>(&header.incarnation), sizeof header.incarnation));
  if (drawn < 0) return IoError("draw random bytes for", SegmentName(header.number), drawn);
  header.epoch = start.epoch;
  header.first_sequence = start.first_sequence;
  header.mark = start.mark;
  header.first_retained = first_retained_;
  header.capacity = std::max(prepared->file_bytes, file_bytes);
  header.predecessor = start.predecessor;
  header.boot_id = boot_id_;
  header.created_ns = now_ns_;
  header.epoch_bases = epoch_bases_;
  if (start.epoch > epoch_) {
    header.epoch_bases.Push(start.epoch, start.predecessor.last_sequence);
  }
  factory_->NoteInUse(header.number);
  const auto write_end =
      options_.pad_to_sector ? SegmentWriter::WriteEnd::kBlock : SegmentWriter::WriteEnd::kFrame;
  active_ = std::make_unique<SegmentWriter>(std::move(*prepared), header, write_end);
  active_node_ =
      std::make_shared<SegmentNode>(header.number, header.incarnation, start.first_sequence);
  segment_syncs_ = 0;
  return absl::OkStatus();
}

Fill WalCore::NextFill() const {
  const uint64_t bytes = active_->end() - kFramesOffset;
  const uint64_t bytes_per_sync = bytes / std::max<uint64_t>(1, segment_syncs_);
  return bytes_per_sync < kSmallSyncBytes ? Fill::kZeros : Fill::kReserve;
}

uint64_t WalCore::NextFileBytes() const {
  const uint64_t record_bytes = active_->header().capacity - kFramesOffset;
  return kFramesOffset + std::min(options_.segment_bytes, 2 * record_bytes);
}

Predecessor WalCore::ActiveAsPredecessor() const {
  // A segment without a record is passed over: nothing of it needs to be read.
  if (next_ == active_->header().first_sequence) return active_->header().predecessor;
  Predecessor predecessor;
  predecessor.number = active_->header().number;
  predecessor.incarnation = active_->header().incarnation;
  predecessor.last_sequence = next_ - 1;
  predecessor.cut = active_->end();
  predecessor.digest = active_->digest();
  return predecessor;
}

// Begins a segment of `file_bytes`, or where there is no space for that of `needed` at least, and
// returns the one before it. On error nothing is changed.
absl::StatusOr<std::unique_ptr<SegmentWriter>> WalCore::BeginNext(const SegmentStart& start,
                                                                  uint64_t file_bytes,
                                                                  uint64_t needed, Fill fill) {
  std::unique_ptr<SegmentWriter> old = std::move(active_);
  absl::Status status = BeginSegment(start, file_bytes, fill);
  const uint64_t least = std::max(needed, kFramesOffset + options_.initial_segment_bytes);
  if (IsPassing(status) && least < file_bytes) status = BeginSegment(start, least, fill);
  if (!status.ok()) {
    active_ = std::move(old);
    return status;
  }
  counters_.bytes_written += old->written_bytes();
  return old;
}

absl::Status WalCore::Rotate(uint64_t body_bytes) {
  absl::Status status = Write();
  // The chain must not name what a power cut may still take away: if any of it
  // is to be durable, it is so before the next header is submitted.
  if (status.ok() && durable_wanted_) status = Sync(SyncReason::kRotation);
  if (!status.ok()) return status;

  const uint64_t needed = kFramesOffset + kGroupFrameBytes + FrameBytes(body_bytes);
  const SegmentStart start{epoch_, next_, last_durable_, ActiveAsPredecessor()};
  std::shared_ptr<SegmentNode> old_node = active_node_;
  // By the syncs of the segment that ends: the new one has none yet.
  const Fill fill = NextFill();
  absl::StatusOr<std::unique_ptr<SegmentWriter>> old =
      BeginNext(start, std::max(NextFileBytes(), needed), needed, fill);
  if (IsPassing(old.status())) return old.status();
  if (!old.ok()) return fail_over_ != nullptr ? FailForGood(old.status()) : Fail(old.status());
  const uint64_t old_end = (*old)->end();
  if (observer_ != nullptr) {
    observer_->Rotated((*old)->header().number, (*old)->header().first_sequence, old_end);
  }
  if ((*old)->unsynced_bytes() > 0) {
    (*old)->ReleaseMemory();
    unsynced_segments_.push_back({std::move(*old), old_node});
  }
  old_node->Seal(old_end, next_ - 1, active_node_);
  ++counters_.rotations;
  supply_->Expect(NextFileBytes(), fill);
  return absl::OkStatus();
}

absl::StatusOr<SequenceNumber> WalCore::Add(const PendingFrame& frame) {
  WAL_CHECK(!closed_);
  if (!status_.ok()) return status_;
  if (absl::Status status = ContinueFailOver(); !status.ok()) return status;
  WAL_CHECK_LE(frame.body.size(), MaxBodyBytes(options_));
  if (next_ + frame.count - 1 > kMaxSequence) {
    return Fail(absl::OutOfRangeError(absl::StrCat("sequence numbers are used up: ", frame.count,
                                                   " more after ", next_ - 1, " would pass ",
                                                   kMaxSequence, ", the last; begin a new log")));
  }
  if (absl::Status status = MakeRoom(frame.body.size()); !status.ok()) return status;
  const SequenceNumber first = next_;
  active_->Add(frame, first, Group());
  next_ += frame.count;
  counters_.records += frame.count;
  if (frame.durability == Durability::kDurable) durable_wanted_ = true;
  return first;
}

// Sees to the room for a record, in a segment and in memory. Want of either passes.
absl::Status WalCore::MakeRoom(uint64_t body_bytes) {
  absl::Status status;
  if (!active_->Fits(body_bytes)) status = Rotate(body_bytes);
  if (!status.ok() || active_->Reserve(body_bytes)) return status;
  // What is durable need not be kept in memory.
  status = Write();
  if (status.ok()) status = Sync(SyncReason::kUnsyncedBytes);
  if (status.ok() && !active_->Fits(body_bytes)) status = Rotate(body_bytes);
  if (!status.ok() || active_->Reserve(body_bytes)) return status;
  const std::string what = absl::StrCat("find memory for ", body_bytes, " bytes more of");
  return Passing(IoError(what, active_->name(), -ENOMEM));
}

GroupBody WalCore::Group() const {
  GroupBody group;
  group.number = active_->header().number;
  group.incarnation = active_->header().incarnation;
  group.epoch = epoch_;
  group.time_ns = now_ns_;
  // Records that are logged again may be durable already, elsewhere.
  group.mark = std::min(last_durable_, next_ - 1);
  group.first_retained = first_retained_;
  return group;
}

absl::Status WalCore::Write() {
  if (!status_.ok()) return status_;
  if (absl::Status status = ContinueFailOver(); !status.ok()) return status;
  if (active_->gathered_bytes() == 0) return absl::OkStatus();
  const uint64_t bytes = active_->gathered_bytes();
  if (observer_ != nullptr) observer_->WriteBegins();
  absl::Status status = active_->Write();
  if (!status.ok()) return MendOrFail(std::move(status));
  const SequenceNumber last = active_->written_next() - 1;
  const uint64_t records = last - std::min(last, last_written_);
  if (observer_ != nullptr) observer_->WriteEnded(records, bytes);
  last_written_ = std::max(last_written_, last);
  ++counters_.groups;
  return absl::OkStatus();
}

absl::Status WalCore::SyncSegment(SegmentWriter& segment, SyncReason reason) {
  const uint64_t bytes = segment.unsynced_bytes();
  if (observer_ != nullptr) observer_->SyncBegins();
  absl::Status status = segment.Sync();
  if (!status.ok()) return status;
  ++counters_.syncs;
  if (observer_ != nullptr) observer_->SyncEnded(reason, bytes);
  return status;
}

// Oldest first, so that what is durable is a prefix at every moment.
absl::Status WalCore::SyncAll(SyncReason reason) {
  while (!unsynced_segments_.empty()) {
    const bool wrong = MILLRACE_SABOTAGE(sync_wrong_file);
    SegmentWriter& oldest = wrong ? *active_ : *unsynced_segments_.front().writer;
    absl::Status status = SyncSegment(oldest, reason);
    if (!status.ok()) return status;
    unsynced_segments_.erase(unsynced_segments_.begin());
  }
  if (active_->unsynced_bytes() == 0) return absl::OkStatus();
  ++segment_syncs_;
  return SyncSegment(*active_, reason);
}

absl::Status WalCore::Sync(SyncReason reason) {
  if (!status_.ok()) return status_;
  absl::Status status = ContinueFailOver();
  if (!status.ok()) return status;
  status = SyncAll(reason);
  if (!status.ok()) return MendOrFail(std::move(status));
  const bool stands = MILLRACE_SABOTAGE(watermark_not_advanced);
  if (!stands) {
    last_durable_ = std::max(last_durable_, active_->written_next() - 1);
  }
  active_node_->PublishDurableEnd(active_->end());
  if (active_->gathered_bytes() == 0) durable_wanted_ = false;
  return absl::OkStatus();
}

uint64_t WalCore::unsynced_bytes() const {
  uint64_t bytes = active_->unsynced_bytes();
  for (const OpenSegment& segment : unsynced_segments_) bytes += segment.writer->unsynced_bytes();
  return bytes;
}

uint64_t WalCore::memory_bytes() const {
  uint64_t bytes = active_->memory_bytes();
  for (const OpenSegment& segment : unsynced_segments_) bytes += segment.writer->memory_bytes();
  return bytes;
}

bool WalCore::NeedsIdleMark() const {
  return status_.ok() && !closed_ && marked_ < last_durable_ && last_durable_ == next_ - 1;
}

absl::Status WalCore::WriteIdleMark() {
  WAL_CHECK(!closed_);
  if (!status_.ok()) return status_;
  absl::Status status = ContinueFailOver();
  if (!status.ok()) return status;
  if (NeedsIdleMark()) status = WriteMark();
  if (!status.ok()) return status;
  active_->ReleaseMemory();
  return absl::OkStatus();
}

absl::Status WalCore::WriteMark() {
  // In another block than the last group, which one bad sector must not take
  // together with the proof that it had been durable.
  const bool waits = active_->gathered_bytes() > 0;  // of a call that found no space
  if (waits || active_->PadToBlock(next_, kGroupFrameBytes, SegmentWriter::Room::kWithinCapacity)) {
    if (!waits) active_->AddMark(next_, Group());
    absl::Status status = active_->Write();
    if (status.ok()) status = SyncSegment(*active_, SyncReason::kIdleMark);
    // Logged again, the last records need a mark again.
    if (!status.ok()) return MendOrFail(std::move(status));
    // The second sync that went well since they were written.
    active_->ForgetSynced();
  } else {
    absl::Status status = superblock_->Update([this](Superblock& s) { s.mark = last_durable_; });
    if (!status.ok()) return IsPassing(status) ? status : Fail(std::move(status));
  }
  marked_ = last_durable_;
  return absl::OkStatus();
}

absl::Status WalCore::TrimBefore(SequenceNumber first_to_keep) {
  WAL_CHECK(!closed_);
  absl::Status status = Write();
  if (status.ok()) status = Sync(SyncReason::kTrim);
  // What is trimmed is durable, and makes room.
  const bool has_space = !IsPassing(status);
  if (!status.ok() && has_space) return status;
  std::shared_ptr<SegmentNode> node = segments_->First();
  while (node->sealed() && node->last_sequence() < first_to_keep) node = node->next();
  if (node == segments_->First()) return absl::OkStatus();
  const SequenceNumber before = std::exchange(first_retained_, node->first_sequence);

  // Said in the log before any file goes: a missing segment below a durable
  // first_retained is no loss.
  bool said = false;
  if (has_space) {
    status = SayFirstRetained();
    if (!status.ok() && !IsPassing(status)) return status;
    said = status.ok();
  }
  status = superblock_->Update([this, said](Superblock& s) {
    s.first_retained = first_retained_;
    if (said) s.begun_segment = active_->header().number;
    s.mark = last_durable_;
  });
  if (!status.ok() && !IsPassing(status)) return Fail(std::move(status));
  if (!status.ok() && !said) {
    // The mark that waits for space may still say it, and the next open find it.
    first_retained_ = before;
    return status;
  }
  for (std::shared_ptr<SegmentNode>& dropped : segments_->DropBefore(first_retained_)) {
    below_ = {dropped->number, dropped->incarnation, dropped->last_sequence(), dropped->end(), 0};
    trimmed_.push_back(std::move(dropped));
  }
  return absl::OkStatus();
}

absl::Status WalCore::SayFirstRetained() {
  if (!active_->Fits(kGroupBodyBytes)) {
    absl::Status status = Rotate(kGroupBodyBytes);
    if (!status.ok()) return status;
  }
  active_->AddMark(next_, Group());
  absl::Status status = active_->Write();
  if (status.ok()) status = SyncSegment(*active_, SyncReason::kTrim);
  return status.ok() ? status : MendOrFail(std::move(status));
}

void WalCore::ReleaseTrimmed() {
  if (!trimmed_.empty()) supply_->Retire(std::exchange(trimmed_, {}));
}

absl::Status WalCore::Close() {
  if (closed_) return status_;
  if (MILLRACE_SABOTAGE(close_drops_pending)) closed_ = true;
  if (closed_) return status_;
  absl::Status status = Write();
  if (status.ok()) status = Sync(SyncReason::kClose);
  if (status.ok()) status = TryFinish();
  if (!status.ok()) Fail(std::move(status)).IgnoreError();
  if (status_.ok()) RemoveSuperseded();
  supply_->Detach();
  lock_.reset();
  closed_ = true;
  return status_;
}

absl::Status WalCore::TryFinish() {
  absl::Status status = active_->Finish(next_, Group());
  if (!status.ok() && !IsPassing(status)) {
    // The sync may have told of an older write. Once: then there is a segment without a past.
    status = MendOrFail(std::move(status));
    if (status.ok()) status = active_->Finish(next_, Group());
    if (!status.ok() && !IsPassing(status)) return status;
  }
  const bool clean = status.ok();
  status = superblock_->Update([this, clean](Superblock& s) {
    s.mark = last_durable_;
    if (clean) s.begun_segment = active_->header().number;
    s.clean = clean;
  });
  return IsPassing(status) ? absl::OkStatus() : status;
}

absl::Status WalCore::Fail(absl::Status status) {
  if (status_.ok()) status_ = Final(std::move(status));
  return status_;
}

CoreCounters WalCore::counters() const {
  CoreCounters counters = counters_;
  counters.bytes_written += active_->written_bytes();
  return counters;
}

}  // namespace millrace
