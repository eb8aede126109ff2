#include "tests/damage/damage_kinds.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "wal/format.h"

namespace millrace {
namespace {

constexpr uint64_t kSectorBytes = 512;

std::string BytesOf(const FlipLog& log, const FlipFile& file) {
  return *log.disk->ReadFileBytes(file.path);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t n) { return Next() % n; }
  std::string Bytes(size_t size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(Next());
    return bytes;
  }

 private:
  uint64_t state_;
};

// One file, and what is done to it.
class Maker {
 public:
  Maker(const FlipLog& log, const FlipFile& file, DamageVisitor visit)
      : file_(file), bytes_(BytesOf(log, file)), visit_(visit) {}

  const std::string& bytes() const { return bytes_; }

  void Replace(const std::string& what, uint64_t begin, std::string_view with) {
    if (begin >= bytes_.size()) return;
    std::string bytes = bytes_;
    bytes.replace(begin, std::min<uint64_t>(with.size(), bytes.size() - begin), with, 0,
                  std::min<uint64_t>(with.size(), bytes.size() - begin));
    Whole(absl::StrCat(what, " at ", begin), std::move(bytes));
  }

  void Whole(const std::string& what, std::optional<std::string> bytes) {
    if (bytes == bytes_) return;
    visit_({absl::StrCat(file_.path, ": ", what), &file_, std::move(bytes)});
  }

 private:
  const FlipFile& file_;
  const std::string bytes_;
  DamageVisitor visit_;
};

bool IsFrame(FlipRegion region) {
  return region == FlipRegion::kRecords || region == FlipRegion::kGroup ||
         region == FlipRegion::kIdleMark || region == FlipRegion::kFooter ||
         region == FlipRegion::kPaddingHeader;
}

bool MeansSomething(FlipRegion region) {
  return IsFrame(region) || region == FlipRegion::kHeaderCopy ||
         region == FlipRegion::kSuperblockSlot || region == FlipRegion::kCursorSlot ||
         region == FlipRegion::kAlignment;
}

// Begin and end of each frame, padding left out.
std::vector<std::pair<uint64_t, uint64_t>> FramesOf(const FlipFile& file) {
  std::vector<std::pair<uint64_t, uint64_t>> frames;
  for (const FlipRange& range : file.ranges) {
    if (IsFrame(range.region) && range.region != FlipRegion::kPaddingHeader) {
      frames.emplace_back(range.begin, RoundUp(range.end, kAlignment));
    }
  }
  return frames;
}

}  // namespace

void VisitBytes(const FlipLog& log, DamageVisitor visit) {
  Random random(1);
  for (const FlipFile& file : log.files) {
    Maker maker(log, file, visit);
    std::vector<uint64_t> places;
    for (const FlipRange& range : file.ranges) {
      // Inside a frame's header, too: sum, sequence, length, type, flags, count, body's sum.
      constexpr std::array<uint64_t, 8> kFields = {0, 8, 16, 20, 21, 22, 24, 32};
      for (const uint64_t field : kFields) {
        const bool fits = field == 0 || (IsFrame(range.region) && range.begin + field < range.end);
        if (!fits) continue;
        for (const uint64_t at :
             {range.begin + field - 1, range.begin + field, range.begin + field + 1}) {
          if (at < maker.bytes().size()) places.push_back(at);
        }
      }
    }
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
    for (const uint64_t at : places) {
      const char byte = maker.bytes()[at];
      const char bit = static_cast<char>(byte ^ (1 << random.Below(8)));
      const char any = static_cast<char>(random.Next());
      for (const char c : {bit, '\0', '\xff', static_cast<char>(~byte), any}) {
        maker.Replace("byte", at, std::string_view(&c, 1));
      }
    }
  }
}

void VisitSectors(const FlipLog& log, DamageVisitor visit) {
  Random random(2);
  for (const FlipFile& file : log.files) {
    Maker maker(log, file, visit);
    const std::string& bytes = maker.bytes();
    for (uint64_t at = 0; at < bytes.size(); at += kSectorBytes) {
      maker.Replace("sector of zeros", at, std::string(kSectorBytes, '\0'));
      maker.Replace("sector of ff", at, std::string(kSectorBytes, '\xff'));
      maker.Replace("random sector", at, random.Bytes(kSectorBytes));
      for (const uint64_t from : {at + kSectorBytes, at + kBlockBytes, kFramesOffset,
                                  random.Below(bytes.size()) / kSectorBytes * kSectorBytes}) {
        if (from < bytes.size())
          maker.Replace("moved sector", at, bytes.substr(from, kSectorBytes));
      }
      for (const FlipFile& other : log.files) {
        const std::string theirs = BytesOf(log, other);
        if (&other == &file || at >= theirs.size()) continue;
        maker.Replace("sector of " + other.path, at, theirs.substr(at, kSectorBytes));
      }
      for (const FlipRange& range : file.ranges) {
        if (range.begin <= at || range.begin >= at + kSectorBytes) continue;
        std::string stale = bytes.substr(at, kSectorBytes);
        std::fill(stale.begin() + static_cast<std::ptrdiff_t>(range.begin - at), stale.end(), '\0');
        maker.Replace("stale sector", at, stale);
      }
    }
  }
}

