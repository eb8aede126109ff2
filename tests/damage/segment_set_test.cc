// Goal: whatever files stand under the names of a log's segments, recovery reads what is in
// its place and intact, names exactly the numbers that are not, gives up nothing, changes nothing,
// and finds the same again after it has been opened.
// Method: all ways of filling five names with five segments or with nothing (6^5: omissions,
// duplicates, renamings and permutations) by four superblocks: that of the log, an older one,
// none, another log's. Then single segments put back from a backup, older or of an earlier use.

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/recovery_fixture.h"
#include "wal/segment_supply.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

constexpr int kSegments = 5;
constexpr int kRecords = 3;  // in each
constexpr SequenceNumber kLast = kSegments * kRecords;
constexpr int kOpenStride = 97;

enum class Block : uint8_t { kCurrent, kOld, kNone, kForeign };
constexpr std::array<Block, 4> kBlocks = {Block::kCurrent, Block::kOld, Block::kNone,
                                          Block::kForeign};

class SegmentSetTest : public RecoveryFixture {
 protected:
  SegmentSetTest() {
    Predecessor predecessor;
    for (int i = 1; i <= kSegments; ++i) {
      SegmentBuilder segment(Header(i, predecessor.last_sequence + 1, predecessor));
      segment.Group(predecessor.last_sequence);
      backups_.push_back(segment.Bytes());
      for (int r = 0; r < kRecords; ++r) {
        segment.Record("segment " + std::to_string(i) + " record " + std::to_string(r));
        if (r == 0) backups_.back() = segment.Bytes();
      }
      if (i == kSegments) segment.IdleMark();
      predecessor = segment.AsPredecessor();
      contents_.push_back(segment.Bytes());
    }
  }

  void PutBlock(Block block) {
    Superblock superblock = OwnSuperblock(block == Block::kOld ? 4 : kLast);
    superblock.begun_segment = block == Block::kOld ? 2 : kSegments;
    if (block == Block::kForeign) superblock.log_id.fill('o');
    if (block == Block::kNone) {
      if (disk_.ReadFileBytes("log/LOG").has_value()) disk_.DeleteFile("log/LOG");
    } else {
      PutSuperblock(superblock);
    }
  }

  // What the numbers that are reported add up to; each once.
  std::vector<bool> Reported() {
    std::vector<bool> reported(kLast);
    for (const LostRange& lost : report_.lost) {
      EXPECT_LE(lost.last, kLast) << Lost();
      for (SequenceNumber s = lost.first; s <= std::min(lost.last, kLast); ++s) {
        EXPECT_FALSE(reported[s - 1]) << Lost();
        reported[s - 1] = true;
        EXPECT_EQ(lost.acknowledgement, Acknowledgement::kAcknowledged) << Lost();
      }
    }
    return reported;
  }

  // `present`: by number - 1, the segments that stand in their place.
  void Expect(const std::array<bool, kSegments>& present, Block block) {
    SequenceNumber mark = block == Block::kCurrent ? kLast : block == Block::kOld ? 4 : 0;
    int top = 0;
    for (int i = 1; i <= kSegments; ++i) {
      if (!present[i - 1]) continue;
      mark = std::max<SequenceNumber>(mark, i == kSegments ? kLast : (i - 1) * kRecords);
      top = i;
    }
    // Where no file is in its place another log's superblock is the only one that speaks.
    if (top == 0 && block == Block::kForeign) mark = kLast;
    std::string chain;
    std::vector<bool> lost(kLast);
    for (int i = 1; i <= kSegments; ++i) {
      for (int r = 0; r < kRecords; ++r) {
        const SequenceNumber s = (i - 1) * kRecords + r + 1;
        lost[s - 1] = !present[i - 1] && (i < top || s <= mark);
      }
      if (!present[i - 1]) continue;
      if (!chain.empty()) chain += " ";
      chain += std::to_string((i - 1) * kRecords + 1) + ".." + std::to_string(i * kRecords);
    }
    const RecoveredLog log = Recover({.access = Access::kReadOnly, .scan = Scan::kAll});
    EXPECT_EQ(Chain(log), chain);
    EXPECT_EQ(Reported(), lost) << Lost();
    EXPECT_TRUE(log.removable.empty()) << log.removable.front();
    EXPECT_GE(log.next_sequence, std::max<SequenceNumber>(mark, top * kRecords) + 1);
    EXPECT_GT(log.next_segment, static_cast<uint64_t>(top));
    ++states_;
  }

