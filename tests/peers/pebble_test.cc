// Goal: what Pebble's record tests ask of recycled logs and of the sync offsets written in
// them holds for segments used again and for marks: damage below the highest mark is named,
// above it is a tear.
// Method: segments made by hand over the bytes of older ones, with random sizes from a
// fixed seed; the shipping log's own marks, read from its groups.

#include <errno.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/event_listener.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

class PebbleTest : public PeerLogTest {
 protected:
  uint64_t Random(uint64_t bound) {
    random_ = random_ * 6364136223846793005 + 1442695040888963407;
    return (random_ >> 33) % bound;
  }
  uint64_t random_ = 20261128;
};

// Pebble: TestRecycleLog.
TEST_F(PebbleTest, OneFileUsedTwoHundredTimesShowsItsLastUseOnly) {
  std::string file(64 << 10, '\0');
  for (uint64_t number = 1; number <= 200; ++number) {
    expected_.clear();
    SegmentBuilder segment(Header(number, 1));
    const uint64_t groups = 1 + Random(4);
    for (uint64_t g = 0; g < groups; ++g) {
      segment.Group(segment.next() - 1);
      for (uint64_t records = Random(12); records > 0; --records) AddRecord(segment, Random(1200));
    }
    const std::string bytes = segment.Bytes();
    file.replace(0, bytes.size(), bytes);
    if (number > 1) Remove(number - 1);
    Put(number, file);
    const SequenceNumber last = segment.next() - 1;
    ASSERT_EQ(ReadBack(), last == 0 ? "" : absl::StrCat("1..", last)) << number;
  }
}

// Pebble: TestRecycleLogWithPartialBlock.
TEST_F(PebbleTest, NewRecordsThatEndInsideAnOldOneEndThere) {
  SegmentBuilder old(Header(3, 1));
  old.Group(0);
  for (int i = 0; i < 20; ++i) old.Record(std::string(400, 'o'));
  for (size_t bytes = 0; bytes <= 900; bytes += 3) {
    SegmentBuilder fresh(Header(4, 1));
    AddGroup(fresh, 0, 2, bytes);
    std::string file = old.Bytes();
    file.replace(0, fresh.Bytes().size(), fresh.Bytes());
    Put(4, file);
    ASSERT_EQ(ReadBack(), "1..2") << bytes;
  }
}

// Pebble: TestRecycleLogWithPartialRecord.
TEST_F(PebbleTest, ATornNewRecordBeforeOldOnesIsATear) {
  SegmentBuilder old(Header(3, 1));
  old.Group(0);
  for (int i = 0; i < 20; ++i) old.Record(std::string(400, 'o'));
  SegmentBuilder fresh(Header(4, 1));
  AddGroup(fresh, 0, 3, 500);
  for (uint64_t size = fresh.FrameBegin(3); size + 8 < fresh.offset(); ++size) {
    std::string file = old.Bytes();
    file.replace(0, size, fresh.Bytes(), 0, size);
    Put(4, file);
    ASSERT_EQ(ReadBack(), "1..2") << size;
    Recover();
    ASSERT_EQ(Lost(), "") << size;
  }
}

// Pebble: TestRecycleLogNumberOverflow.
TEST_F(PebbleTest, SegmentNumbersThatRunOutAreRefusedAndNeverWrap) {
  SegmentBuilder last(Header(kMaxSegmentNumber - 1, 1));
  AddGroup(last, 0, 3);
  Put(last);
  // One more number is left.
  Open();
  EXPECT_EQ(ReadByCursor(), "1..3");
  EXPECT_EQ(Append(Payload(4)), 4u);
  EXPECT_EQ(Segments().back(), kMaxSegmentNumber);
  Close();
  const uint64_t before = disk_.Hash();
  const absl::Status status = TryOpen();
  EXPECT_NE(std::string(status.message()).find("segment numbers are used up"), std::string::npos)
      << status;
  EXPECT_EQ(disk_.Hash(), before);
}

// Pebble: TestTruncatedLog.
TEST_F(PebbleTest, ALogOfTwoSegmentsTruncatedAnywhereKeepsItsWholeRecords) {
  const SegmentBuilder first = Segment(1, 5);
  SegmentBuilder second(Header(2, 6, first.AsPredecessor()));
  AddGroup(second, 5, 5, 33);
  Put(first);
  for (uint64_t size = kFramesOffset; size <= second.offset(); ++size) {
    Put(2, second.Bytes().substr(0, size));
    SequenceNumber last = 5;
    while (last < 10 && second.FrameBegin(last - 4) + FrameBytes(33) <= size) ++last;
    ASSERT_EQ(ReadBack(), absl::StrCat("1..", last)) << size;
  }
}

