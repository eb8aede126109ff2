// Goal: NextBatch and Peek return what Next would, in the same order, and lose nothing
// where memory, records or intact bytes run out.
// Method: segments made by hand in a simulated file system, read in one way and another.

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "tests/cursor_fixture.h"
#include "tests/fake_log_writer.h"
#include "wal/format.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

// "1 2 lost 3..4 5"; a payload that is not that of its number is shown.
std::string Text(std::span<const Entry> entries) {
  std::string text;
  for (const Entry& entry : entries) {
    const char* space = text.empty() ? "" : " ";
    switch (entry.kind) {
      case Entry::Kind::kRecord:
        absl::StrAppend(&text, space, entry.record.sequence);
        if (entry.record.payload != Payload(entry.record.sequence)) {
          absl::StrAppend(&text, "=", std::string(entry.record.payload));
        }
        break;
      case Entry::Kind::kLost:
        absl::StrAppend(&text, space, "lost ", entry.lost.first, "..", entry.lost.last);
        break;
      case Entry::Kind::kTruncated:
        absl::StrAppend(&text, space, "truncated ", entry.truncated_after);
        break;
    }
  }
  return text;
}

std::string Numbers(SequenceNumber first, SequenceNumber last) {
  std::string text;
  for (SequenceNumber s = first; s <= last; ++s) absl::StrAppend(&text, s > first ? " " : "", s);
  return text;
}

class CursorBatchTest : public CursorTest {
 protected:
  std::string Batch(Cursor& cursor, size_t bytes, absl::Duration timeout = kNow) {
    entries_.clear();
    memory_.assign(bytes, '?');
    const absl::StatusOr<size_t> count = cursor.NextBatch(memory_, &entries_, timeout);
    if (!count.ok()) {
      EXPECT_TRUE(entries_.empty());
      return count.status().ToString();
    }
    EXPECT_EQ(*count, entries_.size());
    return Text(entries_);
  }

  static std::string Peeked(Cursor& cursor, size_t n) {
    const auto entries = cursor.Peek(n);
    return entries.ok() ? Text(*entries) : entries.status().ToString();
  }

  // The record after the two that stand first in the first segment.
  void DamageRecord3() {
    disk_.FlipBit("/log/" + SegmentName(1), kFramesOffset + 80 + 2 * 48 + 33, 2);
  }

  bool InMemory(std::string_view view) const {
    return view.data() >= memory_.data() &&
           view.data() + view.size() <= memory_.data() + memory_.size();
  }

  std::vector<char> memory_;
  std::vector<Entry> entries_;
};

TEST_F(CursorBatchTest, BatchReturnsAllThatIsThereAcrossSegments) {
  AppendTens(50);
  const auto cursor = MustOpen();
  EXPECT_EQ(Batch(*cursor, 10000), Numbers(1, 50));
  EXPECT_EQ(cursor->delivered(), 50);
  for (const Entry& entry : entries_) EXPECT_TRUE(InMemory(entry.record.payload));
  EXPECT_TRUE(cursor->Commit(50).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(cursor->NextBatch(memory_, &entries_, kNow).status()));
}

TEST_F(CursorBatchTest, BatchStopsWhereMemoryEndsAndGoesOnThere) {
  AppendTens(20);
  const auto cursor = MustOpen();
  // "payload 1" to "payload 9" have 9 bytes.
  EXPECT_EQ(Batch(*cursor, 9 * 3 + 8), Numbers(1, 3));
  EXPECT_EQ(cursor->delivered(), 3);
  EXPECT_EQ(Batch(*cursor, 9), "4");
  ExpectRecords(*cursor, 5, 6);
  EXPECT_EQ(Batch(*cursor, 10000), Numbers(7, 20));
}

TEST_F(CursorBatchTest, BatchEndsWithWhatIsDurable) {
  writer_->Write(20);
  writer_->Write(30);  // and the first segment is sealed
  writer_->Publish(15);
  const auto cursor = MustOpen();
  EXPECT_EQ(Batch(*cursor, 10000), Numbers(1, 15));
  writer_->Publish(25);
  EXPECT_EQ(Batch(*cursor, 10000), Numbers(16, 25));
}

