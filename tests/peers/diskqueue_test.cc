// Goal: a cursor over the log is the queue that go-diskqueue's tests ask for, and its
// losses, by truncation, garbage and lost metadata, are down to the messages that are
// physically destroyed.
// Method: the shipping log and its cursors on a simulated disk, small segments, files cut
// and garbled.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

class DiskQueueTest : public PeerLogTest {
 protected:
  std::unique_ptr<Cursor> OpenQueue(uint64_t checkpoint_records = 1) {
    CursorOptions options;
    options.checkpoint_records = checkpoint_records;
    options.checkpoint_interval = absl::InfiniteDuration();
    auto cursor = log_->OpenCursor("queue", options);
    EXPECT_TRUE(cursor.ok()) << cursor.status();
    return *std::move(cursor);
  }
  // Takes one message and says so.
  static SequenceNumber TakeOne(Cursor& cursor) {
    const auto entry = cursor.Next(absl::ZeroDuration());
    if (!entry.ok()) return kNoSequence;
    const SequenceNumber s =
        entry->kind == Entry::Kind::kRecord ? entry->record.sequence : entry->lost.last;
    EXPECT_TRUE(cursor.Commit(s).ok());
    return s;
  }
  static uint64_t Depth(Cursor& cursor) { return cursor.Lag().value().records; }
};

// go-diskqueue: TestDiskQueue.
TEST_F(DiskQueueTest, WhatIsPutIsTakenOnceAndTheDepthSaysHowMuchIsLeft) {
  Open();
  auto queue = OpenQueue();
  EXPECT_EQ(Depth(*queue), 0u);
  Append("test");
  EXPECT_EQ(Depth(*queue), 1u);
  EXPECT_EQ(queue->Next()->record.payload, "test");
  ASSERT_TRUE(queue->Commit(1).ok());
  EXPECT_EQ(Depth(*queue), 0u);
  EXPECT_EQ(TakeOne(*queue), kNoSequence);
}

// go-diskqueue: TestDiskQueueRoll.
TEST_F(DiskQueueTest, RollingGoesOnWithoutALossOrAnEmptyFile) {
  Open();
  AppendUpTo(10, 900);
  auto queue = OpenQueue();
  EXPECT_EQ(Depth(*queue), 10u);
  EXPECT_GE(log_->stats().rotations, 1u);
  for (SequenceNumber s = 1; s <= 10; ++s) EXPECT_EQ(TakeOne(*queue), s);
  queue = nullptr;
  Close();
  for (const uint64_t number : Segments()) EXPECT_GT(BytesOf(number).size(), kFramesOffset);
}

// go-diskqueue: TestDiskQueuePeek.
TEST_F(DiskQueueTest, PeekingDoesNotAdvance) {
  Open();
  AppendUpTo(10);
  auto queue = OpenQueue();
  for (SequenceNumber s = 1; s <= 10; ++s) {
    for (int i = 0; i < 2; ++i) {
      const auto peeked = queue->Peek(1);
      ASSERT_TRUE(peeked.ok());
      ASSERT_EQ(peeked->size(), 1u);
      EXPECT_EQ(peeked->front().record.sequence, s);
      EXPECT_EQ(Depth(*queue), 11 - s);
    }
    EXPECT_EQ(TakeOne(*queue), s);
  }
  EXPECT_TRUE(queue->Peek(1)->empty());
}

// go-diskqueue: TestDiskQueueEmpty.
TEST_F(DiskQueueTest, EmptyingGivesTheFilesBackAndTheQueueGoesOn) {
  Open();
  auto queue = OpenQueue();
  AppendUpTo(100, 900);
  for (int i = 0; i < 3; ++i) TakeOne(*queue);
  EXPECT_EQ(Depth(*queue), 97u);
  ASSERT_TRUE(queue->Reset(101).ok());
  ASSERT_TRUE(log_->TrimBefore(101).ok());
  EXPECT_EQ(Depth(*queue), 0u);
  EXPECT_EQ(TakeOne(*queue), kNoSequence);
  AppendUpTo(200, 900);
  EXPECT_EQ(Depth(*queue), 100u);
  for (SequenceNumber s = 101; s <= 200; ++s) ASSERT_EQ(TakeOne(*queue), s);
  ASSERT_TRUE(log_->TrimBefore(201).ok());
  queue = nullptr;
  Close();
  EXPECT_LE(Segments().size(), 2u);
}

