// Goal: a full disk is a state. What was gathered is neither lost nor given another number, and
// the call that found no space goes on when it is made again.
// Method: the core over the simulated disk with a bound on all bytes, at every byte of a
// workload, or with ENOSPC, EDQUOT and EFBIG by rule; then space returns.

#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/wal_core_fixture.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

using Payloads = std::vector<std::string>;

class DiskFullTest : public WalCoreFixture {
 protected:
  // Makes `call` until there is space, which comes after the second attempt.
  void Persist(absl::FunctionRef<absl::Status()> call) {
    absl::Status status = call();
    for (int i = 0; i < 3 && IsPassing(status); ++i) {
      ++refused_;
      EXPECT_TRUE(ErrnoOf(status) == ENOSPC || ErrnoOf(status) == EDQUOT ||
                  ErrnoOf(status) == EFBIG)
          << status;
      if (i == 1) {
        disk_.SetCapacity(std::nullopt);
        disk_.ClearRules();
      }
      status = call();
    }
    ASSERT_TRUE(status.ok()) << status << disk_.Describe();
  }
  void PersistRecord(const std::string& body, Durability durability = Durability::kDurable) {
    Persist([&] { return Add(body, durability).status(); });
    Persist([&] { return core_->Write(); });
    if (durability == Durability::kDurable) Persist([&] { return core_->Sync(); });
  }
  // An empty directory, on a disk without a bound.
  void StartAnew() {
    Crash();
    disk_.ClearRules();
    disk_.SetCapacity(std::nullopt);
    for (const std::string& name : disk_.FileNames(kDirectory)) {
      disk_.DeleteFile(std::string(kDirectory) + "/" + name);
    }
    Open();
  }
  uint64_t UsedBytes() const {
    uint64_t bytes = 0;
    for (const std::string& name : disk_.FileNames(kDirectory)) {
      bytes += disk_.ReadFileBytes(std::string(kDirectory) + "/" + name)->size();
    }
    return bytes;
  }
  // The log is opened again where there is space.
  void PowerCut() {
    disk_.SetCapacity(std::nullopt);
    disk_.CutPower();
    core_.reset();
    disk_.PowerOn(1);
    Open();
  }

  int refused_ = 0;
};

// More records than the segment was made for, so that the file grows, and rotations.
TEST_F(DiskFullTest, NothingIsLostWhateverByteTheDiskEndsAt) {
  int met = 0;
  for (uint64_t extra = 0; extra < 40'000; extra += 331) {
    StartAnew();
    Commit("first");
    refused_ = 0;
    disk_.SetCapacity(UsedBytes() + extra);
    Payloads all = {"first"};
    for (int i = 0; i < 20; ++i) {
      all.push_back(std::string(100 + 97 * i, static_cast<char>('a' + i)));
      PersistRecord(all.back(), i % 3 == 0 ? Durability::kWritten : Durability::kDurable);
    }
    Persist([&] { return core_->Sync(); });
    met += refused_ > 0;
    ASSERT_EQ(core_->last_durable(), all.size());
    ASSERT_EQ(ReadAll(), all);
    PowerCut();
    ASSERT_EQ(ReadAll(), all) << "with " << extra << " more bytes";
    ASSERT_TRUE(report_.lost.empty()) << report_.ToString();
  }
  EXPECT_GT(met, 50);
}

TEST_F(DiskFullTest, EveryErrorOfWantOfSpaceIsHeldOut) {
  for (const int error : {ENOSPC, EDQUOT, EFBIG}) {
    Open();
    disk_.AddRule({.op = FileOp::kWrite,
                   .action = SimRule::Action::kFail,
                   .error = error,
                   .name = "*.seg",
                   .count = SimRule::kForever});
    refused_ = 0;
    PersistRecord("held");
    EXPECT_EQ(refused_, 2);
    EXPECT_EQ(ReadAll().back(), "held");
    core_.reset();
    disk_.KillProcess();
  }
}

TEST_F(DiskFullTest, TrimmingMakesSpace) {
  Open();
  FillSegments(4);
  disk_.SetCapacity(UsedBytes());
  absl::Status status;
  Payloads all = ReadAll();
  while (true) {
    all.push_back(std::string(1000, 'n'));
    status = Add(all.back(), Durability::kDurable).status();
    if (status.ok()) status = core_->Write();
    if (status.ok()) status = core_->Sync();
    if (!status.ok()) break;
  }
  ASSERT_TRUE(IsPassing(status)) << status;
  const SequenceNumber durable = core_->last_durable();
  ASSERT_TRUE(core_->TrimBefore(durable).ok());
  EXPECT_GT(core_->first_retained(), 1u);
  core_->ReleaseTrimmed();
  if (core_->next_sequence() == durable + 1) {
    ASSERT_TRUE(Add(all.back(), Durability::kDurable).ok());
  }
  ASSERT_TRUE(core_->Write().ok());
  ASSERT_TRUE(core_->Sync().ok());
  EXPECT_EQ(core_->last_durable(), all.size());
  PowerCut();
  EXPECT_EQ(report_.last_recovered, all.size());
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
}

SimRule NoSpaceIn(std::string name) {
  return {.op = FileOp::kWrite, .error = ENOSPC, .name = std::move(name), .count = 1};
}

