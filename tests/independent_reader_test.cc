// Goal: FORMAT.md says all there is to know: a reader written from that page alone
// returns the same records, and names the same losses, as the library.
// Method: random logs, made by hand so that every kind of frame occurs, whole and
// damaged in a few places; both readers read each of them.

#include "tests/independent_reader.h"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/reader_lines.h"
#include "tests/segment_builder.h"
#include "wal/segment_name.h"
#include "wal/stored_cursor.h"

namespace millrace {
namespace {

using Files = independent::Files;

class RandomLog {
 public:
  explicit RandomLog(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t n) { return random_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  std::string Bytes(uint64_t most) {
    std::string bytes(Below(most + 1), '\0');
    for (char& c : bytes) c = static_cast<char>('a' + Below(26));
    return bytes;
  }

  Files Make() {
    for (char& c : log_id_) c = static_cast<char>(random_());
    const uint64_t segments = 1 + Below(5);
    Predecessor predecessor;
    uint64_t number = 1 + Below(3);
    SequenceNumber next = 1;
    for (uint64_t i = 0; i < segments; ++i) {
      if (OneIn(4) && !places_.empty()) {
        // A truncation: the numbers behind are given again.
        places_.resize(1 + Below(places_.size()));
        predecessor = places_.back();
        next = predecessor.last_sequence + 1;
        bases_.push_back(predecessor.last_sequence);
      }
      SegmentHeader header;
      header.epoch = bases_.size();
      header.log_id = log_id_;
      header.number = number;
      header.incarnation = random_();
      header.first_sequence = next;
      header.mark = next - 1;
      header.capacity = 1 << 20;
      header.predecessor = predecessor;
      SegmentBuilder segment(header);
      Fill(segment);
      next = segment.next();
      files_[SegmentName(number)] = Finish(segment, i + 1 == segments);
      // One that holds no record is passed over.
      if (segment.next() > header.first_sequence) predecessor = segment.AsPredecessor();
      // An open that lost its predecessor's last numbers begins above them.
      if (OneIn(4)) next += 1 + Below(3);
      number += 1 + Below(2);
    }
    if (!OneIn(3)) PutSuperblock(number + 3, predecessor.last_sequence);
    if (OneIn(3)) PutCursor(Below(predecessor.last_sequence + 1));
    if (OneIn(3)) PutSharedCursors(predecessor.last_sequence);
    return files_;
  }

  // One thing that happens to a directory.
  void Damage(Files* files) {
    if (files->empty()) return;
    auto file = std::next(files->begin(), static_cast<int64_t>(Below(files->size())));
    std::string& bytes = file->second;
    if (bytes.empty()) return;
    switch (Below(6)) {
      case 0:
        bytes.resize(Below(bytes.size()));
        return;
      case 1:
        files->erase(file);
        return;
      case 2:
        bytes.replace(Below(bytes.size()), 1 + Below(600), 1 + Below(600), '\0');
        return;
      default:
        bytes[Below(bytes.size())] ^= static_cast<char>(1 << Below(8));
        return;
    }
  }

 private:
  void Fill(SegmentBuilder& segment) {
    for (uint64_t groups = Below(6); groups > 0; --groups) {
      segment.Group(segment.next() - 1);
      for (uint64_t frames = 1 + Below(5); frames > 0; --frames) {
        AddFrame(segment);
        if (segment.next() > segment.header().first_sequence) {
          places_.push_back(segment.AsPredecessor());
        }
      }
      if (OneIn(4)) segment.IdleMark();
    }
  }

  void AddFrame(SegmentBuilder& segment) {
    const std::string key = Bytes(9);
    const std::string value = Bytes(30);
    const Attribute attributes[] = {{"name", value}, {key, ""}};
    AppendOptions extras;
    if (OneIn(2)) extras.key = key;
    if (OneIn(2)) extras.attributes = attributes;
    const std::string a = Bytes(40);
    const std::string b = Bytes(300);
    switch (Below(8)) {
      case 0:
        segment.Record(a, extras);
        return;
      case 1:
        segment.Batch({{a}, {b, extras}, {""}});
        return;
      case 2:
        segment.Frame(static_cast<FrameType>(0x80 + Below(0x80)), 0xff, 0, a);
        return;
      default:
        segment.Record(b);
        return;
    }
  }

  std::string Finish(SegmentBuilder& segment, bool last) {
    if (last && OneIn(2)) segment.Footer();
    std::string bytes = segment.Bytes();
    if (OneIn(2)) bytes.resize(bytes.size() + Below(20000));
    return bytes;
  }

  void PutSuperblock(uint64_t highest_segment, SequenceNumber mark) {
    Superblock superblock;
    superblock.log_id = log_id_;
    superblock.generation = 1 + Below(9);
    superblock.highest_segment = highest_segment;
    superblock.mark = OneIn(2) ? mark : Below(mark + 1);
    // It may lag behind the header that begins an epoch.
    superblock.epoch = bases_.size();
    if (superblock.epoch > 1 && OneIn(3)) --superblock.epoch;
    superblock.epoch_base = bases_[superblock.epoch - 1];
    std::string bytes(kBlockBytes + kSlotBytes, '\0');
    const int slot = static_cast<int>(superblock.generation % 2);
    EncodeSuperblock(superblock, slot,
                     std::span<char, kSlotBytes>(&bytes[slot * kBlockBytes], kSlotBytes));
    files_["LOG"] = bytes;
  }

  void PutCursor(SequenceNumber committed) {
    CursorSlot cursor;
    cursor.log_id = log_id_;
    cursor.generation = 1;
    cursor.epoch = 1 + Below(bases_.size());
    cursor.committed = committed;
    cursor.name = "some.name";
    cursor.cursor_incarnation = Below(3);
    std::string bytes(kBlockBytes + kSlotBytes, '\0');
    EncodeCursorSlot(cursor, 1, std::span<char, kSlotBytes>(&bytes[kBlockBytes], kSlotBytes));
    files_["some.name.cursor"] = bytes;
  }

  void PutSharedCursors(SequenceNumber last) {
    std::string bytes((1 + Below(6)) * kBlockBytes + Below(2) * kSlotBytes, '\0');
    for (uint64_t at = 0; at + kSlotBytes <= bytes.size(); at += kBlockBytes) {
      if (OneIn(3)) continue;
      const int slot = static_cast<int>(at / kBlockBytes % 2);
      CursorSlot cursor;
      cursor.log_id = OneIn(4) ? LogId{'o'} : log_id_;
      cursor.generation = (OneIn(9) ? 1 : 2) + 2 * Below(5) + slot;
      cursor.committed = Below(last + 1);
      cursor.name = OneIn(2) ? "some.name" : "other";
      cursor.cursor_incarnation = Below(3);
      EncodeCursorSlot(cursor, slot, std::span<char, kSlotBytes>(&bytes[at], kSlotBytes));
    }
    files_["CURSORS"] = bytes;
  }

  std::mt19937_64 random_;
  LogId log_id_ = {};
  Files files_;
  std::vector<Predecessor> places_;          // where the log can be cut: behind records
  std::vector<SequenceNumber> bases_ = {0};  // of each epoch
};

std::vector<std::string> LibraryLines(const Files& files) {
  SimFileSystem disk({.seed = 1});
  std::unique_ptr<Directory> directory;
  EXPECT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
  for (const auto& [name, bytes] : files) WriteFile(*directory, name, bytes);
  return ReaderLines(&disk, "/log");
}

// The library's view of a cursor; nullopt if it is damaged, or there is none.
std::optional<SequenceNumber> LibraryCommitted(const Files& files, const std::string& name) {
  SimFileSystem disk({.seed = 1});
  std::unique_ptr<Directory> directory;
  EXPECT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
  for (const auto& [file, bytes] : files) WriteFile(*directory, file, bytes);
  const auto cursors = ReadCursors(*directory);
  EXPECT_TRUE(cursors.ok()) << cursors.status();
  for (const StoredCursor& cursor : *cursors) {
    const bool valid = cursor.status == HeaderStatus::kValid;
    if (cursor.name == name && valid) return cursor.checkpoint.committed;
  }
  return std::nullopt;
}

// What both readers say of the log, which must be the same.
std::vector<std::string> Compare(const Files& files, const std::string& what) {
  const std::vector<std::string> library = LibraryLines(files);
  EXPECT_EQ(library, independent::Reader().Read(files)) << what;
  return library;
}

bool IsLoss(const std::string& line) { return line.ends_with(" lost"); }

TEST(IndependentReaderTest, AgreesOnWholeLogs) {
  uint64_t records = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    records += Compare(RandomLog(seed).Make(), absl::StrCat("seed ", seed)).size();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(records, 3000);
}

TEST(IndependentReaderTest, AgreesOnCheckpointsOfCursors) {
  int shared = 0;
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    RandomLog log(seed);
    Files files = log.Make();
    if (files.count("some.name.cursor") == 0) continue;
    if (seed % 4 == 0) log.Damage(&files);
    if (files.count("some.name.cursor") == 0) continue;
    const auto library = LibraryCommitted(files, "some.name");
    ASSERT_EQ(library, independent::CursorCommitted(files, "some.name")) << "seed " << seed;
    files.erase("CURSORS");
    shared += library != LibraryCommitted(files, "some.name");
  }
  EXPECT_GT(shared, 20);
}

TEST(IndependentReaderTest, AgreesOnDamagedLogs) {
  uint64_t lost = 0;
  uint64_t logs_with_loss = 0;
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    RandomLog log(seed);
    Files files = log.Make();
    for (uint64_t n = 1 + log.Below(3); n > 0; --n) log.Damage(&files);
    bool any_segment = false;
    for (const auto& [name, bytes] : files) {
      any_segment = any_segment || ParseSegmentName(name).has_value();
    }
    if (!any_segment) continue;
    const auto lines = Compare(files, absl::StrCat("seed ", seed));
    if (testing::Test::HasFailure()) return;
    const auto losses = std::count_if(lines.begin(), lines.end(), IsLoss);
    lost += losses;
    logs_with_loss += losses > 0;
  }
  EXPECT_GT(logs_with_loss, 150);
  EXPECT_GT(lost, 1000);
}

// The middle segment was the live one's predecessor up to number 6; what it has left was dropped.
TEST(IndependentReaderTest, AgreesThatASegmentWithoutALowerNumberNamesNoPredecessor) {
  SegmentHeader header;
  header.log_id = {'t', 'h', 'r', 'e', 'e'};
  header.capacity = 1 << 20;
  Predecessor predecessor;
  Files files;
  // Takes away all before frame `first_whole`, and the headers from `wiped_from` on.
  const auto store = [&](int number, SequenceNumber last, size_t first_whole, size_t wiped_from) {
    header.number = header.incarnation = number;
    header.first_sequence = predecessor.last_sequence + 1;
    header.mark = predecessor.last_sequence;
    header.predecessor = predecessor;
    SegmentBuilder segment(header);
    while (segment.next() <= last) {
      segment.Group(segment.next() - 1).Record("r");
      // Where a truncation may end it.
      if (segment.next() == 7) predecessor = segment.AsPredecessor();
    }
    if (last < 7) predecessor = segment.AsPredecessor();
    std::string bytes = segment.Bytes();
    const size_t wiped = segment.FrameBegin(first_whole) - wiped_from;
    files[SegmentName(number)] = bytes.replace(wiped_from, wiped, wiped, 0);
  };
  store(1, 3, 5, kFramesOffset);  // 3 is left, and nothing here vouches for 1 and 2
  store(2, 9, 6, kFramesOffset);  // 7 to 9 are left
  header.epoch = 2;
  store(3, 8, 0, 0);  // all but the headers
  const std::vector<std::string> expected = {"1 lost", "2 lost", "3 lost", "4 lost",
                                             "5 lost", "6 lost", "7 r",    "8 r"};
  EXPECT_EQ(Compare(files, ""), expected);
}

}  // namespace
}  // namespace millrace
