// Goal: a cursor's checkpoint is what was last written durably, whatever happens
// in between; a file that cannot be trusted is refused, never begun anew quietly.
// Method: a simulated file system, cut at every call and damaged by hand.

#include "wal/cursor_file.h"

#include <errno.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"

namespace millrace {
namespace {

constexpr LogId kLogId = {'t', 'h', 'e', ' ', 'l', 'o', 'g'};
constexpr LogId kOtherLog = {'o', 't', 'h', 'e', 'r'};

CursorCheckpoint At(SequenceNumber committed) {
  return {.epoch = 1, .committed = committed, .segment = 7, .incarnation = 8, .offset = 8192};
}

class CursorFileTest : public testing::Test {
 protected:
  CursorFileTest() : disk_({.seed = 1}) { Mount(disk_); }

  void Mount(SimFileSystem& disk) {
    ASSERT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0);
  }

  absl::StatusOr<std::unique_ptr<CursorFile>> Open(std::string_view name,
                                                   SequenceNumber first = 0) {
    return CursorFile::Open(*directory_, kLogId, name, At(first));
  }

  void Flip(uint64_t offset) { disk_.FlipBit("/log/c.cursor", offset, 0); }

  SimFileSystem disk_;
  std::unique_ptr<Directory> directory_;
};

TEST_F(CursorFileTest, NameRulesAreExact) {
  for (const std::string& name : {std::string("a"), std::string("A.b_c-9"), std::string("a.cursor"),
                                  std::string(128, 'x'), std::string("-"), std::string("_.")}) {
    EXPECT_TRUE(CheckCursorName(name).ok()) << name;
    EXPECT_EQ(ParseCursorFileName(CursorFileName(name)), name);
  }
  for (const std::string& name :
       {std::string(), std::string(129, 'x'), std::string("."), std::string(".a"),
        std::string("a/b"), std::string("a b"), std::string("\xc3\xa9"), std::string("a\0b", 3)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckCursorName(name))) << name;
    EXPECT_EQ(ParseCursorFileName(CursorFileName(name)), std::nullopt);
    EXPECT_TRUE(absl::IsInvalidArgument(Open(name).status())) << name;
  }
  EXPECT_EQ(ParseCursorFileName("a.cursor.new"), std::nullopt);
  EXPECT_EQ(ParseCursorFileName("a"), std::nullopt);
  EXPECT_TRUE(disk_.FileNames("/log").empty());
}

TEST_F(CursorFileTest, NewFileHoldsItsFirstCheckpointDurablyAtOnce) {
  ASSERT_TRUE(Open("c", 12).ok());
  // What a power cut leaves at the worst.
  disk_.ForEachCrashImage(8, 1, [&](SimFileSystem& image, ImageId) {
    Mount(image);
    const auto file = Open("c", 99);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ((*file)->checkpoint(), At(12));
  });
}

TEST_F(CursorFileTest, FileIsDurableWhenOpenedAfterItsDirectoryCouldNotBeSynced) {
  bool renamed = false;
  disk_.SetHook([&](const FileCall& call) {
    renamed = renamed || call.op == FileOp::kRename;
    return SimVerdict::kProceed;
  });
  // The first is that of the file under its other name.
  disk_.AddRule({.op = FileOp::kDirectorySync, .error = EIO, .first = 2});
  EXPECT_FALSE(Open("c", 12).ok());
  ASSERT_TRUE(renamed);
  disk_.SetHook(nullptr);
  ASSERT_TRUE(Open("c", 12).ok());
  disk_.ForEachCrashImage(8, 1, [&](SimFileSystem& image, ImageId) {
    Mount(image);
    const auto file = Open("c", 99);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ((*file)->checkpoint(), At(12));
  });
}

