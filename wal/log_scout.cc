#include "wal/log_scout.h"

#include <errno.h>

#include <algorithm>
#include <array>

#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

// How far beyond the last frame seen the next is looked for.
constexpr uint64_t kWindowBytes = uint64_t{256} << 10;

// The segment in which records may follow.
std::optional<ChainSegment> HeadOf(const RecoveredLog& log) {
  if (log.newest.has_value()) return log.newest;
  return log.chain.empty() ? std::optional<ChainSegment>() : log.chain.back();
}

}  // namespace

LogScout::LogScout(Directory& directory, const RecoveredLog& log, RecoveryReport::Outcome outcome)
    : directory_(directory),
      log_id_(log.log_id),
      epoch_(log.epoch),
      head_(HeadOf(log)),
      mark_(log.mark),
      stated_mark_(log.mark),
      known_(log.next_sequence - 1),
      readable_(head_.has_value() ? head_->last_sequence : kNoSequence),
      first_retained_(log.first_retained),
      closed_(outcome == RecoveryReport::Outcome::kClean) {
  if (!head_.has_value()) return;
  offset_ = head_->end;
  next_ = head_->last_sequence + 1;
}

absl::StatusOr<LogScout::News> LogScout::Look() {
  // The directory last: what the others say was written before it.
  if (absl::Status status = LookAtSuperblock(); !status.ok()) return status;
  if (absl::Status status = LookAtHead(); !status.ok()) return status;
  const absl::StatusOr<bool> follows = SegmentFollows();
  if (!follows.ok()) return follows.status();
  // A mark may speak of records in the segment that follows.
  if (*follows) return News::kNewSegment;
  mark_ = stated_mark_;
  return News::kSeen;
}

SequenceNumber LogScout::LookAtFirstRetained() {
  // An error leaves what was known before.
  LookAtSuperblock().IgnoreError();
  return first_retained_;
}

absl::Status LogScout::LookAtSuperblock() {
  Superblock superblock;
  const absl::StatusOr<HeaderStatus> status = SuperblockFile::Load(directory_, &superblock);
  if (absl::IsResourceExhausted(status.status())) return status.status();
  // Without it the log itself still tells, only later.
  if (!status.ok() || *status != HeaderStatus::kValid || superblock.log_id != log_id_) {
    return absl::OkStatus();
  }
  first_retained_ = std::max(first_retained_, superblock.first_retained);
  if (superblock.epoch == epoch_) stated_mark_ = std::max(stated_mark_, superblock.mark);
  return absl::OkStatus();
}

void LogScout::TakeGroup(const GroupBody& group) {
  first_retained_ = std::max(first_retained_, group.first_retained);
  if (group.epoch == epoch_) stated_mark_ = std::max(stated_mark_, group.mark);
}

absl::Status LogScout::LookAtHead() {
  if (!head_.has_value()) return absl::OkStatus();
  if (!reader_.has_value()) {
    const std::string name = SegmentName(head_->number);
    const IoResult error = OpenFile(directory_, name, OpenMode::kRead, &file_);
    // A head that is gone was trimmed or is lost; what follows it will tell.
    if (error == -EMFILE || error == -ENFILE) return IoError("open", name, error);
    if (error < 0) return absl::OkStatus();
    reader_.emplace(file_.get(), log_id_, head_->number, head_->incarnation);
  }
  // What was read before may have been half written.
  reader_->Seek(offset_, next_);
  while (true) {
    // Frames follow one another. Not to look far for a later one where none is
    // yet keeps the look at a quiet log short.
    SegmentReader::Step step = reader_->Next(offset_ + kWindowBytes, kMaxSequence);
    if (step.kind != SegmentReader::Kind::kFrame) {
      const uint64_t bytes = FrameBytesAt(offset_);
      if (bytes <= kWindowBytes) return absl::OkStatus();
      reader_->Seek(offset_, next_);
      step = reader_->Next(offset_ + bytes, kMaxSequence);
      if (step.kind != SegmentReader::Kind::kFrame) return absl::OkStatus();
    }
    closed_ = step.header.type == FrameType::kFooter;
    offset_ = reader_->offset();
    next_ = reader_->next_sequence();
    readable_ = std::max(readable_, next_ - 1);
    switch (step.header.type) {
      case FrameType::kGroup:
      case FrameType::kIdleMark:
        TakeGroup(DecodeGroupBody(step.body().data()));
        break;
      case FrameType::kFooter:
        TakeGroup(DecodeFooterBody(step.body().data()).group);
        break;
      default:
        break;
    }
  }
}

// What the header of a frame there, if it is one, says of its size.
uint64_t LogScout::FrameBytesAt(uint64_t offset) {
  std::array<char, kFrameHeaderBytes> bytes;
  FrameHeader header;
  const uint64_t seed = SegmentSeed(log_id_, head_->number, head_->incarnation);
  if (ReadFully(*file_, offset, bytes) != static_cast<IoResult>(bytes.size()) ||
      DecodeFrameHeader(bytes.data(), seed, offset, &header) != FrameStatus::kValid) {
    return 0;
  }
  return FrameBytes(header.body_bytes);
}

absl::StatusOr<bool> LogScout::SegmentFollows() {
  std::vector<std::string> names;
  if (const IoResult error = directory_.List(&names); error < 0) {
    return IoError("list", "the log's directory", error);
  }
  for (const std::string& name : names) {
    const std::optional<uint64_t> number = ParseSegmentName(name);
    if (!number.has_value() || (head_.has_value() && *number <= head_->number)) continue;
    absl::StatusOr<bool> adds = AddsRecords(*number);
    if (!adds.ok() || *adds) return adds;
  }
  return false;
}

// True if there are records in the segment, or, by its header, before it, that are
// not known here, or if the header drops some that are. One that was only begun adds nothing else.
absl::StatusOr<bool> LogScout::AddsRecords(uint64_t number) {
  const std::string name = SegmentName(number);
  std::unique_ptr<File> file;
  const IoResult error = OpenFile(directory_, name, OpenMode::kRead, &file);
  if (error == -EMFILE || error == -ENFILE) return IoError("open", name, error);
  // Gone since it was listed: trimmed, and so were records before it.
  if (error == -ENOENT) return true;
  if (error < 0) return false;
  const SequenceNumber known = std::max(known_, readable_);
  for (int copy = 0; copy < 2; ++copy) {
    std::array<char, kSegmentHeaderBytes> bytes;
    std::array<char, kFrameHeaderBytes> frame;
    SegmentHeader header;
    FrameHeader frame_header;
    if (ReadFully(*file, copy * kBlockBytes, bytes) != static_cast<IoResult>(bytes.size()) ||
        DecodeSegmentHeader(bytes, copy, &header) != HeaderStatus::kValid ||
        header.state != SegmentState::kActive || header.log_id != log_id_ ||
        header.number != number) {
      continue;
    }
    if (header.first_sequence > known + 1) return true;
    // It ends the log elsewhere: a truncation.
    if (header.epoch > epoch_) return true;
    if (ReadFully(*file, kFramesOffset, frame) == static_cast<IoResult>(frame.size()) &&
        DecodeFrameHeader(frame.data(), SegmentSeed(log_id_, number, header.incarnation),
                          kFramesOffset, &frame_header) == FrameStatus::kValid) {
      return true;
    }
  }
  return false;
}

}  // namespace millrace