  // An open that takes effect leaves the same records, and nothing to report a second time
  // but what is still missing.
  void ExpectTheSameAfterAnOpen() {
    const RecoveredLog before = Recover({.access = Access::kReadOnly, .scan = Scan::kAll});
    const std::vector<bool> lost = Reported();
    const std::unique_ptr<SimFileSystem> disk = disk_.Clone();
    for (int i = 0; i < 2; ++i) {
      std::unique_ptr<Directory> directory;
      ASSERT_EQ(disk->OpenDirectory("log", DirectoryMode::kMustExist, &directory), 0);
      InlineSegmentSupply supply;
      auto core = WalCore::Open(*disk, std::move(directory), {}, &supply, 0, &report_);
      ASSERT_TRUE(core.ok()) << core.status();
      EXPECT_EQ((*core)->next_sequence(), before.next_sequence);
      core->reset();
      disk->KillProcess();
      ASSERT_EQ(disk->OpenDirectory("log", DirectoryMode::kMustExist, &directory), 0);
      const auto after = millrace::Recover(
          *disk, *directory, {.access = Access::kReadOnly, .scan = Scan::kAll}, &report_);
      ASSERT_TRUE(after.ok()) << after.status();
      EXPECT_EQ(Chain(*after), Chain(before));
      EXPECT_EQ(Reported(), lost) << Lost();
    }
  }

  std::vector<std::string> contents_;  // of segment i + 1
  std::vector<std::string> backups_;   // of the same, when it had one record
  uint64_t states_ = 0;
};

TEST_F(SegmentSetTest, EverySetOfFilesUnderEveryNameIsReadWhereItBelongs) {
  for (const Block block : kBlocks) {
    PutBlock(block);
    for (int i = 1; i <= kSegments; ++i) {
      if (disk_.ReadFileBytes("log/" + SegmentName(i)).has_value()) Remove(i);
    }
    std::array<int, kSegments> holds = {};  // by name: 0 nothing, else a segment's number
    int cases = 1;
    for (int i = 0; i < kSegments; ++i) cases *= kSegments + 1;
    for (int c = 0; c < cases && !HasFailure(); ++c) {
      std::array<bool, kSegments> present = {};
      std::string text = "superblock " + std::to_string(static_cast<int>(block)) + ", names hold";
      int rest = c;
      for (int name = 1; name <= kSegments; ++name, rest /= kSegments + 1) {
        const int now = rest % (kSegments + 1);
        present[name - 1] = now == name;
        text += " " + std::to_string(now);
        if (c > 0 && now == holds[name - 1]) continue;
        const bool there = c > 0 && holds[name - 1] != 0;
        holds[name - 1] = now;
        if (now == 0) {
          if (there) Remove(name);
        } else {
          disk_.WriteFileBytes("log/" + SegmentName(name), contents_[now - 1]);
        }
      }
      SCOPED_TRACE(text);
      Expect(present, block);
      if (c % kOpenStride == 0) ExpectTheSameAfterAnOpen();
    }
  }
  // The first case that fails ends the test, whatever it had lost or invented.
  const int wrong = HasFailure() ? 1 : 0;
  std::printf(
      "RELIABILITY target=segment_set_test seed=0 states=%llu acked=%llu lost_acked=%d invented=%d "
      "silent=%d hangs=0\n",
      static_cast<unsigned long long>(states_), static_cast<unsigned long long>(kLast), wrong,
      wrong, wrong);
}

// A backup of a segment as it was earlier: the rest of its records is named.
TEST_F(SegmentSetTest, AnOlderCopyOfASegmentLosesWhatCameAfterIt) {
  for (const Block block : kBlocks) {
    for (int older = 1; older <= kSegments; ++older) {
      SCOPED_TRACE("segment " + std::to_string(older));
      for (int i = 1; i <= kSegments; ++i) Put(i, (i == older ? backups_ : contents_)[i - 1]);
      PutBlock(block);
      const RecoveredLog log = Recover({.access = Access::kReadOnly, .scan = Scan::kAll});
      std::vector<bool> lost(kLast);
      // The last segment's own mark goes with it; only the superblock still knows.
      const bool known = older < kSegments || block == Block::kCurrent;
      for (int r = 1; r < kRecords; ++r) lost[(older - 1) * kRecords + r] = known;
      EXPECT_EQ(Reported(), lost) << Lost();
      EXPECT_EQ(log.chain.size(), static_cast<size_t>(kSegments));
    }
  }
}

// The same number, and another use of the file: nothing in it is the log's.
TEST_F(SegmentSetTest, ACopyOfAnotherUseOfASegmentIsNotRead) {
  for (const Block block : kBlocks) {
    for (int other = 1; other < kSegments; ++other) {
      SCOPED_TRACE("segment " + std::to_string(other));
      for (int i = 1; i <= kSegments; ++i) Put(i, contents_[i - 1]);
      PutBlock(block);
      SegmentHeader header = Header(other, (other - 1) * kRecords + 1);
      header.incarnation += 7;
      SegmentBuilder segment(header);
      segment.Group(0);
      for (int r = 0; r < kRecords; ++r) segment.Record("of another use");
      Put(segment);
      const RecoveredLog log = Recover({.access = Access::kReadOnly, .scan = Scan::kAll});
      std::vector<bool> lost(kLast);
      for (int r = 0; r < kRecords; ++r) lost[(other - 1) * kRecords + r] = true;
      EXPECT_EQ(Reported(), lost) << Lost();
      for (const ChainSegment& kept : log.chain) {
        EXPECT_NE(kept.number, static_cast<uint64_t>(other));
      }
      EXPECT_EQ(log.set_aside, std::vector<std::string>{SegmentName(other)}) << "not deleted";
    }
  }
}

}  // namespace
}  // namespace millrace
