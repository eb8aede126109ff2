// Decodes two blocks of 256 bytes: a segment's header and its copy, or the slots of a
// superblock or cursor. What each is, and which of two slots counts, follows from FORMAT.md
// alone; what is decoded encodes to what decodes alike.

#include <errno.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "fuzz/memory_file.h"
#include "fuzz/mutator.h"
#include "fuzz/seal.h"
#include "wal/check.h"
#include "wal/format.h"
#include "wal/slot_file.h"

namespace millrace {
namespace {

constexpr size_t kBytes = 256;
using Block = std::array<char, kBytes>;

uint64_t U64(const Block& block, size_t at) {
  uint64_t value = 0;
  std::memcpy(&value, &block[at], 8);
  return value;
}

uint32_t U32(const Block& block, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, &block[at], 4);
  return value;
}

// "A reader decides in this order", and the musts of each kind.
HeaderStatus Expected(BlockKind kind, int copy, const Block& block) {
  if (std::all_of(block.begin(), block.end(), [](char c) { return c == 0; })) {
    return HeaderStatus::kZero;
  }
  const bool intact = U64(block, 0) == BlockSum(kind, copy, block.data()) &&
                      std::memcmp(&block[8], BlockMagic(kind), 8) == 0;
  if (!intact) return HeaderStatus::kDamaged;
  if (U32(block, 16) != 1 || U64(block, 248) != 0) return HeaderStatus::kNewer;
  if (kind == BlockKind::kCursor && U32(block, 20) > 128) return HeaderStatus::kDamaged;
  if (kind != BlockKind::kSegment) return HeaderStatus::kValid;
  if (U32(block, 20) != 1 && U32(block, 20) != 2) return HeaderStatus::kNewer;
  const bool consistent = U64(block, 40) > U64(block, 96) && U64(block, 64) > U64(block, 112) &&
                          U64(block, 64) <= uint64_t{1} << 56;
  return consistent ? HeaderStatus::kValid : HeaderStatus::kDamaged;
}

HeaderStatus DecodeAs(BlockKind kind, int copy, const Block& block, uint64_t* generation) {
  SegmentHeader header;
  Superblock superblock;
  CursorSlot cursor;
  HeaderStatus status = HeaderStatus::kZero;
  switch (kind) {
    case BlockKind::kSegment:
      return DecodeSegmentHeader(block, copy, &header);
    case BlockKind::kSuperblock:
      status = DecodeSuperblock(block, copy, &superblock);
      *generation = superblock.generation;
      return status;
    case BlockKind::kCursor:
      status = DecodeCursorSlot(block, copy, &cursor);
      *generation = cursor.generation;
      return status;
  }
  return status;
}

void CheckSegment(int copy, const Block& block) {
  SegmentHeader header;
  SegmentHeader again;
  Block encoded;
  WAL_CHECK(DecodeSegmentHeader(block, copy, &header) == HeaderStatus::kValid);
  EncodeSegmentHeader(header, copy, encoded);
  WAL_CHECK(std::memcmp(&encoded[8], &block[8], 152 - 8) == 0);
  WAL_CHECK(DecodeSegmentHeader(encoded, copy, &again) == HeaderStatus::kValid);
  WAL_CHECK(again == header);
}

void CheckSuperblock(int copy, const Block& block) {
  Superblock superblock;
  Superblock again;
  Block encoded;
  WAL_CHECK(DecodeSuperblock(block, copy, &superblock) == HeaderStatus::kValid);
  WAL_CHECK(superblock.clean == ((block[88] & 1) != 0));
  EncodeSuperblock(superblock, copy, encoded);
  WAL_CHECK(std::memcmp(&encoded[24], &block[24], 88 - 24) == 0);
  WAL_CHECK(DecodeSuperblock(encoded, copy, &again) == HeaderStatus::kValid);
  WAL_CHECK(again == superblock);
}

void CheckCursor(int copy, const Block& block) {
  CursorSlot cursor;
  CursorSlot again;
  Block encoded;
  WAL_CHECK(DecodeCursorSlot(block, copy, &cursor) == HeaderStatus::kValid);
  WAL_CHECK(cursor.name.size() <= kMaxCursorNameBytes);
  WAL_CHECK(cursor.name.data() == &block[88]);
  WAL_CHECK(cursor.has_entry == ((block[224] & 1) != 0));
  EncodeCursorSlot(cursor, copy, encoded);
  WAL_CHECK(std::memcmp(&encoded[20], &block[20], 88 + cursor.name.size() - 20) == 0);
  WAL_CHECK(std::memcmp(&encoded[216], &block[216], 8) == 0);
  WAL_CHECK(DecodeCursorSlot(encoded, copy, &again) == HeaderStatus::kValid);
  WAL_CHECK(again.name == cursor.name && again.committed == cursor.committed);
}

void CheckBlock(BlockKind kind, int copy, const Block& block, unsigned bit) {
  uint64_t generation = 0;
  const HeaderStatus status = DecodeAs(kind, copy, block, &generation);
  WAL_CHECK(status == Expected(kind, copy, block));
  if (status == HeaderStatus::kZero || status == HeaderStatus::kDamaged) return;
  // It is not of another kind, nor for the other place, nor with one bit flipped.
  for (const BlockKind other : {BlockKind::kSegment, BlockKind::kSuperblock, BlockKind::kCursor}) {
    for (const int place : {0, 1}) {
      if (other == kind && place == copy) continue;
      WAL_CHECK(DecodeAs(other, place, block, &generation) == HeaderStatus::kDamaged);
    }
  }
  Block flipped = block;
  flipped[bit / 8 % kBytes] ^= static_cast<char>(1 << bit % 8);
  WAL_CHECK(DecodeAs(kind, copy, flipped, &generation) == HeaderStatus::kDamaged);
  if (status != HeaderStatus::kValid) return;
  if (kind == BlockKind::kSegment) CheckSegment(copy, block);
  if (kind == BlockKind::kSuperblock) CheckSuperblock(copy, block);
  if (kind == BlockKind::kCursor) CheckCursor(copy, block);
}

// Two blocks at their places in a file, without the bytes between them.
class PairFile final : public MemoryFile {
 public:
  explicit PairFile(const std::array<Block, 2>& blocks) : MemoryFile(""), blocks_(blocks) {}