TEST_F(DiskFullTest, TrimSaidInTheLogNeedsNoSpaceInTheSuperblock) {
  Open();
  FillSegments(4);
  const SequenceNumber all = core_->last_durable();
  disk_.AddRule(NoSpaceIn("LOG"));
  ASSERT_TRUE(core_->TrimBefore(all).ok());
  const SequenceNumber first = core_->first_retained();
  EXPECT_GT(first, 1u);
  core_->ReleaseTrimmed();
  PowerCut();
  EXPECT_EQ(report_.first_retained, first);
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
}

TEST_F(DiskFullTest, TrimThatCannotBeSaidLeavesTheLogAsItWas) {
  Open();
  FillSegments(4);
  const Payloads before = ReadAll();
  SimRule everywhere = NoSpaceIn("*");
  everywhere.count = 2;  // in the log and in the superblock
  disk_.AddRule(everywhere);
  EXPECT_TRUE(IsPassing(core_->TrimBefore(core_->last_durable())));
  EXPECT_EQ(core_->first_retained(), 1u);
  EXPECT_EQ(ReadAll(), before);
  // A trim of less counts for itself.
  ASSERT_TRUE(core_->TrimBefore(before.size() / 2).ok());
  const SequenceNumber first = core_->first_retained();
  EXPECT_GT(first, 1u);
  EXPECT_LE(first, before.size() / 2);
  Commit("after");
  PowerCut();
  EXPECT_GE(report_.first_retained, first);
  EXPECT_EQ(report_.last_recovered, before.size() + 1);
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
}

TEST_F(DiskFullTest, LogClosesWithoutSpaceForTheFooter) {
  Open();
  Commit("first");
  disk_.AddRule({.op = FileOp::kWrite,
                 .action = SimRule::Action::kFail,
                 .error = ENOSPC,
                 .name = "*.seg",
                 .count = SimRule::kForever});
  EXPECT_TRUE(core_->Close().ok());
  disk_.ClearRules();
  Open();
  EXPECT_EQ(report_.outcome, RecoveryReport::Outcome::kRecovered);
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
  EXPECT_EQ(ReadAll(), Payloads{"first"});
}

TEST_F(DiskFullTest, ClosingFailsWhereRecordsHaveNoSpace) {
  Open();
  disk_.AddRule({.op = FileOp::kWrite,
                 .action = SimRule::Action::kFail,
                 .error = ENOSPC,
                 .name = "*.seg",
                 .count = SimRule::kForever});
  ASSERT_TRUE(Add("held", Durability::kDurable).ok());
  EXPECT_EQ(ErrnoOf(core_->Close()), ENOSPC);
}

// Half a header on the disk may have dropped the records: there is no way back, and none to wait.
// Before that header a truncation is held out as anything else.
TEST_F(DiskFullTest, TruncationIsHeldOutUpToItsHeader) {
  int held = 0;
  int final_errors = 0;
  for (uint64_t first = 1; first <= 6; ++first) {
    StartAnew();
    Commit("first");
    Commit("second");
    disk_.AddRule({.op = FileOp::kWrite,
                   .action = SimRule::Action::kFail,
                   .error = ENOSPC,
                   .name = "*.seg",
                   .first = first,
                   .count = SimRule::kForever});
    const absl::Status status = core_->TruncateAfter(1);
    disk_.ClearRules();
    if (IsPassing(status)) {
      ++held;
      EXPECT_TRUE(core_->TruncateAfter(1).ok());
      EXPECT_EQ(ReadAll(), Payloads{"first"});
    } else if (!status.ok()) {
      ++final_errors;
      EXPECT_EQ(ErrnoOf(status), ENOSPC);
      EXPECT_EQ(core_->Write(), status);
    }
  }
  EXPECT_GT(held, 0);
  EXPECT_GT(final_errors, 0);
}

// A sync that fails for want of space is a failed sync: it is never repeated.
TEST_F(DiskFullTest, SyncWithoutSpaceFailsOver) {
  Open();
  Commit("first");
  disk_.AddRule({.op = FileOp::kSync,
                 .action = SimRule::Action::kLosePages,
                 .error = ENOSPC,
                 .name = "*.seg"});
  Commit("second");
  EXPECT_EQ(core_->counters().fail_overs, 1u);
  PowerCut();
  EXPECT_EQ(ReadAll(), (Payloads{"first", "second"}));
}

TEST_F(DiskFullTest, FailOverWaitsForSpaceAtEveryByte) {
  for (uint64_t extra = 0; extra < 34'000; extra += 509) {
    StartAnew();
    Payloads all = {"first"};
    Commit("first");
    for (int i = 0; i < 12; ++i) {
      all.push_back(std::string(900, static_cast<char>('a' + i)));
      ASSERT_TRUE(Add(all.back(), Durability::kWritten).ok());
      ASSERT_TRUE(core_->Write().ok());
    }
    disk_.AddRule({.op = FileOp::kSync,
                   .action = SimRule::Action::kLosePages,
                   .error = EIO,
                   .name = "*.seg"});
    disk_.SetCapacity(UsedBytes() + extra);
    Persist([&] { return core_->Sync(); });
    ASSERT_EQ(core_->last_durable(), all.size());
    ASSERT_EQ(ReadAll(), all);
    PowerCut();
    ASSERT_EQ(ReadAll(), all) << "with " << extra << " more bytes";
  }
}

}  // namespace
}  // namespace millrace
