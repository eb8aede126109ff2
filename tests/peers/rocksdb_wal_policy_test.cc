// Goal: over the damages that RocksDB's recovery modes are tried with, each policy keeps
// and refuses exactly what it says, where RocksDB's tests ask for about how many rows are
// left.
// Method: four segments, each cut short or damaged at ten and more places, opened with
// every policy; then holes in the chain of segments; then power cuts while such a log is
// recovered.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"

namespace millrace {
namespace {

constexpr SequenceNumber kLast = 40;

class RocksDbWalPolicyTest : public PeerLogTest {
 protected:
  // Records 1..40 in four segments, every one acknowledged.
  void PutFour() {
    for (const std::string& name : disk_.FileNames("log")) disk_.DeleteFile("log/" + name);
    PutLockFile();
    segments_.clear();
    Predecessor predecessor;
    for (uint64_t number = 1; number <= 4; ++number) {
      segments_.emplace_back(Header(number, predecessor.last_sequence + 1, predecessor));
      AddGroup(segments_.back(), predecessor.last_sequence, 10);
      predecessor = segments_.back().AsPredecessor();
    }
    segments_.back().Footer();
    for (const SegmentBuilder& segment : segments_) Put(segment);
    PutSuperblock(OwnSuperblock(kLast));
  }

  // Opens a copy of the disk.
  struct Opened {
    absl::Status status;
    RecoveryReport report;
    std::string read;
    std::unique_ptr<SimFileSystem> disk;
  };
  Opened OpenCopy(RecoveryPolicy policy) {
    Opened opened;
    opened.disk = disk_.Clone();
    options_.file_system = opened.disk.get();
    options_.recovery_policy = policy;
    opened.status = TryOpen();
    if (opened.status.ok()) {
      opened.report = log_->recovery();
      opened.read = ReadByCursor();
    }
    log_ = nullptr;
    options_.file_system = &disk_;
    return opened;
  }

  // What must be read after records first..last were destroyed.
  static std::string Without(SequenceNumber first, SequenceNumber last) {
    std::string text = first == 1 ? "" : absl::StrCat("1..", first - 1, " ");
    absl::StrAppend(&text, "lost ", first, "..", last, " acknowledged");
    if (last < kLast) absl::StrAppend(&text, " ", last + 1, "..", kLast);
    return text;
  }

  // The damage at hand has destroyed first..last and nothing else.
  void ExpectLoss(SequenceNumber first, SequenceNumber last) {
    // kAbsoluteConsistency.
    const Opened strict = OpenCopy(RecoveryPolicy::kStrict);
    ASSERT_TRUE(absl::IsDataLoss(strict.status)) << strict.status;
    ASSERT_EQ(strict.disk->Hash(), disk_.Hash());
    // kSkipAnyCorruptedRecords.
    const Opened salvage = OpenCopy(RecoveryPolicy::kSalvage);
    ASSERT_EQ(WithoutCause(salvage.read), Without(first, last)) << salvage.status;
    ASSERT_EQ(salvage.report.next_sequence, kLast + 1);
    // kPointInTimeRecovery.
    const Opened stop = OpenCopy(RecoveryPolicy::kStopAtFirstLoss);
    ASSERT_TRUE(stop.status.ok()) << stop.status;
    ASSERT_EQ(stop.report.last_recovered, first - 1);
    ASSERT_EQ(stop.report.records_lost(), kLast - first + 1);
    ASSERT_EQ(stop.report.next_sequence, kLast + 1) << "no number is given twice";
    ASSERT_TRUE(stop.read.empty() ? first == 1
                                  : stop.read.starts_with(absl::StrCat("1..", first - 1)) ||
                                        stop.read.starts_with(absl::StrCat("lost ", first)))
        << stop.read;
  }

