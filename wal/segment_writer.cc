#include "wal/segment_writer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "wal/check.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

// Pieces grow with use. An idle writer keeps one of the smallest.
constexpr uint64_t kMinChunkBytes = uint64_t{16} << 10;
constexpr uint64_t kMaxChunkBytes = uint64_t{256} << 10;

// How much of what the last sync covered is retained. Where the kernel reports a failed
// write-back late (ext4 with data=journal), the error of the next sync is about it.
constexpr uint64_t kMaxRetainedSyncedBytes = uint64_t{1} << 20;

// From how many bytes on the device gets to work on what is written before the sync. Less than
// that is synced as fast in one go.
constexpr uint64_t kWriteBackBytes = uint64_t{64} << 10;

constexpr uint64_t kGroupFrameBytes = FrameBytes(kGroupBodyBytes);

}  // namespace

SegmentWriter::SegmentWriter(PreparedSegment prepared, const SegmentHeader& header,
                             WriteEnd write_end)
    : header_(header),
      write_end_(write_end),
      name_(SegmentName(header.number)),
      segment_seed_(SegmentSeed(header.log_id, header.number, header.incarnation)),
      body_seed_(BodySeed(header.log_id)),
      file_(std::move(prepared.file)),
      next_(header.first_sequence) {
  written_.next = synced_.next = synced_begin_.next = header.first_sequence;
  WAL_CHECK_EQ(prepared.number, header.number);
  WAL_CHECK(header.state == SegmentState::kActive);
}

bool SegmentWriter::Fits(uint64_t body_bytes) const {
  const uint64_t group = in_group_ ? 0 : kGroupFrameBytes;
  return next_offset() + group + FrameBytes(body_bytes) <= header_.capacity;
}

bool SegmentWriter::Reserve(uint64_t body_bytes) {
  const uint64_t bytes = FrameBytes(body_bytes) + (in_group_ ? 0 : kGroupFrameBytes);
  const bool has_room = !chunks_.empty() && chunks_.back().capacity - chunks_.back().used >= bytes;
  return has_room || BeginChunk(bytes);
}

bool SegmentWriter::BeginChunk(uint64_t bytes) {
  // Larger only where more than one is in use at once.
  uint64_t wanted = kMinChunkBytes;
  if (!chunks_.empty()) wanted = chunks_.back().capacity * (chunks_.size() > 1 ? 2 : 1);
  wanted = std::max(bytes, std::min(wanted, kMaxChunkBytes));
  Chunk chunk;
  if (spare_.capacity >= bytes && spare_.capacity >= wanted / 2) {
    chunk = std::exchange(spare_, Chunk{});
  } else {
    // Not `new`, which would wait for memory: who appends is to hear of it (MemoryHold).
    chunk.bytes.reset(static_cast<char*>(std::malloc(wanted)));
    if (chunk.bytes == nullptr) return false;
    chunk.capacity = wanted;
  }
  chunk.used = 0;
  chunk.offset = next_offset();
  chunks_.push_back(std::move(chunk));
  return true;
}

char* SegmentWriter::Stage(uint64_t bytes) {
  // Without memory for what is small, and not reserved: as `new` has it.
  if (chunks_.empty() || chunks_.back().capacity - chunks_.back().used < bytes) {
    if (!BeginChunk(bytes)) std::abort();
  }
  return chunks_.back().bytes.get() + chunks_.back().used;
}

void SegmentWriter::AppendStaged(uint64_t bytes) {
  chunks_.back().used += bytes;
  gathered_bytes_ += bytes;
}

// Frames before `offset` need not be logged again. Whole groups only.
void SegmentWriter::RetainFrom(uint64_t offset) {
  while (groups_.size() > 1 && groups_[1].offset <= offset) groups_.pop_front();
  ReleaseChunksBefore(retained_from().offset);
}

void SegmentWriter::ReleaseChunksBefore(uint64_t offset) {
  size_t released = 0;
  // The last one may still have room.
  while (released + 1 < chunks_.size() && chunks_[released].end() <= offset) ++released;
  if (released == 0) return;
  Chunk& newest = chunks_[released - 1];
  if (newest.capacity <= kMaxChunkBytes && newest.capacity > spare_.capacity) {
    spare_ = std::move(newest);
  }
  chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(released));
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

