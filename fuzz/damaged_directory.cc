#include "fuzz/damaged_directory.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "fuzz/fuzzed_cursors.h"
#include "tests/segment_builder.h"
#include "wal/format.h"
#include "wal/segment_name.h"
#include "wal/stored_cursor.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

using Files = DamagedDirectory::Files;

constexpr int kSegments = 3;
constexpr int kRecords = 4;  // in each

SegmentHeader Header(uint64_t number, const Predecessor& predecessor) {
  SegmentHeader header;
  header.log_id = DamagedLogId();
  header.number = number;
  header.incarnation = 70 + number;
  header.first_sequence = predecessor.last_sequence + 1;
  header.mark = predecessor.last_sequence;
  header.capacity = kFramesOffset + 16384;
  header.predecessor = predecessor;
  return header;
}

Superblock BaseSuperblock() {
  Superblock superblock;
  superblock.log_id = DamagedLogId();
  superblock.generation = 2;
  superblock.mark = kSegments * kRecords;
  superblock.highest_segment = 8;
  return superblock;
}

std::string SuperblockFileBytes(const Superblock& superblock) {
  std::string bytes(2 * kBlockBytes, '\0');
  EncodeSuperblock(superblock, 0, std::span<char, kSlotBytes>(bytes.data(), kSlotBytes));
  return bytes;
}

// Twelve records in three segments, the last closed in order or torn.
Files ValidLog(bool closed) {
  Files files;
  Predecessor predecessor;
  for (uint64_t number = 1; number <= kSegments; ++number) {
    SegmentBuilder segment(Header(number, predecessor));
    segment.Group(predecessor.last_sequence);
    for (int i = 0; i < kRecords; ++i) segment.Record(DamagedPayload(segment.next()));
    predecessor = segment.AsPredecessor();
    if (number == kSegments && closed) segment.Footer();
    if (number == kSegments && !closed) segment.IdleMark();
    files[SegmentName(number)] = segment.Bytes();
  }
  files[std::string(kSuperblockName)] = SuperblockFileBytes(BaseSuperblock());
  return files;
}

std::string FileName(uint64_t which) {
  if (which % 16 == 15) return std::string(kSharedCheckpointsName);
  switch (which % 8) {
    case 6:
      return std::string(kSuperblockName);
    case 7:
      return "c.cursor";
    default:
      return SegmentName(which % 8 + 1);
  }
}

// Sets one field of a header or superblock, with checksums that hold.
void Forge(FuzzInput& input, Files& files) {
  const std::string name = FileName(input.Number(1));
  const uint64_t field = input.Number(1) % 11;
  // No log begins so many epochs that they would run out.
  const uint64_t value = input.Number(8) >> (field == 1 || field == 2 ? 1 : 0);
  if (name == kSuperblockName) {
    Superblock superblock = BaseSuperblock();
    uint64_t* const fields[] = {&superblock.generation,      &superblock.epoch,
                                &superblock.epoch_base,      &superblock.first_retained,
                                &superblock.highest_segment, &superblock.mark};
    *fields[field % 6] = value;
    files[name] = SuperblockFileBytes(superblock);
    return;
  }
  if (name == kSharedCheckpointsName || name == "c.cursor") {
    ForgeCursor(DamagedLogId(), field, value, files[name]);
    return;
  }
  std::string& bytes = files[name];
  if (bytes.size() < kFramesOffset) return;
  SegmentHeader header;
  const std::span<const char, kSegmentHeaderBytes> first(bytes.data(), kSegmentHeaderBytes);
  if (DecodeSegmentHeader(first, 0, &header) != HeaderStatus::kValid) return;
  Predecessor& p = header.predecessor;
  uint64_t* const fields[] = {&header.number,
                              &header.incarnation,
                              &header.epoch,
                              &header.first_sequence,
                              &header.mark,
                              &header.first_retained,
                              &header.capacity,
                              &p.number,
                              &p.incarnation,
                              &p.last_sequence,
                              &p.cut};
  *fields[field] = value;
  for (int copy = 0; copy < 2; ++copy) {
    EncodeSegmentHeader(header, copy,
                        std::span<char, kSegmentHeaderBytes>(bytes.data() + copy * kBlockBytes,
                                                             kSegmentHeaderBytes));
  }
}

// Sizes beyond what is read at once are rare: each costs as much as many inputs.
uint64_t FewOrMany(uint64_t size) { return size % 16 == 0 ? size : size % 3000; }

// Anywhere, or among the frames of a segment, of which most is header.
uint64_t Place(uint64_t number, uint64_t size) {
  if (number < 0x8000 || size <= kFramesOffset) return number % size;
  return kFramesOffset + number % (size - kFramesOffset);
}

// Applies one edit. True if it was honest damage, which forges nothing.
bool Edit(FuzzInput& input, Files& files) {
  const uint64_t kind = input.Number(1) % 8;
  if (kind == 7) {
    Forge(input, files);
    return false;
  }
  std::string& bytes = files[FileName(input.Number(1))];
  const uint64_t offset = bytes.empty() ? 0 : Place(input.Number(2), bytes.size());
  switch (kind) {
    case 0:
      if (!bytes.empty()) bytes[offset] ^= static_cast<char>(1 << input.Number(1) % 8);
      break;
    case 1: {
      // What it says, or sectors that came back as zeros.
      const uint64_t size = input.Number(1);
      const std::string over = size < 128 ? input.Bytes(size) : std::string(8 * (size - 127), '\0');
      if (!bytes.empty()) bytes.replace(offset, over.size(), over);
      break;
    }
    case 2:
      bytes.resize(offset);
      break;
    case 3: {
      const uint64_t size = FewOrMany(input.Number(2));
      bytes.append(size, static_cast<char>(input.Number(1)));
      break;
    }
    case 4:
      files.erase(FileName(input.Number(1)));
      break;
    case 5: {
      const std::string copy = bytes;
      files[FileName(input.Number(1))] = copy;
      break;
    }
    case 6: {
      const uint64_t removed = std::min<uint64_t>(bytes.size() - offset, input.Number(2));
      bytes.replace(offset, removed, FewOrMany(input.Number(2)), '\0');
      break;
    }
  }
  return true;
}

}  // namespace

LogId DamagedLogId() {
  LogId id;
  id.fill('d');
  return id;
}

std::string DamagedPayload(SequenceNumber s) {
  return "payload of " + std::to_string(s) + " " + std::string(s * 7, 'p');
}

DamagedDirectory DamageLog(FuzzInput& input) {
  static const Files& closed = *new Files(ValidLog(true));
  static const Files& torn = *new Files(ValidLog(false));
  DamagedDirectory damaged;
  damaged.files = input.Number(1) % 2 == 0 ? closed : torn;
  for (int edits = 0; edits < 32 && !input.empty(); ++edits) {
    if (!Edit(input, damaged.files)) damaged.honest = false;
  }
  return damaged;
}

}  // namespace millrace
