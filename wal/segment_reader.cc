#include "wal/segment_reader.h"

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "queue/sabotage.h"
#include "wal/check.h"
#include "wal/io.h"

namespace millrace {
namespace {

// Reads double from the first to the last of these: little memory for a cursor
// that follows the tail, few calls for one that reads a whole log.
constexpr size_t kFirstReadBytes = size_t{32} << 10;
constexpr size_t kLastReadBytes = size_t{256} << 10;

// A record inside a batch takes at least its entry in the batch's index, so a
// sequence number cannot run ahead of the bytes faster than this.
constexpr uint64_t kLeastRecordBytes = 4;

// What a device answers for a place that it has lost, as opposed to a failure of
// everything.
bool IsLostPlace(IoResult error) {
  return error == -EIO || error == -EBADMSG || error == -EUCLEAN || error == -ENODATA ||
         error == -EREMOTEIO || error == -EILSEQ;
}

}  // namespace

struct SegmentReader::State {
  // What stands at one place, taken for a frame.
  struct Candidate {
    enum class Verdict : uint8_t { kIntact, kBad, kUnknown, kError };
    Verdict verdict = Verdict::kBad;
    FrameHeader header;
    uint64_t bytes = kFrameHeaderBytes;  // the whole frame, if the header is intact
    bool header_intact = false;
    LossCause cause = LossCause::kChecksum;  // kBad
    IoResult error = 0;                      // kError
  };

  State(File* file, const LogId& log_id, uint64_t number, uint64_t incarnation)
      : file(file),
        number(number),
        incarnation(incarnation),
        segment_seed(SegmentSeed(log_id, number, incarnation)),
        body_seed(BodySeed(log_id)) {}

  IoResult Fill(uint64_t at, uint64_t bytes, uint64_t limit);
  IoResult ReadAround(uint64_t at, std::span<char> out);
  const char* At(uint64_t at) const { return buffer.get() + (at - begin); }
  uint64_t Buffered(uint64_t at) const { return begin + size - at; }
  bool Unreadable(uint64_t from, uint64_t bytes) const;

  size_t TakePlain(uint64_t limit, SequenceNumber highest, std::span<PlainRecord> out);
  Candidate Examine(uint64_t at, uint64_t limit, SequenceNumber highest);
  bool Consistent(const FrameHeader& header, std::string_view body) const;
  SequenceNumber HighestAt(uint64_t at, SequenceNumber highest) const;
  Candidate Resync(uint64_t* at, uint64_t limit, SequenceNumber highest);
  IoResult CountNonZero(uint64_t from, uint64_t limit, uint64_t* count);

  File* const file;
  const uint64_t number;
  const uint64_t incarnation;
  const uint64_t segment_seed;
  const uint64_t body_seed;

  uint64_t offset = kFramesOffset;
  SequenceNumber next = kNoSequence;

