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

// Frames as text, and the checks that hold for any input.
std::string Walk(const std::string& file_bytes, uint64_t limit, SequenceNumber first) {
  using Kind = SegmentReader::Kind;
  MemoryFile file(file_bytes);
  SegmentReader reader(&file, FuzzedLogId(), kFuzzedNumber, kFuzzedIncarnation);
  reader.Seek(kFramesOffset, first);
  std::string walk;
  uint64_t at = kFramesOffset;
  SequenceNumber next = first;
  while (true) {
    const SegmentReader::Step step = reader.Next(limit, kMaxSequence);
    if (step.kind == Kind::kFrame) {
      WAL_CHECK(step.offset == at);
      WAL_CHECK(next == kNoSequence || step.header.sequence == next);
      WAL_CHECK(std::string_view(file_bytes).substr(at, step.frame.size()) == step.frame);
      for (uint16_t i = 0; i < step.header.count; ++i) {
        if (step.header.type == FrameType::kRecord) {
          WAL_CHECK(DecodeRecord(step.body(), step.header.flags).has_value());
        } else if (i < 64) {  // each costs a walk over the index
          WAL_CHECK(DecodeBatchRecord(step.body(), step.header.count, i).has_value());
        }
      }
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
      WAL_CHECK(step.nonzero_bytes <= file_bytes.size());
      // Where it stands it stays.
      WAL_CHECK(reader.Next(limit, kMaxSequence).kind == step.kind);
      return walk.append(std::to_string(static_cast<int>(step.kind)))
          .append(std::to_string(step.offset));
    }
    WAL_CHECK(at <= limit);
    WAL_CHECK(reader.offset() == at);
    walk.append(std::to_string(at)).append(":").append(std::to_string(next)).append(" ");
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

// The first byte says which number is expected first; the rest are frames.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const millrace::SequenceNumber first = data[0] & 0x7f;
  std::string file(millrace::kFramesOffset, '\0');
  file.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string walk = millrace::Walk(file, file.size(), first);
  WAL_CHECK(millrace::Walk(file, file.size(), first) == walk);
  // A file that ends before its limit, and one with room for more.
  millrace::Walk(file, file.size() + 100'000, first);
  millrace::Walk(file + std::string(10'000, '\0'), file.size() + 10'000, first);
  return 0;
}
