// Goal: a sync that fails on the simulated disk leaves what it leaves on a real file system:
// the errors of further syncs, what reads see before and after the cache is dropped, what a
// power cut leaves.
// Method: the table of measurements on Linux 6.18, row by row, for each profile; the counters.

#include <errno.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/crash/sim_disk_fixture.h"

namespace millrace {
namespace {

constexpr char kOld[] = "old old old";
constexpr char kNew[] = "new new new longer";

class SimSyncFailureTest : public SimDiskFixture {
 protected:
  // A file that holds kOld durably and kNew in the page cache, the next sync of which fails.
  void Prepare(SimProfile profile) {
    Start(profile);
    file_ = Synced("f", kOld);
    other_ = Open("f");
    EXPECT_EQ(Write(*file_, kNew), sizeof(kNew) - 1);
    disk_->AddRule({.op = FileOp::kSync, .action = SimRule::Action::kLosePages, .error = EIO});
  }

  std::unique_ptr<File> file_;
  std::unique_ptr<File> other_;  // opened before the sync that fails
};

TEST_F(SimSyncFailureTest, SecondSyncSucceedsAndTheCacheKeepsTheNewBytes) {
  for (const SimProfile profile : {SimProfile::kExt4, SimProfile::kXfs, SimProfile::kBtrfs}) {
    SCOPED_TRACE(ProfileName(profile));
    Prepare(profile);
    EXPECT_EQ(file_->Sync(), -EIO);
    EXPECT_EQ(file_->Sync(), 0);
    EXPECT_EQ(ReadAll(*file_), kNew);
    // A process that opens the file anew finds a phantom, and its sync says that all is well.
    disk_->KillProcess();
    Reopen();
    const std::unique_ptr<File> fresh = Open("f");
    EXPECT_EQ(fresh->Sync(), 0);
    EXPECT_EQ(ReadAll(*fresh), kNew);
    const std::string kept = profile == SimProfile::kExt4 ? kOld + std::string(7, '\0') : kOld;
    EXPECT_EQ(AfterPowerCut("f"), kept);
    EXPECT_EQ(fresh->DropCache(), 0);
    EXPECT_EQ(ReadAll(*fresh), kept);
    // Writing it once more repairs it.
    EXPECT_EQ(Write(*fresh, kNew), sizeof(kNew) - 1);
    EXPECT_EQ(fresh->Sync(), 0);
    EXPECT_EQ(AfterPowerCut("f"), kNew);
    EXPECT_EQ(disk_->Faults().lost_pages, 1u);
  }
}

TEST_F(SimSyncFailureTest, EveryFileThatWasOpenHearsOfItOnceAndLaterOnesDoNot) {
  Prepare(SimProfile::kExt4);
  EXPECT_EQ(file_->Sync(), -EIO);
  EXPECT_EQ(other_->Sync(), -EIO);
  EXPECT_EQ(other_->Sync(), 0);
  EXPECT_EQ(Open("f")->Sync(), 0);
  EXPECT_EQ(disk_->Faults().other_errors, 1u);
}

TEST_F(SimSyncFailureTest, RevertedCacheShowsTheOldBytesAtOnce) {
  Prepare(SimProfile::kBtrfs2020);
  EXPECT_EQ(file_->Sync(), -EIO);
  EXPECT_EQ(ReadAll(*file_), kOld);
  EXPECT_EQ(file_->Sync(), 0);
  EXPECT_EQ(AfterPowerCut("f"), kOld);
}

TEST_F(SimSyncFailureTest, LateErrorTakesTheGroupBeforeAlong) {
  Prepare(SimProfile::kExt4Journal);
  EXPECT_EQ(file_->Sync(), 0);
  EXPECT_EQ(AfterPowerCut("f"), kNew) << "it stands in the journal";
  EXPECT_EQ(WriteFully(*file_, sizeof(kNew) - 1, " and more").error, 0);
  EXPECT_EQ(file_->Sync(), -EIO);
  EXPECT_EQ(ReadAll(*file_), std::string(kNew) + " and more");
  EXPECT_EQ(AfterPowerCut("f").substr(0, sizeof(kOld) - 1), kOld);
  EXPECT_EQ(file_->Sync(), 0);
  EXPECT_EQ(other_->Sync(), -EIO);
  EXPECT_EQ(file_->DropCache(), 0);
  EXPECT_EQ(ReadAll(*file_).substr(0, sizeof(kOld) - 1), kOld);
  EXPECT_EQ(disk_->Faults().late_errors, 1u);
}

TEST_F(SimSyncFailureTest, AbortedJournalRefusesEveryChangeUntilThePowerIsBack) {
  Prepare(SimProfile::kExt4JournalHurt);
  EXPECT_EQ(file_->Sync(), -EROFS);
  EXPECT_EQ(file_->Sync(), -EROFS);
  EXPECT_EQ(other_->Sync(), -EROFS);
  EXPECT_EQ(ReadAll(*file_), kNew);
  EXPECT_EQ(Write(*file_, "x"), -EROFS);
  EXPECT_EQ(directory_->Unlink("f"), -EROFS);
  EXPECT_EQ(directory_->Sync(), -EROFS);
  std::unique_ptr<File> none;
  EXPECT_EQ(directory_->Open("f", OpenMode::kReadWrite, &none), -EROFS);
  EXPECT_EQ(directory_->Open("g", OpenMode::kCreate, &none), -EROFS);
  EXPECT_EQ(directory_->Open("f", OpenMode::kRead, &none), 0);
  EXPECT_EQ(disk_->Faults().journal_aborts, 1u);
  EXPECT_GE(disk_->Faults().read_only, 6u);
  disk_->CutPower();
  disk_->PowerOn(kSubsetImage);
  Reopen();
  const std::unique_ptr<File> fresh = Open("f");
  EXPECT_EQ(ReadAll(*fresh).substr(0, sizeof(kOld) - 1), kOld);
  EXPECT_EQ(Write(*fresh, "x"), 1);
  EXPECT_EQ(fresh->Sync(), 0);
}

TEST_F(SimSyncFailureTest, FailedDirectorySyncLeavesTheEntriesPending) {
  Synced("f", kOld);
  Open("g");
  disk_->AddRule(
      {.op = FileOp::kDirectorySync, .action = SimRule::Action::kLosePages, .error = EIO});
  EXPECT_EQ(directory_->Sync(), -EIO);
  EXPECT_EQ(disk_->PendingUnits(), 1u);
}

TEST_F(SimSyncFailureTest, ProfilesDiffer) {
  for (int i = 0; i < kSimProfiles; ++i) {
    const auto profile = static_cast<SimProfile>(i);
    EXPECT_EQ(OptionsOf(profile, 9).seed, 9u);
    for (int j = 0; j < i; ++j) {
      EXPECT_NE(ProfileName(profile), ProfileName(static_cast<SimProfile>(j)));
      EXPECT_FALSE(OptionsOf(profile) == OptionsOf(static_cast<SimProfile>(j))) << i << " " << j;
    }
  }
}

}  // namespace
}  // namespace millrace
