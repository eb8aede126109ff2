// Goal: a slot of the superblock or of a cursor decodes to what was encoded, and nothing else
// passes for it.
// Method: round trips; crafted values whose checksums hold.

#include <array>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "wal/format.h"
#define XXH_INLINE_ALL
#include "xxhash.h"

namespace millrace {
namespace {

LogId Id(char c) {
  LogId id;
  id.fill(c);
  return id;
}

TEST(SlotFormatTest, NamesLongerThanTheirPlaceAreDamage) {
  std::array<char, kSlotBytes> bytes;
  EncodeCursorSlot({.name = "n"}, 0, bytes);
  for (const uint32_t size : {kMaxCursorNameBytes, kMaxCursorNameBytes + 1}) {
    std::memcpy(bytes.data() + 20, &size, sizeof size);
    const uint64_t sum = XXH3_64bits_withSeed(bytes.data() + 8, 248, 0x6d696c6c63757200);
    std::memcpy(bytes.data(), &sum, sizeof sum);
    CursorSlot cursor;
    EXPECT_EQ(DecodeCursorSlot(bytes, 0, &cursor),
              size == kMaxCursorNameBytes ? HeaderStatus::kValid : HeaderStatus::kDamaged);
  }
}

TEST(SlotFormatTest, SuperblockAndCursorComeBackAndDoNotPassForEachOther) {
  Superblock superblock;
  superblock.log_id = Id('s');
  superblock.generation = 9;
  superblock.epoch = 3;
  superblock.epoch_base = 8;
  superblock.first_retained = 4;
  superblock.highest_segment = 12;
  superblock.mark = 77;
  superblock.begun_segment = 11;
  std::array<char, kSlotBytes> bytes;
  Superblock decoded;
  for (const bool clean : {false, true}) {
    superblock.clean = clean;
    EncodeSuperblock(superblock, 1, bytes);
    EXPECT_EQ(DecodeSuperblock(bytes, 1, &decoded), HeaderStatus::kValid);
    EXPECT_EQ(decoded, superblock);
  }
  EXPECT_EQ(DecodeSuperblock(bytes, 0, &decoded), HeaderStatus::kDamaged);
  CursorSlot cursor;
  EXPECT_EQ(DecodeCursorSlot(bytes, 1, &cursor), HeaderStatus::kDamaged);

  const std::string name(kMaxCursorNameBytes, 'n');
  EncodeCursorSlot({Id('s'), 5, 3, 70, 11, 13, 8192, name, 0x1234567890abcdef, true}, 0, bytes);
  ASSERT_EQ(DecodeCursorSlot(bytes, 0, &cursor), HeaderStatus::kValid);
  EXPECT_EQ(cursor.log_id, Id('s'));
  EXPECT_EQ(cursor.generation, 5u);
  EXPECT_EQ(cursor.epoch, 3u);
  EXPECT_EQ(cursor.committed, 70u);
  EXPECT_EQ(cursor.segment, 11u);
  EXPECT_EQ(cursor.incarnation, 13u);
  EXPECT_EQ(cursor.offset, 8192u);
  EXPECT_EQ(cursor.name, name);
  EXPECT_EQ(cursor.cursor_incarnation, 0x1234567890abcdefu);
  EXPECT_TRUE(cursor.has_entry);
  EncodeCursorSlot({.name = name, .has_entry = false}, 0, bytes);
  ASSERT_EQ(DecodeCursorSlot(bytes, 0, &cursor), HeaderStatus::kValid);
  EXPECT_FALSE(cursor.has_entry);
  EXPECT_EQ(DecodeSuperblock(bytes, 0, &decoded), HeaderStatus::kDamaged);
}

}  // namespace
}  // namespace millrace
