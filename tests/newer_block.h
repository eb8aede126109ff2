#ifndef MILLRACE_NEWER_BLOCK_H_
#define MILLRACE_NEWER_BLOCK_H_

#include <cstdint>
#include <cstring>
#include <string>

#define XXH_INLINE_ALL
#include "xxhash.h"

namespace millrace {

// The seeds of the checksums of the three kinds of block, as FORMAT.md gives them.
inline constexpr uint64_t kSegmentBlockSeedOnDisk = 0x6d696c6c73656700;
inline constexpr uint64_t kSuperblockSeedOnDisk = 0x6d696c6c6c6f6700;
inline constexpr uint64_t kCursorSeedOnDisk = 0x6d696c6c63757200;

// Makes the 256-byte block at `offset` one that is intact and has a feature that
// no version so far knows. `place` is the copy or slot it stands in.
inline void MakeNewer(std::string* bytes, uint64_t offset, uint64_t seed, int place) {
  constexpr size_t kBytes = 256;
  char* block = bytes->data() + offset;
  const uint64_t features = 1;
  std::memcpy(block + 248, &features, sizeof features);
  const uint64_t sum = XXH3_64bits_withSeed(block + 8, kBytes - 8, seed + place);
  std::memcpy(block, &sum, sizeof sum);
}

}  // namespace millrace

#endif  // MILLRACE_NEWER_BLOCK_H_