TEST_F(CursorFileTest, EveryPowerCutLeavesTheLastCheckpointOrTheOneUnderWay) {
  SequenceNumber written = 0;
  SequenceNumber under_way = 0;
  uint64_t images = 0;
  disk_.SetHook([&](const FileCall&) {
    disk_.ForEachCrashImage(16, images, [&](SimFileSystem& image, ImageId) {
      ++images;
      std::unique_ptr<Directory> directory;
      ASSERT_EQ(image.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
      const auto file = CursorFile::Open(*directory, kLogId, "c", At(0));
      ASSERT_TRUE(file.ok()) << file.status();
      const SequenceNumber found = (*file)->checkpoint().committed;
      EXPECT_TRUE(found == written || found == under_way) << found << " of " << written;
      const auto seen = ReadCursors(*directory);
      ASSERT_TRUE(seen.ok());
      ASSERT_EQ(seen->size(), 1);
      EXPECT_TRUE(seen->front().BelongsTo(kLogId));
    });
    return SimVerdict::kProceed;
  });
  auto file = Open("c");
  ASSERT_TRUE(file.ok()) << file.status();
  for (under_way = 1; under_way <= 5; ++under_way) {
    ASSERT_TRUE((*file)->Write(At(under_way)).ok());
    written = under_way;
  }
  EXPECT_GT(images, 100);
  disk_.SetHook(nullptr);
}

TEST_F(CursorFileTest, SecondOpenerIsRefused) {
  auto file = Open("c");
  ASSERT_TRUE(file.ok());
  const absl::Status status = Open("c").status();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_NE(std::string(status.message()).find("c.cursor"), std::string::npos) << status;
  ASSERT_TRUE((*file)->Write(At(3)).ok());
  file->reset();
  file = Open("c");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->checkpoint(), At(3));
}

TEST_F(CursorFileTest, LosingOneSlotGoesBackToTheOther) {
  ASSERT_TRUE((*Open("c"))->Write(At(5)).ok());
  const std::string before = *disk_.ReadFileBytes("/log/c.cursor");
  for (const uint64_t slot : {0, 1}) {
    disk_.WriteFileBytes("/log/c.cursor", before);
    Flip(slot * kBlockBytes + 60);
    const auto file = Open("c");
    ASSERT_TRUE(file.ok()) << file.status();
    // The first checkpoint, of generation 1, went to slot 1.
    EXPECT_EQ((*file)->checkpoint().committed, slot == 0 ? 0 : 5);
  }
}

TEST_F(CursorFileTest, LosingBothSlotsIsReported) {
  ASSERT_TRUE((*Open("c"))->Write(At(5)).ok());
  Flip(60);
  Flip(kBlockBytes + 60);
  EXPECT_TRUE(absl::IsDataLoss(Open("c").status())) << Open("c").status();
  const auto seen = ReadCursors(*directory_);
  ASSERT_EQ(seen->size(), 1);
  EXPECT_EQ(seen->front().status, HeaderStatus::kDamaged);
  // An empty file of that name never comes from a crash.
  disk_.WriteFileBytes("/log/c.cursor", "");
  EXPECT_TRUE(absl::IsDataLoss(Open("c").status())) << Open("c").status();
}

TEST_F(CursorFileTest, FilesOfOtherLogsAndCursorsAreRefused) {
  ASSERT_TRUE(CursorFile::Open(*directory_, kOtherLog, "c", At(5)).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Open("c").status())) << Open("c").status();
  ASSERT_TRUE(Open("a", 4).ok());
  disk_.WriteFileBytes("/log/b.cursor", *disk_.ReadFileBytes("/log/a.cursor"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Open("b").status())) << Open("b").status();
  EXPECT_TRUE(Open("a").ok());

  const auto seen = ReadCursors(*directory_);
  ASSERT_EQ(seen->size(), 3);
  EXPECT_TRUE((*seen)[0].BelongsTo(kLogId));
  EXPECT_FALSE((*seen)[1].BelongsTo(kLogId));
  EXPECT_EQ((*seen)[1].written_name, "a");
  EXPECT_FALSE((*seen)[2].BelongsTo(kLogId));
}

TEST_F(CursorFileTest, SlotOfAnotherKindIsDamage) {
  std::string bytes(kBlockBytes + kSlotBytes, '\0');
  EncodeSuperblock(Superblock(), 0, std::span<char, kSlotBytes>(bytes.data(), kSlotBytes));
  disk_.WriteFileBytes("/log/c.cursor", bytes);
  EXPECT_TRUE(absl::IsDataLoss(Open("c").status())) << Open("c").status();
}

TEST_F(CursorFileTest, FailedSyncLeavesTheFormerCheckpointAndEndsWriting) {
  auto file = Open("c", 1);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Write(At(2)).ok());
  disk_.AddRule({.op = FileOp::kSync, .error = EIO, .name = "c.cursor"});
  const absl::Status failed = (*file)->Write(At(3));
  EXPECT_EQ(failed.code(), absl::StatusCode::kInternal) << failed;
  EXPECT_EQ((*file)->checkpoint(), At(2));
  EXPECT_EQ((*file)->Write(At(4)), failed);
}

