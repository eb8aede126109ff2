// Goal: what an open reads and the device will not sync is neither believed where it stands
// nor lost: what reads back is durable elsewhere before it counts. Phantoms never show.
// Method: the simulated disk under the profiles of ext4 (a failed sync keeps the size) and of
// xfs and btrfs (it goes back), with syncs that fail at open, once, and power cuts behind them.

#include <cerrno>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "tests/wal_core_fixture.h"
#include "wal/format.h"

namespace millrace {
namespace {

using Failed = SimOptions::FailedSync;
using Strings = std::vector<std::string>;

class UnsyncedTailTest : public WalCoreFixture, public ::testing::WithParamInterface<Failed> {
 protected:
  void Use(uint64_t seed = 1) {
    core_.reset();
    sim_ = std::make_unique<SimFileSystem>(SimOptions{.seed = seed, .failed_sync = GetParam()});
  }

  UnsyncedTailTest() { Use(); }

  absl::Status TryOpenIn(SimFileSystem& disk) {
    core_.reset();
    std::unique_ptr<Directory> directory;
    EXPECT_GE(disk.OpenDirectory(kDirectory, DirectoryMode::kCreate, &directory), 0);
    auto core = WalCore::Open(disk, std::move(directory), options_, &supply_, 7, &report_);
    if (!core.ok()) return core.status();
    core_ = std::move(*core);
    return absl::OkStatus();
  }
  void OpenIn(SimFileSystem& disk) { ASSERT_TRUE(TryOpenIn(disk).ok()) << disk.Describe(); }
  void Kill() {
    sim_->KillProcess();
    core_.reset();
  }

  // The sync of a segment by the next open fails; its pages are kept, or given up.
  void FailSync(SimRule::Action action, const std::string& name = "*.seg") {
    sim_->AddRule({.op = FileOp::kSync, .action = action, .error = EIO, .name = name});
  }

  uint64_t Noted() const {
    uint64_t noted = 0;
    for (const LostRange& lost : report_.lost) {
      EXPECT_EQ(lost.records(), 0u) << report_.ToString();
      EXPECT_EQ(lost.cause, LossCause::kUnreadable);
      ++noted;
    }
    return noted;
  }

  std::unique_ptr<SimFileSystem> sim_;  // outlived by no core: see TearDown
  void TearDown() override { core_.reset(); }
};

TEST_P(UnsyncedTailTest, WhatReadsBackIsCopiedAndSurvivesAPowerCut) {
  OpenIn(*sim_);
  Commit("one");
  Commit("two");
  Kill();
  FailSync(SimRule::Action::kFail);
  OpenIn(*sim_);
  EXPECT_EQ(Noted(), 1u);
  EXPECT_EQ(core_->next_sequence(), 3u);
  EXPECT_EQ(core_->epoch(), 1u) << "nothing left the log";
  EXPECT_EQ(ReadAll(), (Strings{"one", "two"}));
  Commit("three");
  Kill();
  // The file that would not sync may go bad altogether: its tail is not needed any more.
  const std::string bytes = *sim_->ReadFileBytes(Path(1));
  sim_->ForEachCrashImage(64, 1, [&](SimFileSystem& image, ImageId) {
    OpenIn(image);
    EXPECT_EQ(ReadAll(), (Strings{"one", "two", "three"})) << report_.ToString();
    core_.reset();
  });
  const uint64_t cut = kFramesOffset + 2 * FrameBytes(kGroupBodyBytes) + FrameBytes(3);
  sim_->WriteFileBytes(Path(1), bytes.substr(0, cut));
  OpenIn(*sim_);
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
  EXPECT_EQ(ReadAll(), (Strings{"one", "two", "three"}));
}

// The kernel has dropped the pages: what the cache still showed is not on the disk.
TEST_P(UnsyncedTailTest, WhatTheDeviceDoesNotHaveIsNotShown) {
  OpenIn(*sim_);
  Commit("kept");
  ASSERT_TRUE(Add("never synced", Durability::kBuffered).ok());
  ASSERT_TRUE(core_->Write().ok());
  Kill();
  FailSync(SimRule::Action::kLosePages);
  OpenIn(*sim_);
  EXPECT_EQ(Noted(), 1u) << "what was written there last is gone";
  EXPECT_EQ(ReadAll(), Strings{"kept"});
  Commit("next");
  EXPECT_EQ(core_->last_durable(), 2u);
  sim_->CutPower();
  sim_->PowerOn(3);
  OpenIn(*sim_);
  EXPECT_EQ(ReadAll(), (Strings{"kept", "next"}));
}

// The writer met the error and died; the sync of who opens next returns 0.
TEST_P(UnsyncedTailTest, PhantomsOfAFailedSyncDoNotShowInTheSameBoot) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Use(seed);
    OpenIn(*sim_);
    Commit("kept");
    FailSync(SimRule::Action::kLosePages);
    ASSERT_TRUE(Add("phantom", Durability::kDurable).ok());
    ASSERT_TRUE(core_->Write().ok());
    core_->Sync().IgnoreError();
    const bool acknowledged = core_->last_durable() == 2;
    Kill();
    sim_->ClearRules();
    OpenIn(*sim_);
    const Strings expected = acknowledged ? Strings{"kept", "phantom"} : Strings{"kept"};
    EXPECT_EQ(ReadAll(), expected);
    Commit("next");
    sim_->CutPower();
    sim_->PowerOn(seed);
    OpenIn(*sim_);
    Strings longer = expected;
    longer.push_back("next");
    EXPECT_EQ(ReadAll(), longer);
  }
}

