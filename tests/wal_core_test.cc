// Goal: the order of writes and syncs that the guarantees rest on, and what the core
// does when a call fails.
// Method: WalCore over the simulated file system, with a hook that notes every call.

#include "wal/wal_core.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/wal_core_fixture.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

class WalCoreTest : public WalCoreFixture {};

TEST_F(WalCoreTest, WatermarksMoveOnlyWithTheirCall) {
  Open();
  ASSERT_EQ(Add("a", Durability::kDurable).value(), 1u);
  EXPECT_EQ(core_->last_written(), 0u);
  ASSERT_TRUE(core_->Write().ok());
  EXPECT_EQ(core_->last_written(), 1u);
  EXPECT_EQ(core_->last_durable(), 0u);
  ASSERT_TRUE(core_->Sync().ok());
  EXPECT_EQ(core_->last_durable(), 1u);
}

TEST_F(WalCoreTest, ShortWritesAreCompleted) {
  Open();
  disk_.AddRule({.op = FileOp::kWrite,
                 .action = SimRule::Action::kShort,
                 .bytes = 7,
                 .name = "*.seg",
                 .count = SimRule::kForever});
  Commit(std::string(500, 'x'));
  Commit("y");
  disk_.ClearRules();
  Crash();
  Open();
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{std::string(500, 'x'), "y"}));
}

TEST_F(WalCoreTest, HeaderFollowsTheSyncOfItsPredecessor) {
  Open();
  Watch();
  FillSegments(1);
  const std::string name = SegmentName(2);
  // The last write at offset 0 of the new file is the active header.
  size_t header = calls_.size();
  for (size_t at = Find("write " + name + "@0"); at < calls_.size();
       at = Find("write " + name + "@0", at + 1)) {
    header = at;
  }
  ASSERT_LT(header, calls_.size());
  size_t synced = calls_.size();
  for (size_t at = 0; at < header; ++at) {
    if (calls_[at] == "sync " + SegmentName(1) + "@0") synced = at;
  }
  ASSERT_LT(synced, header);
  for (size_t at = synced; at < header; ++at) {
    EXPECT_EQ(calls_[at].find("write " + SegmentName(1)), std::string::npos) << calls_[at];
  }
}

TEST_F(WalCoreTest, SyncsOldestSegmentFirst) {
  Open();
  while (core_->counters().rotations < 3) {
    ASSERT_TRUE(Add(std::string(1000, 'u'), Durability::kWritten).ok());
    ASSERT_TRUE(core_->Write().ok());
  }
  EXPECT_GT(core_->unsynced_bytes(), 3 * 6000u);
  Watch();
  ASSERT_TRUE(core_->Sync().ok());
  EXPECT_EQ(core_->unsynced_bytes(), 0u);
  std::vector<std::string> syncs;
  for (const std::string& call : calls_) {
    if (call.rfind("sync 0", 0) == 0) syncs.push_back(call);
  }
  EXPECT_GE(syncs.size(), 4u);
  EXPECT_TRUE(std::is_sorted(syncs.begin(), syncs.end()));
}

// Writing it twice pays where many syncs would each pay for blocks that are new.
TEST_F(WalCoreTest, TheNextSegmentIsWrittenAheadForSmallSyncsNotForSmallWrites) {
  for (const bool syncs : {false, true}) {
    options_.segment_bytes = options_.initial_segment_bytes = 256 << 10;
    Open();
    Watch();
    calls_.clear();
    while (core_->counters().rotations == 0) {
      ASSERT_TRUE(Add(std::string(1000, 'x'), Durability::kBuffered).ok());
      ASSERT_TRUE(core_->Write().ok());
      if (syncs) ASSERT_TRUE(core_->Sync().ok());
    }
    const bool reserved = std::any_of(calls_.begin(), calls_.end(), [](const std::string& call) {
      return call.starts_with("allocate ");
    });
    EXPECT_EQ(reserved, !syncs);
    disk_.SetHook(nullptr);
    ASSERT_TRUE(core_->Close().ok());
  }
}

