#include "wal/record_reader.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "wal/check.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/segment_scan.h"

namespace millrace {
namespace {

uint32_t BatchEntry(std::string_view body, uint16_t i) {
  uint32_t entry;
  std::memcpy(&entry, body.data() + size_t{4} * i, sizeof entry);
  return entry;
}

uint64_t EntryBytes(uint32_t entry) { return entry & ~kBatchEntryHasExtras; }

// Says nothing about the file: the process or the machine has too little of
// something, and the same call may succeed later.
bool IsPassing(IoResult error) {
  switch (-error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EACCES:
    case EPERM:
    case EINTR:
    case EAGAIN:
      return true;
    default:
      return false;
  }
}

}  // namespace

RecordReader::RecordReader(Directory& directory, const LogId& log_id,
                           std::shared_ptr<SegmentNode> start, SequenceNumber next,
                           FirstRetained first_retained)
    : directory_(directory),
      log_id_(log_id),
      first_retained_(std::move(first_retained)),
      node_(std::move(start)),
      next_(std::max(next, SequenceNumber{1})) {}

RecordReader::~RecordReader() = default;

RecordReader::Kind RecordReader::Next(SequenceNumber limit) {
  while (next_ <= limit) {
    if (batch_.index < batch_.count) return DeliverBatched();
    const std::optional<Kind> kind = reader_.has_value() ? ReadSegment(limit) : OpenSegment(limit);
    if (kind.has_value()) return *kind;
  }
  return Kind::kAtLimit;
}

size_t RecordReader::NextPlain(SequenceNumber limit, std::span<PlainRecord> out) {
  // Not inside of a batch, and not before next_.
  if (!reader_.has_value() || reader_->next_sequence() != next_) return 0;
  // What is buffered was read up to the segment's end. If that was set back since, by a fail-over,
  // the next segment holds the same records as stand behind it.
  const size_t count = reader_->NextPlain(file_end_, limit, out);
  if (count != 0) next_ = reader_->next_sequence();
  return count;
}

void RecordReader::GiveBack(const PlainRecord& first) {
  reader_->GiveBack(first);
  next_ = first.sequence;
}

ReadPosition RecordReader::position() const {
  return group_.sequence <= next_ ? group_ : ReadPosition{};
}

// --- Segments -------------------------------------------------------------------

std::optional<RecordReader::Kind> RecordReader::OpenSegment(SequenceNumber limit) {
  if (next_ < node_->first_sequence) return LoseGap(std::min(limit, node_->first_sequence - 1));
  const SegmentNode::Ending* ending = node_->ending();
  if (ending != nullptr && ending->last < next_) {
    NextSegment(*ending);
    return std::nullopt;
  }
  const std::string name = SegmentName(node_->number);
  const IoResult error = OpenFile(directory_, name, OpenMode::kRead, &file_);
  if (error < 0) {
    file_.reset();
    if (IsPassing(error)) return Fail(IoError("open", name, error));
    const bool missing = error == -ENOENT;
    const bool unreadable = error == -EIO;
    return LoseFile(limit, ending,
                    missing      ? LossCause::kMissingSegment
                    : unreadable ? LossCause::kUnreadable
                                 : LossCause::kForeignSegment);
  }
  CheckHeader();
  Start();
  return std::nullopt;
}

void RecordReader::NextSegment(const SegmentNode::Ending& ending) {
  reader_.reset();
  file_.reset();
  confirming_ = false;
  previous_number_ = node_->number;
  previous_end_ = ending.end;
  // Another pointer first: `ending` lives in the node that this may give up.
  std::shared_ptr<SegmentNode> next = ending.next;
  node_ = std::move(next);
}

// The writer has failed over to another segment, which holds what `ending` had promised here.
bool RecordReader::EndsElsewhere(const SegmentNode::Ending* ending) const {
  return node_->ending() != ending;
}

// Also finds the end of the file. One intact copy of the header that names this
// segment is enough. What it says only explains a loss: each frame proves by itself
// where it belongs, and recovery goes by the frames as well.
RecordReader::Identity RecordReader::CheckHeader() {
  Identity identity = Identity::kUnknown;
  FileInfo info;
  // A sparse file may be of any size, with next to nothing in it.
  file_end_ = file_->Stat(&info) == 0 ? std::min(info.size, kMaxScanBytes) : kMaxScanBytes;
  for (int copy = 0; copy < 2; ++copy) {
    std::array<char, kSegmentHeaderBytes> bytes;
    const IoResult got = ReadFully(*file_, copy * kBlockBytes, bytes);
    SegmentHeader header;
    if (got != static_cast<IoResult>(bytes.size()) ||
        DecodeSegmentHeader(bytes, copy, &header) != HeaderStatus::kValid ||
        header.state == SegmentState::kPrepared) {  // of before the segment was begun
      continue;
    }
    if (header.log_id == log_id_ && header.number == node_->number &&
        header.incarnation == node_->incarnation) {
      file_end_ = std::clamp(header.capacity, kFramesOffset, kMaxScanBytes);
      return Identity::kOurs;
    }
    identity = Identity::kForeign;
  }
  return identity;
}

void RecordReader::Start() {
  reader_.emplace(file_.get(), log_id_, node_->number, node_->incarnation);
  uint64_t offset = kFramesOffset;
  SequenceNumber sequence = node_->first_sequence;
  const ReadPosition hint = std::exchange(hint_, ReadPosition{});
  if (hint.segment == node_->number && hint.incarnation == node_->incarnation &&
      hint.offset >= kFramesOffset && hint.offset % kAlignment == 0) {
    std::array<char, kFrameHeaderBytes> bytes;
    FrameHeader header;
    const uint64_t seed = SegmentSeed(log_id_, node_->number, node_->incarnation);
    if (ReadFully(*file_, hint.offset, bytes) == static_cast<IoResult>(bytes.size()) &&
        DecodeFrameHeader(bytes.data(), seed, hint.offset, &header) == FrameStatus::kValid &&
        header.sequence >= sequence && header.sequence <= next_) {
      offset = hint.offset;
      sequence = header.sequence;
    }
  }
  reader_->Seek(offset, sequence);
  fresh_up_to_ = kNoSequence;
  confirming_ = false;
}

// What is buffered may have been read while the writer was at it. Bytes that were
// written when the limit was published are read anew once, and then are what they are.
void RecordReader::Refresh(SequenceNumber fresh_up_to) {
  reader_->Seek(reader_->offset(), reader_->next_sequence());
  fresh_up_to_ = fresh_up_to;
}

// --- Frames -----------------------------------------------------------------------

std::optional<RecordReader::Kind> RecordReader::ReadSegment(SequenceNumber limit) {
  // In this order: the limit was acquired before, so if it lies in a later
  // segment, then this one is seen to be sealed.
  const SegmentNode::Ending* ending = node_->ending();
  const bool sealed = ending != nullptr;
  if (sealed && ending->last < next_) {
    NextSegment(*ending);
    return std::nullopt;
  }
  const SequenceNumber highest = sealed ? std::min(limit, ending->last) : limit;
  const uint64_t end = sealed ? ending->end : file_end_;
  if (next_ > fresh_up_to_) Refresh(sealed ? kMaxSequence : limit);

  if (SegmentReader::PlainRecord plain; reader_->NextPlain(end, highest, {&plain, 1}) != 0) {
    confirming_ = false;
    if (plain.sequence < next_) return std::nullopt;
    frame_offset_ = plain.offset;
    SetEntry(plain.sequence, plain.body, 0);
    next_ = plain.sequence + 1;
    return Kind::kRecord;
  }
  const uint64_t offset = reader_->offset();
  const SequenceNumber expected = reader_->next_sequence();
  SegmentReader::Step step = reader_->Next(end, highest);
  if (confirming_ && step.kind != SegmentReader::Kind::kFrame) {
    // A limit that a cursor's checkpoint gave may lie inside a batch.
    reader_->Seek(offset, expected);
    step = reader_->Next(end, highest + kMaxBatchRecords - 1);
    if (step.kind != SegmentReader::Kind::kFrame) {
      reader_->Seek(offset, expected);
      step = reader_->Next(end, highest);
    }
  }
  switch (step.kind) {
    case SegmentReader::Kind::kFrame:
      return TakeFrame(step);
    case SegmentReader::Kind::kLost:
    case SegmentReader::Kind::kEnd:
      if (!confirming_) {
        confirming_ = true;
        reader_->Seek(offset, expected);
        return std::nullopt;
      }
      confirming_ = false;
      return TakeDamage(step, highest, end, ending);
    case SegmentReader::Kind::kUnknown:
      reader_->Seek(offset, expected);
      return Fail(absl::UnimplementedError(
          absl::StrFormat("%s at %d: a frame of a newer version; read it with that version",
                          SegmentName(node_->number), step.offset)));
    case SegmentReader::Kind::kError:
      reader_->Seek(offset, expected);
      return Fail(IoErrorAt("read", SegmentName(node_->number), offset, step.error));
  }
  return std::nullopt;
}

std::optional<RecordReader::Kind> RecordReader::TakeFrame(const SegmentReader::Step& step) {
  confirming_ = false;
  const FrameHeader& header = step.header;
  if (header.type == FrameType::kRecord) {
    if (header.sequence < next_) return std::nullopt;
    frame_offset_ = step.offset;
    SetEntry(header.sequence, step.body(), header.flags);
    next_ = header.sequence + 1;
    return Kind::kRecord;
  }
  if (header.type == FrameType::kBatch) {
    BeginBatch(step);
    return std::nullopt;
  }
  if (header.type == FrameType::kGroup) {
    time_ns_ = DecodeGroupBody(step.body().data()).time_ns;
    group_ = ReadPosition{node_->number, node_->incarnation, step.offset, header.sequence};
  }
  return std::nullopt;
}

void RecordReader::SetEntry(SequenceNumber sequence, std::string_view body, uint8_t flags) {
  entry_.sequence = sequence;
  entry_.time_ns = time_ns_;
  if (flags == 0) {
    // Most records by far.
    entry_.record.key.reset();
    entry_.record.attributes = {};
    entry_.record.payload = body;
    return;
  }
  const std::optional<RecordView> record = DecodeRecord(body, flags);
  WAL_CHECK(record.has_value());  // SegmentReader returns none that contradicts itself
  entry_.record = *record;
}

// Passes over the records of a batch that were returned before.
void RecordReader::BeginBatch(const SegmentReader::Step& step) {
  const std::string_view body = step.body();
  const uint16_t count = step.header.count;
  frame_offset_ = step.offset;
  batch_ = Batch{body, uint64_t{4} * count, count, 0};
  while (batch_.index < count && step.header.sequence + batch_.index < next_) {
    batch_.offset += EntryBytes(BatchEntry(body, batch_.index));
    ++batch_.index;
  }
}

RecordReader::Kind RecordReader::DeliverBatched() {
  const uint32_t entry = BatchEntry(batch_.body, batch_.index);
  SetEntry(next_, batch_.body.substr(batch_.offset, EntryBytes(entry)),
           (entry & kBatchEntryHasExtras) != 0 ? kHasExtras : 0);
  batch_.offset += EntryBytes(entry);
  ++batch_.index;
  ++next_;
  return Kind::kRecord;
}

// --- Losses -----------------------------------------------------------------------

std::optional<RecordReader::Kind> RecordReader::TakeDamage(const SegmentReader::Step& step,
                                                           SequenceNumber highest, uint64_t end,
                                                           const SegmentNode::Ending* ending) {
  if (EndsElsewhere(ending)) return std::nullopt;
  // A file that was taken for another use while it was read is no damage.
  const bool goes_on = step.kind == SegmentReader::Kind::kLost && next_ >= first_retained_();
  if (CheckHeader() == Identity::kForeign && !goes_on) {
    reader_.reset();
    file_.reset();
    return LoseFile(highest, ending, LossCause::kForeignSegment);
  }
  if (step.kind == SegmentReader::Kind::kLost) {
    // Only the log's own bookkeeping, or numbers that were passed over before.
    if (step.lost.last < std::max(step.lost.first, next_)) return std::nullopt;
    return Lose(step.lost.last, node_->number, step.lost.begin, step.lost.end, step.lost.cause);
  }
  return Lose(highest, node_->number, step.offset, std::max(end, step.offset), step.end_cause);
}

RecordReader::Kind RecordReader::Lose(SequenceNumber last, uint64_t segment, uint64_t begin,
                                      uint64_t end, LossCause cause) {
  WAL_CHECK_LE(next_, last);
  lost_ = LostRange{};
  lost_.first = next_;
  lost_.last = last;
  lost_.segment = segment;
  lost_.begin = begin;
  lost_.end = end;
  lost_.cause = cause;
  next_ = last + 1;
  return Kind::kLost;
}

// The records of a whole file, or what is left of them, unless they were trimmed.
std::optional<RecordReader::Kind> RecordReader::LoseFile(SequenceNumber limit,
                                                         const SegmentNode::Ending* ending,
                                                         LossCause cause) {
  if (EndsElsewhere(ending)) return std::nullopt;
  const SequenceNumber first_retained = first_retained_();
  if (next_ < first_retained) {
    return Lose(std::min(limit, first_retained - 1), node_->number, 0, 0, LossCause::kTrimmed);
  }
  const bool sealed = ending != nullptr;
  const SequenceNumber last = sealed ? std::min(limit, ending->last) : limit;
  return Lose(last, node_->number, kFramesOffset, sealed ? ending->end : 0, cause);
}

// No segment of the chain holds the numbers up to `last`.
RecordReader::Kind RecordReader::LoseGap(SequenceNumber last) {
  const SequenceNumber first_retained = first_retained_();
  if (next_ < first_retained) {
    return Lose(std::min(last, first_retained - 1), 0, 0, 0, LossCause::kTrimmed);
  }
  if (previous_number_ != 0 && previous_number_ + 1 == node_->number) {
    return Lose(last, previous_number_, previous_end_, 0, LossCause::kTruncated);
  }
  return Lose(last, node_->number - 1, 0, 0, LossCause::kMissingSegment);
}

RecordReader::Kind RecordReader::Fail(absl::Status status) {
  status_ = std::move(status);
  return Kind::kError;
}

void ShowRecord(const RecordReader::Entry& entry, Record* record) {
  record->sequence = entry.sequence;
  record->time = absl::FromUnixNanos(entry.time_ns);
  record->key = entry.record.key;
  record->payload = entry.record.payload;
  std::string_view encoded = entry.record.attributes;
  Attribute attribute;
  while (NextAttribute(&encoded, &attribute)) record->attributes.push_back(attribute);
}

}  // namespace millrace
