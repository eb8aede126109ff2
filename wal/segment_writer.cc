#include "wal/segment_writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "wal/check.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

// Bodies from this size on are written from where they are: below it a copy
// costs less than one more entry in the kernel's list of pieces.
constexpr uint64_t kReferenceBytes = 8192;

// What an idle writer keeps.
constexpr uint64_t kIdleStagingBytes = uint64_t{16} << 10;

constexpr std::array<char, kAlignment> kZeros = {};

constexpr uint64_t kGroupFrameBytes = FrameBytes(kGroupBodyBytes);

}  // namespace

SegmentWriter::SegmentWriter(PreparedSegment prepared, const SegmentHeader& header)
    : header_(header),
      name_(SegmentName(header.number)),
      segment_seed_(SegmentSeed(header.log_id, header.number, header.incarnation)),
      body_seed_(BodySeed(header.log_id)),
      file_(std::move(prepared.file)) {
  WAL_CHECK_EQ(prepared.number, header.number);
  WAL_CHECK(header.state == SegmentState::kActive);
}

bool SegmentWriter::Fits(uint64_t body_bytes) const {
  const uint64_t group = gathered_bytes_ == 0 ? kGroupFrameBytes : 0;
  return next_offset() + group + FrameBytes(body_bytes) <= header_.capacity;
}

char* SegmentWriter::Stage(uint64_t bytes) {
  if (staging_.size() - staged_bytes_ < bytes) {
    staging_.resize(std::max<uint64_t>(2 * staging_.size(), staged_bytes_ + bytes + 4096));
  }
  return staging_.data() + staged_bytes_;
}

void SegmentWriter::AppendStaged(uint64_t bytes) {
  staged_bytes_ += bytes;
  gathered_bytes_ += bytes;
  if (!pieces_.empty() && pieces_.back().external == nullptr) {
    pieces_.back().bytes += bytes;
  } else {
    pieces_.push_back({nullptr, bytes});
  }
}

void SegmentWriter::AddControl(FrameType type, SequenceNumber next, uint32_t body_bytes,
                               const char* body) {
  const uint64_t bytes = FrameBytes(body_bytes);
  char* out = Stage(bytes);
  std::memcpy(out + kFrameHeaderBytes, body, body_bytes);
  FrameHeader header;
  header.sequence = next;
  header.body_bytes = body_bytes;
  header.type = type;
  SealFrame(header, segment_seed_, body_seed_, next_offset(), out);
  digest_ = FrameDigest(digest_, out);
  AppendStaged(bytes);
}

void SegmentWriter::Add(const PendingFrame& frame, SequenceNumber sequence,
                        const GroupBody& group) {
  WAL_CHECK(Fits(frame.body.size()));
  if (gathered_bytes_ == 0) {
    char body[kGroupBodyBytes];
    EncodeGroupBody(group, body);
    AddControl(FrameType::kGroup, sequence, kGroupBodyBytes, body);
  }
  FrameHeader header;
  header.sequence = sequence;
  header.body_bytes = static_cast<uint32_t>(frame.body.size());
  header.type = frame.type;
  header.flags = frame.flags;
  header.count = frame.count;
  header.body_checksum = frame.body_checksum;

  const uint64_t bytes = FrameBytes(frame.body.size());
  const bool by_reference = frame.body.size() >= kReferenceBytes;
  char* out = Stage(by_reference ? kFrameHeaderBytes : bytes);
  EncodeFrameHeader(header, segment_seed_, next_offset(), out);
  digest_ = FrameDigest(digest_, out);
  const uint64_t padding = bytes - kFrameHeaderBytes - frame.body.size();
  if (!by_reference) {
    char* body = out + kFrameHeaderBytes;
    if (!frame.body.empty()) std::memcpy(body, frame.body.data(), frame.body.size());
    std::memset(body + frame.body.size(), 0, padding);
    AppendStaged(bytes);
    return;
  }
  AppendStaged(kFrameHeaderBytes);
  pieces_.push_back({frame.body.data(), frame.body.size()});
  if (padding > 0) pieces_.push_back({kZeros.data(), padding});
  gathered_bytes_ += frame.body.size() + padding;
}

void SegmentWriter::AddMark(SequenceNumber next, const GroupBody& group) {
  char body[kGroupBodyBytes];
  EncodeGroupBody(group, body);
  AddControl(FrameType::kIdleMark, next, kGroupBodyBytes, body);
}

