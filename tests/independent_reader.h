#ifndef MILLRACE_INDEPENDENT_READER_H_
#define MILLRACE_INDEPENDENT_READER_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#define XXH_INLINE_ALL
#include "xxhash.h"

// A second reader, written from FORMAT.md alone: it shares nothing with the library,
// and nothing but the page says what it does. If the two ever disagree about a log, one of
// them or the page is wrong. Meant to be short, not fast or careful with memory.

namespace independent {

using Files = std::map<std::string, std::string>;  // name and content

inline uint64_t U(const std::string& s, uint64_t at, int bytes) {
  uint64_t value = 0;
  if (at + bytes <= s.size()) std::memcpy(&value, s.data() + at, bytes);
  return value;
}

inline uint64_t Sum(const std::string& s, uint64_t at, uint64_t bytes, uint64_t seed) {
  const uint64_t sum = XXH3_64bits_withSeed(s.data() + at, bytes, seed);
  return sum == 0 ? 1 : sum;
}

// The 256 bytes at copy * 4096 if they are a valid block.
inline std::optional<std::string> Block(const std::string& file, int copy, const char* magic,
                                        uint64_t seed) {
  if (file.size() < copy * 4096u) return std::nullopt;
  std::string block = file.substr(copy * 4096, 256);
  block.resize(256);
  const bool valid = U(block, 0, 8) == Sum(block, 8, 248, seed + copy) &&
                     block.compare(8, 8, magic) == 0 && U(block, 16, 4) == 1 &&
                     U(block, 248, 8) == 0;
  return valid ? std::optional(block) : std::nullopt;
}

// Of two slots the valid one of the higher generation; each has its place.
inline std::optional<std::string> Slot(const std::string& file, const char* magic, uint64_t seed) {
  const auto valid = [&](int slot) {
    auto block = Block(file, slot, magic, seed);
    const uint64_t generation = block ? U(*block, 40, 8) : 0;
    if (generation == 0 || generation + 1 == 0 || generation % 2 != uint64_t(slot)) block.reset();
    if (block && block->compare(8, 8, "MILLRCUR") == 0 && U(*block, 20, 4) > 128) block.reset();
    return block;
  };
  const auto a = valid(0);
  const auto b = valid(1);
  if (!a || !b) return a ? a : b;
  return U(*a, 40, 8) > U(*b, 40, 8) ? a : b;
}

// The valid block of CURSORS at `at`, if there is one.
inline std::vector<std::string> SharedBlock(const std::string& file, uint64_t at) {
  const int slot = static_cast<int>(at / 4096 % 2);
  std::string pair(slot * 4096u, '\0');
  pair += file.substr(at, 256);
  const auto block = Slot(pair, "MILLRCUR", 0x6d696c6c63757200);
  return block ? std::vector<std::string>{*block} : std::vector<std::string>();
}

// Cursor `name`'s committed by its own file and CURSORS; nullopt if it is damaged.
inline std::optional<uint64_t> CursorCommitted(const Files& files, const std::string& name) {
  auto newest = Slot(files.at(name + ".cursor"), "MILLRCUR", 0x6d696c6c63757200);
  if (!newest) return std::nullopt;
  const std::string own = *newest;
  const std::string shared = files.count("CURSORS") > 0 ? files.at("CURSORS") : "";
  for (uint64_t at = 0; at < shared.size() && U(own, 216, 8) != 0; at += 4096) {
    for (const std::string& block : SharedBlock(shared, at)) {
      const uint64_t name_bytes = U(own, 20, 4);
      const bool same = block.substr(20, 20) == own.substr(20, 20) &&  // name's size, log id
                        block.substr(88, name_bytes) == own.substr(88, name_bytes) &&
                        U(block, 216, 8) == U(own, 216, 8);
      if (same && U(block, 40, 8) > U(*newest, 40, 8)) newest = block;
    }
  }
  return U(*newest, 56, 8);
}

class Reader {
 public:
  // Each number from the first kept to the last: "n key attributes payload", or "n lost".
  std::vector<std::string> Read(const Files& files);

 private:
  struct Segment {
    uint64_t number = 0, incarnation = 0, epoch = 1, first = 0;  // first 0: unknown
    std::string header;                                          // empty if both copies are lost
    std::string bytes;
  };
  struct Frame {
    uint64_t sequence = 0, body_bytes = 0, bytes = 0;
    int type = 0, flags = 0, count = 0;
    bool header_valid = false, valid = false;
  };
  using Lines = std::map<uint64_t, std::string>;

