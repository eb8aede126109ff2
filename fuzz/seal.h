#ifndef MILLRACE_FUZZ_SEAL_H_
#define MILLRACE_FUZZ_SEAL_H_

#include <cstddef>
#include <cstdint>

#include "wal/format.h"

// Gives mutated bytes checksums that hold, so that fuzzing reaches what is decided behind
// them. By the constants of FORMAT.md, not those of the code under test.

namespace millrace {

// The log, and the segment of it, that fuzzed frames belong to.
inline constexpr uint64_t kFuzzedNumber = 3;
inline constexpr uint64_t kFuzzedIncarnation = 1234;
LogId FuzzedLogId();

// The kinds of blocks, by the text that they begin with.
enum class BlockKind : uint8_t { kSegment, kSuperblock, kCursor };
const char* BlockMagic(BlockKind kind);  // 8 characters

// The checksum that the 256 bytes at `block` must have as a block of `kind` in place `copy`.
uint64_t BlockSum(BlockKind kind, int copy, const char* block);
// Gives them magic, version and that checksum. `seed` has it leave out magic and
// version, or all, once in a while.
void SealBlock(BlockKind kind, int copy, unsigned seed, char* block);

// The checksum that the 32 bytes of a frame's header must have at file offset `offset`.
uint64_t FrameHeaderSum(const char* header, uint64_t offset);
uint64_t FrameBodySum(const char* body, size_t bytes);

// Seals most of the frames in `bytes`, of which the first stands at `offset` of the
// segment; which, `seed` decides.
void SealFrames(char* bytes, size_t size, uint64_t offset, unsigned seed);

}  // namespace millrace

#endif  // MILLRACE_FUZZ_SEAL_H_