  // buffer[0, size) holds the file's bytes from `begin` on.
  std::unique_ptr<char[]> buffer;
  size_t capacity = 0;
  uint64_t begin = 0;
  size_t size = 0;
  uint64_t file_end = ~uint64_t{0};  // where a read fell short, in this call to Next
  size_t read_bytes = kFirstReadBytes;
  uint64_t bytes_read = 0;
  std::vector<std::pair<uint64_t, uint64_t>> unreadable;  // [first, second), ascending
};

// Makes [at, at + bytes) available, as far as file and `limit` go: beyond, a writer may be at work.
IoResult SegmentReader::State::Fill(uint64_t at, uint64_t bytes, uint64_t limit) {
  uint64_t end = std::min(limit, file_end);
  if (at >= end) return 0;
  if (std::min(bytes, end - at) > kLastReadBytes) {
    // A length read from the disk does not decide how much memory is taken.
    FileInfo info;
    if (const IoResult result = file->Stat(&info); result < 0) return result;
    file_end = std::min(file_end, std::max(info.size, at));
    end = std::min(end, file_end);
    if (at >= end) return 0;
  }
  bytes = std::min(bytes, end - at);
  const bool inside = size > 0 && at >= begin && at <= begin + size;
  if (inside && Buffered(at) >= bytes) return 0;

  const size_t kept = inside ? Buffered(at) : 0;
  const size_t wanted = std::min<uint64_t>(std::max<uint64_t>(bytes, read_bytes), end - at);
  if (wanted > capacity) {
    std::unique_ptr<char[]> larger(new char[wanted]);
    if (kept > 0) std::memcpy(larger.get(), At(at), kept);
    buffer = std::move(larger);
    capacity = wanted;
  } else if (kept > 0) {
    std::memmove(buffer.get(), At(at), kept);
  }
  begin = at;
  size = kept;
  const IoResult got = ReadAround(at + kept, {buffer.get() + kept, wanted - kept});
  if (got < 0) return got;
  size += got;
  bytes_read += got;
  if (size < wanted) file_end = at + size;
  read_bytes = std::min(read_bytes * 2, kLastReadBytes);
  return 0;
}

// Reads; places that the device cannot return become zeros and are noted.
IoResult SegmentReader::State::ReadAround(uint64_t at, std::span<char> out) {
  IoResult got = ReadFully(*file, at, out);
  if (!IsLostPlace(got)) return got;
  size_t done = 0;
  while (done < out.size()) {
    const uint64_t place = at + done;
    const size_t step = std::min<uint64_t>(kBlockBytes - place % kBlockBytes, out.size() - done);
    got = ReadFully(*file, place, out.subspan(done, step));
    if (IsLostPlace(got)) {
      std::memset(out.data() + done, 0, step);
      if (!unreadable.empty() && unreadable.back().second == place) {
        unreadable.back().second = place + step;
      } else {
        unreadable.emplace_back(place, place + step);
      }
      got = static_cast<IoResult>(step);
    }
    if (got < 0) return got;
    done += got;
    if (static_cast<size_t>(got) < step) break;
  }
  return static_cast<IoResult>(done);
}

bool SegmentReader::State::Unreadable(uint64_t from, uint64_t bytes) const {
  return std::any_of(unreadable.begin(), unreadable.end(), [&](const auto& range) {
    return range.first < from + bytes && from < range.second;
  });
}

// The highest number that a frame at `at` can begin with.
SequenceNumber SegmentReader::State::HighestAt(uint64_t at, SequenceNumber highest) const {
  // Frames without records carry the number of the next one.
  const SequenceNumber bound = std::min(highest, kMaxSequence) + 1;
  if (next == kNoSequence) return bound;
  return std::min(bound, next + (at - offset) / kLeastRecordBytes);
}

bool SegmentReader::State::Consistent(const FrameHeader& header, std::string_view body) const {
  switch (header.type) {
    case FrameType::kRecord:
      return header.flags == 0 || DecodeRecord(body, header.flags).has_value();
    case FrameType::kBatch:
      return IsConsistentBatch(body, header.count);
    case FrameType::kGroup:
    case FrameType::kIdleMark:
    case FrameType::kFooter: {
      const GroupBody group = DecodeGroupBody(body.data());
      return group.number == number && group.incarnation == incarnation &&
             group.mark < header.sequence && group.first_retained <= header.sequence;
    }
    case FrameType::kPadding:
      return true;
  }
  return true;  // skippable
}

SegmentReader::State::Candidate SegmentReader::State::Examine(uint64_t at, uint64_t limit,
                                                              SequenceNumber highest) {
  Candidate c;
  c.error = Fill(at, kFrameHeaderBytes, limit);
  if (c.error < 0) {
    c.verdict = Candidate::Verdict::kError;
    return c;
  }
  const auto bad = [&c](LossCause cause) {
    c.cause = cause;
    return c;
  };
  const uint64_t end = std::min(limit, file_end);
  if (at + kFrameHeaderBytes > end) {
    return bad(end < limit ? LossCause::kTruncated : LossCause::kZeroed);
  }
  const FrameStatus status = DecodeFrameHeader(At(at), segment_seed, at, &c.header);
  if (status == FrameStatus::kUnknown) {
    c.verdict = Candidate::Verdict::kUnknown;
    return c;
  }
  if (status != FrameStatus::kValid) {
    return bad(AllZero({At(at), kFrameHeaderBytes}) ? LossCause::kZeroed : LossCause::kChecksum);
  }
  // What the header says is now to be believed as far as it makes sense.
  const uint64_t bytes = FrameBytes(c.header.body_bytes);
  if (bytes > limit - at) return bad(LossCause::kInconsistent);
  if (MILLRACE_SABOTAGE(frame_ends_before_edge) && bytes == limit - at) return bad(c.cause);
  c.header_intact = true;
  c.bytes = bytes;
  const SequenceNumber behind = c.header.sequence + c.header.count;
  if (c.header.sequence < next || c.header.sequence > HighestAt(at, highest) ||
      behind - 1 > highest) {
    return bad(LossCause::kInconsistent);
  }
  c.error = Fill(at, bytes, limit);
  if (c.error < 0) {
    c.verdict = Candidate::Verdict::kError;
    return c;
  }
  if (Buffered(at) < bytes) return bad(LossCause::kTruncated);
  const std::string_view body(At(at) + kFrameHeaderBytes, c.header.body_bytes);
  if (c.header.type != FrameType::kPadding &&
      c.header.body_checksum != BodyChecksum(body_seed, body)) {
    return bad(LossCause::kChecksum);
  }
  if (!Consistent(c.header, body)) return bad(LossCause::kInconsistent);
  c.verdict = Candidate::Verdict::kIntact;
  return c;
}

// Examine() for plain records, in sequence and whole in the buffer.
size_t SegmentReader::State::TakePlain(uint64_t limit, SequenceNumber highest,
                                       std::span<PlainRecord> out) {
  // A look behind the end may have moved the buffer.
  if (offset < begin) return 0;
  const uint64_t end = std::min(begin + size, limit);
  size_t count = 0;
  for (; count < out.size() && offset < end && next <= highest; ++count) {
    PlainRecord& record = out[count];
    if (!DecodePlainRecord({At(offset), end - offset}, segment_seed, body_seed, offset, next,
                           &record.body)) {
      break;
    }
    const uint64_t bytes = FrameBytes(record.body.size());
    if (MILLRACE_SABOTAGE(frame_ends_before_edge) && bytes == limit - offset) break;
    record.offset = offset;
    record.sequence = next++;
    offset += bytes;
  }
  return count;
}

// Looks from *at on for the next place with anything but kBad, and moves *at to
// it; kBad if there is none.
SegmentReader::State::Candidate SegmentReader::State::Resync(uint64_t* at, uint64_t limit,
                                                             SequenceNumber highest) {
  Candidate found;
  while (true) {
    found.error = Fill(*at, kFrameHeaderBytes, limit);
    if (found.error < 0) {
      found.verdict = Candidate::Verdict::kError;
      return found;
    }
    const uint64_t end = std::min(limit, file_end);
    if (*at + kFrameHeaderBytes > end) return Candidate();
    // The places whose whole header is in the buffer begin in its first `step` bytes.
    uint64_t step = std::min<uint64_t>(Buffered(*at) - kFrameHeaderBytes, kBlockBytes);
    step = step / kAlignment * kAlignment + kAlignment;
    const char* bytes = At(*at);
    if (!AllZero({bytes, step})) {
      const uint64_t places = step;
      for (uint64_t i = 0; i < places; i += kAlignment) {
        const uint64_t place = *at + i;
        if (!MayBeFrame(bytes + i, next, HighestAt(place, highest), limit - place)) continue;
        found = Examine(place, limit, highest);
        if (found.verdict != Candidate::Verdict::kBad) {
          *at = place;
          return found;
        }
        // A damaged frame is passed over as one piece. The buffer may have moved.
        step = i + (found.header_intact ? found.bytes : kAlignment);
        break;
      }
    }
    *at += step;
  }
}

IoResult SegmentReader::State::CountNonZero(uint64_t from, uint64_t limit, uint64_t* count) {
  while (from < std::min(limit, file_end)) {
    if (const IoResult error = Fill(from, 1, limit); error < 0) return error;
    const uint64_t bytes = std::min(Buffered(from), limit - from);
    if (!AllZero({At(from), bytes})) *count += NonZeroBytes({At(from), bytes});
    from += bytes;
  }
  return 0;
}

SegmentReader::SegmentReader(File* file, const LogId& log_id, uint64_t number, uint64_t incarnation)
    : state_(new State(file, log_id, number, incarnation)) {}

SegmentReader::~SegmentReader() = default;

void SegmentReader::Seek(uint64_t offset, SequenceNumber next) {
  WAL_CHECK(offset % kAlignment == 0);
  state_->offset = offset;
  state_->next = next;
  state_->size = 0;
  state_->read_bytes = kFirstReadBytes;
  state_->unreadable.clear();
}

SegmentReader::Step SegmentReader::Next(uint64_t limit, SequenceNumber highest) {
  using Verdict = State::Candidate::Verdict;
  State& s = *state_;
  s.file_end = ~uint64_t{0};
  Step step;
  step.offset = s.offset;
  if (s.offset >= limit) return step;
  if (PlainRecord plain; s.TakePlain(limit, highest, {&plain, 1}) != 0) {
    step.kind = Kind::kFrame;
    step.frame = {plain.body.data() - kFrameHeaderBytes, FrameBytes(plain.body.size())};
    step.header = PlainRecordHeader(step.frame);
    return step;
  }

  State::Candidate here = s.Examine(s.offset, limit, highest);
  if (here.verdict == Verdict::kIntact) {
    step.kind = Kind::kFrame;
    step.header = here.header;
    step.frame = std::string_view(s.At(s.offset), here.bytes);
    s.offset += here.bytes;
    s.next = here.header.sequence + here.header.count;
    return step;
  }
  uint64_t at = s.offset;
  const LossCause cause = s.Unreadable(at, here.bytes) ? LossCause::kUnreadable : here.cause;
  if (here.verdict == Verdict::kBad) {
    at += here.header_intact ? here.bytes : kAlignment;
    here = s.Resync(&at, limit, highest);
  }
  switch (here.verdict) {
    case Verdict::kIntact: {
      const SequenceNumber found = here.header.sequence;
      step.kind = Kind::kLost;
      step.lost = {.first = s.next == kNoSequence ? found : s.next,
                   .last = found - 1,
                   .segment = s.number,
                   .begin = s.offset,
                   .end = at,
                   .cause = cause};
      s.offset = at;
      s.next = found;
      return step;
    }
    case Verdict::kUnknown:
      step.kind = Kind::kUnknown;
      step.offset = at;
      return step;
    case Verdict::kError:
      break;
    case Verdict::kBad:
      step.end_cause = cause;
      here.error = s.CountNonZero(s.offset, limit, &step.nonzero_bytes);
      if (here.error == 0) return step;
      break;
  }
  step.kind = Kind::kError;
  step.error = here.error;
  return step;
}

size_t SegmentReader::NextPlain(uint64_t limit, SequenceNumber highest,
                                std::span<PlainRecord> out) {
  return state_->TakePlain(limit, highest, out);
}

void SegmentReader::GiveBack(const PlainRecord& first) {
  state_->offset = first.offset;
  state_->next = first.sequence;
}

uint64_t SegmentReader::offset() const { return state_->offset; }
SequenceNumber SegmentReader::next_sequence() const { return state_->next; }
uint64_t SegmentReader::bytes_read() const { return state_->bytes_read; }

}  // namespace millrace