TEST_P(UnsyncedTailTest, CopiesGroupsBatchesAndLargeBodiesOfSeveralSegments) {
  options_.initial_segment_bytes = options_.segment_bytes = 65536;
  OpenIn(*sim_);
  Commit("durable");
  Strings expected = {"durable"};
  for (int i = 0; i < 40; ++i) {
    expected.push_back(std::string(i % 5 == 0 ? 20000 : 10 * i, static_cast<char>('a' + i % 26)));
    ASSERT_TRUE(Add(expected.back(), Durability::kBuffered).ok());
    if (i % 3 == 0) {
      ASSERT_TRUE(core_->Write().ok());
    }
  }
  ASSERT_TRUE(core_->Write().ok());
  ASSERT_GE(core_->counters().rotations, 2u);
  Kill();
  FailSync(SimRule::Action::kFail, SegmentName(1));
  OpenIn(*sim_);
  EXPECT_EQ(Noted(), 1u);
  EXPECT_EQ(ReadAll(), expected);
  sim_->CutPower();
  sim_->PowerOn(5);
  OpenIn(*sim_);
  EXPECT_EQ(ReadAll(), expected);
}

TEST_P(UnsyncedTailTest, GroupsKeepTheirTime) {
  OpenIn(*sim_);
  core_->SetTime(1000);
  Commit("one");
  core_->SetTime(2000);
  Commit("two");
  core_->SetTime(3000);
  Commit("three");
  Kill();
  FailSync(SimRule::Action::kFail);
  OpenIn(*sim_);
  RecordReader reader(core_->directory(), core_->log_id(), core_->segments()->Find(1), 1,
                      [] { return SequenceNumber{1}; });
  for (const int64_t time : {1000, 2000, 3000}) {
    ASSERT_EQ(reader.Next(3), RecordReader::Kind::kRecord);
    EXPECT_EQ(reader.record().time_ns, time);
  }
}

TEST_P(UnsyncedTailTest, StrictRefusesAndChangesNothing) {
  OpenIn(*sim_);
  Commit("one");
  Kill();
  FailSync(SimRule::Action::kFail);
  const uint64_t before = sim_->Hash();
  options_.recovery_policy = RecoveryPolicy::kStrict;
  EXPECT_TRUE(absl::IsDataLoss(TryOpenIn(*sim_)));
  EXPECT_EQ(sim_->Hash(), before);
}

// A copy that fails, or that a power cut ends, leaves the old segment as it was.
TEST_P(UnsyncedTailTest, AnOpenThatFailsOrDiesWhileCopyingLosesNothing) {
  OpenIn(*sim_);
  Commit("one");
  Commit("two");
  Commit(std::string(5000, 'x'));
  const Strings expected = {"one", "two", std::string(5000, 'x')};
  Kill();
  for (const CrashMoment moment : {CrashMoment::kBefore, CrashMoment::kInside}) {
    bool opened = false;
    for (uint64_t call = 1; !opened; ++call) {
      ASSERT_LT(call, 100u);
      const std::unique_ptr<SimFileSystem> disk = sim_->Clone();
      disk->AddRule({.op = FileOp::kSync, .error = EIO, .name = SegmentName(1)});
      disk->CrashAt(call, moment);
      opened = TryOpenIn(*disk).ok() && disk->powered();
      core_.reset();
      disk->ForEachCrashImage(12, call, [&](SimFileSystem& image, ImageId) {
        OpenIn(image);
        EXPECT_EQ(ReadAll(), expected) << call << "\n" << report_.ToString();
        core_.reset();
      });
    }
  }
  // The next segment's file has no room, once; or it, too, will not sync.
  for (const FileOp op : {FileOp::kWrite, FileOp::kSync}) {
    for (uint64_t first = 1; first <= 6; ++first) {
      const std::unique_ptr<SimFileSystem> disk = sim_->Clone();
      disk->AddRule({.op = FileOp::kSync, .error = EIO, .name = SegmentName(1)});
      disk->AddRule({.op = op, .error = EIO, .name = SegmentName(2), .first = first});
      TryOpenIn(*disk).IgnoreError();
      core_.reset();
      disk->KillProcess();
      disk->ClearRules();
      OpenIn(*disk);
      EXPECT_EQ(ReadAll(), expected) << FileOpName(op) << first << report_.ToString();
      core_.reset();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, UnsyncedTailTest,
                         ::testing::Values(Failed::kKeepsSize, Failed::kRevertsSize),
                         [](const auto& instance) {
                           return instance.param == Failed::kKeepsSize ? "KeepsSize"
                                                                       : "RevertsSize";
                         });

}  // namespace
}  // namespace millrace
