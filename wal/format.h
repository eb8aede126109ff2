#ifndef MILLRACE_WAL_FORMAT_H_
#define MILLRACE_WAL_FORMAT_H_

// The bytes on disk, as FORMAT.md states them: pure functions, no I/O.
//
//   segment file:  | header | header copy | frame | frame | ... | footer |
//                  0        4096          8192
//
//   frame:  0        8          16          20    21     22     24            32
//           | header | sequence | body      | type| flags| count| body        | body, then zeros
//           | sum    | number   | bytes u32 | u8  | u8   | u16  | sum         | up to 8 bytes

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "millrace/options.h"
#include "millrace/sequence.h"
#include "wal/epoch_bases.h"

namespace millrace {

static_assert(std::endian::native == std::endian::little,
              "fields are copied as they are; a big-endian port must swap them");

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint64_t kBlockBytes = 4096;
// Where frames begin: after the two copies of the segment header.
inline constexpr uint64_t kFramesOffset = 2 * kBlockBytes;
inline constexpr uint64_t kAlignment = 8;  // of frames

using LogId = std::array<char, 16>;

// --- Segment header -----------------------------------------------------------

inline constexpr size_t kSegmentHeaderBytes = 256;

// Persisted; never reused.
enum class SegmentState : uint32_t { kActive = 1, kPrepared = 2 };

// The segment whose records come before this one's, and where they end.
struct Predecessor {
  uint64_t number = 0;  // 0: none
  uint64_t incarnation = 0;
  SequenceNumber last_sequence = 0;
  uint64_t cut = 0;     // file offset; what lies at or beyond it is dead
  uint64_t digest = 0;  // FrameDigest over the frames below `cut`; 0: unknown

  bool operator==(const Predecessor&) const = default;
};

struct SegmentHeader {
  SegmentState state = SegmentState::kActive;
  LogId log_id = {};
  uint64_t number = 0;
  uint64_t incarnation = 0;
  uint64_t epoch = 1;
  SequenceNumber first_sequence = 1;  // of the first record to be written here
  SequenceNumber mark = 0;
  SequenceNumber first_retained = 1;
  uint64_t capacity = 0;  // bytes of the file that headers and frames may fill
  Predecessor predecessor;
  uint64_t boot_id = 0;
  int64_t created_ns = 0;  // wall clock; informative
  // Prepared: the segment that was in use when this one was prepared; 0: not said.
  uint64_t in_use = 0;
  EpochBases epoch_bases;  // of this epoch and those before it

  bool operator==(const SegmentHeader&) const = default;
};

enum class HeaderStatus : uint8_t {
  kValid,
  kZero,     // nothing was ever written here
  kDamaged,  // does not match its checksum, or contradicts itself
  kNewer,    // intact, of a version or with features this code does not know
};

// `copy` is 0 or 1: the block it stands in.
void EncodeSegmentHeader(const SegmentHeader& header, int copy,
                         std::span<char, kSegmentHeaderBytes> out);
HeaderStatus DecodeSegmentHeader(std::span<const char, kSegmentHeaderBytes> bytes, int copy,
                                 SegmentHeader* header);

// --- Frames -------------------------------------------------------------------

inline constexpr size_t kFrameHeaderBytes = 32;

// Persisted; never reused. A reader skips types from kFirstSkippable on that it
// does not know, and refuses unknown ones below it.
enum class FrameType : uint8_t {
  kRecord = 1,
  kBatch = 2,
  kGroup = 3,     // begins a group: time and marks
  kIdleMark = 4,  // ends activity: the same body as kGroup
  kFooter = 5,    // ends a segment that was closed in order
  kPadding = 6,   // fills up to a boundary; its body is zeros and not checked
};
inline constexpr uint8_t kFirstSkippable = 0x80;

inline constexpr uint8_t kHasExtras = 0x01;  // flag: the body begins with extras
inline constexpr uint8_t kKnownFlags = kHasExtras;

struct FrameHeader {
  // Of the first record in it; for frames without records, of the next record.
  SequenceNumber sequence = 0;
  uint32_t body_bytes = 0;
  FrameType type = FrameType::kRecord;
  uint8_t flags = 0;
  uint16_t count = 0;  // records in it: 1 for kRecord, 1.. for kBatch, else 0
  uint64_t body_checksum = 0;

