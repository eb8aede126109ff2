#include "wal/log_copy.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/record_body.h"
#include "wal/stored_cursor.h"

namespace millrace {
namespace {

constexpr uint64_t kRecordsPerLook = 256;

// Puts the records that stood in one frame into one frame again.
class FrameAssembler {
 public:
  explicit FrameAssembler(LogBuilder* builder) : builder_(builder) {}

  bool BelongsTo(uint64_t segment, uint64_t offset) const {
    return count_ > 0 && segment_ == segment && offset_ == offset;
  }

  void Begin(const RecordReader::Entry& entry, uint64_t segment, uint64_t offset) {
    segment_ = segment;
    offset_ = offset;
    sequence_ = entry.sequence;
    time_ns_ = entry.time_ns;
  }

  void Add(const RecordReader::Entry& entry, RecordDigest* digest) {
    const size_t begin = bodies_.size();
    const uint8_t flags = AppendRecordBody(entry.record, &bodies_);
    const std::string_view body = std::string_view(bodies_).substr(begin);
    digest->Add(entry.sequence, entry.time_ns, flags, body);
    const uint32_t mark = flags != 0 ? kBatchEntryHasExtras : 0;
    const uint32_t stated = static_cast<uint32_t>(body.size()) | mark;
    entries_.append(reinterpret_cast<const char*>(&stated), sizeof stated);
    flags_ = flags;
    ++count_;
  }

  absl::Status Flush() {
    if (count_ == 0) return absl::OkStatus();
    BuiltFrame frame;
    frame.sequence = sequence_;
    frame.time_ns = time_ns_;
    frame.body = bodies_;
    frame.flags = flags_;
    if (count_ > 1) {
      frame.type = FrameType::kBatch;
      frame.flags = 0;
      frame.count = count_;
      entries_ += bodies_;
      frame.body = entries_;
    }
    absl::Status status;
    if (builder_ != nullptr) status = builder_->Add(frame);
    count_ = 0;
    entries_.clear();
    bodies_.clear();
    return status;
  }

