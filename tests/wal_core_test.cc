// Goal: the order of writes and syncs that the guarantees rest on, and what the core
// does when a call fails.
// Method: WalCore over the simulated file system, with a hook that notes every call.

#include "wal/wal_core.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sim_file_system.h"
#include "wal/io_status.h"
#include "wal/record_reader.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

constexpr char kDirectory[] = "log";

std::string Path(uint64_t segment) { return std::string(kDirectory) + "/" + SegmentName(segment); }

class WalCoreTest : public testing::Test {
 protected:
  WalCoreTest() {
    options_.segment_bytes = 8192;
    options_.initial_segment_bytes = 8192;
  }

  absl::Status TryOpen() {
    core_.reset();
    std::unique_ptr<Directory> directory;
    EXPECT_GE(disk_.OpenDirectory(kDirectory, DirectoryMode::kCreate, &directory), 0);
    auto core = WalCore::Open(disk_, std::move(directory), options_, &supply_, 0, &report_);
    if (!core.ok()) return core.status();
    core_ = std::move(*core);
    return absl::OkStatus();
  }
  void Open() { ASSERT_TRUE(TryOpen().ok()) << disk_.Describe(); }
  void Crash() {
    disk_.KillProcess();
    core_.reset();
  }

  absl::StatusOr<SequenceNumber> Add(std::string body, Durability durability) {
    bodies_.push_back(std::make_unique<std::string>(std::move(body)));
    PendingFrame frame;
    frame.body = *bodies_.back();
    frame.body_checksum = BodyChecksum(core_->body_seed(), frame.body);
    frame.durability = durability;
    return core_->Add(frame);
  }
  void Commit(const std::string& body) {
    ASSERT_TRUE(Add(body, Durability::kDurable).ok());
    ASSERT_TRUE(core_->Write().ok());
    ASSERT_TRUE(core_->Sync().ok());
  }
  void FillSegments(int segments) {
    const uint64_t rotations = core_->counters().rotations + segments;
    while (core_->counters().rotations < rotations) Commit(std::string(1000, 'f'));
  }

  // "op name@offset" of every call that changes a file from now on.
  void Watch() {
    disk_.SetHook([this](const FileCall& call) {
      if (call.number != 0) {
        calls_.push_back(std::string(FileOpName(call.op)) + " " + std::string(call.name) + "@" +
                         std::to_string(call.offset));
      }
      return SimVerdict::kProceed;
    });
  }
  size_t Find(const std::string& call, size_t from = 0) const {
    return std::find(calls_.begin() + from, calls_.end(), call) - calls_.begin();
  }

  std::vector<std::string> ReadAll() {
    std::vector<std::string> payloads;
    const SequenceNumber first = core_->first_retained();
    RecordReader reader(core_->directory(), core_->log_id(), core_->segments()->Find(first), first,
                        [first] { return first; });
    while (true) {
      switch (reader.Next(core_->last_durable())) {
        case RecordReader::Kind::kRecord:
          payloads.emplace_back(reader.record().record.payload);
          break;
        case RecordReader::Kind::kLost:
          payloads.push_back("lost " + std::to_string(reader.lost().first) + ".." +
                             std::to_string(reader.lost().last));
          break;
        default:
          return payloads;
      }
    }
  }

  std::vector<std::string> calls_;
  SimFileSystem disk_{SimOptions{}};
  Options options_;
  RecoveryReport report_;
  InlineSegmentSupply supply_;
  std::unique_ptr<WalCore> core_;
  std::vector<std::unique_ptr<std::string>> bodies_;
};

