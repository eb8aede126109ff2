// Goal: segments are given up, used again and prepared only when that is safe.
// Method: WalCore over the simulated file system, with a hook that notes every call.

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/wal_core_fixture.h"
#include "wal/segment_name.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

class WalCoreTrimTest : public WalCoreFixture {};

TEST_F(WalCoreTrimTest, PreparesTheNextSegmentAheadAfterTheFirstRotation) {
  Open();
  EXPECT_EQ(disk_.FileNames(kDirectory).size(), 3u);  // LOCK, LOG, one segment
  FillSegments(1);
  EXPECT_TRUE(disk_.ReadFileBytes(Path(3)).has_value());
  Watch();
  Commit("x");
  FillSegments(1);
  EXPECT_EQ(Find("create " + SegmentName(3) + "@0"), calls_.size());
}

TEST_F(WalCoreTrimTest, TrimIsDurableBeforeAnyFileGoes) {
  Open();
  FillSegments(4);
  Watch();
  ASSERT_TRUE(core_->TrimBefore(core_->last_durable()).ok());
  core_->ReleaseTrimmed();
  const size_t first_sync = Find("sync " + SegmentName(5) + "@0");
  const size_t superblock = Find("sync LOG@0");
  size_t first_unlink = 0;
  while (first_unlink < calls_.size() && calls_[first_unlink].rfind("unlink", 0) != 0) {
    ++first_unlink;
  }
  ASSERT_LT(first_unlink, calls_.size());
  EXPECT_LT(first_sync, first_unlink);
  EXPECT_LT(superblock, first_unlink);
  Crash();
  Open();
  EXPECT_GT(report_.first_retained, 1u);
  EXPECT_TRUE(report_.lost.empty());
}

TEST_F(WalCoreTrimTest, TrimmedSegmentsAreRecycled) {
  Open();
  for (int i = 0; i < 6; ++i) {
    FillSegments(1);
    ASSERT_TRUE(core_->TrimBefore(core_->last_durable()).ok());
    core_->ReleaseTrimmed();
  }
  EXPECT_GT(core_->counters().recycled_segments, 2u);
  Crash();
  Open();
  EXPECT_TRUE(report_.lost.empty());
}

// Its mark does not fit, so it rotates; what that seals is not given up as well.
TEST_F(WalCoreTrimTest, TrimThatRotatesGivesUpOnlyWhatItNames) {
  Open();
  // 80 bytes of group and 40 of record each: 68 leave 32 bytes of a segment.
  for (int i = 0; i < 2 * 68; ++i) Commit("8 bytes.");
  ASSERT_EQ(core_->counters().rotations, 1u);
  ASSERT_TRUE(core_->TrimBefore(core_->last_durable() + 1).ok());
  core_->ReleaseTrimmed();
  EXPECT_EQ(core_->counters().rotations, 2u);
  EXPECT_EQ(core_->segments()->First()->first_sequence, core_->first_retained());
  ASSERT_TRUE(core_->Close().ok());
  options_.recovery_policy = RecoveryPolicy::kStrict;
  Open();
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
}

TEST_F(WalCoreTrimTest, StreamingReservesTheSegmentThatRotationNeedsAtOnce) {
  options_.segment_bytes = 1 << 20;
  options_.initial_segment_bytes = 128 << 10;
  Open();
  const uint64_t before = disk_.Calls(FileOp::kAllocate);
  Commit(std::string(100'000, 's'));
  Commit(std::string(100'000, 's'));
  ASSERT_EQ(core_->counters().rotations, 1u);
  // The one taken, which nobody had prepared, and the one prepared behind it.
  EXPECT_EQ(disk_.Calls(FileOp::kAllocate), before + 2);
}

TEST_F(WalCoreTrimTest, SegmentNumbersThatRunOutAreAnError) {
  Open();
  Commit("kept");
  ASSERT_TRUE(core_->Close().ok());
  disk_.WriteFileBytes(Path(kMaxSegmentNumber - 1), "");
  Open();
  absl::Status status;
  for (int i = 0; i < 20 && status.ok(); ++i) {
    status = Add(std::string(1000, 'n'), Durability::kDurable).status();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

TEST_F(WalCoreTrimTest, DoesNotRecycleAFileWithASecondLink) {
  Open();
  for (int i = 0; i < 6; ++i) {
    FillSegments(1);
    for (uint64_t n = 1; n < 20; ++n) {
      if (disk_.ReadFileBytes(Path(n)).has_value()) disk_.SetLinkCount(Path(n), 2);
    }
    ASSERT_TRUE(core_->TrimBefore(core_->last_durable()).ok());
    core_->ReleaseTrimmed();
  }
  EXPECT_EQ(core_->counters().recycled_segments, 0u);
}

TEST_F(WalCoreTrimTest, DoesNotRecycleWhatAReaderHolds) {
  Open();
  FillSegments(1);
  const std::shared_ptr<SegmentNode> pin = core_->segments()->First();
  for (int i = 0; i < 2; ++i) {
    FillSegments(1);
    ASSERT_TRUE(core_->TrimBefore(core_->last_durable()).ok());
    core_->ReleaseTrimmed();
  }
  FillSegments(1);
  EXPECT_EQ(core_->counters().recycled_segments, 0u);
}

TEST_F(WalCoreTrimTest, DoesNotRecycleOnACopyOnWriteFileSystem) {
  SimOptions sim;
  sim.overwrites_in_place = false;
  SimFileSystem disk(sim);
  std::unique_ptr<Directory> directory;
  ASSERT_GE(disk.OpenDirectory(kDirectory, DirectoryMode::kCreate, &directory), 0);
  InlineSegmentSupply supply;
  core_ = WalCore::Open(disk, std::move(directory), options_, &supply, 0, &report_).value();
  for (int i = 0; i < 6; ++i) {
    FillSegments(1);
    ASSERT_TRUE(core_->TrimBefore(core_->last_durable()).ok());
    core_->ReleaseTrimmed();
  }
  EXPECT_EQ(core_->counters().recycled_segments, 0u);
  core_.reset();
}

}  // namespace
}  // namespace millrace
