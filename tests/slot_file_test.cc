// Goal: a slot file answers every way in which it can be wrong or fail with an
// error that says so, and never goes on as if nothing had been.
// Method: SlotFile itself, and LoadSlots, on a simulated disk with failing calls;
// slots of a newer version and files of other kinds made by hand.

#include "wal/slot_file.h"

#include <errno.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/irregular_directory.h"
#include "tests/newer_block.h"
#include "tests/segment_builder.h"
#include "wal/format.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

constexpr char kName[] = "slots";
constexpr uint64_t kLastGeneration = ~uint64_t{0};

// What the slots hold here.
HeaderStatus Decode(std::span<const char, kSlotBytes> bytes, int slot, uint64_t* generation) {
  Superblock superblock;
  const HeaderStatus status = DecodeSuperblock(bytes, slot, &superblock);
  *generation = superblock.generation;
  return status;
}

class SlotFileTest : public ::testing::Test {
 protected:
  SlotFileTest() { EXPECT_EQ(disk_.OpenDirectory("log", DirectoryMode::kCreate, &directory_), 0); }

  // Two slots of these generations; 0: zeros.
  static std::string Slots(uint64_t first, uint64_t second) {
    std::string bytes(kBlockBytes + kSlotBytes, '\0');
    for (int slot = 0; slot < 2; ++slot) {
      Superblock superblock;
      superblock.generation = slot == 0 ? first : second;
      if (superblock.generation == 0) continue;
      EncodeSuperblock(superblock, slot,
                       std::span<char, kSlotBytes>(&bytes[slot * kBlockBytes], kSlotBytes));
    }
    return bytes;
  }

  SlotContents Load(const std::string& bytes) {
    WriteFile(*directory_, kName, bytes);
    const absl::StatusOr<SlotContents> contents = LoadSlots(*directory_, kName, Decode);
    EXPECT_TRUE(contents.ok()) << contents.status();
    return contents.ok() ? *contents : SlotContents();
  }

  std::unique_ptr<SlotFile> Open(OpenMode mode = OpenMode::kCreate) {
    auto file = SlotFile::Open(*directory_, kName, mode);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? *std::move(file) : nullptr;
  }

  static absl::Status Write(SlotFile& file, uint64_t generation) {
    return file.Write(generation, [&](int slot, std::span<char, kSlotBytes> bytes) {
      Superblock superblock;
      superblock.generation = generation;
      EncodeSuperblock(superblock, slot, bytes);
    });
  }

  SimFileSystem disk_{SimOptions{}};
  std::unique_ptr<Directory> directory_;
};

TEST_F(SlotFileTest, NoFileHoldsNothing) {
  const absl::StatusOr<SlotContents> contents = LoadSlots(*directory_, kName, Decode);
  ASSERT_TRUE(contents.ok());
  EXPECT_EQ(contents->status, HeaderStatus::kZero);
}

TEST_F(SlotFileTest, NewerVersionInEitherSlotOutweighsWhatTheOtherHolds) {
  for (int slot = 0; slot < 2; ++slot) {
    std::string bytes = Slots(4, 5);
    MakeNewer(&bytes, slot * kBlockBytes, kSuperblockSeedOnDisk, slot);
    EXPECT_EQ(Load(bytes).status, HeaderStatus::kNewer) << slot;
    bytes.replace((1 - slot) * kBlockBytes, kSlotBytes, std::string(kSlotBytes, 'x'));
    EXPECT_EQ(Load(bytes).status, HeaderStatus::kNewer) << slot;
  }
}

TEST_F(SlotFileTest, ValidSlotCountsBesideADamagedOne) {
  std::string bytes = Slots(4, 5);
  bytes[kBlockBytes + 100] ^= 1;
  const SlotContents contents = Load(bytes);
  EXPECT_EQ(contents.status, HeaderStatus::kValid);
  EXPECT_EQ(contents.generation, 4u);
  EXPECT_EQ(Load(Slots(6, 5)).generation, 6u);
  bytes = Slots(0, 0);
  bytes[0] = 1;
  EXPECT_EQ(Load(bytes).status, HeaderStatus::kDamaged);
}

TEST_F(SlotFileTest, SlotsThatAreNotAllThereAreAsGoodAsTheirBytes) {
  EXPECT_EQ(Load("").status, HeaderStatus::kZero) << "as a crash leaves a new file";
  EXPECT_EQ(Load(std::string(100, '\0')).status, HeaderStatus::kZero);
  EXPECT_EQ(Load(std::string(kBlockBytes + 100, '\0')).status, HeaderStatus::kZero);
  EXPECT_EQ(Load("x").status, HeaderStatus::kDamaged);
  const std::string bytes = Slots(4, 5);
  EXPECT_EQ(Load(bytes.substr(0, kBlockBytes)).generation, 4u);
  EXPECT_EQ(Load(bytes.substr(0, bytes.size() - 1)).generation, 5u) << "its last bytes are zeros";
  EXPECT_EQ(Load(bytes.substr(0, kBlockBytes + 7)).generation, 4u);
}