bool SegmentWriter::PadToBlock(SequenceNumber next, uint64_t bytes, Room room) {
  const uint64_t begin = next_offset();
  uint64_t end = RoundUp(begin, kBlockBytes);
  if (end != begin && end - begin < kFrameHeaderBytes) end += kBlockBytes;
  if (room == Room::kWithinCapacity && end + bytes > header_.capacity) return false;
  if (end == begin) return true;
  FrameHeader header;
  header.sequence = next;
  header.body_bytes = static_cast<uint32_t>(end - begin - kFrameHeaderBytes);
  header.type = FrameType::kPadding;
  char* out = Stage(end - begin);
  std::memset(out, 0, end - begin);
  EncodeFrameHeader(header, segment_seed_, begin, out);
  digest_ = FrameDigest(digest_, out);
  AppendStaged(end - begin);
  return true;
}

absl::Status SegmentWriter::Finish(SequenceNumber next, const GroupBody& group) {
  WAL_CHECK(gathered_bytes_ == 0);
  WAL_CHECK(PadToBlock(next, FrameBytes(kFooterBodyBytes), Room::kBeyondCapacity));
  FooterBody footer;
  footer.group = group;
  footer.first_sequence = header_.first_sequence;
  footer.last_sequence = next - 1;
  footer.digest = digest_;
  char body[kFooterBodyBytes];
  EncodeFooterBody(footer, body);
  AddControl(FrameType::kFooter, next, kFooterBodyBytes, body);
  absl::Status status = Write();
  if (!status.ok()) return status;
  // The footer is found at the end of the file. A cut that fails costs the next
  // open a scan, no more.
  TruncateFile(*file_, offset_);
  return Sync();
}

absl::Status SegmentWriter::Write() {
  if (!status_.ok()) return status_;
  if (header_written_) return WritePieces({});
  std::vector<char> blocks(kFramesOffset);
  for (int copy : {0, 1}) {
    EncodeSegmentHeader(
        header_, copy,
        std::span<char, kSegmentHeaderBytes>(&blocks[copy * kBlockBytes], kSegmentHeaderBytes));
  }
  // Frames that went out before it stand between it and what is gathered.
  if (offset_ > kFramesOffset && gathered_bytes_ > 0) {
    absl::Status status = WritePieces({});
    if (!status.ok()) return status;
  }
  return WritePieces({blocks.data(), blocks.size()});
}

absl::Status SegmentWriter::WriteBehindHeader() {
  if (!status_.ok()) return status_;
  WAL_CHECK(!header_written_);
  return WritePieces({});
}

// Writes what is gathered, in one piece with the header's blocks if they are to go out.
absl::Status SegmentWriter::WritePieces(std::string_view header_blocks) {
  if (gathered_bytes_ == 0 && header_blocks.empty()) return absl::OkStatus();
  views_.clear();
  uint64_t write_offset = offset_;
  if (!header_blocks.empty()) {
    views_.push_back(header_blocks);
    write_offset = 0;
    header_written_ = true;
  }
  const char* staged = staging_.data();
  for (const Piece& piece : pieces_) {
    views_.emplace_back(piece.external != nullptr ? piece.external : staged, piece.bytes);
    if (piece.external == nullptr) staged += piece.bytes;
  }
  const WriteOutcome outcome = WriteFully(*file_, write_offset, views_);
  if (outcome.error < 0) {
    status_ = IoErrorAt("write", name_, write_offset + outcome.written, outcome.error);
    return status_;
  }
  const uint64_t bytes = header_blocks.size() + gathered_bytes_;
  offset_ += gathered_bytes_;
  unsynced_bytes_ += bytes;
  written_bytes_ += bytes;
  gathered_bytes_ = 0;
  staged_bytes_ = 0;
  pieces_.clear();
  return absl::OkStatus();
}

absl::Status SegmentWriter::Sync() {
  if (!status_.ok()) return status_;
  if (unsynced_bytes_ == 0) return absl::OkStatus();
  const IoResult result = SyncFile(*file_);
  if (result < 0) {
    // For good: the next sync of this file would return 0 for pages that the
    // kernel has dropped.
    status_ = IoError("sync", name_, result);
    return status_;
  }
  unsynced_bytes_ = 0;
  return absl::OkStatus();
}

void SegmentWriter::ReleaseMemory() {
  if (gathered_bytes_ != 0 || staging_.size() <= kIdleStagingBytes) return;
  staging_ = std::vector<char>(kIdleStagingBytes);
  pieces_.shrink_to_fit();
  views_ = {};
}

}  // namespace millrace