  bool operator==(const FrameHeader&) const = default;
};

constexpr uint64_t RoundUp(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

// The whole frame: header, body, zeros.
constexpr uint64_t FrameBytes(uint64_t body_bytes) {
  return kFrameHeaderBytes + RoundUp(body_bytes, kAlignment);
}

constexpr bool CarriesRecords(FrameType type) {
  return type == FrameType::kRecord || type == FrameType::kBatch;
}

// What makes the frame checksums of one use of one segment unlike all others.
uint64_t SegmentSeed(const LogId& log_id, uint64_t number, uint64_t incarnation);
// Seeds the checksums of bodies, which producers compute before the place is known.
uint64_t BodySeed(const LogId& log_id);

uint64_t BodyChecksum(uint64_t body_seed, std::string_view body);

void EncodeFrameHeader(const FrameHeader& header, uint64_t segment_seed, uint64_t offset,
                       char* out);

enum class FrameStatus : uint8_t {
  kValid,
  kEmpty,    // the checksum field is zero: nothing here
  kInvalid,  // not a frame of this segment at this offset
  kUnknown,  // intact, but of a type or with flags that a reader must not skip
};

// Checks the header only; `bytes` holds at least kFrameHeaderBytes.
FrameStatus DecodeFrameHeader(const char* bytes, uint64_t segment_seed, uint64_t offset,
                              FrameHeader* header);

// True if there is nothing but zeros, as where nothing was ever written.
inline bool AllZero(std::span<const char> bytes) {
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

uint64_t NonZeroBytes(std::span<const char> bytes);

// Whether at the front of `bytes` stands the whole frame of a plain record, one without key and
// attributes, with the number `sequence`, intact: what DecodeFrameHeader() and BodyChecksum() say,
// for the frame that is met most, and sooner. Sets `*body` to its payload.
bool DecodePlainRecord(std::string_view bytes, uint64_t segment_seed, uint64_t body_seed,
                       uint64_t offset, SequenceNumber sequence, std::string_view* body);
// The header of such a frame.
FrameHeader PlainRecordHeader(std::string_view frame);

// False for almost all places where no frame begins; costs no hashing. For
// scanning: `lowest` and `highest` bound the sequence number.
bool MayBeFrame(const char* bytes, SequenceNumber lowest, SequenceNumber highest,
                uint64_t bytes_left);

// Folds one more frame into the digest of a segment (0 to begin with; the result is never 0).
uint64_t FrameDigest(uint64_t digest, const char* frame_header);

// --- Bodies -------------------------------------------------------------------

// Body of kGroup and kIdleMark. Number and incarnation let a reader find the
// seed of a segment both of whose headers are lost.
struct GroupBody {
  uint64_t number = 0;
  uint64_t incarnation = 0;
  uint64_t epoch = 1;
  int64_t time_ns = 0;  // wall clock when the group was written
  SequenceNumber mark = 0;
  SequenceNumber first_retained = 1;

  bool operator==(const GroupBody&) const = default;
};
inline constexpr uint32_t kGroupBodyBytes = 48;

void EncodeGroupBody(const GroupBody& body, char* out);
GroupBody DecodeGroupBody(const char* bytes);

struct FooterBody {
  GroupBody group;
  SequenceNumber first_sequence = 0;  // of the segment; > last_sequence: no record
  SequenceNumber last_sequence = 0;
  uint64_t digest = 0;  // of the frames before this one

  bool operator==(const FooterBody&) const = default;
};
inline constexpr uint32_t kFooterBodyBytes = kGroupBodyBytes + 24;

void EncodeFooterBody(const FooterBody& body, char* out);
FooterBody DecodeFooterBody(const char* bytes);

// Encodes a whole kGroup, kIdleMark or kFooter frame; the body is already at
// out + kFrameHeaderBytes.
void SealFrame(FrameHeader header, uint64_t segment_seed, uint64_t body_seed, uint64_t offset,
               char* out);

// Key and attributes, in front of a payload.
inline constexpr uint32_t kNoKey = 0xffffffff;
uint64_t ExtrasBytes(const AppendOptions& options);  // 0 if there are none
void EncodeExtras(const AppendOptions& options, char* out);

// One record inside a body, undecoded.
struct RecordView {
  std::optional<std::string_view> key;
  std::string_view attributes;  // encoded; walk with NextAttribute
  std::string_view payload;
};

// Splits a kRecord body. nullopt if it contradicts itself.
std::optional<RecordView> DecodeRecord(std::string_view body, uint8_t flags);

// The most records in one batch.
inline constexpr uint32_t kMaxBatchRecords = 0xffff;
inline constexpr uint32_t kBatchEntryHasExtras = 0x80000000;

// The i-th record of a kBatch body (i < count). nullopt if it contradicts itself.
std::optional<RecordView> DecodeBatchRecord(std::string_view body, uint16_t count, uint16_t i);

// Whether all `count` records of a kBatch body lie within it, and none contradicts itself.
bool IsConsistentBatch(std::string_view body, uint16_t count);

// Takes the first attribute off `encoded`. False at the end.
bool NextAttribute(std::string_view* encoded, Attribute* attribute);

// --- Slots --------------------------------------------------------------------

// The superblock and cursor checkpoints stand in two slots of one file, at
// offsets 0 and kBlockBytes; the valid one with the higher generation counts. The
// cursors that one process has open share a file of many such pairs (CURSORS).
inline constexpr size_t kSlotBytes = 256;

struct Superblock {
  LogId log_id = {};
  uint64_t generation = 0;
  uint64_t epoch = 1;
  SequenceNumber epoch_base = 0;  // marks of older epochs count up to here
  SequenceNumber first_retained = 1;
  uint64_t highest_segment = 0;  // possibly active; raised ahead of use
  SequenceNumber mark = 0;
  bool clean = false;  // closed in order
  // The highest segment whose header was durable when this was written; 0: not said.
  uint64_t begun_segment = 0;

  bool operator==(const Superblock&) const = default;
};

void EncodeSuperblock(const Superblock& superblock, int slot, std::span<char, kSlotBytes> out);
HeaderStatus DecodeSuperblock(std::span<const char, kSlotBytes> bytes, int slot,
                              Superblock* superblock);

inline constexpr size_t kMaxCursorNameBytes = 128;

struct CursorSlot {
  LogId log_id = {};
  uint64_t generation = 0;
  uint64_t epoch = 1;
  SequenceNumber committed = 0;
  // Where the next record was expected; a hint, checked before use. 0: none.
  uint64_t segment = 0;
  uint64_t incarnation = 0;
  uint64_t offset = 0;
  std::string_view name;  // points into the bytes decoded from
  // Of the cursor: random, drawn when it was created. 0: none, and no entry in CURSORS is its.
  uint64_t cursor_incarnation = 0;
  bool has_entry = false;  // in CURSORS, where a higher generation may stand
};

void EncodeCursorSlot(const CursorSlot& cursor, int slot, std::span<char, kSlotBytes> out);
HeaderStatus DecodeCursorSlot(std::span<const char, kSlotBytes> bytes, int slot,
                              CursorSlot* cursor);

}  // namespace millrace

#endif  // MILLRACE_WAL_FORMAT_H_