TEST_F(CursorFileTest, UnreadableFileIsDamage) {
  ASSERT_TRUE(Open("a", 2).ok());
  disk_.AddRule(
      {.op = FileOp::kRead, .error = EIO, .name = "a.cursor", .count = SimRule::kForever});
  const auto seen = ReadCursors(*directory_);
  ASSERT_TRUE(seen.ok());
  ASSERT_EQ(seen->size(), 1);
  EXPECT_EQ(seen->front().status, HeaderStatus::kDamaged);
  EXPECT_TRUE(absl::IsDataLoss(Open("a").status())) << Open("a").status();
}

CursorCheckpoint OfEpoch(uint64_t epoch, SequenceNumber committed) {
  CursorCheckpoint checkpoint = At(committed);
  checkpoint.epoch = epoch;
  return checkpoint;
}

TEST_F(CursorFileTest, TruncationLowersTheCheckpointDurably) {
  auto file = Open("c", 1);
  ASSERT_TRUE((*file)->Write(At(9)).ok());
  ASSERT_TRUE((*file)->Clamp(2, 5).ok());
  const CursorCheckpoint lowered = {.epoch = 2, .committed = 5};
  EXPECT_EQ((*file)->checkpoint(), lowered);
  disk_.ForEachCrashImage(8, 1, [&](SimFileSystem& image, ImageId) {
    std::unique_ptr<Directory> directory;
    ASSERT_EQ(image.OpenDirectory("/log", DirectoryMode::kMustExist, &directory), 0);
    EXPECT_EQ(ReadCursors(*directory)->front().checkpoint, lowered);
  });
}

TEST_F(CursorFileTest, TruncationBeyondTheCheckpointOnlyBeginsTheEpoch) {
  auto file = Open("c", 1);
  ASSERT_TRUE((*file)->Write(At(4)).ok());
  ASSERT_TRUE((*file)->Clamp(2, 5).ok());
  EXPECT_EQ((*file)->checkpoint(), OfEpoch(2, 4));
}

TEST_F(CursorFileTest, CheckpointOfBeforeATruncationIsLoweredByAllThatFollowed) {
  auto file = Open("c", 1);
  ASSERT_TRUE((*file)->Clamp(2, 50).ok());
  ASSERT_TRUE((*file)->Clamp(3, 20).ok());
  ASSERT_TRUE((*file)->Clamp(5, 70).ok());
  const auto written = [&](uint64_t epoch, SequenceNumber committed) {
    EXPECT_TRUE((*file)->Write(OfEpoch(epoch, committed)).ok());
    EXPECT_EQ((*file)->checkpoint().epoch, 5);
    return (*file)->checkpoint().committed;
  };
  EXPECT_EQ(written(1, 100), 20);
  EXPECT_EQ(written(2, 100), 20);
  EXPECT_EQ(written(2, 10), 10);
  EXPECT_EQ(written(3, 100), 70);
  EXPECT_EQ(written(4, 60), 60);
  EXPECT_EQ(written(5, 100), 100);
}

TEST_F(CursorFileTest, FailedTruncationStillLowersLaterCheckpoints) {
  auto file = Open("c", 1);
  ASSERT_TRUE((*file)->Write(At(9)).ok());
  disk_.AddRule({.op = FileOp::kWrite, .error = ENOSPC, .name = "c.cursor"});
  EXPECT_TRUE(absl::IsResourceExhausted((*file)->Clamp(2, 5)));
  EXPECT_EQ((*file)->checkpoint(), At(9));
  ASSERT_TRUE((*file)->Write(At(10)).ok());
  EXPECT_EQ((*file)->checkpoint().committed, 5);
}

TEST_F(CursorFileTest, GenerationsRunOutWithAnError) {
  std::string bytes(kBlockBytes + kSlotBytes, '\0');
  CursorSlot slot;
  slot.log_id = kLogId;
  slot.generation = ~uint64_t{0} - 2;
  slot.committed = 3;
  slot.name = "c";
  EncodeCursorSlot(slot, 1, std::span<char, kSlotBytes>(&bytes[kBlockBytes], kSlotBytes));
  disk_.WriteFileBytes("/log/c.cursor", bytes);
  auto file = Open("c");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(absl::IsOutOfRange((*file)->Write(At(4))));
  EXPECT_EQ((*file)->checkpoint().committed, 3);
}

}  // namespace
}  // namespace millrace
