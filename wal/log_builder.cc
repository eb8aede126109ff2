#include "wal/log_builder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "wal/check.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/slot_file.h"
#include "wal/stored_cursor.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

// What is gathered before it is written.
constexpr uint64_t kWriteBytes = uint64_t{256} << 10;

// A writer may hold on to bodies that are larger until they are written.
constexpr uint64_t kCopiedBodyBytes = 4096;

}  // namespace

absl::StatusOr<std::unique_ptr<LogBuilder>> LogBuilder::Create(FileSystem& file_system,
                                                               Directory& directory,
                                                               const Options& options) {
  std::unique_ptr<LogBuilder> builder(new LogBuilder(file_system, directory, options));
  const IoResult drawn = file_system.Random(builder->log_id_);
  if (drawn < 0) return IoError("draw random bytes for", "the log's id", drawn);
  builder->body_seed_ = BodySeed(builder->log_id_);
  builder->next_ = options.first_retained;
  return builder;
}

absl::StatusOr<uint64_t> LogBuilder::DrawIncarnation() {
  char bytes[sizeof(uint64_t)];
  const IoResult drawn = file_system_.Random(bytes);
  if (drawn < 0) return IoError("draw random bytes for", "the segment's incarnation", drawn);
  uint64_t incarnation;
  std::memcpy(&incarnation, bytes, sizeof incarnation);
  return std::max<uint64_t>(incarnation, 1);
}

// Everything before it is durable before the copy counts at all.
GroupBody LogBuilder::Group(SequenceNumber next) const {
  GroupBody group;
  group.number = segment_->header().number;
  group.incarnation = segment_->header().incarnation;
  group.time_ns = time_ns_;
  group.mark = next - 1;
  group.first_retained = options_.first_retained;
  return group;
}

absl::Status LogBuilder::BeginSegment(SequenceNumber first, int64_t time_ns, uint64_t body_bytes) {
  absl::StatusOr<uint64_t> incarnation = DrawIncarnation();
  if (!incarnation.ok()) return incarnation.status();
  SegmentHeader header;
  header.log_id = log_id_;
  header.number = ++number_;
  header.incarnation = *incarnation;
  header.first_sequence = first;
  header.mark = first - 1;
  header.first_retained = options_.first_retained;
  const uint64_t needed = FrameBytes(kGroupBodyBytes) + FrameBytes(body_bytes);
  header.capacity = kFramesOffset + std::max(options_.segment_bytes, needed);
  header.predecessor = predecessor_;
  header.boot_id = file_system_.BootId();
  header.created_ns = time_ns;
  const std::string name = SegmentName(header.number);
  PreparedSegment prepared;
  prepared.number = header.number;
  const IoResult opened = OpenFile(directory_, name, OpenMode::kCreateExclusive, &prepared.file);
  if (opened < 0) return IoError("create", name, opened);
  segment_ = std::make_unique<SegmentWriter>(std::move(prepared), header);
  return absl::OkStatus();
}

absl::Status LogBuilder::EndSegment() {
  absl::Status status = segment_->Write();
  if (status.ok()) status = segment_->Sync();
  if (!status.ok()) return status;
  const SegmentHeader& header = segment_->header();
  predecessor_ = {header.number, header.incarnation, next_ - 1, segment_->end(),
                  segment_->digest()};
  bytes_ += segment_->written_bytes();
  segment_.reset();
  return absl::OkStatus();
}

absl::Status LogBuilder::Add(const BuiltFrame& frame) {
  WAL_CHECK_LE(next_, frame.sequence);
  absl::Status status;
  if (segment_ != nullptr && frame.time_ns != time_ns_) status = segment_->Write();
  if (!status.ok()) return status;
  if (segment_ != nullptr && (frame.sequence != next_ || !segment_->Fits(frame.body.size()))) {
    status = EndSegment();
    if (!status.ok()) return status;
  }
  time_ns_ = frame.time_ns;
  if (segment_ == nullptr) {
    status = BeginSegment(frame.sequence, frame.time_ns, frame.body.size());
    if (!status.ok()) return status;
  }
  PendingFrame pending;
  pending.body = frame.body;
  pending.body_checksum = BodyChecksum(body_seed_, frame.body);
  pending.type = frame.type;
  pending.flags = frame.flags;
  pending.count = frame.count;
  segment_->Add(pending, frame.sequence, Group(frame.sequence));
  next_ = frame.sequence + frame.count;
  if (frame.body.size() > kCopiedBodyBytes || segment_->gathered_bytes() >= kWriteBytes) {
    return segment_->Write();
  }
  return absl::OkStatus();
}

absl::Status LogBuilder::AddCursor(std::string_view name, SequenceNumber committed) {
  absl::StatusOr<uint64_t> incarnation = DrawIncarnation();
  if (!incarnation.ok()) return incarnation.status();
  CursorSlot cursor;
  cursor.log_id = log_id_;
  cursor.generation = 1;
  cursor.committed = committed;
  cursor.name = name;
  cursor.cursor_incarnation = *incarnation;
  absl::StatusOr<std::unique_ptr<SlotFile>> file = SlotFile::Open(directory_, CursorFileName(name));
  if (!file.ok()) return file.status();
  return (*file)->Write(cursor.generation, [&cursor](int slot, std::span<char, kSlotBytes> bytes) {
    EncodeCursorSlot(cursor, slot, bytes);
  });
}

absl::Status LogBuilder::WriteSuperblock(SequenceNumber mark) {
  Superblock superblock;
  superblock.log_id = log_id_;
  absl::StatusOr<std::unique_ptr<SuperblockFile>> file =
      SuperblockFile::Open(directory_, superblock);
  if (!file.ok()) return file.status();
  return (*file)->Update([&](Superblock& s) {
    s.first_retained = options_.first_retained;
    s.highest_segment = number_;
    s.mark = mark;
    s.clean = true;
  });
}

absl::Status LogBuilder::Finish(SequenceNumber next) {
  WAL_CHECK_LE(next_, next);
  absl::Status status;
  if (segment_ != nullptr && next != next_) status = EndSegment();
  if (status.ok() && segment_ == nullptr) status = BeginSegment(next, time_ns_, 0);
  if (status.ok()) status = segment_->Write();
  if (status.ok()) status = segment_->Finish(next, Group(next));
  if (status.ok()) status = WriteSuperblock(next - 1);
  if (!status.ok()) return status;
  const IoResult synced = SyncDirectory(directory_);
  return synced < 0 ? IoError("sync", "the copy's directory", synced) : absl::OkStatus();
}

}  // namespace millrace