void SegmentWriter::AddGroup(SequenceNumber next, const GroupBody& group) {
  groups_.push_back({next_offset(), next, digest_});
  in_group_ = true;
  char body[kGroupBodyBytes];
  EncodeGroupBody(group, body);
  AddControl(FrameType::kGroup, next, kGroupBodyBytes, body);
}

void SegmentWriter::Add(const PendingFrame& frame, SequenceNumber sequence,
                        const GroupBody& group) {
  WAL_CHECK(Fits(frame.body.size()));
  if (!in_group_) AddGroup(sequence, group);
  FrameHeader header;
  header.sequence = sequence;
  header.body_bytes = static_cast<uint32_t>(frame.body.size());
  header.type = frame.type;
  header.flags = frame.flags;
  header.count = frame.count;
  header.body_checksum = frame.body_checksum;

  const uint64_t bytes = FrameBytes(frame.body.size());
  char* out = Stage(bytes);
  EncodeFrameHeader(header, segment_seed_, next_offset(), out);
  digest_ = FrameDigest(digest_, out);
  char* body = out + kFrameHeaderBytes;
  if (!frame.body.empty()) std::memcpy(body, frame.body.data(), frame.body.size());
  std::memset(body + frame.body.size(), 0, bytes - kFrameHeaderBytes - frame.body.size());
  AppendStaged(bytes);
  next_ = sequence + frame.count;
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
  absl::Status status = WriteOut();
  if (!status.ok()) return status;
  // The footer is found at the end of the file. A cut that fails costs the next
  // open a scan, no more.
  TruncateFile(*file_, offset_);
  return Sync();
}

void SegmentWriter::AppendGathered(std::vector<std::string_view>* pieces) const {
  if (gathered_bytes_ == 0) return;
  size_t first = chunks_.size() - 1;
  while (chunks_[first].offset > offset_) --first;
  for (size_t i = first; i < chunks_.size(); ++i) {
    const Chunk& chunk = chunks_[i];
    const uint64_t skip = std::max(offset_, chunk.offset) - chunk.offset;
    if (skip < chunk.used) pieces->emplace_back(chunk.bytes.get() + skip, chunk.used - skip);
  }
}

// For good: the next sync of this file would return 0 for pages that the kernel has dropped.
absl::Status SegmentWriter::GiveUp(absl::Status status) {
  status_ = std::move(status);
  return status_;
}

// Where there is no room for padding nothing follows but the footer, which pads by itself.
void SegmentWriter::PadWrite() {
  if (write_end_ == WriteEnd::kFrame || gathered_bytes_ == 0) return;
  PadToBlock(next_, 0, Room::kWithinCapacity);
}

absl::Status SegmentWriter::Write() {
  PadWrite();
  return WriteOut();
}

absl::Status SegmentWriter::WriteOut() {
  if (!status_.ok()) return status_;
  if (header_written_) return WriteGathered({});
  std::vector<char> blocks(kFramesOffset);
  for (int copy : {0, 1}) {
    EncodeSegmentHeader(
        header_, copy,
        std::span<char, kSegmentHeaderBytes>(&blocks[copy * kBlockBytes], kSegmentHeaderBytes));
  }
  const std::string_view header(blocks.data(), blocks.size());
  if (offset_ == kFramesOffset) return WriteGathered(header);
  // Frames were written ahead of it, so it does not come in one piece with these.
  absl::Status status = WriteGathered({});
  if (!status.ok()) return status;
  views_.assign(1, header);
  status = WriteViews(0);
  if (status.ok()) header_written_ = true;
  return status;
}

absl::Status SegmentWriter::WriteAheadOfHeader() {
  if (!status_.ok()) return status_;
  WAL_CHECK(!header_written_);
  PadWrite();
  return WriteGathered({});
}

// Writes what is gathered; `header` in front of it, if there is one.
absl::Status SegmentWriter::WriteGathered(std::string_view header) {
  if (gathered_bytes_ == 0 && header.empty()) return absl::OkStatus();
  views_.clear();
  if (!header.empty()) views_.push_back(header);
  AppendGathered(&views_);
  absl::Status status = WriteViews(offset_ - header.size());
  // The bytes stay gathered, and are the same when they are written again.
  if (!status.ok()) return status;
  if (!header.empty()) header_written_ = true;
  offset_ += gathered_bytes_;
  gathered_bytes_ = 0;
  in_group_ = false;
  written_ = {offset_, next_, digest_};
  StartWriteBack();
  return absl::OkStatus();
}