TEST_F(CursorBatchTest, CommitAfterABatchLeavesAPlaceToGoOnFrom) {
  AppendTens(40);
  {
    const auto cursor = MustOpen();
    EXPECT_EQ(Batch(*cursor, 10000), Numbers(1, 40));
    ASSERT_TRUE(cursor->Commit(35).ok());
  }
  EXPECT_EQ(OnDisk().segment, 2);
  EXPECT_GT(OnDisk().offset, kFramesOffset);
  ExpectRecords(*MustOpen(), 36, 40);
}

TEST_F(CursorBatchTest, TruncationOfWhatABatchShowedIsToldAfterASeekToo) {
  AppendTens(20);
  const auto cursor = MustOpen();
  EXPECT_EQ(Batch(*cursor, 10000), Numbers(1, 20));
  ASSERT_TRUE(cursor->Seek(3).ok());
  writer_->TruncateAfter(19);
  ExpectTruncated(*cursor, 19);
  EXPECT_EQ(Batch(*cursor, 10000), Numbers(3, 19));
}

TEST_F(CursorBatchTest, WhatATruncationCutOffIsNotInABatch) {
  AppendTens(20);
  writer_->TruncateAfter(15);
  writer_->AppendTo(30);
  Batch(*MustOpen(), 10000);
  ASSERT_EQ(entries_.size(), 30u);
  for (const Entry& entry : entries_) {
    const SequenceNumber s = entry.record.sequence;
    EXPECT_EQ(entry.record.payload, s <= 15 ? Payload(s) : writer_->PayloadNow(s));
  }
}

TEST_F(CursorBatchTest, BatchesAppendToWhatTheCallerHas) {
  AppendTens(10);
  const auto cursor = MustOpen();
  std::array<char, 18> first;
  std::array<char, 18> second;
  ASSERT_EQ(*cursor->NextBatch(first, &entries_, kNow), 2);
  ASSERT_EQ(*cursor->NextBatch(second, &entries_, kNow), 2);
  EXPECT_EQ(Text(entries_), Numbers(1, 4));
}

TEST_F(CursorBatchTest, RecordThatDoesNotFitIsNamedAndNotLost) {
  writer_->AppendTo(2);
  const auto cursor = MustOpen();
  const auto refused = cursor->NextBatch(std::span<char>(), &entries_, kNow);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  EXPECT_NE(std::string(refused.status().message()).find("record 1 needs 9 bytes"),
            std::string::npos)
      << refused.status();
  EXPECT_TRUE(entries_.empty());
  EXPECT_EQ(cursor->delivered(), 0);
  EXPECT_EQ(Batch(*cursor, 9), "1");
  EXPECT_TRUE(absl::IsInvalidArgument(cursor->NextBatch(std::span<char>(), &entries_).status()));
  ExpectRecords(*cursor, 2, 2);
}

TEST_F(CursorBatchTest, KeysAndAttributesLieInTheCallersMemory) {
  const std::vector<Attribute> attributes = {{"type", "order"}, {"", ""}, {"empty", ""}};
  writer_->options.key = "customer";
  writer_->options.attributes = attributes;
  writer_->AppendTo(3);
  const auto cursor = MustOpen();
  EXPECT_EQ(Batch(*cursor, 1000), Numbers(1, 3));
  for (const Entry& entry : entries_) {
    const Record& record = entry.record;
    EXPECT_EQ(record.key, "customer");
    EXPECT_TRUE(InMemory(*record.key));
    ASSERT_EQ(record.attributes.size(), 3);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(record.attributes[i].name, attributes[i].name);
      EXPECT_EQ(record.attributes[i].value, attributes[i].value);
      EXPECT_TRUE(InMemory(record.attributes[i].name));
    }
  }
}

TEST_F(CursorBatchTest, BatchEndsAfterALoss) {
  AppendTens(10);
  DamageRecord3();
  const auto cursor = MustOpen();
  EXPECT_EQ(Batch(*cursor, 1000), "1 2 lost 3..3");
  EXPECT_EQ(Batch(*cursor, 1000), Numbers(4, 10));
  EXPECT_EQ(events_->text(), "c lost 3..3; ");
}

TEST_F(CursorBatchTest, BatchWaitsForItsFirstRecordOnly) {
  const auto cursor = MustOpen();
  std::thread writer([this] {
    absl::SleepFor(absl::Milliseconds(20));
    writer_->AppendTo(3);
  });
  EXPECT_EQ(Batch(*cursor, 1000, absl::Seconds(30)), Numbers(1, 3));
  writer.join();
}