// go-diskqueue: TestDiskQueueSyncAfterRead.
TEST_F(DiskQueueTest, WhatIsTakenIsOnDiskAsOftenAsTheOptionsSay) {
  Open();
  AppendUpTo(20);
  auto queue = OpenQueue(/*checkpoint_records=*/5);
  for (SequenceNumber s = 1; s <= 20; ++s) {
    TakeOne(*queue);
    EXPECT_EQ(queue->checkpointed(), s / 5 * 5);
    // What a power cut leaves of it.
    const auto image = disk_.CrashImage(kSubsetImage);
    Options options = options_;
    options.file_system = image.get();
    const auto log = Log::Open("log", options).value();
    EXPECT_EQ(log->OpenCursor("queue").value()->committed(), s / 5 * 5);
  }
}

// go-diskqueue: TestDiskQueueResize.
TEST_F(DiskQueueTest, AnotherSegmentSizeHoldsFromTheNextOpeningOn) {
  options_.segment_bytes = options_.initial_segment_bytes = 9 * 1024;
  Open();
  AppendUpTo(30, 1000);
  Close();
  const size_t before = Segments().size();
  EXPECT_GE(before, 4u);
  options_.segment_bytes = options_.initial_segment_bytes = 10 * 8192;
  Open();
  auto queue = OpenQueue();
  AppendUpTo(60, 1000);
  EXPECT_EQ(Segments().size(), before + 1);
  options_.segment_bytes = options_.initial_segment_bytes = 8192;
  queue = nullptr;
  Close();
  Open();
  AppendUpTo(70, 1000);
  queue = OpenQueue();
  for (SequenceNumber s = 1; s <= 70; ++s) ASSERT_EQ(TakeOne(*queue), s);
}

// go-diskqueue: TestDiskQueueTorture, ended by kills in place of Close.
TEST_F(DiskQueueTest, FourWritersAndFourReadersSurviveKills) {
  SequenceNumber acknowledged = 0;
  for (int round = 0; round < 4; ++round) {
    Open();
    EXPECT_GE(log_->last_durable(), acknowledged);
    EXPECT_EQ(log_->recovery().records_lost(), 0u);
    std::atomic<SequenceNumber> highest{acknowledged};
    std::atomic<bool> killed{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        for (int n = 0;; ++n) {
          const auto s = log_->Append(absl::StrCat("writer ", i, " round ", round, " ", n));
          if (!s.ok()) return;
          SequenceNumber before = highest;
          while (before < *s &&
                 !highest.compare_exchange_weak(before, *s, std::memory_order_seq_cst)) {
          }
        }
      });
      threads.emplace_back([&, i] {
        auto cursor = log_->OpenCursor(absl::StrCat("reader", i));
        if (!cursor.ok()) return;
        SequenceNumber last = (*cursor)->committed();
        for (auto entry = (*cursor)->Next(); entry.ok(); entry = (*cursor)->Next()) {
          // What a process sees that is dead already, nobody sees.
          if (killed) return;
          ASSERT_EQ(entry->kind, Entry::Kind::kRecord);
          ASSERT_EQ(entry->record.sequence, ++last);
          if (!(*cursor)->Commit(last).ok()) return;
        }
      });
    }
    while (highest < acknowledged + 150) std::this_thread::yield();
    killed = true;
    disk_.KillProcess();
    for (std::thread& thread : threads) thread.join();
    acknowledged = highest;
    log_ = nullptr;
  }
  Open();
  EXPECT_GE(log_->last_durable(), acknowledged);
  const std::string all = absl::StrCat("1..", log_->last_durable());
  EXPECT_EQ(ReadByCursor("all"), all);
}

// --- Damage -----------------------------------------------------------------------------

