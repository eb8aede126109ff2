#include "tests/realfs/crash_image.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

constexpr uint32_t kExt4BlockBytes = 4096;

bool IsFlush(const RecordedCall& call) { return call.kind == RecordedCall::Kind::kFlush; }

// Of each image, how likely a unit is to be kept: few images would keep all or none otherwise.
double DrawShare(std::mt19937_64& random) {
  constexpr double kShares[] = {0, 0.1, 0.5, 0.5, 0.5, 0.9, 1};
  return kShares[random() % std::size(kShares)];
}

// The superblock of ext4, and that of its journal, by its magic number and type (big-endian). Each
// bears one checksum over two sectors, and ext4 takes it to be written whole: it does not mount
// with half of one, which says nothing of a log.
bool IsSuperblock(uint64_t offset, const char* block, uint32_t bytes) {
  constexpr unsigned char kJournalSuperblock[] = {0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 4};
  return offset < kExt4BlockBytes ||
         (bytes >= sizeof kJournalSuperblock &&
          std::memcmp(block, kJournalSuperblock, sizeof kJournalSuperblock) == 0);
}

}  // namespace

uint64_t DrawCut(const DiskRecording& recording, std::mt19937_64& random) {
  const uint64_t calls = recording.position();
  uint64_t cut = random() % (calls + 1);
  if (random() % 2 == 0) {
    while (cut < calls && !IsFlush(recording.call(cut))) ++cut;
  }
  return cut;
}

CrashImage DrawImage(const DiskRecording& recording, uint64_t cut, std::mt19937_64& random,
                     std::span<char> disk) {
  CrashImage image;
  image.cut = cut;
  image.unit_bytes = random() % 2 == 0 ? 512 : 4096;
  uint64_t durable = cut;
  while (durable > 0 && !IsFlush(recording.call(durable - 1))) --durable;
  const double share = DrawShare(random);
  std::bernoulli_distribution keep(share);
  for (uint64_t i = 0; i < cut; ++i) {
    const RecordedCall& call = recording.call(i);
    if (IsFlush(call)) continue;
    const char* data = recording.data() + call.data;
    if (i < durable) {
      std::memcpy(disk.data() + call.offset, data, call.bytes);
      continue;
    }
    uint32_t unit = 0;
    for (uint32_t at = 0; at < call.bytes; at += unit) {
      unit = image.unit_bytes;
      if (IsSuperblock(call.offset + at, data + at, call.bytes - at)) unit = kExt4BlockBytes;
      unit = std::min(unit, call.bytes - at);
      ++image.units;
      if (!keep(random)) continue;
      ++image.units_kept;
      std::memcpy(disk.data() + call.offset + at, data + at, unit);
    }
  }
  return image;
}

}  // namespace millrace