 private:
  LogBuilder* const builder_;
  uint64_t segment_ = 0;
  uint64_t offset_ = 0;
  SequenceNumber sequence_ = kNoSequence;
  int64_t time_ns_ = 0;
  uint8_t flags_ = 0;  // of the last record
  uint16_t count_ = 0;
  std::string entries_;
  std::string bodies_;
};

absl::Status Stopped(SequenceNumber next, SequenceNumber limit) {
  return absl::CancelledError(absl::StrFormat(
      "stopped by its progress function before record %d of %d; nothing was kept", next, limit));
}

absl::Status Refused(const LostRange& lost) {
  return absl::DataLossError(absl::StrFormat(
      "%s cannot be read, and BackupOptions::damage is kRefuse: nothing was kept; kCopyTheRest "
      "copies all others",
      lost.ToString()));
}

// Asks the device for what was written, so that it is not the memory that is compared.
absl::Status DropCaches(FileSystem& file_system, const std::string& path) {
  std::unique_ptr<Directory> directory;
  const IoResult opened = file_system.OpenDirectory(path, DirectoryMode::kMustExist, &directory);
  if (opened < 0) return IoError("open", path, opened);
  std::vector<std::string> names;
  const IoResult listed = directory->List(&names);
  if (listed < 0) return IoError("list", path, listed);
  for (const std::string& name : names) {
    std::unique_ptr<File> file;
    // Advisory: what cannot be opened is met by the reader.
    if (OpenFile(*directory, name, OpenMode::kRead, &file) >= 0) file->DropCache();
  }
  return absl::OkStatus();
}

absl::Status Differs(std::string_view what, uint64_t copied, uint64_t found) {
  return absl::DataLossError(absl::StrFormat(
      "the copy was read back and differs: %s should be %d and is %d; nothing was kept: check the "
      "device and the memory, and copy anew",
      what, copied, found));
}

absl::Status CompareCursors(LogReader& reader, const CopiedCursors& cursors) {
  const absl::StatusOr<std::vector<CursorInfo>> found = reader.Cursors();
  if (!found.ok()) return found.status();
  if (found->size() != cursors.copied.size()) {
    return Differs("the number of cursors", cursors.copied.size(), found->size());
  }
  for (size_t i = 0; i < found->size(); ++i) {
    const CopiedCursors::Cursor& copied = cursors.copied[i];
    const bool valid = (*found)[i].state == CursorInfo::State::kValid;
    if (!valid || (*found)[i].name != copied.name || (*found)[i].checkpointed != copied.committed) {
      return Differs("the checkpoint of cursor " + copied.name, copied.committed,
                     (*found)[i].checkpointed);
    }
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t CopySource::bytes() const {
  uint64_t bytes = 0;
  for (std::shared_ptr<SegmentNode> node = start; node->sealed(); node = node->next()) {
    if (node->first_sequence > limit) break;
    bytes += node->end();
  }
  return bytes;
}

absl::Status CopyRecords(const CopySource& source, BackupOptions::Damage damage, CopyWatch watch,
                         LogBuilder* builder, CopyCounts* counts) {
  RecordReader reader(*source.directory, source.log_id, source.start, source.first,
                      [&source] { return source.first_retained(); });
  FrameAssembler frame(builder);
  RecordDigest digest;
  uint64_t passed_bytes = 0;
  uint64_t segment = 0;
  uint64_t offset = 0;
  absl::Status status;
  while (status.ok()) {
    const RecordReader::Kind kind = reader.Next(source.limit);
    if (kind == RecordReader::Kind::kError) return reader.status();
    if (kind == RecordReader::Kind::kAtLimit) break;
    if (kind == RecordReader::Kind::kLost) {
      LostRange lost = reader.lost();
      if (lost.last <= source.mark) lost.acknowledgement = Acknowledgement::kAcknowledged;
      if (damage == BackupOptions::Damage::kRefuse) return Refused(lost);
      counts->lost.push_back(lost);
      status = frame.Flush();
      continue;
    }
    if (segment != reader.segment().number) {
      segment = reader.segment().number;
      offset = 0;
      if (source.passed != nullptr) source.passed(reader.record().sequence);
    }
    passed_bytes += reader.frame_offset() - std::exchange(offset, reader.frame_offset());
    if (!frame.BelongsTo(segment, offset)) {
      status = frame.Flush();
      frame.Begin(reader.record(), segment, offset);
    }
    frame.Add(reader.record(), &digest);
    ++counts->records;
    counts->payload_bytes += reader.record().record.payload.size();
    counts->last = reader.record().sequence;
    if (counts->records % kRecordsPerLook == 0 && !watch(passed_bytes)) {
      return Stopped(reader.next_sequence(), source.limit);
    }
  }
  if (status.ok()) status = frame.Flush();
  counts->digest = digest.value();
  return status;
}

absl::StatusOr<CopiedCursors> CursorsToCopy(const CopySource& source) {
  absl::StatusOr<std::vector<StoredCursor>> stored = ReadCursors(*source.directory);
  if (!stored.ok()) return stored.status();
  CopiedCursors cursors;
  for (const StoredCursor& cursor : *stored) {
    if (!cursor.BelongsTo(source.log_id)) {
      cursors.left_out.push_back(cursor.name);
      continue;
    }
    const SequenceNumber committed = source.counted(cursor.name, cursor.checkpoint);
    // A cursor may have consumed what became durable after the copy's last record.
    cursors.copied.push_back({cursor.name, std::min(committed, source.next - 1)});
  }
  return cursors;
}

absl::Status VerifyCopy(FileSystem& file_system, const std::string& directory,
                        const CopySource& source, const CopyCounts& counts,
                        const CopiedCursors& cursors, CopyWatch watch) {
  absl::Status status = DropCaches(file_system, directory);
  if (!status.ok()) return status;
  LogReaderOptions options;
  options.file_system = &file_system;
  options.scan = LogReaderOptions::Scan::kAll;
  options.limit = LogReaderOptions::Limit::kReadable;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(directory, options);
  if (!reader.ok()) return reader.status();
  const RecoveryReport& found = (*reader)->recovery();
  if (found.first_retained != source.first) {
    return Differs("the first record kept", source.first, found.first_retained);
  }
  if (found.next_sequence != source.next) {
    return Differs("the number of the next record", source.next, found.next_sequence);
  }
  RecordDigest digest;
  std::string body;
  uint64_t records = 0;
  uint64_t passed_bytes = 0;
  while (true) {
    const absl::StatusOr<Entry> entry = (*reader)->Next();
    if (absl::IsOutOfRange(entry.status())) break;
    if (!entry.ok()) return entry.status();
    if (entry->kind != Entry::Kind::kRecord) continue;
    body.clear();
    const uint8_t flags = AppendRecordBody(entry->record, &body);
    digest.Add(entry->record.sequence, absl::ToUnixNanos(entry->record.time), flags, body);
    passed_bytes += FrameBytes(body.size());
    if (++records % kRecordsPerLook == 0 && !watch(passed_bytes)) {
      return Stopped((*reader)->next(), source.limit);
    }
  }
  if (records != counts.records) return Differs("the number of records", counts.records, records);
  if (digest.value() != counts.digest) {
    return Differs("the digest of all records", counts.digest, digest.value());
  }
  return CompareCursors(**reader, cursors);
}

}  // namespace millrace