void VisitTruncations(const FlipLog& log, uint64_t stride, DamageVisitor visit) {
  for (const FlipFile& file : log.files) {
    Maker maker(log, file, visit);
    for (const FlipRange& range : file.ranges) {
      const uint64_t step = MeansSomething(range.region) ? stride : 16 * stride;
      for (uint64_t size = range.begin; size < range.end; ++size) {
        const uint64_t inside = size - range.begin;
        if (inside > 2 && range.end - size > 2 && inside % step != 0) continue;
        maker.Whole(absl::StrCat("cut to ", size), maker.bytes().substr(0, size));
      }
    }
  }
}

void VisitExtensions(const FlipLog& log, DamageVisitor visit) {
  Random random(3);
  for (const FlipFile& file : log.files) {
    Maker maker(log, file, visit);
    const std::string& bytes = maker.bytes();
    for (const size_t more : {1, 7, 8, 31, 32, 104, 512, 4095, 4096, 20000}) {
      maker.Whole(absl::StrCat(more, " zeros behind"), bytes + std::string(more, '\0'));
      maker.Whole(absl::StrCat(more, " random bytes behind"), bytes + random.Bytes(more));
      maker.Whole(absl::StrCat(more, " old bytes behind"),
                  bytes + bytes.substr(0, std::min(more, bytes.size())));
      const size_t end = std::min<size_t>(kFramesOffset, bytes.size());
      maker.Whole(absl::StrCat(more, " bytes of its frames behind"),
                  bytes + bytes.substr(end, more));
    }
  }
}

void VisitFrames(const FlipLog& log, const FlipLog& other, DamageVisitor visit) {
  for (size_t f = 0; f < log.files.size(); ++f) {
    const FlipFile& file = log.files[f];
    Maker maker(log, file, visit);
    const std::string& bytes = maker.bytes();
    const auto frames = FramesOf(file);
    const std::string theirs = f < other.files.size() ? BytesOf(other, other.files[f]) : "";
    for (size_t i = 0; i < frames.size(); ++i) {
      const auto [begin, end] = frames[i];
      const std::string frame = bytes.substr(begin, end - begin);
      const std::string number = absl::StrCat(" frame ", i);
      const auto with = [&](uint64_t at, uint64_t count, const std::string& insert) {
        std::string changed = bytes;
        return changed.replace(at, count, insert);
      };
      maker.Whole("twice" + number, with(end, 0, frame));
      maker.Whole("left out" + number, with(begin, end - begin, ""));
      maker.Whole("left out, and as much behind," + number,
                  with(begin, end - begin, "") + std::string(end - begin, '\0'));
      maker.Whole("zeroed" + number, with(begin, end - begin, std::string(end - begin, '\0')));
      if (i + 1 < frames.size()) {
        const auto [next_begin, next_end] = frames[i + 1];
        const std::string next = bytes.substr(next_begin, next_end - next_begin);
        maker.Replace("written over the next" + number, next_begin, frame);
        maker.Replace("written over by the next" + number, begin, next);
        if (next_begin == end) {
          maker.Whole("swapped" + number, with(begin, next_end - begin, next + frame));
        }
      }
      if (end <= theirs.size()) {
        maker.Replace("another log's" + number, begin, theirs.substr(begin, end - begin));
      }
    }
  }
}

void VisitFiles(const FlipLog& log, const FlipLog& other, DamageVisitor visit) {
  Random random(4);
  for (size_t f = 0; f < log.files.size(); ++f) {
    const FlipFile& file = log.files[f];
    Maker maker(log, file, visit);
    const size_t size = maker.bytes().size();
    maker.Whole("gone", std::nullopt);
    maker.Whole("empty", "");
    maker.Whole("zeros", std::string(size, '\0'));
    maker.Whole("ff", std::string(size, '\xff'));
    maker.Whole("garbage", random.Bytes(size));
    for (const FlipFile& another : log.files) {
      if (another.segment != 0 && file.segment != 0) {
        maker.Whole("a copy of " + another.path, BytesOf(log, another));
      }
    }
    if (f < other.files.size()) maker.Whole("another log's", BytesOf(other, other.files[f]));
  }
}

void VisitRandom(const FlipLog& log, uint64_t seed, uint64_t count, DamageVisitor visit) {
  Random random(seed);
  for (uint64_t i = 0; i < count; ++i) {
    const FlipFile& file = log.files[random.Below(log.files.size())];
    Maker maker(log, file, visit);
    std::string bytes = maker.bytes();
    if (bytes.empty()) continue;
    for (uint64_t run = 1 + random.Below(3); run > 0; --run) {
      const uint64_t at = random.Below(bytes.size());
      const uint64_t size =
          std::min<uint64_t>(bytes.size() - at, 1 + random.Below(1 << random.Below(12)));
      switch (random.Below(3)) {
        case 0:
          bytes.replace(at, size, random.Bytes(size));
          break;
        case 1:
          bytes.replace(at, size, size, '\0');
          break;
        default:
          bytes.replace(at, size,
                        maker.bytes().substr(random.Below(bytes.size() - size + 1), size));
          break;
      }
    }
    maker.Whole(absl::StrCat("random damage, seed ", seed, " case ", i), std::move(bytes));
  }
}

}  // namespace millrace