// go-diskqueue: TestDiskQueueCorruption.
TEST_F(DiskQueueTest, CutAndGarbledFilesLoseOnlyTheMessagesThatAreDestroyed) {
  Open();
  AppendUpTo(120, 1000);
  Close();
  // The second segment is cut in its middle, the fourth is cut to nothing but its headers, the
  // fifth has a garbage length, the last is cut in its last record.
  const SequenceNumber second = 10;
  const SequenceNumber fourth = 24;
  const SequenceNumber fifth = 31;
  const Place in_second = PlaceOf(second);
  const Place in_fourth = PlaceOf(fourth);
  const Place in_fifth = PlaceOf(fifth);
  const Place last = PlaceOf(120);
  ASSERT_LT(in_second.segment, in_fourth.segment);
  ASSERT_LT(in_fourth.segment, in_fifth.segment);
  SequenceNumber second_last = second;
  while (PlaceOf(second_last + 1).segment == in_second.segment) ++second_last;
  SequenceNumber fourth_first = fourth;
  while (PlaceOf(fourth_first - 1).segment == in_fourth.segment) --fourth_first;
  SequenceNumber fourth_last = fourth;
  while (PlaceOf(fourth_last + 1).segment == in_fourth.segment) ++fourth_last;
  Shorten(in_second.segment, in_second.begin + 500);
  Shorten(in_fourth.segment, kFramesOffset);
  Overwrite(in_fifth.segment, in_fifth.begin + 16, std::string("\xff\xff\xff\x7f", 4));
  Shorten(last.segment, last.end - 10);
  const std::string expected =
      absl::StrCat("1..", second - 1, " lost ", second, "..", second_last, " acknowledged ",
                   second_last + 1, "..", fourth_first - 1, " lost ", fourth_first, "..",
                   fourth_last, " acknowledged ", fourth_last + 1, "..", fifth - 1, " lost ", fifth,
                   "..", fifth, " acknowledged ", fifth + 1, "..119 lost 120..120 acknowledged");
  EXPECT_EQ(WithoutCause(ReadBack()), expected);
  Open();
  EXPECT_EQ(WithoutCause(ReadByCursor()), expected);
  EXPECT_EQ(Append("goes on"), 121u);
}

// go-diskqueue issue #28: metadata behind the data, after which new messages overwrite old ones.
TEST_F(DiskQueueTest, OldMetadataOverwritesNothing) {
  Open();
  auto queue = OpenQueue();
  AppendUpTo(10, 900);
  for (int i = 0; i < 5; ++i) TakeOne(*queue);
  const std::string old_log = *disk_.ReadFileBytes("log/LOG");
  const std::string old_cursor = *disk_.ReadFileBytes("log/queue.cursor");
  AppendUpTo(80, 900);
  for (int i = 0; i < 50; ++i) TakeOne(*queue);
  queue = nullptr;
  Close();
  disk_.WriteFileBytes("log/LOG", old_log);
  disk_.WriteFileBytes("log/queue.cursor", old_cursor);
  Open();
  EXPECT_EQ(Append(Payload(81)), 81u);
  EXPECT_EQ(ReadByCursor("all"), "1..81");
  queue = OpenQueue();
  const SequenceNumber next = TakeOne(*queue);
  EXPECT_GE(next, 1u);
  EXPECT_LE(next, 6u) << "taken again, never passed over";
}

// nsq issue #1514: a read position in the middle of a message.
TEST_F(DiskQueueTest, ACheckpointInTheMiddleOfARecordLosesNothing) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 6, 60);
  segment.IdleMark();
  Put(segment);
  // Every byte of the group and the first two records, then every place where a frame may stand.
  const uint64_t end = segment.FrameBegin(7) + 16;
  for (uint64_t offset = kFramesOffset; offset < end;
       offset += offset < segment.FrameBegin(3) ? 1 : 8) {
    SimFileSystem& disk = Take(disk_.Clone());
    CursorSlot slot;
    slot.log_id = log_id_;
    slot.generation = 2;
    slot.committed = 3;
    slot.segment = 1;
    slot.incarnation = segment.header().incarnation;
    slot.offset = offset;
    slot.name = "queue";
    std::string bytes(2 * kBlockBytes, '\0');
    EncodeCursorSlot(slot, 0, std::span<char, kSlotBytes>(bytes.data(), kSlotBytes));
    disk.WriteFileBytes("log/queue.cursor", bytes);
    Open();
    {
      auto queue = OpenQueue(/*checkpoint_records=*/0);
      for (SequenceNumber s = 4; s <= 6; ++s) ASSERT_EQ(TakeOne(*queue), s) << offset;
      ASSERT_EQ(TakeOne(*queue), kNoSequence);
    }
  }
}

