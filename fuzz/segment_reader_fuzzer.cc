// Feeds bytes to the segment reader as the frames of a segment. Whatever they are,
// it must end, account for every byte once, and return nothing that is not there.
//
// Almost no mutated frame has a valid checksum. So the mutator seals again most of
// the frames it finds, and what is behind the checksums is reached, too.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "fuzz/memory_file.h"
#include "fuzz/mutator.h"
#include "fuzz/seal.h"
#include "wal/check.h"
#include "wal/format.h"
#include "wal/segment_reader.h"

namespace millrace {
namespace {

// What a walk came by, in one number.
class Trace {
 public:
  void Add(uint64_t value) { hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15 + (hash_ >> 29); }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0;
};

void CheckRecords(const SegmentReader::Step& step) {
  for (uint16_t i = 0; i < step.header.count; ++i) {
    if (step.header.type == FrameType::kRecord) {
      WAL_CHECK(DecodeRecord(step.body(), step.header.flags).has_value());
    } else if (i < 64) {  // each costs a walk over the index
      WAL_CHECK(DecodeBatchRecord(step.body(), step.header.count, i).has_value());
    }
  }
}

// Walks `frames` up to file offset `limit`, with the checks that hold for any input.
uint64_t Walk(std::string_view frames, uint64_t limit, SequenceNumber first) {
  using Kind = SegmentReader::Kind;
  MemoryFile file(frames, kFramesOffset);
  SegmentReader reader(&file, FuzzedLogId(), kFuzzedNumber, kFuzzedIncarnation);
  reader.Seek(kFramesOffset, first);
  Trace trace;
  uint64_t at = kFramesOffset;
  SequenceNumber next = first;
  while (true) {
    const SegmentReader::Step step = reader.Next(limit, kMaxSequence);
    trace.Add(static_cast<uint64_t>(step.kind));
    if (step.kind == Kind::kFrame) {
      WAL_CHECK(step.offset == at);
      WAL_CHECK(next == kNoSequence || step.header.sequence == next);
      WAL_CHECK(frames.substr(at - kFramesOffset, step.frame.size()) == step.frame);
      CheckRecords(step);
      at += step.frame.size();
      next = step.header.sequence + step.header.count;
    } else if (step.kind == Kind::kLost) {
      WAL_CHECK(step.lost.begin == at);
      WAL_CHECK(step.lost.end > at);
      WAL_CHECK(step.lost.last + 1 >= step.lost.first);
      WAL_CHECK(next == kNoSequence || step.lost.first == next);
      at = step.lost.end;
      next = step.lost.last + 1;
    } else {
      WAL_CHECK(step.kind != Kind::kError);
      WAL_CHECK(step.nonzero_bytes <= frames.size());
      // Where it stands it stays.
      WAL_CHECK(reader.Next(limit, kMaxSequence).kind == step.kind);
      trace.Add(step.offset);
      return trace.hash();
    }
    WAL_CHECK(at <= limit);
    WAL_CHECK(reader.offset() == at);
    trace.Add(at);
    trace.Add(next);
  }
}

}  // namespace
}  // namespace millrace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = millrace::Mutate(data, size, max_size);
  if (seed % 8 != 0 && size > 1) {
    millrace::SealFrames(reinterpret_cast<char*>(data) + 1, size - 1, millrace::kFramesOffset,
                         seed);
  }
  return size;
}

// The first byte says which number is expected first, and how far is walked; the rest are frames.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const millrace::SequenceNumber first = data[0] & 0x7f;
  const std::string_view frames(reinterpret_cast<const char*>(data) + 1, size - 1);
  const uint64_t end = millrace::kFramesOffset + frames.size();
  const uint64_t walk = millrace::Walk(frames, end, first);
  if ((data[0] & 0x80) == 0) return 0;
  WAL_CHECK(millrace::Walk(frames, end, first) == walk);
  // A file that ends before its limit, and one with room for more.
  millrace::Walk(frames, end + 100'000, first);
  millrace::Walk(std::string(frames) + std::string(10'000, '\0'), end + 10'000, first);
  return 0;
}