TEST_F(SlotFileTest, WhatIsNoRegularFileIsRefusedByName) {
  WriteFile(*directory_, kName, Slots(2, 1));
  IrregularDirectory irregular(*directory_, kName);
  const absl::Status loaded = LoadSlots(irregular, kName, Decode).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(loaded)) << loaded;
  EXPECT_NE(loaded.message().find(kName), absl::string_view::npos) << loaded;
  const absl::Status opened = SlotFile::Open(irregular, kName, OpenMode::kCreate).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(opened)) << opened;
}

TEST_F(SlotFileTest, ErrorsOfOpenAndStatAreReturned) {
  WriteFile(*directory_, kName, Slots(2, 1));
  for (const FileOp op : {FileOp::kOpen, FileOp::kStat}) {
    disk_.AddRule({.op = op, .error = EACCES, .name = kName, .count = 2});
    EXPECT_EQ(ErrnoOf(LoadSlots(*directory_, kName, Decode).status()), EACCES);
    EXPECT_EQ(ErrnoOf(SlotFile::Open(*directory_, kName, OpenMode::kReadWrite).status()), EACCES);
    disk_.ClearRules();
  }
  EXPECT_EQ(ErrnoOf(SlotFile::Open(*directory_, "none", OpenMode::kReadWrite).status()), ENOENT);
}

TEST_F(SlotFileTest, SlotsOfWhichNoneCanBeReadAreDamage) {
  WriteFile(*directory_, kName, Slots(2, 1));
  disk_.AddRule({.op = FileOp::kRead, .error = EIO, .name = kName, .count = 2});
  const absl::StatusOr<SlotContents> contents = LoadSlots(*directory_, kName, Decode);
  ASSERT_TRUE(contents.ok());
  EXPECT_EQ(contents->status, HeaderStatus::kDamaged);
}

TEST_F(SlotFileTest, FailedSyncOfTheDirectoryIsForGood) {
  const auto file = Open();
  disk_.AddRule({.op = FileOp::kDirectorySync, .error = EIO});
  const absl::Status failed = Write(*file, 1);
  EXPECT_EQ(ErrnoOf(failed), EIO) << failed;
  EXPECT_EQ(Write(*file, 2), failed);
}

TEST_F(SlotFileTest, DirectoryIsSyncedOnceAndOnlyForANewFile) {
  const auto file = Open();
  ASSERT_TRUE(Write(*file, 1).ok());
  ASSERT_TRUE(Write(*file, 2).ok());
  EXPECT_EQ(disk_.Calls(FileOp::kDirectorySync), 1u);
  const auto again = Open(OpenMode::kReadWrite);
  ASSERT_TRUE(Write(*again, 3).ok());
  EXPECT_EQ(disk_.Calls(FileOp::kDirectorySync), 1u);
}

TEST_F(SlotFileTest, FailedWriteIsForGoodButWantOfSpaceIsNot) {
  const auto file = Open();
  disk_.AddRule({.op = FileOp::kWrite, .error = EDQUOT, .name = kName});
  EXPECT_TRUE(absl::IsResourceExhausted(Write(*file, 1)));
  ASSERT_TRUE(Write(*file, 1).ok());
  disk_.AddRule({.op = FileOp::kWrite, .error = EIO, .name = kName});
  const absl::Status failed = Write(*file, 2);
  EXPECT_EQ(ErrnoOf(failed), EIO);
  EXPECT_EQ(Write(*file, 2), failed);
}

TEST_F(SlotFileTest, LastGenerationHasNoSuccessor) {
  EXPECT_EQ(GenerationBeside(0, 1), 3u);
  EXPECT_EQ(GenerationBeside(1, 1), 2u);
  EXPECT_EQ(GenerationBeside(-1, 1), 2u);
  EXPECT_EQ(GenerationBeside(1, kLastGeneration - 3), kLastGeneration - 1);
  EXPECT_EQ(GenerationBeside(-1, kLastGeneration - 2), kLastGeneration);
  EXPECT_EQ(GenerationBeside(0, kLastGeneration), kLastGeneration);
  const auto file = Open();
  const absl::Status refused = Write(*file, kLastGeneration);
  EXPECT_TRUE(absl::IsOutOfRange(refused)) << refused;
  EXPECT_EQ(Write(*file, 2), refused);
  EXPECT_EQ(disk_.Calls(FileOp::kWrite), 0u);
}

TEST_F(SlotFileTest, KnowsWhetherItsNameIsStillItsOwn) {
  const auto file = Open();
  EXPECT_TRUE(*file->HasItsName());
  for (const FileOp op : {FileOp::kOpen, FileOp::kStat}) {
    disk_.AddRule({.op = op, .error = EMFILE, .name = kName});
    EXPECT_TRUE(absl::IsResourceExhausted(file->HasItsName().status()));
    disk_.ClearRules();
  }
  // The other of the two files that are compared.
  disk_.AddRule({.op = FileOp::kStat, .error = EIO, .name = kName, .first = 2});
  EXPECT_EQ(ErrnoOf(file->HasItsName().status()), EIO);
  disk_.ClearRules();
  ASSERT_EQ(directory_->Unlink(kName), 0);
  EXPECT_FALSE(*file->HasItsName());
  const auto other = Open();
  EXPECT_FALSE(*file->HasItsName());
  EXPECT_TRUE(*other->HasItsName());
}

}  // namespace
}  // namespace millrace