  uint64_t SegmentSeed(uint64_t number, uint64_t incarnation) const;
  Frame At(const Segment& s, uint64_t at, uint64_t end) const;
  bool Extras(const std::string& record, std::string* line) const;
  bool TakeRecords(const Frame& f, const std::string& body, Lines* lines) const;
  uint64_t Scan(const Segment& s, uint64_t end, uint64_t below, bool cut_known, Lines* lines);
  void FindIdentity(Segment* s) const;
  void TakeSegments(const Files& files);
  std::optional<std::string> Identify(const Files& files);
  void TakeHeaders();
  void TakeCursor(const std::string& slot);
  void TakeCursors(const Files& files);
  void TakeEpochBase(const std::optional<std::string>& superblock);
  // The first number that no longer counts in the segment.
  uint64_t Above(const Segment& s) const;
  std::map<uint64_t, Segment>::iterator Lower(std::map<uint64_t, Segment>::iterator it);
  std::map<uint64_t, Segment>::iterator Newest();
  // Whether records in the file say that it is the predecessor that `header` names.
  bool FramesMatch(const std::string& header);
  Lines FollowChain();
  void Mark(uint64_t epoch, uint64_t mark) { marks_.emplace_back(epoch, mark); }

  std::map<uint64_t, std::string> all_;  // files named as segments
  std::map<uint64_t, Segment> segments_;
  std::string log_id_;
  uint64_t epoch_ = 1, first_retained_ = 1;
  std::optional<uint64_t> epoch_base_;
  std::vector<std::pair<uint64_t, uint64_t>> bases_;  // epoch and base
  std::vector<std::pair<uint64_t, uint64_t>> marks_;
};

inline uint64_t Reader::SegmentSeed(uint64_t number, uint64_t incarnation) const {
  std::string bytes = log_id_;
  bytes.append(reinterpret_cast<const char*>(&number), 8);
  bytes.append(reinterpret_cast<const char*>(&incarnation), 8);
  return XXH3_64bits_withSeed(bytes.data(), 32, 0x6d696c6c6672616d);
}

inline Reader::Frame Reader::At(const Segment& s, uint64_t at, uint64_t end) const {
  Frame f;
  if (at + 32 > end || U(s.bytes, at, 8) == 0) return f;
  const uint64_t seed = SegmentSeed(s.number, s.incarnation) ^ (at * 0x9e3779b97f4a7c15);
  if (U(s.bytes, at, 8) != Sum(s.bytes, at + 8, 24, seed)) return f;
  f.sequence = U(s.bytes, at + 8, 8);
  f.body_bytes = U(s.bytes, at + 16, 4);
  f.type = static_cast<int>(U(s.bytes, at + 20, 1));
  f.flags = static_cast<int>(U(s.bytes, at + 21, 1));
  f.count = static_cast<int>(U(s.bytes, at + 22, 2));
  f.bytes = 32 + (f.body_bytes + 7) / 8 * 8;
  const uint64_t body_size = f.type == 5 ? 72 : f.type == 3 || f.type == 4 ? 48 : f.body_bytes;
  const bool count_fits = f.type == 1 ? f.count == 1 : f.type == 2 ? f.count >= 1 : f.count == 0;
  f.header_valid = at + f.bytes <= end && count_fits && body_size == f.body_bytes &&
                   f.sequence >= 1 && f.sequence <= uint64_t{1} << 56;
  if (!f.header_valid) return f;
  const uint64_t body_seed = XXH3_64bits_withSeed(log_id_.data(), 16, 0x6d696c6c626f6479);
  f.valid = f.type == 6 || U(s.bytes, at + 24, 8) == Sum(s.bytes, at + 32, f.body_bytes, body_seed);
  if (f.valid && f.type >= 3 && f.type <= 5) {
    f.valid = U(s.bytes, at + 32, 8) == s.number && U(s.bytes, at + 40, 8) == s.incarnation &&
              U(s.bytes, at + 64, 8) < f.sequence && U(s.bytes, at + 72, 8) <= f.sequence;
  }
  return f;
}

inline bool Reader::Extras(const std::string& record, std::string* line) const {
  const uint64_t extras = U(record, 0, 4), key = U(record, 4, 4);
  if (record.size() < 8 || extras < 8 || extras > record.size()) return false;
  uint64_t at = 8;
  if (key != 0xffffffff) {
    if (key > extras - at) return false;
    *line += " key=" + record.substr(at, key);
    at += key;
  }
  while (at < extras) {
    const uint64_t name = U(record, at, 4), value = U(record, at + 4, 4);
    if (extras - at < 8 || name + value > extras - at - 8) return false;
    *line += " " + record.substr(at + 8, name) + "=" + record.substr(at + 8 + name, value);
    at += 8 + name + value;
  }
  *line += " " + record.substr(extras);
  return true;
}

// False if the body contradicts itself.
inline bool Reader::TakeRecords(const Frame& f, const std::string& body, Lines* lines) const {
  Lines taken;
  uint64_t at = f.type == 2 ? 4u * f.count : 0;
  if (at > body.size()) return false;
  for (int i = 0; i < f.count; ++i) {
    const uint64_t entry = U(body, 4 * i, 4);
    const uint64_t bytes = f.type == 2 ? entry & 0x7fffffff : body.size();
    const bool extras = f.type == 2 ? entry >> 31 : f.flags & 1;
    if (bytes > body.size() - at) return false;
    const std::string record = body.substr(at, bytes);
    std::string line = std::to_string(f.sequence + i);
    if (!extras) line += " " + record;
    if (extras && !Extras(record, &line)) return false;
    taken[f.sequence + i] = line;
    at += bytes;
  }
  lines->insert(taken.begin(), taken.end());
  return true;
}

// Numbers from `below` on are not taken. Without a successor that names the cut, what
// stands behind a hole counts only if a mark of this segment vouches for the hole.
// Returns the segment's first number.
inline uint64_t Reader::Scan(const Segment& s, uint64_t end, uint64_t below, bool cut_known,
                             Lines* lines) {
  uint64_t first_number = s.first, expected = s.first, at = 8192, hole = 0;
  uint64_t mark = s.header.empty() ? 0 : U(s.header, 72, 8);
  std::vector<std::pair<uint64_t, uint64_t>> holes;  // first and last number missing
  Lines taken;
  while (at + 32 <= end) {
    const Frame f = At(s, at, end);
    const bool in_sequence =
        expected == 0 || f.sequence == expected ||
        (hole > 0 && f.sequence > expected && f.sequence - expected <= (at - hole) / 4);
    if (!f.valid || !in_sequence || f.sequence > below || f.sequence + f.count > below ||
        (f.count > 0 && !TakeRecords(f, s.bytes.substr(at + 32, f.body_bytes), &taken))) {
      if (hole == 0) hole = at;
      at += f.header_valid ? f.bytes : 8;
      continue;
    }
    if (f.type >= 3 && f.type <= 5) {
      mark = std::max(mark, U(s.bytes, at + 64, 8));
      Mark(U(s.bytes, at + 48, 8), U(s.bytes, at + 64, 8));
      first_retained_ = std::max(first_retained_, U(s.bytes, at + 72, 8));
    }
    if (expected == 0) first_number = f.sequence;
    if (expected != 0 && f.sequence > expected) holes.emplace_back(expected, f.sequence - 1);
    expected = f.sequence + f.count;
    at += f.bytes;
    hole = 0;
  }
  for (const auto& [first, last] : holes) {
    if (!cut_known && last > mark) taken.erase(taken.lower_bound(first), taken.end());
  }
  lines->insert(taken.begin(), taken.end());
  return first_number;
}

inline void Reader::FindIdentity(Segment* s) const {
  for (uint64_t at = 8192; at + 80 <= s->bytes.size(); at += 8) {
    if (U(s->bytes, at + 32, 8) != s->number) continue;
    Segment guess = *s;
    guess.incarnation = U(s->bytes, at + 40, 8);
    const Frame f = At(guess, at, s->bytes.size());
    if (!f.valid || f.type < 3 || f.type > 5) continue;
    s->incarnation = guess.incarnation;
    s->epoch = U(s->bytes, at + 48, 8);
    return;
  }
}

inline void Reader::TakeSegments(const Files& files) {
  for (const auto& [name, bytes] : files) {
    if (name.size() != 24 || name.substr(20) != ".seg") continue;
    Segment s;
    s.number = std::stoull(name.substr(0, 20));
    s.bytes = bytes;
    int best = -1;
    for (int copy = 0; copy < 2; ++copy) {
      const auto header = Block(bytes, copy, "MILLRACE", 0x6d696c6c73656700);
      const bool sound =
          header && U(*header, 40, 8) > U(*header, 96, 8) && U(*header, 64, 8) > U(*header, 112, 8);
      if (!sound) continue;
      const bool own = U(*header, 40, 8) == s.number;
      const bool active = U(*header, 20, 4) == 1;
      const int rank = (own ? 2 : 0) + (active ? 1 : 0);
      if (rank > best) s.header = *header;
      best = std::max(best, rank);
    }
    segments_[s.number] = s;
    all_[s.number] = bytes;
  }
}

// The superblock, if it is this log's.
inline std::optional<std::string> Reader::Identify(const Files& files) {
  using Votes = std::array<uint64_t, 3>;  // active ones, prepared ones, the highest number
  std::map<std::string, Votes> votes;
  for (const auto& [number, s] : segments_) {
    if (s.header.empty() || U(s.header, 40, 8) != number) continue;
    Votes& v = votes[s.header.substr(24, 16)];
    ++v[U(s.header, 20, 4) == 1 ? 0 : 1];
    v[2] = number;
  }
  std::optional<std::string> superblock;
  if (files.count("LOG") > 0) superblock = Slot(files.at("LOG"), "MILLRLOG", 0x6d696c6c6c6f6700);
  if (superblock && (votes.empty() || votes.count(superblock->substr(24, 16)) > 0)) {
    log_id_ = superblock->substr(24, 16);
    return superblock;
  }
  Votes most = {};
  for (const auto& [id, v] : votes) {
    if (v > most) log_id_ = id;
    most = std::max(most, v);
  }
  for (auto it = files.begin(); votes.empty() && log_id_.empty() && it != files.end(); ++it) {
    if (!it->first.ends_with(".cursor")) continue;
    const auto slot = Slot(it->second, "MILLRCUR", 0x6d696c6c63757200);
    if (slot) log_id_ = slot->substr(24, 16);
  }
  return std::nullopt;
}

// Leaves the active segments of the log.
inline void Reader::TakeHeaders() {
  std::map<uint64_t, Segment> active;
  for (auto& [number, s] : segments_) {
    if (s.header.empty()) {
      FindIdentity(&s);
      if (s.incarnation == 0) continue;
    } else {
      if (U(s.header, 20, 4) != 1 || s.header.substr(24, 16) != log_id_ ||
          U(s.header, 40, 8) != number) {
        continue;
      }
      s.incarnation = U(s.header, 48, 8);
      s.epoch = U(s.header, 56, 8);
      s.first = U(s.header, 64, 8);
      Mark(s.epoch, U(s.header, 72, 8));
      first_retained_ = std::max(first_retained_, U(s.header, 80, 8));
    }
    epoch_ = std::max(epoch_, s.epoch);
    active[number] = s;
  }
  segments_ = active;
}

inline void Reader::TakeCursor(const std::string& slot) {
  if (U(slot, 56, 8) >= uint64_t{1} << 56) return;
  epoch_ = std::max(epoch_, U(slot, 48, 8));
  Mark(U(slot, 48, 8), U(slot, 56, 8));
}

inline void Reader::TakeCursors(const Files& files) {
  for (const auto& [name, bytes] : files) {
    if (name.size() <= 7 || name.substr(name.size() - 7) != ".cursor") continue;
    const auto slot = Slot(bytes, "MILLRCUR", 0x6d696c6c63757200);
    if (!slot || slot->substr(24, 16) != log_id_) continue;
    TakeCursor(*slot);
  }
  const std::string shared = files.count("CURSORS") > 0 ? files.at("CURSORS") : "";
  for (uint64_t at = 0; at < std::min<uint64_t>(shared.size(), 1 << 29); at += 4096) {
    for (const std::string& block : SharedBlock(shared, at)) {
      if (block.substr(24, 16) == log_id_) TakeCursor(block);
    }
  }
}

inline void Reader::TakeEpochBase(const std::optional<std::string>& superblock) {
  uint64_t highest = 0;
  for (const auto& [number, s] : segments_) {
    if (s.header.empty() || s.epoch < highest || U(s.header, 160, 8) == 0) continue;
    highest = s.epoch;
    bases_.clear();
    for (uint64_t at = 160; at < 240; at += 16) {
      if (U(s.header, at, 8) > 0) bases_.emplace_back(U(s.header, at, 8), U(s.header, at + 8, 8));
    }
  }
  if (superblock && U(*superblock, 48, 8) == epoch_) {
    epoch_base_ = U(*superblock, 56, 8);
    return;
  }
  for (const auto& [epoch, base] : bases_) {
    if (epoch == epoch_) epoch_base_ = base;
  }
  for (const auto& [number, s] : segments_) {
    if (s.header.empty() || s.epoch != epoch_) continue;
    const uint64_t last = U(s.header, 112, 8);
    epoch_base_ = std::min(epoch_base_.value_or(last), last);
  }
}

inline uint64_t Reader::Above(const Segment& s) const {
  uint64_t above = s.epoch < epoch_ && epoch_base_ ? *epoch_base_ + 1 : uint64_t{1} << 57;
  for (const auto& [epoch, base] : bases_) {
    if (epoch > s.epoch) above = std::min(above, base + 1);
  }
  return above;
}

// The next one below `it` that the live epoch does not pass over; the end if there is none.
inline std::map<uint64_t, Reader::Segment>::iterator Reader::Lower(
    std::map<uint64_t, Segment>::iterator it) {
  while (it != segments_.begin()) {
    --it;
    if (it->second.first < Above(it->second)) return it;
  }
  return segments_.end();
}

// The last segment: not one without headers of which nothing counts.
inline std::map<uint64_t, Reader::Segment>::iterator Reader::Newest() {
  auto it = Lower(segments_.end());
  while (it != segments_.end() && it->second.header.empty()) {
    const Segment& s = it->second;
    const size_t marks = marks_.size();
    Lines lines;
    Scan(s, s.bytes.size(), Above(s), true, &lines);
    if (!lines.empty() || marks_.size() > marks) break;
    it = Lower(it);
  }
  return it;
}

inline bool Reader::FramesMatch(const std::string& header) {
  Segment s;
  s.number = U(header, 96, 8);
  s.incarnation = U(header, 104, 8);
  s.bytes = all_[s.number];
  Lines lines;
  const auto marks = marks_;
  const uint64_t first_retained = first_retained_;
  Scan(s, std::min<uint64_t>(U(header, 120, 8), s.bytes.size()), U(header, 112, 8) + 1, true,
       &lines);
  marks_ = marks;
  first_retained_ = first_retained;
  if (!lines.empty()) segments_[s.number] = s;
  return !lines.empty();
}

inline Reader::Lines Reader::FollowChain() {
  Lines lines;
  auto it = Newest();
  uint64_t end = ~uint64_t{0};
  uint64_t below = it == segments_.end() ? 0 : Above(it->second);
  bool cut_known = true;  // in the last segment there is none
  while (it != segments_.end()) {
    const Segment& s = it->second;
    Lines found;
    const uint64_t first =
        Scan(s, std::min<uint64_t>(end, s.bytes.size()), below, cut_known, &found);
    lines.insert(found.begin(), found.end());
    if (!cut_known && found.empty()) {
      // Not the one that was looked for: it holds no lower number.
      it = Lower(it);
      if (it != segments_.end()) below = std::min(below, Above(it->second));
      continue;
    }
    if (first > 0) below = std::min(below, first);
    if (!s.header.empty()) {
      const uint64_t named = U(s.header, 96, 8);
      if (named == 0 || U(s.header, 112, 8) < first_retained_) break;
      const std::string header = s.header;
      const auto found = segments_.find(named);
      const bool matches =
          found != segments_.end() && found->second.incarnation == U(header, 104, 8);
      if (matches || FramesMatch(header)) {
        it = segments_.find(named);
        end = U(header, 120, 8);
        below = std::min(below, U(header, 112, 8) + 1);
        cut_known = true;
        continue;
      }
      it = segments_.lower_bound(named);
      below = std::min(below, U(s.header, 112, 8) + 1);
    }
    // The predecessor is lost, or who it was: the next lower segment.
    it = Lower(it);
    if (it != segments_.end()) below = std::min(below, Above(it->second));
    end = ~uint64_t{0};
    cut_known = false;
  }
  return lines;
}

inline std::vector<std::string> Reader::Read(const Files& files) {
  TakeSegments(files);
  const std::optional<std::string> superblock = Identify(files);
  log_id_.resize(16);  // where nothing tells it, no frame is valid
  TakeHeaders();
  if (superblock) {
    epoch_ = std::max(epoch_, U(*superblock, 48, 8));
    first_retained_ = std::max(first_retained_, U(*superblock, 64, 8));
    Mark(U(*superblock, 48, 8), U(*superblock, 80, 8));
  }
  TakeCursors(files);
  TakeEpochBase(superblock);
  const Lines lines = FollowChain();
  uint64_t mark = 0;
  for (const auto& [epoch, value] : marks_) {
    if (epoch > epoch_) continue;
    mark = std::max(mark, epoch == epoch_ ? value : std::min(value, epoch_base_.value_or(0)));
  }
  std::vector<std::string> result;
  for (uint64_t n = first_retained_;; ++n) {
    const auto line = lines.find(n);
    if (line == lines.end() && n > mark) return result;
    result.push_back(line != lines.end() ? line->second : std::to_string(n) + " lost");
  }
}

}  // namespace independent

#endif  // MILLRACE_INDEPENDENT_READER_H_
