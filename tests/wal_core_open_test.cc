// Goal: what an open takes over, refuses and leaves behind.
// Method: WalCore over the simulated file system, with a hook that notes every call.

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/wal_core_fixture.h"
#include "wal/superblock.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

class WalCoreOpenTest : public WalCoreFixture {};

TEST_F(WalCoreOpenTest, NumbersAreDenseFromOneOnAcrossReopening) {
  Open();
  EXPECT_EQ(report_.outcome, RecoveryReport::Outcome::kCreated);
  Commit("a");
  Commit("b");
  EXPECT_EQ(core_->last_durable(), 2u);
  ASSERT_TRUE(core_->Close().ok());
  Open();
  EXPECT_EQ(report_.outcome, RecoveryReport::Outcome::kClean);
  Commit("c");
  EXPECT_EQ(core_->last_durable(), 3u);
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"a", "b", "c"}));
}

// The page cache still shows what the failed sync did not bring to the disk.
TEST_F(WalCoreOpenTest, ReopeningAfterAFailedSyncShowsNoPhantom) {
  Open();
  Commit("kept");
  disk_.AddRule({.op = FileOp::kSync,
                 .action = SimRule::Action::kLosePages,
                 .error = EIO,
                 .name = "*.seg",
                 .count = SimRule::kForever});
  ASSERT_TRUE(Add("phantom", Durability::kDurable).ok());
  ASSERT_TRUE(core_->Write().ok());
  ASSERT_FALSE(core_->Sync().ok());
  Crash();
  disk_.ClearRules();
  Open();
  EXPECT_EQ(ReadAll(), std::vector<std::string>{"kept"});
  Commit("next");
  Crash();
  disk_.CutPower();
  disk_.PowerOn(7);
  Open();
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"kept", "next"}));
}

TEST_F(WalCoreOpenTest, SecondOpenIsAborted) {
  Open();
  std::unique_ptr<Directory> directory;
  ASSERT_GE(disk_.OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory), 0);
  InlineSegmentSupply supply;
  RecoveryReport report;
  const auto second = WalCore::Open(disk_, std::move(directory), options_, &supply, 0, &report);
  EXPECT_TRUE(absl::IsAborted(second.status())) << second.status();
  Commit("still works");
}

TEST_F(WalCoreOpenTest, CreateModesAreKept) {
  options_.create_mode = CreateMode::kMustExist;
  EXPECT_TRUE(absl::IsNotFound(TryOpen()));
  EXPECT_TRUE(disk_.FileNames(kDirectory).empty());
  options_.create_mode = CreateMode::kMustNotExist;
  ASSERT_TRUE(TryOpen().ok());
  ASSERT_TRUE(core_->Close().ok());
  EXPECT_TRUE(absl::IsAlreadyExists(TryOpen()));
  options_.create_mode = CreateMode::kMustExist;
  EXPECT_TRUE(TryOpen().ok());
}

TEST_F(WalCoreOpenTest, OpeningOftenLeavesFewFiles) {
  Open();
  Commit("only");
  for (int i = 0; i < 50; ++i) {
    if (i % 2 == 0) {
      ASSERT_TRUE(core_->Close().ok());
    } else {
      Crash();
    }
    Open();
    EXPECT_EQ(ReadAll(), std::vector<std::string>{"only"});
  }
  EXPECT_LE(disk_.FileNames(kDirectory).size(), 5u);
}

TEST_F(WalCoreOpenTest, StrictRefusesDamageAndChangesNothing) {
  Open();
  FillSegments(2);
  ASSERT_TRUE(core_->Close().ok());
  disk_.FlipBit(Path(1), kFramesOffset + FrameBytes(kGroupBodyBytes) + 40, 3);
  const uint64_t before = disk_.Hash();
  options_.recovery_policy = RecoveryPolicy::kStrict;
  EXPECT_TRUE(absl::IsDataLoss(TryOpen()));
  EXPECT_EQ(disk_.Hash(), before);
}

// What nobody had been told is durable does not become acknowledged by a stop.
TEST_F(WalCoreOpenTest, StopAtFirstLossStatesNoHigherMarkThanIsKnown) {
  Open();
  for (int i = 1; i <= 4; ++i) Commit("record " + std::to_string(i));
  Commit("five");
  Crash();
  // Record 2; the group of record 5 says that four are durable, and nothing says more.
  disk_.FlipBit(Path(1), kFramesOffset + 2 * FrameBytes(kGroupBodyBytes) + FrameBytes(8) + 36, 3);
  options_.recovery_policy = RecoveryPolicy::kStopAtFirstLoss;
  Open();
  ASSERT_EQ(core_->epoch(), 2u);
  Commit("six");
  for (int i = 0; i < 2; ++i) {
    Crash();
    Open();
    ASSERT_EQ(report_.lost.size(), 2u) << report_.ToString();
    EXPECT_EQ(report_.lost[0].first, 2u);
    EXPECT_EQ(report_.lost[0].last, 4u);
    EXPECT_EQ(report_.lost[0].acknowledgement, Acknowledgement::kAcknowledged);
    EXPECT_EQ(report_.lost[1].first, 5u);
    EXPECT_EQ(report_.lost[1].last, 5u);
    EXPECT_EQ(report_.lost[1].acknowledgement, Acknowledgement::kUnknown);
    EXPECT_EQ(ReadAll(), (std::vector<std::string>{"record 1", "lost 2..5", "six"}));
    EXPECT_EQ(core_->epoch_base(), 1u);
  }
}

TEST_F(WalCoreOpenTest, StopAtFirstLossKeepsThePrefixAndSetsTheRestAside) {
  Open();
  FillSegments(3);
  const SequenceNumber last = core_->last_durable();
  ASSERT_TRUE(core_->Close().ok());
  // The second segment's first record.
  disk_.FlipBit(Path(2), kFramesOffset + FrameBytes(kGroupBodyBytes) + 40, 3);
  options_.recovery_policy = RecoveryPolicy::kStopAtFirstLoss;
  Open();
  const SequenceNumber kept = report_.last_recovered;
  EXPECT_GT(kept, 1u);
  EXPECT_LT(kept, last);
  EXPECT_EQ(report_.next_sequence, last + 1);
  const std::vector<std::string> names = disk_.FileNames(kDirectory);
  EXPECT_TRUE(std::any_of(names.begin(), names.end(),
                          [](const std::string& n) { return n.ends_with(".aside"); }));
  Superblock superblock;
  ASSERT_EQ(*SuperblockFile::Load(core_->directory(), &superblock), HeaderStatus::kValid);
  EXPECT_EQ(superblock.epoch, 2u);
  EXPECT_EQ(superblock.epoch_base, kept);
  Commit("after");
  const std::string gap = "lost " + std::to_string(kept + 1) + ".." + std::to_string(last);
  std::vector<std::string> read = ReadAll();
  ASSERT_EQ(read.size(), kept + 2);
  EXPECT_EQ(read[kept], gap);
  EXPECT_EQ(read[kept + 1], "after");
  // The cut stands under any policy.
  Crash();
  options_.recovery_policy = RecoveryPolicy::kSalvage;
  Open();
  EXPECT_EQ(ReadAll(), read);
}

}  // namespace
}  // namespace millrace