// nsq issue #1033: a bad file is renamed over and over.
TEST_F(DiskQueueTest, ADamagedSegmentIsPassedOnceAndNoOpeningAddsAFile) {
  Open();
  AppendUpTo(40, 900);
  Close();
  Damage(20);
  std::vector<std::string> files;
  for (int i = 0; i < 10; ++i) {
    for (const RecoveryPolicy policy :
         {RecoveryPolicy::kSalvage, RecoveryPolicy::kStopAtFirstLoss}) {
      options_.recovery_policy = policy;
      Open();
      auto queue = log_->OpenCursor(absl::StrCat("queue")).value();
      ASSERT_TRUE(queue->Seek(1).ok());
      uint64_t entries = 0;
      while (queue->Next(absl::ZeroDuration()).ok()) ++entries;
      EXPECT_LE(entries, 41u);
      queue = nullptr;
      Close();
    }
    if (i == 1) files = disk_.FileNames("log");
  }
  EXPECT_EQ(disk_.FileNames("log").size(), files.size());
}

// nsq issue #471: a length that is not looked at before memory is taken for it.
TEST_F(DiskQueueTest, AnyLengthIsLookedAtBeforeItIsBelieved) {
  Open();
  AppendUpTo(3);
  Close();
  const Place place = PlaceOf(2);
  for (const uint32_t length : {0u, 1u, 99u, 101u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    const std::string before = BytesOf(place.segment);
    Overwrite(place.segment, place.begin + 16,
              std::string_view(reinterpret_cast<const char*>(&length), sizeof length));
    EXPECT_EQ(ReadBack(), "1..1 lost 2..2 acknowledged checksum 3..3") << length;
    disk_.WriteFileBytes(PathOf(place.segment), before);
  }
}

// nsq pull request #203: the depth is wrong after a loss.
TEST_F(DiskQueueTest, TheDepthIsZeroWhenAllThatIsLeftWasTaken) {
  Open();
  AppendUpTo(30, 900);
  Close();
  Damage(10);
  const Place place = PlaceOf(20);
  Shorten(place.segment, place.begin);
  Open();
  auto queue = OpenQueue();
  EXPECT_EQ(Depth(*queue), 30u) << "lost ones are still to be told";
  SequenceNumber last = 0;
  while (const SequenceNumber s = TakeOne(*queue)) {
    EXPECT_GT(s, last);
    last = s;
    EXPECT_EQ(Depth(*queue), 30 - s);
  }
  EXPECT_EQ(last, 30u);
}

// nsq issue #1275: temporary files are left behind.
TEST_F(DiskQueueTest, NoTemporaryFileIsLeftBehind) {
  for (int i = 0; i < 20; ++i) {
    Open();
    auto queue = OpenQueue();
    auto other = log_->OpenCursor("other", {.checkpoint_records = 1}).value();
    Append(Payload(i + 1));
    TakeOne(*queue);
    TakeOne(*other);
    if (i % 2 == 0) Kill();
    other = nullptr;
    queue = nullptr;
    if (i % 2 == 1) Close();
  }
  for (const std::string& name : disk_.FileNames("log")) {
    const bool known = name == "LOG" || name == "LOCK" || name == "CURSORS" ||
                       name.ends_with(".cursor") || ParseSegmentName(name).has_value();
    EXPECT_TRUE(known) << name;
  }
  EXPECT_LE(Segments().size(), 22u);
}

}  // namespace
}  // namespace millrace