TEST_F(CursorBatchTest, ErrorAfterSomeRecordsIsMetByTheNextCall) {
  AppendTens(40);
  const auto cursor = MustOpen();
  disk_.AddRule(
      {.op = FileOp::kOpen, .error = EMFILE, .name = SegmentName(2), .count = SimRule::kForever});
  EXPECT_EQ(Batch(*cursor, 10000), Numbers(1, 20));
  EXPECT_FALSE(cursor->NextBatch(memory_, &entries_, kNow).ok());
  EXPECT_FALSE(cursor->Peek(3).ok());
  EXPECT_EQ(cursor->delivered(), 20);
  disk_.ClearRules();
  EXPECT_EQ(Batch(*cursor, 10000), Numbers(21, 40));
}

TEST_F(CursorBatchTest, PeekShowsWhatNextReturnsAcrossSegmentsAndALoss) {
  AppendTens(50);
  DamageRecord3();
  const auto cursor = MustOpen();
  const std::string all = "1 2 lost 3..3 " + Numbers(4, 50);
  EXPECT_EQ(Peeked(*cursor, 3), "1 2 lost 3..3");
  EXPECT_EQ(Peeked(*cursor, 1), "1");
  EXPECT_EQ(Peeked(*cursor, 1000), all);
  EXPECT_EQ(cursor->delivered(), 0);
  EXPECT_EQ(events_->text(), "");
  EXPECT_TRUE(absl::IsOutOfRange(cursor->Commit(1)));
  ExpectRecords(*cursor, 1, 2);
  EXPECT_EQ(MustNext(*cursor).lost.first, 3);
  EXPECT_EQ(events_->text(), "c lost 3..3; ");
  EXPECT_EQ(Peeked(*cursor, 2), "4 5");
  ExpectRecords(*cursor, 4, 30);
  EXPECT_EQ(Batch(*cursor, 10000), Numbers(31, 50));
  ExpectEnd(*cursor);
}

TEST_F(CursorBatchTest, PeekDoesNotWait) {
  const auto cursor = MustOpen();
  EXPECT_EQ(Peeked(*cursor, 3), "");
  writer_->AppendTo(2);
  EXPECT_EQ(Peeked(*cursor, 0), "");
  EXPECT_EQ(Peeked(*cursor, 3), "1 2");
  writer_->AppendTo(4);
  EXPECT_EQ(Peeked(*cursor, 3), "1 2 3");
  ExpectRecords(*cursor, 1, 4);
}

TEST_F(CursorBatchTest, PeekedViewsHoldUntilTheirEntryIsReturned) {
  AppendTens(40);
  const auto cursor = MustOpen();
  const auto peeked = cursor->Peek(2);
  ASSERT_TRUE(peeked.ok());
  const std::string_view second = (*peeked)[1].record.payload;
  ASSERT_TRUE(cursor->Peek(40).ok());
  ExpectRecords(*cursor, 1, 1);
  EXPECT_EQ(second, Payload(2));
}

TEST_F(CursorBatchTest, WindowOfPeekedEntriesMayMoveForEver) {
  const auto cursor = MustOpen();
  for (SequenceNumber s = 1; s <= 200; ++s) {
    writer_->AppendTo(s + 3);
    ASSERT_EQ(Peeked(*cursor, 4), Numbers(s, s + 3));
    ExpectRecords(*cursor, s, s);
    ASSERT_TRUE(cursor->Commit(s).ok());
  }
}

TEST_F(CursorBatchTest, CommitOfPeekedEntriesLeavesAPlaceToGoOnFrom) {
  AppendTens(40);
  {
    const auto cursor = MustOpen();
    ASSERT_TRUE(cursor->Peek(40).ok());
    ExpectRecords(*cursor, 1, 35);
    ASSERT_TRUE(cursor->Commit(35).ok());
  }
  EXPECT_EQ(OnDisk().segment, 2);
  EXPECT_GT(OnDisk().offset, kFramesOffset);
  ExpectRecords(*MustOpen(), 36, 40);
}

TEST_F(CursorBatchTest, SeekForgetsWhatWasPeeked) {
  AppendTens(40);
  const auto cursor = MustOpen();
  ASSERT_TRUE(cursor->Peek(40).ok());
  ASSERT_TRUE(cursor->Seek(30).ok());
  EXPECT_EQ(Peeked(*cursor, 2), "30 31");
  ASSERT_TRUE(cursor->Rewind().ok());
  ExpectRecords(*cursor, 1, 40);
}

}  // namespace
}  // namespace millrace
