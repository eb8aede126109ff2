// Goal: every action of a fault rule does what its comment says, to the calls that the rule
// names and to no others, and shows in its counter.
// Method: one small example for each. Failing syncs are the matter of sim_sync_failure_test.

#include <errno.h>

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/crash/sim_disk_fixture.h"
#include "wal/io.h"

namespace millrace {
namespace {

using Action = SimRule::Action;

class SimRuleTest : public SimDiskFixture {
 protected:
  SimRuleTest() { file_ = Synced("f", "0123456789"); }

  std::unique_ptr<File> file_;
};

TEST_F(SimRuleTest, InterruptedCallsSucceedWhenRepeated) {
  for (const int error : {EINTR, EAGAIN}) {
    disk_->AddRule({.op = FileOp::kWrite, .error = error, .count = 3});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Write(*file_, "abc"), -error);
    EXPECT_EQ(Write(*file_, "abc"), 3);
    disk_->ClearRules();
  }
  EXPECT_EQ(disk_->Faults().failed, 6u);
}

TEST_F(SimRuleTest, ShortCallsMoveWhatTheRuleAllows) {
  disk_->AddRule({.op = FileOp::kWrite, .action = Action::kShort, .bytes = 2});
  disk_->AddRule({.op = FileOp::kRead, .action = Action::kShort, .bytes = 0});
  EXPECT_EQ(Write(*file_, "abc"), 2);
  std::string bytes(10, '\0');
  EXPECT_EQ(file_->Read(0, bytes), 0);
  EXPECT_EQ(ReadAll(*file_), "ab23456789");
  EXPECT_EQ(disk_->Faults().shortened, 2u);
}

TEST_F(SimRuleTest, LimitedFileTakesWhatFitsAtAnyByte) {
  for (const int error : {EFBIG, EDQUOT, ENOSPC}) {
    for (uint64_t end = 10; end < 20; ++end) {
      Start(SimScript{});
      const std::unique_ptr<File> file = Synced("f", "0123456789");
      disk_->AddRule({.op = FileOp::kWrite,
                      .action = Action::kLimit,
                      .error = error,
                      .bytes = end,
                      .count = SimRule::kForever});
      disk_->AddRule(
          {.op = FileOp::kAllocate, .action = Action::kLimit, .error = error, .bytes = end});
      const WriteOutcome outcome = WriteFully(*file, 10, "abcdefghijkl");
      EXPECT_EQ(outcome.error, -error);
      EXPECT_EQ(outcome.written, end - 10);
      EXPECT_EQ(file->Allocate(end + 1), -error);
      EXPECT_EQ(WriteFully(*file, 0, "9876543210").error, 0) << "in place";
      EXPECT_GE(disk_->Faults().limited, 2u);
    }
  }
}

TEST_F(SimRuleTest, FullDiskTakesWhatFitsAtAnyByte) {
  for (uint64_t capacity = 10; capacity < 20; ++capacity) {
    Start(SimScript{.options = {}, .capacity = capacity, .rules = {}});
    const std::unique_ptr<File> file = Synced("f", "0123456789");
    const WriteOutcome outcome = WriteFully(*file, 10, "abcdefghijkl");
    EXPECT_EQ(outcome.error, -ENOSPC);
    EXPECT_EQ(outcome.written, capacity - 10);
    EXPECT_GE(disk_->Faults().full, 1u);
    ASSERT_EQ(file->Truncate(0), 0);
    EXPECT_EQ(WriteFully(*file, 0, "0123456789").error, 0) << "there is space again";
  }
}

TEST_F(SimRuleTest, CorruptedReadDiffersAndTheFileDoesNot) {
  disk_->AddRule({.op = FileOp::kRead, .action = Action::kCorrupt, .bits = 3});
  std::string bytes(10, '\0');
  EXPECT_EQ(file_->Read(0, bytes), 10);
  EXPECT_NE(bytes, "0123456789");
  EXPECT_EQ(ReadAll(*file_), "0123456789");
  EXPECT_EQ(disk_->Faults().corrupted_reads, 1u);
  EXPECT_EQ(disk_->Faults().flipped_bits, 3u);
}

TEST_F(SimRuleTest, DelayGoesToTheFunctionAndTheNextRuleActs) {
  std::vector<std::string> seen;
  disk_->SetDelay([&](const FileCall& call, uint64_t delay) {
    seen.push_back(std::string(call.name) + " " + std::to_string(delay));
    EXPECT_EQ(disk_->MutatingCalls(), call.number) << "no lock is held";
  });
  disk_->AddRule({.op = FileOp::kSync, .action = Action::kDelay, .count = 2, .delay = 500});
  disk_->AddRule({.op = FileOp::kSync, .error = EIO, .first = 2});
  EXPECT_EQ(file_->Sync(), 0);
  EXPECT_EQ(file_->Sync(), -EIO);
  EXPECT_EQ(file_->Sync(), 0);
  EXPECT_EQ(seen, (std::vector<std::string>{"f 500", "f 500"}));
  EXPECT_EQ(disk_->Faults().delays, 2u);
}

TEST_F(SimRuleTest, PowerCutDuringADelayFailsTheCall) {
  disk_->SetDelay([&](const FileCall&, uint64_t) { disk_->CutPower(); });
  disk_->AddRule({.op = FileOp::kSync, .action = Action::kDelay});
  EXPECT_EQ(Write(*file_, "abc"), 3);
  EXPECT_EQ(file_->Sync(), -EIO);
  EXPECT_EQ(*disk_->ReadDurableBytes("/log/f"), "0123456789");
}

TEST_F(SimRuleTest, CrashRulesCutThePowerBeforeInsideAndAfterTheCall) {
  for (const Action action : {Action::kCrashBefore, Action::kCrashInside, Action::kCrashAfter}) {
    Start(SimScript{});
    const std::unique_ptr<File> file = Synced("f", "0123456789");
    disk_->AddRule({.op = FileOp::kWrite, .action = action, .name = "f", .first = 2});
    EXPECT_EQ(Write(*file, "a"), 1);
    EXPECT_EQ(Write(*file, "bc"), action == Action::kCrashAfter ? 2 : -EIO);
    EXPECT_FALSE(disk_->powered());
    EXPECT_EQ(file->Sync(), -EIO);
    EXPECT_EQ(*disk_->ReadFileBytes("/log/f"),
              action == Action::kCrashBefore ? "a123456789" : "bc23456789");
    EXPECT_EQ(disk_->Faults().crashes, 1u);
  }
}

TEST_F(SimRuleTest, LyingDiskIsCounted) {
  disk_->AddRule({.op = FileOp::kSync, .action = Action::kPretend});
  EXPECT_EQ(Write(*file_, "abc"), 3);
  EXPECT_EQ(file_->Sync(), 0);
  EXPECT_GT(disk_->PendingUnits(), 0u);
  EXPECT_EQ(disk_->Faults().pretended, 1u);
}

TEST_F(SimRuleTest, ChanceHitsAboutOneInSoManyAndTheSameOnesAgain) {
  const auto hits = [](uint64_t seed) {
    SimFileSystem disk({.seed = seed});
    disk.AddRule({.op = FileOp::kList, .error = EIO, .count = SimRule::kForever, .one_in = 10});
    std::unique_ptr<Directory> directory;
    EXPECT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
    std::vector<int> failed;
    std::vector<std::string> names;
    for (int i = 0; i < 1000; ++i) {
      if (directory->List(&names) < 0) failed.push_back(i);
    }
    return failed;
  };
  const std::vector<int> first = hits(1);
  EXPECT_GT(first.size(), 50u);
  EXPECT_LT(first.size(), 200u);
  EXPECT_EQ(hits(1), first);
  EXPECT_NE(hits(2), first);
}

TEST_F(SimRuleTest, ChanceStopsAtTheCount) {
  const int rule = disk_->AddRule({.op = FileOp::kSync, .error = EIO, .count = 2, .one_in = 2});
  for (int i = 0; i < 100; ++i) file_->Sync();
  EXPECT_EQ(disk_->RuleHits(rule), 2u);
}

}  // namespace
}  // namespace millrace