TEST_F(WalCoreTest, NumbersAreDenseFromOneOnAcrossReopening) {
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

TEST_F(WalCoreTest, FailedSyncIsFinalAndTheFileIsLeftAlone) {
  Open();
  Commit("kept");
  disk_.AddRule({.op = FileOp::kSync,
                 .action = SimRule::Action::kLosePages,
                 .error = EIO,
                 .name = "*.seg",
                 .count = 1});
  ASSERT_TRUE(Add("lost", Durability::kDurable).ok());
  ASSERT_TRUE(core_->Write().ok());
  const absl::Status failed = core_->Sync();
  EXPECT_EQ(ErrnoOf(failed), EIO);
  EXPECT_EQ(core_->last_durable(), 1u);
  const uint64_t syncs = disk_.Calls(FileOp::kSync);
  const uint64_t writes = disk_.Calls(FileOp::kWrite);
  EXPECT_EQ(core_->Sync(), failed);
  EXPECT_EQ(Add("more", Durability::kDurable).status(), failed);
  EXPECT_EQ(core_->Write(), failed);
  EXPECT_EQ(core_->WriteIdleMark(), failed);
  EXPECT_EQ(core_->TrimBefore(1), failed);
  EXPECT_EQ(core_->Close(), failed);
  EXPECT_EQ(disk_.Calls(FileOp::kSync), syncs);
  EXPECT_EQ(disk_.Calls(FileOp::kWrite), writes);
  Open();
  EXPECT_EQ(ReadAll().front(), "kept");
}

// The page cache still shows what the failed sync did not bring to the disk.
TEST_F(WalCoreTest, ReopeningAfterAFailedSyncShowsNoPhantom) {
  Open();
  Commit("kept");
  disk_.AddRule({.op = FileOp::kSync,
                 .action = SimRule::Action::kLosePages,
                 .error = EIO,
                 .name = "*.seg",
                 .count = 1});
  ASSERT_TRUE(Add("phantom", Durability::kDurable).ok());
  ASSERT_TRUE(core_->Write().ok());
  ASSERT_FALSE(core_->Sync().ok());
  Crash();
  Open();
  EXPECT_EQ(ReadAll(), std::vector<std::string>{"kept"});
  Commit("next");
  Crash();
  disk_.CutPower();
  disk_.PowerOn(7);
  Open();
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"kept", "next"}));
}

TEST_F(WalCoreTest, FailedWriteIsFinal) {
  Open();
  Commit("kept");
  disk_.AddRule({.op = FileOp::kWrite,
                 .action = SimRule::Action::kFail,
                 .error = EIO,
                 .name = "*.seg",
                 .count = 1});
  ASSERT_TRUE(Add("lost", Durability::kDurable).ok());
  const absl::Status failed = core_->Write();
  EXPECT_EQ(ErrnoOf(failed), EIO);
  EXPECT_EQ(core_->last_written(), 1u);
  EXPECT_EQ(Add("more", Durability::kDurable).status(), failed);
  EXPECT_EQ(core_->Close(), failed);
  Open();
  EXPECT_EQ(ReadAll(), std::vector<std::string>{"kept"});
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

TEST_F(WalCoreTest, PreparesTheNextSegmentAheadAfterTheFirstRotation) {
  Open();
  EXPECT_EQ(disk_.FileNames(kDirectory).size(), 3u);  // LOCK, LOG, one segment
  FillSegments(1);
  EXPECT_TRUE(disk_.ReadFileBytes(Path(3)).has_value());
  Watch();
  Commit("x");
  FillSegments(1);
  EXPECT_EQ(Find("create " + SegmentName(3) + "@0"), calls_.size());
}

TEST_F(WalCoreTest, TrimIsDurableBeforeAnyFileGoes) {
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

TEST_F(WalCoreTest, TrimmedSegmentsAreRecycled) {
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
TEST_F(WalCoreTest, TrimThatRotatesGivesUpOnlyWhatItNames) {
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

TEST_F(WalCoreTest, StreamingReservesTheSegmentThatRotationNeedsAtOnce) {
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

TEST_F(WalCoreTest, SegmentNumbersThatRunOutAreAnError) {
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

TEST_F(WalCoreTest, DoesNotRecycleAFileWithASecondLink) {
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

TEST_F(WalCoreTest, DoesNotRecycleWhatAReaderHolds) {
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

TEST_F(WalCoreTest, DoesNotRecycleOnACopyOnWriteFileSystem) {
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

TEST_F(WalCoreTest, SecondOpenIsAborted) {
  Open();
  std::unique_ptr<Directory> directory;
  ASSERT_GE(disk_.OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory), 0);
  InlineSegmentSupply supply;
  RecoveryReport report;
  const auto second = WalCore::Open(disk_, std::move(directory), options_, &supply, 0, &report);
  EXPECT_TRUE(absl::IsAborted(second.status())) << second.status();
  Commit("still works");
}

TEST_F(WalCoreTest, CreateModesAreKept) {
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

TEST_F(WalCoreTest, OpeningOftenLeavesFewFiles) {
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

TEST_F(WalCoreTest, StrictRefusesDamageAndChangesNothing) {
  Open();
  FillSegments(2);
  ASSERT_TRUE(core_->Close().ok());
  disk_.FlipBit(Path(1), kFramesOffset + FrameBytes(kGroupBodyBytes) + 40, 3);
  const uint64_t before = disk_.Hash();
  options_.recovery_policy = RecoveryPolicy::kStrict;
  EXPECT_TRUE(absl::IsDataLoss(TryOpen()));
  EXPECT_EQ(disk_.Hash(), before);
}

TEST_F(WalCoreTest, StopAtFirstLossKeepsThePrefixAndSetsTheRestAside) {
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
