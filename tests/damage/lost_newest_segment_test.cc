// Goal: when the segment that came last is lost as a whole, the log says so even where no
// mark vouches for a record in it; and no crash is ever taken for such a loss.
// Method: the newest file of a log is taken away, or ruined, after each way of beginning it;
// then a workload that begins segments in every way is cut at each of its calls.

#include <algorithm>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/wal_core_fixture.h"
#include "wal/format.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

class LostNewestSegmentTest : public WalCoreFixture {
 protected:
  uint64_t Active() const {
    std::shared_ptr<SegmentNode> node = core_->segments()->First();
    while (node->sealed()) node = node->next();
    return node->number;
  }

  std::unique_ptr<Directory> OpenDirectory() {
    std::unique_ptr<Directory> directory;
    EXPECT_EQ(disk_.OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory), 0);
    return directory;
  }

  // What is lost, without numbers: that nobody knows.
  void ExpectNamed(uint64_t segment, LossCause cause) {
    ASSERT_EQ(report_.lost.size(), 1u) << report_.ToString();
    const LostRange& lost = report_.lost.front();
    EXPECT_EQ(lost.records(), 0u);
    EXPECT_EQ(lost.first, report_.next_sequence);
    EXPECT_EQ(lost.segment, segment);
    EXPECT_EQ(lost.cause, cause);
    EXPECT_EQ(report_.outcome, RecoveryReport::Outcome::kRecovered);
  }

  void ExpectStrictRefusesAndSalvageNames(uint64_t segment, LossCause cause) {
    const uint64_t before = disk_.Hash();
    options_.recovery_policy = RecoveryPolicy::kStrict;
    EXPECT_TRUE(absl::IsDataLoss(TryOpen()));
    EXPECT_EQ(disk_.Hash(), before);
    options_.recovery_policy = RecoveryPolicy::kSalvage;
    Open();
    ExpectNamed(segment, cause);
    // Said once: the segment that this open began is the newest now.
    Crash();
    Open();
    EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
  }
};

TEST_F(LostNewestSegmentTest, IsNamedAfterARotation) {
  Open();
  FillSegments(2);
  const uint64_t newest = Active();
  Crash();
  disk_.DeleteFile(Path(newest));
  ExpectStrictRefusesAndSalvageNames(newest, LossCause::kMissingSegment);
  EXPECT_EQ(ReadAll(), std::vector<std::string>(core_->last_durable(), std::string(1000, 'f')));
}

TEST_F(LostNewestSegmentTest, IsNamedWhenAnOpenHadBegunIt) {
  Open();
  Commit("one");
  ASSERT_TRUE(core_->Close().ok());
  Open();
  Commit("two");
  const uint64_t newest = Active();
  Crash();
  disk_.DeleteFile(Path(newest));
  ExpectStrictRefusesAndSalvageNames(newest, LossCause::kMissingSegment);
  EXPECT_EQ(ReadAll(), std::vector<std::string>{"one"});
}

TEST_F(LostNewestSegmentTest, IsNamedWhenItIsTheOnlyOne) {
  Open();
  Commit("one");
  Crash();
  disk_.DeleteFile(Path(1));
  ExpectStrictRefusesAndSalvageNames(1, LossCause::kMissingSegment);
}

TEST_F(LostNewestSegmentTest, IsNamedWhenATruncationHadBegunIt) {
  Open();
  for (const char* body : {"one", "two", "three"}) Commit(body);
  ASSERT_TRUE(core_->TruncateAfter(1).ok());
  core_->ReleaseTrimmed();
  Commit("new two");
  const uint64_t newest = Active();
  Crash();
  disk_.DeleteFile(Path(newest));
  Open();
  ExpectNamed(newest, LossCause::kMissingSegment);
  EXPECT_EQ(ReadAll(), std::vector<std::string>{"one"});
}

