// Feeds bytes to the segment reader as the frames of a segment. Whatever they are,
// it must end, account for every byte once, and return nothing that is not there.
//
// Almost no mutated frame has a valid checksum. So the mutator seals again most of
// the frames it finds, and what is behind the checksums is reached, too.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include "fuzz/memory_file.h"
#include "wal/check.h"
#include "wal/format.h"
#include "wal/segment_reader.h"

namespace millrace {
namespace {

constexpr uint64_t kNumber = 3;
constexpr uint64_t kIncarnation = 1234;

LogId FuzzLogId() {
  LogId id;
  id.fill('f');
  return id;
}

// Frames as text, and the checks that hold for any input.
std::string Walk(const std::string& file_bytes, uint64_t limit, SequenceNumber first) {
  using Kind = SegmentReader::Kind;
  MemoryFile file(file_bytes);
  SegmentReader reader(&file, FuzzLogId(), kNumber, kIncarnation);
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

// Makes most of the frames in `bytes` valid.
void Seal(char* bytes, size_t size, unsigned seed) {
  const uint64_t segment_seed = SegmentSeed(FuzzLogId(), kNumber, kIncarnation);
  std::minstd_rand random(seed);
  for (size_t at = 0; at + kFrameHeaderBytes <= size;) {
    char* p = bytes + at;
    FrameHeader header;
    std::memcpy(&header.sequence, p + 8, 8);
    std::memcpy(&header.body_bytes, p + 16, 4);
    header.type = static_cast<FrameType>(p[20]);
    header.flags = static_cast<uint8_t>(p[21]);
    std::memcpy(&header.count, p + 22, 2);
    const uint64_t frame_bytes = FrameBytes(header.body_bytes);
    const uint64_t room = size - at;
    if (random() % 4 != 0) {
      if (frame_bytes <= room) {
        header.body_checksum = BodyChecksum(
            BodySeed(FuzzLogId()), std::string_view(p + kFrameHeaderBytes, header.body_bytes));
      }
      EncodeFrameHeader(header, segment_seed, kFramesOffset + at, p);
    }
    at += frame_bytes <= room ? frame_bytes : kAlignment;
  }
}

}  // namespace
}  // namespace millrace

// libFuzzer's; absent where a corpus is only replayed.
extern "C" __attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t* data, size_t size,
                                                         size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  if (LLVMFuzzerMutate == nullptr) return size;
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0 && size > 1) {
    millrace::Seal(reinterpret_cast<char*>(data) + 1, size - 1, seed);
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