// A block that is not full yet will be written again.
void SegmentWriter::StartWriteBack() {
  const uint64_t end = offset_ / kBlockBytes * kBlockBytes;
  if (end < write_back_from_ + kWriteBackBytes) return;
  file_->StartWriteBack(write_back_from_, end - write_back_from_);
  write_back_from_ = end;
}

absl::Status SegmentWriter::WriteViews(uint64_t offset) {
  const WriteOutcome outcome = WriteFully(*file_, offset, views_);
  if (outcome.error < 0) {
    absl::Status status = IoErrorAt("write", name_, offset + outcome.written, outcome.error);
    return IsOutOfSpace(outcome.error) ? Passing(std::move(status)) : GiveUp(std::move(status));
  }
  unsynced_bytes_ += outcome.written;
  written_bytes_ += outcome.written;
  return absl::OkStatus();
}

void SegmentWriter::BeginSync() {
  if (status_.ok() && unsynced_bytes_ != 0) {
    file_->StartWriteBack(write_back_from_, offset_ - write_back_from_);
  }
}

absl::Status SegmentWriter::Sync() {
  if (!status_.ok()) return status_;
  if (unsynced_bytes_ == 0) return absl::OkStatus();
  const IoResult result = SyncFile(*file_);
  if (result < 0) return GiveUp(IoError("sync", name_, result));
  unsynced_bytes_ = 0;
  write_back_from_ = offset_ / kBlockBytes * kBlockBytes;
  synced_begin_ = synced_;
  synced_ = written_;
  const uint64_t bound = offset_ - std::min(offset_, kMaxRetainedSyncedBytes);
  RetainFrom(std::min(std::max(synced_begin_.offset, bound), offset_ / kBlockBytes * kBlockBytes));
  return absl::OkStatus();
}

void SegmentWriter::ForgetSynced() {
  if (gathered_bytes_ != 0 || unsynced_bytes_ != 0) return;
  groups_.clear();
  synced_begin_ = synced_;
  ReleaseChunksBefore(offset_);
}

uint64_t SegmentWriter::memory_bytes() const {
  uint64_t bytes = spare_.capacity;
  for (const Chunk& chunk : chunks_) bytes += chunk.capacity;
  return bytes;
}

void SegmentWriter::ReleaseMemory() {
  spare_ = Chunk{};
  if (gathered_bytes_ != 0 || !groups_.empty()) return;
  if (!chunks_.empty() && chunks_.back().capacity > kMinChunkBytes) chunks_.clear();
  std::deque<Place>().swap(groups_);
  views_ = {};
}

// --- What is retained ---------------------------------------------------------------

SegmentWriter::RetainedFrames::RetainedFrames(const SegmentWriter& writer)
    : writer_(&writer), offset_(writer.retained_from().offset) {
  const std::vector<Chunk>& chunks = writer.chunks_;
  while (chunk_ < chunks.size() && chunks[chunk_].end() <= offset_) ++chunk_;
}

std::optional<SegmentWriter::RetainedFrame> SegmentWriter::RetainedFrames::Look() const {
  if (chunk_ == writer_->chunks_.size() || offset_ >= writer_->next_offset()) return std::nullopt;
  const Chunk& chunk = writer_->chunks_[chunk_];
  WAL_CHECK_LE(chunk.offset, offset_);
  const char* bytes = chunk.bytes.get() + (offset_ - chunk.offset);
  RetainedFrame frame;
  // These bytes may have lain in memory for long.
  WAL_CHECK(DecodeFrameHeader(bytes, writer_->segment_seed_, offset_, &frame.header) ==
            FrameStatus::kValid);
  frame.body = std::string_view(bytes + kFrameHeaderBytes, frame.header.body_bytes);
  return frame;
}

void SegmentWriter::RetainedFrames::Advance() {
  const std::optional<RetainedFrame> frame = Look();
  WAL_CHECK(frame.has_value());
  offset_ += FrameBytes(frame->header.body_bytes);
  const std::vector<Chunk>& chunks = writer_->chunks_;
  while (chunk_ < chunks.size() && chunks[chunk_].end() <= offset_) ++chunk_;
}

}  // namespace millrace