// Pebble: TestInvalidLogNum.
TEST_F(PebbleTest, RecordsUnderAnotherSegmentsNameAreNotItsRecords) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 10);
  Put(2, segment.Bytes());
  EXPECT_EQ(ReadBack(), "") << "they number from 1 on, and are of segment 1";
  // Nor are they with a header of that name.
  std::string bytes = SegmentBuilder(Header(2, 1)).Bytes();
  bytes += segment.Bytes().substr(kFramesOffset);
  Put(2, bytes);
  EXPECT_EQ(ReadBack(), "");
}

// --- Marks ------------------------------------------------------------------------------

class PebbleMarkTest : public PebbleTest {
 protected:
  // Groups of records, of which each states what was durable by then. Record `damaged` is
  // destroyed: it is lost if a group that is intact and behind it vouches for it, else the log ends
  // before it.
  void TryGroups(const std::vector<int>& sizes, const std::vector<SequenceNumber>& marks) {
    SegmentBuilder segment(Header(1, 1));
    std::vector<uint64_t> begins(1, 0);
    for (size_t g = 0; g < sizes.size(); ++g) {
      segment.Group(marks[g]);
      for (int i = 0; i < sizes[g]; ++i) {
        begins.push_back(segment.offset());
        AddRecord(segment, 20 + Random(700));
      }
    }
    const SequenceNumber last = segment.next() - 1;
    const SequenceNumber mark = *std::max_element(marks.begin(), marks.end());
    for (SequenceNumber damaged = 1; damaged <= last; ++damaged) {
      Put(segment);
      Flip(1, begins[damaged] + 16 + Random(20));
      const std::string before = damaged == 1 ? "" : absl::StrCat("1..", damaged - 1);
      std::string expected = before;
      if (damaged <= mark) {
        absl::StrAppend(&expected, before.empty() ? "" : " ", "lost ", damaged, "..", damaged,
                        " acknowledged checksum");
        if (damaged < last) absl::StrAppend(&expected, " ", damaged + 1, "..", last);
      }
      ASSERT_EQ(ReadBack(), expected) << "mark " << mark;
    }
  }
};

// Pebble: TestWALSync.
TEST_F(PebbleMarkTest, DamageIsALossBelowTheHighestMarkAndATearAboveIt) {
  TryGroups({4}, {0});
  TryGroups({4, 1}, {0, 4});
  TryGroups({2, 2, 2}, {0, 0, 2});
  TryGroups({2, 2, 2}, {0, 2, 4});
  TryGroups({1, 1, 1, 1, 1}, {0, 1, 1, 1, 4});
  TryGroups({8, 8}, {0, 5});
}

// Pebble: TestWALSyncOffsetRandom.
TEST_F(PebbleMarkTest, AnyGroupsAndMarksAreJudgedAlike) {
  for (int round = 0; round < 60; ++round) {
    std::vector<int> sizes;
    std::vector<SequenceNumber> marks;
    SequenceNumber written = 0;
    SequenceNumber mark = 0;
    for (uint64_t groups = 1 + Random(6); groups > 0; --groups) {
      mark += Random(written - mark + 1);
      marks.push_back(mark);
      sizes.push_back(static_cast<int>(1 + Random(4)));
      written += sizes.back();
    }
    TryGroups(sizes, marks);
  }
}

class Deaf : public EventListener {
 public:
  void OnEvent(const Event& /*event*/) override {}
};

// Pebble issue #6031: without a histogram the sync offset was not advanced.
TEST_F(PebbleMarkTest, MarksAdvanceWhateverIsObserved) {
  for (const bool observed : {false, true}) {
    SimFileSystem& disk = TakeFreshDisk();
    options_.event_listener = observed ? std::make_shared<Deaf>() : nullptr;
    Open();
    for (SequenceNumber s = 1; s <= 20; ++s) {
      ASSERT_EQ(Append(Payload(s), s % 4 == 0 ? Durability::kDurable : Durability::kWritten), s);
    }
    LogReaderOptions options;
    options.file_system = &disk;
    const auto reader = LogReader::Open("log", options).value();
    SequenceNumber groups = 0;
    const absl::Status walked = reader->WalkSegment(1, [&](const FrameInfo& frame) {
      if (frame.kind != FrameInfo::Kind::kGroup) return;
      ++groups;
      // What was durable before the group's first record was written.
      EXPECT_EQ(frame.group->mark, (frame.sequence - 1) / 4 * 4) << frame.sequence;
    });
    EXPECT_TRUE(walked.ok()) << walked;
    EXPECT_EQ(groups, 20u);
  }
}

}  // namespace
}  // namespace millrace
