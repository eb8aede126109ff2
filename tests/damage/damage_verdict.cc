// The oracle: what the files' bytes alone say, by the rules of FORMAT.md.

#include <algorithm>
#include <span>
#include <string_view>

#include "tests/damage/damaged_log.h"
#include "wal/format.h"

namespace millrace {
namespace {

// Bytes that would stand beyond the end of the file count as zero.
std::string BlockAt(std::string_view bytes, uint64_t at) {
  std::string block(bytes.substr(std::min<uint64_t>(at, bytes.size()), kSlotBytes));
  block.resize(kSlotBytes, '\0');
  return block;
}

bool AllZero(std::string_view bytes) { return bytes.find_first_not_of('\0') == bytes.npos; }

class DamageJudge {
 public:
  DamageJudge(const FlipLog& log, const Damage& damage) : log_(log), damage_(damage) {
    present_.resize(log.last());
  }

  Verdict Judge() {
    const FlipFile* newest = nullptr;
    for (const FlipFile& file : log_.files) {
      if (IsSegment(file)) newest = &file;
    }
    for (const FlipFile& file : log_.files) {
      if (file.segment == 0) TakeSlots(file);
    }
    for (const FlipFile& file : log_.files) {
      if (IsSegment(file)) TakeSegment(file, &file == newest);
    }
    Decide();
    return verdict_;
  }

 private:
  static bool IsSegment(const FlipFile& file) {
    return std::any_of(file.ranges.begin(), file.ranges.end(),
                       [](const FlipRange& r) { return r.region == FlipRegion::kGroup; });
  }

  std::string Original(const FlipFile& file) const { return *log_.disk->ReadFileBytes(file.path); }
  std::optional<std::string> Now(const FlipFile& file) const {
    return &file == damage_.file ? damage_.bytes : Original(file);
  }

  // Of a whole frame, the zeros behind it must be within the file, and are not looked at.
  static bool Intact(const FlipRange& range, std::string_view then, std::string_view now) {
    return now.size() >= RoundUp(range.end, kAlignment) &&
           then.substr(range.begin, range.end - range.begin) ==
               now.substr(range.begin, range.end - range.begin);
  }

  static bool Vouches(FlipRegion region) {
    return region == FlipRegion::kGroup || region == FlipRegion::kIdleMark ||
           region == FlipRegion::kFooter;
  }

  void TakeSegment(const FlipFile& file, bool newest) {
    const std::string then = Original(file);
    const std::optional<std::string> now = Now(file);
    bool identified = false;
    if (now.has_value()) {
      for (const int copy : {0, 1}) {
        const std::string block = BlockAt(*now, copy * kBlockBytes);
        if (block != BlockAt(then, copy * kBlockBytes)) continue;
        SegmentHeader header;
        DecodeSegmentHeader(std::span<const char, kSlotBytes>(block.data(), kSlotBytes), copy,
                            &header);
        verdict_.mark = std::max(verdict_.mark, header.mark);
        identified = true;
      }
      for (const FlipRange& range : file.ranges) {
        if (Vouches(range.region) && Intact(range, then, *now)) identified = true;
      }
    }
    // The successor's header names any but the newest one, and its incarnation.
    if (newest && !identified) {
      verdict_.newest_lost = LostForSure(now);
      return;
    }
    if (!now.has_value()) return;
    for (const FlipRange& range : file.ranges) {
      if (!Intact(range, then, *now)) continue;
      if (range.region == FlipRegion::kRecords) {
        for (SequenceNumber s = range.first; s <= range.last; ++s) present_[s - 1] = true;
      } else if (Vouches(range.region)) {
        const GroupBody group = DecodeGroupBody(&then[range.begin + kFrameHeaderBytes]);
        verdict_.mark = std::max(verdict_.mark, group.mark);
      }
    }
  }

  // The file prepared behind the newest segment, or the superblock, says that it had been
  // begun. What is damaged could be a header torn by a power cut, if it had just been.
  bool LostForSure(const std::optional<std::string>& now) const {
    if (closed_) return false;
    if (!now.has_value()) return true;
    for (const int copy : {0, 1}) {
      const std::string block = BlockAt(*now, copy * kBlockBytes);
      SegmentHeader header;
      // (A prepared header of its own number would be one that waits to be begun.)
      if (DecodeSegmentHeader(std::span<const char, kSlotBytes>(block.data(), kSlotBytes), copy,
                              &header) == HeaderStatus::kValid) {
        return true;
      }
    }
    return AllZero(BlockAt(*now, 0)) && AllZero(BlockAt(*now, kBlockBytes)) &&
           (now->size() <= kFramesOffset || AllZero(std::string_view(*now).substr(kFramesOffset)));
  }

  void TakeSlots(const FlipFile& file) {
    const std::string then = Original(file);
    const std::string now = Now(file).value_or("");
    const bool superblock = file.path.ends_with("/LOG");
    uint64_t generation = 0;
    SequenceNumber mark = 0;
    for (const int slot : {0, 1}) {
      const std::string block = BlockAt(now, slot * kBlockBytes);
      if (block != BlockAt(then, slot * kBlockBytes)) continue;
      const std::span<const char, kSlotBytes> bytes(block.data(), kSlotBytes);
      Superblock s;
      CursorSlot c;
      const bool valid = superblock ? DecodeSuperblock(bytes, slot, &s) == HeaderStatus::kValid
                                    : DecodeCursorSlot(bytes, slot, &c) == HeaderStatus::kValid;
      if (!valid || (superblock ? s.generation : c.generation) <= generation) continue;
      generation = superblock ? s.generation : c.generation;
      mark = superblock ? s.mark : c.committed;
      if (superblock) closed_ = s.clean;
    }
    verdict_.mark = std::max(verdict_.mark, mark);
  }

  void Decide() {
    const SequenceNumber end = log_.last();
    SequenceNumber last_present = 0;
    for (SequenceNumber s = 1; s <= end; ++s) {
      if (present_[s - 1]) last_present = s;
    }
    verdict_.read.resize(end);
    verdict_.lost.resize(end);
    bool cut = false;
    for (SequenceNumber s = 1; s <= end; ++s) {
      if (!present_[s - 1] && s > verdict_.mark) cut = true;
      verdict_.read[s - 1] = present_[s - 1] && !cut;
      // Behind the cut, what stands before an intact record was written and is reported; the
      // rest is a torn write as far as anybody can tell.
      verdict_.lost[s - 1] = !verdict_.read[s - 1] && (s <= verdict_.mark || s <= last_present);
    }
  }

  const FlipLog& log_;
  const Damage& damage_;
  std::vector<bool> present_;
  Verdict verdict_;
  bool closed_ = false;
};

}  // namespace

SequenceNumber Verdict::last_read() const {
  const auto last = std::find(read.rbegin(), read.rend(), true);
  return static_cast<SequenceNumber>(read.rend() - last);
}

bool Verdict::Refused() const {
  return newest_lost || std::find(lost.begin(), lost.end(), true) != lost.end();
}

Verdict JudgeDamage(const FlipLog& log, const Damage& damage) {
  return DamageJudge(log, damage).Judge();
}

}  // namespace millrace