// A failed sync of the older segment could still take it away.
TEST_F(WalCoreTest, WhatIsKeptBeyondItsSyncCountsInOlderSegmentsToo) {
  Open();
  Commit(std::string(3000, 'a'));
  const uint64_t held = core_->memory_bytes();
  EXPECT_GT(held, 3000u);
  ASSERT_TRUE(Add(std::string(3000, 'b'), Durability::kBuffered).ok());
  ASSERT_TRUE(Add(std::string(3000, 'c'), Durability::kBuffered).ok());
  ASSERT_TRUE(core_->Write().ok());
  ASSERT_EQ(core_->counters().rotations, 1u);
  EXPECT_EQ(core_->memory_bytes(), 2 * held);
}

TEST_F(WalCoreTest, SequenceNumbersThatRunOutAreAFinalError) {
  Open();
  Commit("kept");
  ASSERT_TRUE(core_->Close().ok());
  Superblock superblock;
  superblock.log_id = core_->log_id();
  superblock.generation = 1000;
  superblock.mark = kMaxSequence - 1;
  std::string slot(kSlotBytes, 0);
  EncodeSuperblock(superblock, 0, std::span<char, kSlotBytes>(slot.data(), kSlotBytes));
  disk_.WriteFileBytes(std::string(kDirectory) + "/LOG", slot);
  Open();
  EXPECT_EQ(Add("last", Durability::kDurable).value(), kMaxSequence);
  const absl::Status refused = Add("beyond", Durability::kDurable).status();
  EXPECT_TRUE(absl::IsOutOfRange(refused));
  EXPECT_EQ(core_->Write(), refused);
}

TEST_F(WalCoreTest, IdleMarkIsWrittenOnceInABlockOfItsOwn) {
  Open();
  Commit("a");
  EXPECT_TRUE(core_->NeedsIdleMark());
  Watch();
  ASSERT_TRUE(core_->WriteIdleMark().ok());
  EXPECT_FALSE(core_->NeedsIdleMark());
  const size_t calls = calls_.size();
  ASSERT_TRUE(core_->WriteIdleMark().ok());
  EXPECT_EQ(calls_.size(), calls);
  // The last record's block is all that is hit; the mark behind it proves it was durable.
  Crash();
  disk_.FlipBit(Path(1), kFramesOffset + FrameBytes(kGroupBodyBytes) + kFrameHeaderBytes, 0);
  Open();
  ASSERT_EQ(report_.lost.size(), 1u) << report_.ToString();
  EXPECT_EQ(report_.lost[0].first, 1u);
  EXPECT_EQ(report_.lost[0].last, 1u);
  EXPECT_EQ(report_.lost[0].acknowledgement, Acknowledgement::kAcknowledged);
  EXPECT_EQ(report_.next_sequence, 2u);
}

TEST_F(WalCoreTest, IdleMarkGoesToTheSuperblockWhereTheSegmentIsFull) {
  Open();
  Commit(std::string(7000, 'b'));
  ASSERT_TRUE(core_->WriteIdleMark().ok());
  EXPECT_FALSE(core_->NeedsIdleMark());
  Crash();
  disk_.FlipBit(Path(1), kFramesOffset + FrameBytes(kGroupBodyBytes) + kFrameHeaderBytes, 0);
  Open();
  EXPECT_EQ(report_.records_lost(), 1u) << report_.ToString();
}

TEST_F(WalCoreTest, CloseCutsTheSlack) {
  Open();
  Commit("a");
  ASSERT_TRUE(core_->Close().ok());
  EXPECT_EQ(disk_.ReadFileBytes(Path(1))->size(),
            kFramesOffset + kBlockBytes + FrameBytes(kFooterBodyBytes));
}

TEST_F(WalCoreTest, PaddedLogEndsWithItsFooterAndOpensAsClosedInOrder) {
  options_.pad_to_sector = true;
  Open();
  Commit("a");
  Commit("b");
  ASSERT_TRUE(core_->Close().ok());
  EXPECT_EQ(disk_.ReadFileBytes(Path(1))->size(),
            kFramesOffset + 2 * kBlockBytes + FrameBytes(kFooterBodyBytes));
  Open();
  EXPECT_EQ(report_.outcome, RecoveryReport::Outcome::kClean);
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(WalCoreTest, RecordLargerThanTheSegmentGetsALargerOne) {
  options_.segment_bytes = 1 << 20;
  Open();
  const std::string large(300'000, 'L');
  Commit("small");
  Commit(large);
  Commit("after");
  Crash();
  Open();
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"small", large, "after"}));
}

}  // namespace
}  // namespace millrace