TEST_F(LostNewestSegmentTest, IsNamedWhereItsFileHoldsSomethingElse) {
  Open();
  Commit("one");
  Crash();
  Open();
  Commit("two");
  const uint64_t newest = Active();
  Crash();
  const std::string own = *disk_.ReadFileBytes(Path(newest));
  const std::pair<std::string, LossCause> cases[] = {
      {"", LossCause::kZeroed},
      {std::string(own.size(), '\0'), LossCause::kZeroed},
      {std::string(own.size(), 'x'), LossCause::kChecksum},
      {*disk_.ReadFileBytes(Path(1)), LossCause::kForeignSegment}};
  for (const auto& [bytes, cause] : cases) {
    const std::unique_ptr<SimFileSystem> ruined = disk_.Clone();
    ruined->WriteFileBytes(Path(newest), bytes);
    std::unique_ptr<Directory> directory;
    ASSERT_EQ(ruined->OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory), 0);
    const auto log = Recover(*ruined, *directory, {.access = Access::kReadOnly}, &report_);
    ASSERT_TRUE(log.ok()) << log.status();
    ExpectNamed(newest, cause);
    EXPECT_GT(log->next_segment, newest);
  }
}

TEST_F(LostNewestSegmentTest, AMarkNamesItsRecordsAsWell) {
  Open();
  FillSegments(1);
  Commit("last");
  const SequenceNumber last = core_->last_durable();
  const uint64_t newest = Active();
  Crash();
  Superblock superblock;
  ASSERT_TRUE(SuperblockFile::Load(*OpenDirectory(), &superblock).ok());
  superblock.mark = last;
  std::string bytes = *disk_.ReadFileBytes(std::string(kDirectory) + "/LOG");
  for (const int slot : {0, 1}) {
    superblock.generation += (superblock.generation % 2 == static_cast<uint64_t>(slot)) ? 0 : 1;
    EncodeSuperblock(superblock, slot,
                     std::span<char, kSlotBytes>(&bytes[slot * kBlockBytes], kSlotBytes));
  }
  disk_.WriteFileBytes(std::string(kDirectory) + "/LOG", bytes);
  disk_.DeleteFile(Path(newest));
  Open();
  ASSERT_EQ(report_.lost.size(), 1u) << report_.ToString();
  EXPECT_EQ(report_.lost[0].segment, newest);
  EXPECT_EQ(report_.lost[0].last, last);
  EXPECT_EQ(report_.lost[0].cause, LossCause::kMissingSegment);
  EXPECT_EQ(report_.lost[0].acknowledgement, Acknowledgement::kAcknowledged);
}

TEST_F(LostNewestSegmentTest, WithoutARecordInAClosedLogIsNoLoss) {
  Open();
  Commit("one");
  ASSERT_TRUE(core_->Close().ok());
  Open();
  const uint64_t newest = Active();
  ASSERT_TRUE(core_->Close().ok());
  disk_.DeleteFile(Path(newest));
  Open();
  EXPECT_TRUE(report_.lost.empty()) << report_.ToString();
  EXPECT_EQ(ReadAll(), std::vector<std::string>{"one"});
}

// Every way of beginning a segment, and every way of letting one go.
TEST_F(LostNewestSegmentTest, IsNeverSeenInWhatACrashLeaves) {
  uint64_t images = 0;
  uint64_t wrong = 0;
  std::string first_wrong;
  const auto look = [&](SimFileSystem& image, ImageId) {
    ++images;
    std::unique_ptr<Directory> directory;
    if (image.OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory) < 0) return;
    RecoveryReport report;
    const auto log = Recover(image, *directory, {.access = Access::kReadOnly}, &report);
    if (log.ok() && report.lost.empty()) return;
    if (wrong++ == 0) first_wrong = log.ok() ? report.ToString() : log.status().ToString();
  };
  uint64_t state = 0;
  disk_.SetHook([&](const FileCall& call) {
    if (call.number != 0) disk_.ForEachCrashImage(6, ++state, look);
    return SimVerdict::kProceed;
  });
  for (int round = 0; round < 3; ++round) {
    Open();
    FillSegments(3);
    ASSERT_TRUE(core_->TrimBefore(core_->last_durable() - 8).ok());
    core_->ReleaseTrimmed();
    FillSegments(2);
    ASSERT_TRUE(core_->TruncateAfter(core_->last_durable() - 8).ok());
    core_->ReleaseTrimmed();
    Commit("behind the truncation");
    if (round == 1) {
      ASSERT_TRUE(core_->Close().ok());
    } else {
      Crash();
    }
  }
  disk_.SetHook({});
  EXPECT_EQ(wrong, 0u) << first_wrong;
  EXPECT_GT(images, 1000u);
}

}  // namespace
}  // namespace millrace