  std::vector<SegmentBuilder> segments_;
};

// RocksDB db_wal_test: kAbsoluteConsistency, kPointInTimeRecovery, kSkipAnyCorruptedRecords,
// damaged.
TEST_F(RocksDbWalPolicyTest, ADamagedRecordOfAnySegmentIsJudgedByEveryPolicy) {
  for (uint64_t number = 1; number <= 4; ++number) {
    for (SequenceNumber i = 1; i <= 10; ++i) {
      PutFour();
      Flip(number, segments_[number - 1].FrameBegin(i) + 12 * i);
      const SequenceNumber s = 10 * (number - 1) + i;
      SCOPED_TRACE(s);
      ExpectLoss(s, s);
    }
  }
}

// RocksDB db_wal_test: kAbsoluteConsistency, kPointInTimeRecovery, kSkipAnyCorruptedRecords, cut
// short.
TEST_F(RocksDbWalPolicyTest, ASegmentCutShortAnywhereIsJudgedByEveryPolicy) {
  for (uint64_t number = 1; number <= 4; ++number) {
    for (SequenceNumber i = 1; i <= 10; ++i) {
      PutFour();
      Shorten(number, segments_[number - 1].FrameBegin(i) + 13 * (i - 1));
      SCOPED_TRACE(absl::StrCat(number, " ", i));
      ExpectLoss(10 * (number - 1) + i, 10 * number);
    }
  }
}

// RocksDB db_wal_test: kTolerateCorruptedTailRecords.
TEST_F(RocksDbWalPolicyTest, ATornEndOfTheLastSegmentIsNoLossUnderAnyPolicy) {
  for (SequenceNumber i = 1; i <= 10; ++i) {
    for (const uint64_t into : {0, 1, 31, 32, 33, 100, 130}) {
      PutFour();
      PutSuperblock(OwnSuperblock(/*mark=*/30));
      Shorten(4, segments_[3].FrameBegin(i) + into);
      for (const RecoveryPolicy policy :
           {RecoveryPolicy::kStrict, RecoveryPolicy::kSalvage, RecoveryPolicy::kStopAtFirstLoss}) {
        const Opened opened = OpenCopy(policy);
        ASSERT_EQ(opened.read, absl::StrCat("1..", 30 + i - 1)) << opened.status;
        ASSERT_EQ(opened.report.records_lost(), 0u) << opened.report.ToString();
        ASSERT_EQ(opened.report.next_sequence, 30 + i);
      }
    }
  }
}

// --- Holes in the chain -----------------------------------------------------------------

// RocksDB db_wal_test: TrackAndVerifyWALsRecycleWAL and its like, the first one deleted.
TEST_F(RocksDbWalPolicyTest, AMissingSegmentAnywhereIsNamed) {
  for (uint64_t number = 1; number <= 4; ++number) {
    PutFour();
    Remove(number);
    SCOPED_TRACE(number);
    ExpectLoss(10 * number - 9, 10 * number);
  }
}

// RocksDB db_wal_test: TrackAndVerifyWALs, one truncated to nothing.
TEST_F(RocksDbWalPolicyTest, ASegmentTruncatedToNothingIsNamed) {
  for (uint64_t number = 1; number <= 4; ++number) {
    PutFour();
    Shorten(number, 0);
    SCOPED_TRACE(number);
    ExpectLoss(10 * number - 9, 10 * number);
  }
}

// RocksDB db_wal_test: TrackAndVerifyWALs, one of another size.
TEST_F(RocksDbWalPolicyTest, ASegmentThatGrewIsWholeAndOneThatShrankIsNamed) {
  PutFour();
  Put(2, BytesOf(2) + std::string(5'000, '\0'));
  Put(3, BytesOf(3) + std::string(5'000, 'x'));
  const Opened grown = OpenCopy(RecoveryPolicy::kStrict);
  EXPECT_EQ(grown.read, "1..40") << grown.status;
  PutFour();
  Shorten(2, BytesOf(2).size() - 1);
  ExpectLoss(20, 20);
}

// RocksDB db_wal_test: TrackAndVerifyWALs, all deleted ("opening an existing DB with no WAL
// files").
TEST_F(RocksDbWalPolicyTest, ALogWithoutAnySegmentIsNotANewLog) {
  PutFour();
  for (uint64_t number = 1; number <= 4; ++number) Remove(number);
  options_.create_mode = CreateMode::kMustNotExist;
  EXPECT_TRUE(absl::IsAlreadyExists(OpenCopy(RecoveryPolicy::kSalvage).status));
  options_.create_mode = CreateMode::kCreateOrOpen;
  ExpectLoss(1, 40);
}

// RocksDB db_wal_test: TrackAndVerifyWALs, one that was obsolete.
TEST_F(RocksDbWalPolicyTest, ASegmentThatWasTrimmedIsMissedByNobody) {
  PutFour();
  Superblock superblock = OwnSuperblock(kLast);
  superblock.first_retained = 21;
  PutSuperblock(superblock);
  Remove(1);
  Remove(2);
  for (const RecoveryPolicy policy :
       {RecoveryPolicy::kStrict, RecoveryPolicy::kSalvage, RecoveryPolicy::kStopAtFirstLoss}) {
    const Opened opened = OpenCopy(policy);
    EXPECT_EQ(opened.read, "21..40") << opened.status;
    EXPECT_EQ(opened.report.records_lost(), 0u) << opened.report.ToString();
  }
}

// --- After a loss, and in the middle of it ----------------------------------------------

// RocksDB corruption_test: PostPITRCorruptionWALsRetained.
TEST_F(RocksDbWalPolicyTest, WhatAStopLeavesOutIsRenamedAndNotDeleted) {
  PutFour();
  Flip(2, segments_[1].FrameBegin(3) + 50);
  const std::string third = BytesOf(3);
  const std::string fourth = BytesOf(4);
  const Opened opened = OpenCopy(RecoveryPolicy::kStopAtFirstLoss);
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  EXPECT_EQ(opened.disk->ReadFileBytes(PathOf(3) + ".aside"), third);
  EXPECT_EQ(opened.disk->ReadFileBytes(PathOf(4) + ".aside"), fourth);
}

// RocksDB corruption_test: FileSystemStateCorrupted.
TEST_F(RocksDbWalPolicyTest, FilesThatChangedTheirSizeOrPlaceAreToldApart) {
  PutFour();
  // Segments 2 and 3 changed places: each is the other's name.
  const std::string second = BytesOf(2);
  const std::string third = BytesOf(3);
  disk_.WriteFileBytes(PathOf(2), third);
  disk_.WriteFileBytes(PathOf(3), second);
  EXPECT_TRUE(absl::IsDataLoss(OpenCopy(RecoveryPolicy::kStrict).status));
  EXPECT_EQ(OpenCopy(RecoveryPolicy::kSalvage).report.records_lost(), 20u);
  // One of them also under its own name: a copy too many harms nothing.
  disk_.WriteFileBytes(PathOf(2), second);
  disk_.WriteFileBytes(PathOf(3), third);
  disk_.WriteFileBytes(PathOf(77), second);
  EXPECT_EQ(OpenCopy(RecoveryPolicy::kStrict).read, "1..40");
}

class RocksDbCrashInRecoveryTest : public RocksDbWalPolicyTest {
 protected:
  // Recovers a log that has lost record 13, appends, and cuts the power at every call of that.
  // Every image must be recovered to `kept` records, and to the one appended if it is there.
  void CutEveryCall(RecoveryPolicy policy, SequenceNumber kept) {
    PutFour();
    Flip(2, segments_[1].FrameBegin(3) + 50);
    ASSERT_EQ(directory_->Sync(), 0);
    options_.recovery_policy = policy;
    uint64_t images = 0;
    disk_.SetHook([&](const FileCall& call) {
      if (call.number == 0) return SimVerdict::kProceed;
      disk_.ForEachCrashImage(16, call.number, [&](SimFileSystem& image, ImageId id) {
        ++images;
        const std::string text = Reopen(image, kept);
        ASSERT_EQ(text, "") << "image " << id << " of call " << call.number;
      });
      return SimVerdict::kProceed;
    });
    Open();
    // The flush.
    ASSERT_EQ(log_->Append("after").value(), kLast + 1);
    disk_.SetHook(nullptr);
    EXPECT_GT(images, 20u);
  }

  // What is wrong with an image.
  std::string Reopen(SimFileSystem& image, SequenceNumber kept) {
    Options options = options_;
    options.file_system = &image;
    const auto log = Log::Open("log", options);
    if (!log.ok()) return log.status().ToString();
    const SequenceNumber next = (*log)->recovery().next_sequence;
    const bool appended = next == kLast + 2;
    if (next != kLast + 1 + appended) return absl::StrCat("next is ", next);
    auto cursor = (*log)->OpenCursor("c").value();
    SequenceNumber read = 0;
    uint64_t lost = 0;
    for (auto entry = cursor->Next(absl::ZeroDuration()); entry.ok();
         entry = cursor->Next(absl::ZeroDuration())) {
      ++(entry->kind == Entry::Kind::kRecord ? read : lost);
    }
    if (read != kept + appended) return absl::StrCat(read, " records");
    // Nothing follows the loss where it is the end.
    const bool at_end = kept < 13 && !appended;
    return lost > 0 || at_end ? "" : "no loss";
  }
};

// RocksDB corruption_test: CrashDuringRecoveryWithCorruptionTest CrashDuringRecovery,
// CrashDuringRecoveryWithFlush.
TEST_F(RocksDbCrashInRecoveryTest, APowerCutAtAnyCallOfASalvageChangesNothingOfItsResult) {
  CutEveryCall(RecoveryPolicy::kSalvage, kLast - 1);
}

// RocksDB corruption_test: CrashDuringRecoveryWithCorruptionTest CrashDuringRecovery,
// CrashDuringRecoveryWithFlush.
TEST_F(RocksDbCrashInRecoveryTest, APowerCutAtAnyCallOfAStopChangesNothingOfItsResult) {
  CutEveryCall(RecoveryPolicy::kStopAtFirstLoss, 12);
}

}  // namespace
}  // namespace millrace