  IoResult Read(uint64_t offset, std::span<char> out) override {
    WAL_CHECK(offset % kBlockBytes == 0 && offset <= kBlockBytes);
    WAL_CHECK(out.size() <= kBytes);
    std::memcpy(out.data(), blocks_[offset / kBlockBytes].data(), out.size());
    return static_cast<IoResult>(out.size());
  }

 private:
  const std::array<Block, 2>& blocks_;
};

// "Of two valid slots the one with the higher generation counts."
void CheckPair(BlockKind kind, const std::array<Block, 2>& blocks) {
  PairFile file(blocks);
  const SlotContents contents =
      LoadSlots(file, [kind](std::span<const char, kSlotBytes> bytes, int slot, uint64_t* g) {
        Block block;
        std::memcpy(block.data(), bytes.data(), block.size());
        return DecodeAs(kind, slot, block, g);
      });
  int counts = -1;
  bool newer = false;
  bool zero = true;
  for (const int slot : {0, 1}) {
    const HeaderStatus status = Expected(kind, slot, blocks[slot]);
    newer = newer || status == HeaderStatus::kNewer;
    zero = zero && status == HeaderStatus::kZero;
    const uint64_t generation = U64(blocks[slot], 40);
    const bool placed = generation != 0 && generation != ~uint64_t{0} &&
                        generation % 2 == static_cast<uint64_t>(slot);
    if (status != HeaderStatus::kValid || !placed) continue;
    if (counts < 0 || generation > U64(blocks[counts], 40)) counts = slot;
  }
  if (newer) {
    WAL_CHECK(contents.status == HeaderStatus::kNewer);
  } else if (counts < 0) {
    WAL_CHECK(contents.status == (zero ? HeaderStatus::kZero : HeaderStatus::kDamaged));
  } else {
    WAL_CHECK(contents.status == HeaderStatus::kValid);
    WAL_CHECK(contents.slot == counts);
    WAL_CHECK(contents.generation == U64(blocks[counts], 40));
    WAL_CHECK(contents.bytes == blocks[counts]);
  }
}

}  // namespace
}  // namespace millrace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = millrace::Mutate(data, size, max_size);
  for (int copy = 0; copy < 2; ++copy) {
    const size_t begin = 2 + copy * millrace::kBytes;
    if (size < begin + millrace::kBytes) break;
    millrace::SealBlock(static_cast<millrace::BlockKind>(data[0] % 3), copy, seed >> 4 * copy,
                        reinterpret_cast<char*>(data) + begin);
  }
  return size;
}

// The first byte names the kind, the second a bit to flip; two blocks follow, and zeros.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto kind = static_cast<millrace::BlockKind>(data[0] % 3);
  std::array<millrace::Block, 2> blocks = {};
  for (int copy = 0; copy < 2; ++copy) {
    const size_t begin = 2 + copy * millrace::kBytes;
    if (size <= begin) break;
    std::memcpy(blocks[copy].data(), data + begin, std::min(size - begin, millrace::kBytes));
    millrace::CheckBlock(kind, copy, blocks[copy], data[1] * 8u);
  }
  if (kind != millrace::BlockKind::kSegment) millrace::CheckPair(kind, blocks);
  return 0;
}
