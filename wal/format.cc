#include "wal/format.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "queue/sabotage.h"
#include "wal/check.h"

// Inlined: most inputs are 24 to 200 bytes, where the call costs as much as the hash.
#define XXH_INLINE_ALL
#include "xxhash.h"

namespace millrace {
namespace {

constexpr std::string_view kSegmentMagic = "MILLRACE";
constexpr std::string_view kSuperblockMagic = "MILLRLOG";
constexpr std::string_view kCursorMagic = "MILLRCUR";

constexpr uint64_t kCleanFlag = 1;

// Each kind of 256-byte block has its own seed, so that none passes for another;
// the copy's index is added, so that neither does copy 0 for copy 1.
constexpr uint64_t kSegmentBlockSeed = 0x6d696c6c73656700;
constexpr uint64_t kSuperblockSeed = 0x6d696c6c6c6f6700;
constexpr uint64_t kCursorSeed = 0x6d696c6c63757200;
constexpr uint64_t kBodyDomain = 0x6d696c6c626f6479;
constexpr uint64_t kFrameDomain = 0x6d696c6c6672616d;
// Of a frame's header is summed what stands from here on.
MILLRACE_SABOTAGED_CONSTANT size_t kSum = MILLRACE_SABOTAGE(length_not_in_checksum) ? 20 : 8;

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

// Zero is kept for "nothing here".
uint64_t NonZero(uint64_t checksum) { return checksum == 0 ? 1 : checksum; }

uint64_t Hash(const char* data, size_t size, uint64_t seed) {
  return NonZero(XXH3_64bits_withSeed(data, size, seed));
}

uint64_t FrameSeed(uint64_t segment_seed, uint64_t offset) {
  return segment_seed ^ (MILLRACE_SABOTAGE(offset_not_in_seed) ? 0 : offset * 0x9e3779b97f4a7c15);
}

// What stands in bytes 20 to 23 of a frame's header, in the word that begins at 16.
constexpr uint64_t KindWord(FrameType type, uint8_t flags, uint16_t count) {
  return uint64_t{static_cast<uint8_t>(type)} << 32 | uint64_t{flags} << 40 | uint64_t{count} << 48;
}

// Checksum, magic, version and feature bits stand at the same place in every
// kind of block and in every version, so that "newer" is never "damaged".
HeaderStatus CheckBlock(std::span<const char, 256> bytes, std::string_view magic, uint64_t seed) {
  if (Get<uint64_t>(bytes.data()) == 0 && AllZero(bytes)) return HeaderStatus::kZero;
  if (Get<uint64_t>(bytes.data()) != Hash(bytes.data() + 8, bytes.size() - 8, seed)) {
    return HeaderStatus::kDamaged;
  }
  if (std::string_view(bytes.data() + 8, 8) != magic) return HeaderStatus::kDamaged;
  if (Get<uint32_t>(bytes.data() + 16) != kFormatVersion) return HeaderStatus::kNewer;
  if (Get<uint64_t>(bytes.data() + 248) != 0) return HeaderStatus::kNewer;  // feature bits
  return HeaderStatus::kValid;
}

void BeginBlock(std::string_view magic, char* out) {
  std::memset(out, 0, 256);
  std::memcpy(out + 8, magic.data(), magic.size());
  Put(out + 16, kFormatVersion);
}

void SealBlock(uint64_t seed, char* out) { Put(out, Hash(out + 8, 256 - 8, seed)); }

}  // namespace

void EncodeSegmentHeader(const SegmentHeader& header, int copy,
                         std::span<char, kSegmentHeaderBytes> out) {
  char* p = out.data();
  BeginBlock(kSegmentMagic, p);
  Put(p + 20, static_cast<uint32_t>(header.state));
  std::memcpy(p + 24, header.log_id.data(), header.log_id.size());
  Put(p + 40, header.number);
  Put(p + 48, header.incarnation);
  Put(p + 56, header.epoch);
  Put(p + 64, header.first_sequence);
  Put(p + 72, header.mark);
  Put(p + 80, header.first_retained);
  Put(p + 88, header.capacity);
  Put(p + 96, header.predecessor.number);
  Put(p + 104, header.predecessor.incarnation);
  Put(p + 112, header.predecessor.last_sequence);
  Put(p + 120, header.predecessor.cut);
  Put(p + 128, header.predecessor.digest);
  Put(p + 136, header.boot_id);
  Put(p + 144, header.created_ns);
  Put(p + 152, header.in_use);
  for (size_t i = 0; i < EpochBases::kEntries; ++i) {
    Put(p + 160 + 16 * i, header.epoch_bases.entries[i].epoch);
    Put(p + 168 + 16 * i, header.epoch_bases.entries[i].base);
  }
  SealBlock(kSegmentBlockSeed + copy, p);
}

HeaderStatus DecodeSegmentHeader(std::span<const char, kSegmentHeaderBytes> bytes, int copy,
                                 SegmentHeader* header) {
  const HeaderStatus status = CheckBlock(bytes, kSegmentMagic, kSegmentBlockSeed + copy);
  if (status != HeaderStatus::kValid) return status;
  const char* p = bytes.data();
  const uint32_t state = Get<uint32_t>(p + 20);
  header->state = static_cast<SegmentState>(state);
  std::memcpy(header->log_id.data(), p + 24, header->log_id.size());
  header->number = Get<uint64_t>(p + 40);
  header->incarnation = Get<uint64_t>(p + 48);
  header->epoch = Get<uint64_t>(p + 56);
  header->first_sequence = Get<uint64_t>(p + 64);
  header->mark = Get<uint64_t>(p + 72);
  header->first_retained = Get<uint64_t>(p + 80);
  header->capacity = Get<uint64_t>(p + 88);
  header->predecessor.number = Get<uint64_t>(p + 96);
  header->predecessor.incarnation = Get<uint64_t>(p + 104);
  header->predecessor.last_sequence = Get<uint64_t>(p + 112);
  header->predecessor.cut = Get<uint64_t>(p + 120);
  header->predecessor.digest = Get<uint64_t>(p + 128);
  header->boot_id = Get<uint64_t>(p + 136);
  header->created_ns = Get<int64_t>(p + 144);
  header->in_use = Get<uint64_t>(p + 152);
  for (size_t i = 0; i < EpochBases::kEntries; ++i) {
    header->epoch_bases.entries[i] = {Get<uint64_t>(p + 160 + 16 * i),
                                      Get<uint64_t>(p + 168 + 16 * i)};
  }
  const bool known_state = state == static_cast<uint32_t>(SegmentState::kActive) ||
                           state == static_cast<uint32_t>(SegmentState::kPrepared);
  if (!known_state) return HeaderStatus::kNewer;
  if (header->predecessor.number >= header->number) return HeaderStatus::kDamaged;  // 0, too
  if (header->first_sequence == 0 || header->first_sequence > kMaxSequence + 1 ||
      header->predecessor.last_sequence >= header->first_sequence) {
    return HeaderStatus::kDamaged;
  }
  return HeaderStatus::kValid;
}

uint64_t SegmentSeed(const LogId& log_id, uint64_t number, uint64_t incarnation) {
  char bytes[32];
  std::memcpy(bytes, log_id.data(), log_id.size());
  Put(bytes + 16, number);
  Put(bytes + 24, incarnation);
  return XXH3_64bits_withSeed(bytes, sizeof bytes, kFrameDomain);
}

uint64_t BodySeed(const LogId& log_id) {
  return XXH3_64bits_withSeed(log_id.data(), log_id.size(), kBodyDomain);
}

// A word at a time: what stands behind the last frame may be a whole segment.
uint64_t NonZeroBytes(std::span<const char> bytes) {
  constexpr uint64_t kLow7 = 0x7f7f7f7f7f7f7f7f;
  const size_t words = bytes.size() / sizeof(uint64_t);
  uint64_t count = 0;
  for (size_t i = 0; i < words; ++i) {
    const auto word = Get<uint64_t>(bytes.data() + i * sizeof(uint64_t));
    // The highest bit of each byte that is not zero; adding carries into no other byte.
    count += std::popcount((((word & kLow7) + kLow7) | word) & ~kLow7);
  }
  for (const char byte : bytes.subspan(words * sizeof(uint64_t))) count += byte != 0 ? 1 : 0;
  return count;
}

uint64_t BodyChecksum(uint64_t body_seed, std::string_view body) {
  return Hash(body.data(), body.size(), body_seed);
}

void EncodeFrameHeader(const FrameHeader& header, uint64_t segment_seed, uint64_t offset,
                       char* out) {
  // By words, as the hash reads them: the processor would wait for smaller pieces to leave its
  // store buffer.
  Put(out + 8, header.sequence);
  Put(out + 16, uint64_t{header.body_bytes} | KindWord(header.type, header.flags, header.count));
  Put(out + 24, header.body_checksum);
  Put(out, Hash(out + kSum, kFrameHeaderBytes - kSum, FrameSeed(segment_seed, offset)));
}

FrameStatus DecodeFrameHeader(const char* bytes, uint64_t segment_seed, uint64_t offset,
                              FrameHeader* header) {
  const uint64_t checksum = Get<uint64_t>(bytes);
  if (checksum == 0) return FrameStatus::kEmpty;
  if (checksum != Hash(bytes + kSum, kFrameHeaderBytes - kSum, FrameSeed(segment_seed, offset))) {
    return FrameStatus::kInvalid;
  }
  const uint8_t type = Get<uint8_t>(bytes + 20);
  header->sequence = Get<uint64_t>(bytes + 8);
  header->body_bytes = Get<uint32_t>(bytes + 16);
  header->type = static_cast<FrameType>(type);
  header->flags = Get<uint8_t>(bytes + 21);
  header->count = Get<uint16_t>(bytes + 22);
  header->body_checksum = Get<uint64_t>(bytes + 24);

  if (header->sequence == 0 || header->sequence > kMaxSequence + 1) return FrameStatus::kInvalid;
  if (type >= kFirstSkippable) {
    return header->count == 0 ? FrameStatus::kValid : FrameStatus::kUnknown;
  }
  if ((header->flags & ~kKnownFlags) != 0) return FrameStatus::kUnknown;
  switch (header->type) {
    case FrameType::kRecord:
      return header->count == 1 ? FrameStatus::kValid : FrameStatus::kInvalid;
    case FrameType::kBatch:
      return header->count >= 1 ? FrameStatus::kValid : FrameStatus::kInvalid;
    case FrameType::kGroup:
    case FrameType::kIdleMark:
      return header->count == 0 && header->body_bytes == kGroupBodyBytes ? FrameStatus::kValid
                                                                         : FrameStatus::kInvalid;
    case FrameType::kFooter:
      return header->count == 0 && header->body_bytes == kFooterBodyBytes ? FrameStatus::kValid
                                                                          : FrameStatus::kInvalid;
    case FrameType::kPadding:
      return header->count == 0 ? FrameStatus::kValid : FrameStatus::kInvalid;
  }
  return FrameStatus::kUnknown;
}

bool DecodePlainRecord(std::string_view bytes, uint64_t segment_seed, uint64_t body_seed,
                       uint64_t offset, SequenceNumber sequence, std::string_view* body) {
  if (bytes.size() < kFrameHeaderBytes || sequence == kNoSequence) return false;
  const char* p = bytes.data();
  const auto word = Get<uint64_t>(p + 16);
  const uint64_t body_bytes = word & UINT32_MAX;
  if (Get<uint64_t>(p + 8) != sequence ||
      word - body_bytes != KindWord(FrameType::kRecord, /*flags=*/0, /*count=*/1) ||
      FrameBytes(body_bytes) > bytes.size() ||
      Get<uint64_t>(p) !=
          Hash(p + kSum, kFrameHeaderBytes - kSum, FrameSeed(segment_seed, offset))) {
    return false;
  }
  *body = bytes.substr(kFrameHeaderBytes, body_bytes);
  return Get<uint64_t>(p + 24) == Hash(body->data(), body_bytes, body_seed);
}

FrameHeader PlainRecordHeader(std::string_view frame) {
  FrameHeader header;
  header.sequence = Get<uint64_t>(frame.data() + 8);
  header.body_bytes = Get<uint32_t>(frame.data() + 16);
  header.type = FrameType::kRecord;
  header.count = 1;
  header.body_checksum = Get<uint64_t>(frame.data() + 24);
  return header;
}

bool MayBeFrame(const char* bytes, SequenceNumber lowest, SequenceNumber highest,
                uint64_t bytes_left) {
  const uint64_t sequence = Get<uint64_t>(bytes + 8);
  return sequence >= lowest && sequence <= highest && Get<uint64_t>(bytes) != 0 &&
         FrameBytes(Get<uint32_t>(bytes + 16)) <= bytes_left;
}

uint64_t FrameDigest(uint64_t digest, const char* frame_header) {
  // The header's checksum covers the header, which holds the body's: two words
  // stand for the whole frame. Murmur's finaliser mixes them.
  uint64_t h = (digest ^ Get<uint64_t>(frame_header)) * 0xff51afd7ed558ccd;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53;
  return NonZero(h ^ (h >> 29));
}

void EncodeGroupBody(const GroupBody& body, char* out) {
  Put(out, body.number);
  Put(out + 8, body.incarnation);
  Put(out + 16, body.epoch);
  Put(out + 24, body.time_ns);
  Put(out + 32, body.mark);
  Put(out + 40, body.first_retained);
}

GroupBody DecodeGroupBody(const char* bytes) {
  GroupBody body;
  body.number = Get<uint64_t>(bytes);
  body.incarnation = Get<uint64_t>(bytes + 8);
  body.epoch = Get<uint64_t>(bytes + 16);
  body.time_ns = Get<int64_t>(bytes + 24);
  body.mark = Get<uint64_t>(bytes + 32);
  body.first_retained = Get<uint64_t>(bytes + 40);
  return body;
}

void EncodeFooterBody(const FooterBody& body, char* out) {
  EncodeGroupBody(body.group, out);
  Put(out + kGroupBodyBytes, body.first_sequence);
  Put(out + kGroupBodyBytes + 8, body.last_sequence);
  Put(out + kGroupBodyBytes + 16, body.digest);
}

FooterBody DecodeFooterBody(const char* bytes) {
  FooterBody body;
  body.group = DecodeGroupBody(bytes);
  body.first_sequence = Get<uint64_t>(bytes + kGroupBodyBytes);
  body.last_sequence = Get<uint64_t>(bytes + kGroupBodyBytes + 8);
  body.digest = Get<uint64_t>(bytes + kGroupBodyBytes + 16);
  return body;
}

void SealFrame(FrameHeader header, uint64_t segment_seed, uint64_t body_seed, uint64_t offset,
               char* out) {
  header.body_checksum =
      BodyChecksum(body_seed, std::string_view(out + kFrameHeaderBytes, header.body_bytes));
  EncodeFrameHeader(header, segment_seed, offset, out);
}

void EncodeSuperblock(const Superblock& superblock, int slot, std::span<char, kSlotBytes> out) {
  char* p = out.data();
  BeginBlock(kSuperblockMagic, p);
  std::memcpy(p + 24, superblock.log_id.data(), superblock.log_id.size());
  Put(p + 40, superblock.generation);
  Put(p + 48, superblock.epoch);
  Put(p + 56, superblock.epoch_base);
  Put(p + 64, superblock.first_retained);
  Put(p + 72, superblock.highest_segment);
  Put(p + 80, superblock.mark);
  Put(p + 88, superblock.clean ? kCleanFlag : 0);
  Put(p + 96, superblock.begun_segment);
  SealBlock(kSuperblockSeed + slot, p);
}

HeaderStatus DecodeSuperblock(std::span<const char, kSlotBytes> bytes, int slot,
                              Superblock* superblock) {
  const HeaderStatus status = CheckBlock(bytes, kSuperblockMagic, kSuperblockSeed + slot);
  if (status != HeaderStatus::kValid) return status;
  const char* p = bytes.data();
  std::memcpy(superblock->log_id.data(), p + 24, superblock->log_id.size());
  superblock->generation = Get<uint64_t>(p + 40);
  superblock->epoch = Get<uint64_t>(p + 48);
  superblock->epoch_base = Get<uint64_t>(p + 56);
  superblock->first_retained = Get<uint64_t>(p + 64);
  superblock->highest_segment = Get<uint64_t>(p + 72);
  superblock->mark = Get<uint64_t>(p + 80);
  superblock->clean = (Get<uint64_t>(p + 88) & kCleanFlag) != 0;
  superblock->begun_segment = Get<uint64_t>(p + 96);
  return HeaderStatus::kValid;
}

void EncodeCursorSlot(const CursorSlot& cursor, int slot, std::span<char, kSlotBytes> out) {
  WAL_CHECK(cursor.name.size() <= kMaxCursorNameBytes);
  char* p = out.data();
  BeginBlock(kCursorMagic, p);
  Put(p + 20, static_cast<uint32_t>(cursor.name.size()));
  std::memcpy(p + 24, cursor.log_id.data(), cursor.log_id.size());
  const uint64_t numbers[] = {cursor.generation, cursor.epoch,       cursor.committed,
                              cursor.segment,    cursor.incarnation, cursor.offset};
  std::memcpy(p + 40, numbers, sizeof numbers);
  std::memcpy(p + 88, cursor.name.data(), cursor.name.size());
  Put(p + 216, cursor.cursor_incarnation);
  Put(p + 224, uint64_t{cursor.has_entry});
  SealBlock(kCursorSeed + slot, p);
}

HeaderStatus DecodeCursorSlot(std::span<const char, kSlotBytes> bytes, int slot,
                              CursorSlot* cursor) {
  const HeaderStatus status = CheckBlock(bytes, kCursorMagic, kCursorSeed + slot);
  if (status != HeaderStatus::kValid) return status;
  const char* p = bytes.data();
  const uint32_t name_bytes = Get<uint32_t>(p + 20);
  if (name_bytes > kMaxCursorNameBytes) return HeaderStatus::kDamaged;
  std::memcpy(cursor->log_id.data(), p + 24, cursor->log_id.size());
  cursor->generation = Get<uint64_t>(p + 40);
  cursor->epoch = Get<uint64_t>(p + 48);
  cursor->committed = Get<uint64_t>(p + 56);
  cursor->segment = Get<uint64_t>(p + 64);
  cursor->incarnation = Get<uint64_t>(p + 72);
  cursor->offset = Get<uint64_t>(p + 80);
  cursor->name = std::string_view(p + 88, name_bytes);
  cursor->cursor_incarnation = Get<uint64_t>(p + 216);
  cursor->has_entry = (Get<uint64_t>(p + 224) & 1) != 0;
  return HeaderStatus::kValid;
}

}  // namespace millrace
