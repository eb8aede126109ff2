// Goal: a slot file always holds a valid state: the new one or the one before.
// Method: SuperblockFile on a simulated disk: updates, damage to either slot, power
// cuts inside an update, failing calls.

#include "wal/superblock.h"

#include <errno.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

Superblock First() {
  Superblock superblock;
  superblock.log_id.fill('L');
  return superblock;
}

struct Loaded {
  HeaderStatus status;
  Superblock superblock;
};

Loaded Load(FileSystem& disk) {
  std::unique_ptr<Directory> directory;
  EXPECT_EQ(disk.OpenDirectory("log", DirectoryMode::kCreate, &directory), 0);
  Loaded loaded{HeaderStatus::kZero, {}};
  const absl::StatusOr<HeaderStatus> status = SuperblockFile::Load(*directory, &loaded.superblock);
  EXPECT_TRUE(status.ok()) << status.status().ToString();
  if (status.ok()) loaded.status = *status;
  return loaded;
}

class SuperblockTest : public ::testing::Test {
 protected:
  SuperblockTest() {
    EXPECT_EQ(disk_.OpenDirectory("log", DirectoryMode::kCreate, &directory_), 0);
    Open(First());
  }

  void Open(const Superblock& current) {
    auto file = SuperblockFile::Open(*directory_, current);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    file_ = *std::move(file);
  }

  absl::Status SetMark(SequenceNumber mark) {
    return file_->Update([mark](Superblock& s) { s.mark = mark; });
  }

  SimFileSystem disk_{SimOptions{}};
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<SuperblockFile> file_;
};

TEST_F(SuperblockTest, NoFileIsZero) {
  SimFileSystem empty{SimOptions{}};
  EXPECT_EQ(Load(empty).status, HeaderStatus::kZero);
}

TEST_F(SuperblockTest, OpeningWritesNothing) { EXPECT_EQ(Load(disk_).status, HeaderStatus::kZero); }

TEST_F(SuperblockTest, UpdatesComeBackWithRisingGenerations) {
  for (SequenceNumber mark = 1; mark <= 5; ++mark) {
    ASSERT_TRUE(SetMark(mark).ok());
    const Loaded loaded = Load(disk_);
    EXPECT_EQ(loaded.status, HeaderStatus::kValid);
    EXPECT_EQ(loaded.superblock.mark, mark);
    EXPECT_EQ(loaded.superblock.generation, mark);
    EXPECT_EQ(loaded.superblock, file_->current());
  }
}

TEST_F(SuperblockTest, GoesOnFromTheGenerationItIsGiven) {
  ASSERT_TRUE(SetMark(1).ok());
  ASSERT_TRUE(SetMark(2).ok());
  Open(Load(disk_).superblock);
  ASSERT_TRUE(SetMark(3).ok());
  EXPECT_EQ(Load(disk_).superblock.generation, 3u);
  EXPECT_EQ(Load(disk_).superblock.mark, 3u);
}

TEST_F(SuperblockTest, DamageToTheNewerSlotLeavesTheOlder) {
  ASSERT_TRUE(SetMark(1).ok());
  ASSERT_TRUE(SetMark(2).ok());  // generation 2: slot 0
  disk_.FlipBit("log/LOG", 100, 3);
  const Loaded loaded = Load(disk_);
  EXPECT_EQ(loaded.status, HeaderStatus::kValid);
  EXPECT_EQ(loaded.superblock.mark, 1u);
}

TEST_F(SuperblockTest, DamageToTheOlderSlotChangesNothing) {
  ASSERT_TRUE(SetMark(1).ok());
  ASSERT_TRUE(SetMark(2).ok());
  disk_.FlipBit("log/LOG", kBlockBytes + 100, 3);
  EXPECT_EQ(Load(disk_).superblock.mark, 2u);
}

TEST_F(SuperblockTest, EveryFlippedBitIsNoticed) {
  ASSERT_TRUE(SetMark(1).ok());  // slot 1 only
  for (uint64_t byte = 0; byte < kSlotBytes; ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      disk_.FlipBit("log/LOG", kBlockBytes + byte, bit);
      ASSERT_EQ(Load(disk_).status, HeaderStatus::kDamaged) << byte << " " << bit;
      disk_.FlipBit("log/LOG", kBlockBytes + byte, bit);
    }
  }
  EXPECT_EQ(Load(disk_).status, HeaderStatus::kValid);
}

TEST_F(SuperblockTest, ASlotInTheOthersPlaceIsNotValid) {
  ASSERT_TRUE(SetMark(1).ok());
  std::string bytes = *disk_.ReadFileBytes("log/LOG");
  bytes.replace(0, kSlotBytes, bytes.substr(kBlockBytes, kSlotBytes));
  bytes.replace(kBlockBytes, kSlotBytes, std::string(kSlotBytes, '\0'));
  disk_.WriteFileBytes("log/LOG", bytes);
  EXPECT_EQ(Load(disk_).status, HeaderStatus::kDamaged);
}

