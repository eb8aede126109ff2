#include "fuzz/seal.h"

#include <cstring>
#include <random>

#define XXH_INLINE_ALL
#include "xxhash.h"

namespace millrace {
namespace {

template <class T>
T Get(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

template <class T>
void Put(char* p, T value) {
  std::memcpy(p, &value, sizeof value);
}

uint64_t Sum(const char* data, size_t bytes, uint64_t seed) {
  const uint64_t sum = XXH3_64bits_withSeed(data, bytes, seed);
  return sum == 0 ? 1 : sum;
}

uint64_t BlockSeed(BlockKind kind) {
  switch (kind) {
    case BlockKind::kSegment:
      return 0x6d696c6c73656700;
    case BlockKind::kSuperblock:
      return 0x6d696c6c6c6f6700;
    case BlockKind::kCursor:
      return 0x6d696c6c63757200;
  }
  return 0;
}

uint64_t FuzzedSegmentSeed() {
  const LogId id = FuzzedLogId();
  char bytes[32];
  std::memcpy(bytes, id.data(), 16);
  Put(bytes + 16, kFuzzedNumber);
  Put(bytes + 24, kFuzzedIncarnation);
  return XXH3_64bits_withSeed(bytes, sizeof bytes, 0x6d696c6c6672616d);
}

}  // namespace

LogId FuzzedLogId() {
  LogId id;
  id.fill('f');
  return id;
}

const char* BlockMagic(BlockKind kind) {
  switch (kind) {
    case BlockKind::kSegment:
      return "MILLRACE";
    case BlockKind::kSuperblock:
      return "MILLRLOG";
    case BlockKind::kCursor:
      return "MILLRCUR";
  }
  return "";
}

uint64_t BlockSum(BlockKind kind, int copy, const char* block) {
  return Sum(block + 8, 248, BlockSeed(kind) + copy);
}

void SealBlock(BlockKind kind, int copy, unsigned seed, char* block) {
  if (seed % 8 == 0) return;
  if (seed % 8 != 1) {
    std::memcpy(block + 8, BlockMagic(kind), 8);
    Put(block + 16, uint32_t{1});
    if (seed % 16 != 2) Put(block + 248, uint64_t{0});
  }
  Put(block, BlockSum(kind, copy, block));
}

uint64_t FrameHeaderSum(const char* header, uint64_t offset) {
  static const uint64_t segment_seed = FuzzedSegmentSeed();
  return Sum(header + 8, 24, segment_seed ^ (offset * 0x9e3779b97f4a7c15));
}

uint64_t FrameBodySum(const char* body, size_t bytes) {
  static const LogId id = FuzzedLogId();
  static const uint64_t seed = XXH3_64bits_withSeed(id.data(), id.size(), 0x6d696c6c626f6479);
  return Sum(body, bytes, seed);
}

void SealFrames(char* bytes, size_t size, uint64_t offset, unsigned seed) {
  std::minstd_rand random(seed);
  for (size_t at = 0; at + kFrameHeaderBytes <= size;) {
    char* const frame = bytes + at;
    const uint64_t body_bytes = Get<uint32_t>(frame + 16);
    const uint64_t frame_bytes = kFrameHeaderBytes + (body_bytes + 7) / 8 * 8;
    const bool fits = frame_bytes <= size - at;
    if (random() % 4 != 0) {
      if (fits) Put(frame + 24, FrameBodySum(frame + kFrameHeaderBytes, body_bytes));
      Put(frame, FrameHeaderSum(frame, offset + at));
    }
    at += fits ? frame_bytes : 8;
  }
}

}  // namespace millrace