TEST_F(SuperblockTest, AGenerationThatCannotStandInItsSlotIsDamage) {
  struct Case {
    int slot;
    uint64_t generation;
    HeaderStatus status;
  };
  constexpr uint64_t kLast = ~uint64_t{0};
  for (const Case& c :
       {Case{0, 0, HeaderStatus::kDamaged}, Case{1, 2, HeaderStatus::kDamaged},
        Case{0, 3, HeaderStatus::kDamaged}, Case{1, kLast, HeaderStatus::kDamaged},
        Case{0, 2, HeaderStatus::kValid}, Case{1, kLast - 2, HeaderStatus::kValid}}) {
    Superblock superblock = First();
    superblock.generation = c.generation;
    std::string bytes(2 * kBlockBytes, '\0');
    EncodeSuperblock(superblock, c.slot,
                     std::span<char, kSlotBytes>(&bytes[c.slot * kBlockBytes], kSlotBytes));
    disk_.WriteFileBytes("log/LOG", bytes);
    EXPECT_EQ(Load(disk_).status, c.status) << c.slot << " " << c.generation;
  }
}

TEST_F(SuperblockTest, GenerationsThatRunOutAreAFinalError) {
  Superblock superblock = First();
  superblock.generation = ~uint64_t{0} - 2;
  Open(superblock);
  ASSERT_TRUE(SetMark(1).ok());
  const absl::Status refused = SetMark(2);
  EXPECT_TRUE(absl::IsOutOfRange(refused)) << refused;
  EXPECT_EQ(SetMark(3), refused);
  EXPECT_EQ(Load(disk_).superblock.mark, 1u);
}

TEST_F(SuperblockTest, APowerCutInAnUpdateLeavesOneOfTheTwoStates) {
  ASSERT_TRUE(SetMark(1).ok());
  uint64_t seen_old = 0;
  uint64_t seen_new = 0;
  disk_.SetHook([&](const FileCall&) {
    disk_.ForEachCrashImage(200, 7, [&](SimFileSystem& image, ImageId) {
      const Loaded loaded = Load(image);
      ASSERT_EQ(loaded.status, HeaderStatus::kValid);
      if (loaded.superblock.mark == 1) ++seen_old;
      if (loaded.superblock.mark == 2) ++seen_new;
      ASSERT_TRUE(loaded.superblock.mark == 1 || loaded.superblock.mark == 2);
    });
    return SimVerdict::kProceed;
  });
  ASSERT_TRUE(SetMark(2).ok());
  disk_.SetHook(nullptr);
  EXPECT_GT(seen_old, 0u);
  EXPECT_GT(seen_new, 0u);
}

TEST_F(SuperblockTest, WhatUpdateReturnedForSurvivesThePowerCut) {
  ASSERT_TRUE(SetMark(1).ok());
  disk_.ForEachCrashImage(
      200, 7, [&](SimFileSystem& image, ImageId) { EXPECT_EQ(Load(image).superblock.mark, 1u); });
}

TEST_F(SuperblockTest, AFailedSyncIsForGood) {
  ASSERT_TRUE(SetMark(1).ok());
  disk_.AddRule({.op = FileOp::kSync, .action = SimRule::Action::kLosePages, .error = EIO});
  const absl::Status failed = SetMark(2);
  EXPECT_EQ(ErrnoOf(failed), EIO);
  EXPECT_EQ(SetMark(3), failed);
  EXPECT_EQ(file_->current().mark, 1u);
  const uint64_t syncs = disk_.Calls(FileOp::kSync);
  EXPECT_EQ(SetMark(4), failed);
  EXPECT_EQ(disk_.Calls(FileOp::kSync), syncs);
}

TEST_F(SuperblockTest, WantOfSpaceIsNot) {
  disk_.AddRule({.op = FileOp::kWrite, .error = ENOSPC});
  EXPECT_TRUE(absl::IsResourceExhausted(SetMark(1)));
  EXPECT_EQ(file_->current().mark, 0u);
  ASSERT_TRUE(SetMark(2).ok());
  EXPECT_EQ(Load(disk_).superblock.mark, 2u);
}

TEST_F(SuperblockTest, AnUnreadableSlotCountsAsDamaged) {
  ASSERT_TRUE(SetMark(1).ok());
  ASSERT_TRUE(SetMark(2).ok());
  disk_.AddRule({.op = FileOp::kRead, .error = EIO, .name = "LOG", .first = 1, .count = 1});
  EXPECT_EQ(Load(disk_).superblock.mark, 1u);
}

}  // namespace
}  // namespace millrace
