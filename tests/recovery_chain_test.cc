// Goal: a file that is missing, foreign, renamed, copied, stale or without headers
// costs the records in it at most, is named with its exact range, and is never
// taken for what it is not, nor deleted.
// Method: three hand-made segments with records 1..5, 6..10, 11..15; one thing
// done to the directory.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "gtest/gtest.h"
#include "tests/recovery_fixture.h"
#include "wal/recovery.h"

namespace millrace {
namespace {

using Names = std::vector<std::string>;
using Outcome = RecoveryReport::Outcome;

class RecoveryChainTest : public RecoveryFixture {
 protected:
  // Three segments whose superblock gave the first two's records up.
  std::vector<SegmentBuilder> PutTrimmed() {
    auto segments = PutThree();
    Superblock superblock = OwnSuperblock(15);
    superblock.first_retained = 11;
    PutSuperblock(superblock);
    return segments;
  }
};

TEST_F(RecoveryChainTest, AMissingSegmentInTheMiddleIsNamedExactly) {
  PutThree();
  Remove(2);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 11..15");
  EXPECT_EQ(Lost(), "6..10 acknowledged missing segment");
  EXPECT_EQ(report_.lost[0].segment, 2u);
  EXPECT_EQ(log.next_sequence, 16u);
}

TEST_F(RecoveryChainTest, AMissingFirstSegmentIsALossUnlessItWasTrimmed) {
  PutThree();
  Remove(1);
  EXPECT_EQ(Chain(Recover()), "6..10 11..15");
  EXPECT_EQ(Lost(), "1..5 acknowledged missing segment");

  PutTrimmed();
  Remove(1);
  Remove(2);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "11..15");
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(log.first_retained, 11u);
}

TEST_F(RecoveryChainTest, AMissingLastSegmentIsALossUpToTheMark) {
  const auto segments = PutThree();
  PutSuperblock(OwnSuperblock(15));
  Remove(3);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..10");
  EXPECT_EQ(report_.records_lost(), 5u);
  EXPECT_EQ(report_.lost.back().first, 11u);
  EXPECT_EQ(report_.lost.back().last, 15u);
  EXPECT_EQ(log.next_sequence, 16u);
}

TEST_F(RecoveryChainTest, AllSegmentsMissingIsNotAFreshLog) {
  PutSuperblock(OwnSuperblock(15));
  const RecoveredLog log = Recover();
  EXPECT_TRUE(log.exists);
  EXPECT_EQ(report_.outcome, Outcome::kRecovered);
  EXPECT_EQ(log.log_id, log_id_);
  EXPECT_EQ(Lost(), "1..15 acknowledged missing segment");
  EXPECT_EQ(log.next_sequence, 16u);
}

TEST_F(RecoveryChainTest, TrimmedSegmentsThatReappearAreRemovable) {
  PutTrimmed();
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "11..15");
  EXPECT_EQ(log.removable, (Names{SegmentName(1), SegmentName(2)}));
  EXPECT_EQ(Lost(), "");
}

TEST_F(RecoveryChainTest, ALostSuperblockLosesNothing) {
  const auto segments = PutThree();
  WriteFile(*directory_, kSuperblockName, std::string(2 * kBlockBytes, '#'));
  EXPECT_EQ(Chain(Recover()), "1..5 6..10 11..15");
  EXPECT_EQ(Lost(), "");
  Superblock foreign;
  foreign.log_id.fill('Z');
  foreign.mark = 1000;
  foreign.first_retained = 900;
  foreign.highest_segment = 90;
  PutSuperblock(foreign);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_EQ(log.log_id, log_id_);
  EXPECT_EQ(log.next_sequence, 16u);
  EXPECT_EQ(log.next_segment, 4u);
  EXPECT_EQ(Lost(), "");
}

TEST_F(RecoveryChainTest, EitherHeaderCopySuffices) {
  PutThree();
  for (const uint64_t offset : {uint64_t{0}, kBlockBytes}) {
    for (const uint64_t number : {1, 2, 3}) {
      Flip(number, offset + 50);
      EXPECT_EQ(Chain(Recover()), "1..5 6..10 11..15");
      EXPECT_EQ(Lost(), "");
      Recover({.scan = Scan::kAll});
      ASSERT_EQ(report_.lost.size(), 1u) << "noted when everything is looked at";
      EXPECT_EQ(report_.lost[0].records(), 0u);
      EXPECT_EQ(report_.lost[0].segment, number);
      Flip(number, offset + 50);
    }
  }
}

TEST_F(RecoveryChainTest, BothHeadersOfAnySegmentMayBeLost) {
  for (const uint64_t number : {1, 2, 3}) {
    PutThree();
    DestroyHeaders(number);
    const RecoveredLog log = Recover();
    EXPECT_EQ(Chain(log), "1..5 6..10 11..15") << number;
    EXPECT_EQ(report_.records_lost(), 0u);
    EXPECT_EQ(log.next_sequence, 16u);
    ASSERT_EQ(report_.lost.size(), 1u);
    EXPECT_EQ(report_.lost[0].segment, number);
    EXPECT_EQ(report_.lost[0].end, kFramesOffset);
  }
}

TEST_F(RecoveryChainTest, ALostHeaderAndADamagedFrontLoseWhatIsDamaged) {
  const auto segments = PutThree();
  DestroyHeaders(2);
  for (const size_t frame : {0, 1, 2}) Flip(2, segments[1].FrameBegin(frame) + 3);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 8..10 11..15");
  EXPECT_EQ(report_.records_lost(), 2u);
  EXPECT_EQ(log.next_sequence, 16u);
}

TEST_F(RecoveryChainTest, FilesUnderEachOthersNamesAreNotUsed) {
  const auto segments = PutThree();
  Put(1, segments[1].Bytes());
  Put(2, segments[0].Bytes());
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "11..15");
  EXPECT_EQ(Lost(), "1..10 acknowledged foreign segment");
  EXPECT_EQ(log.removable, Names());
  EXPECT_EQ(report_.ignored_files, (Names{SegmentName(1), SegmentName(2)}));
}

TEST_F(RecoveryChainTest, ACopyUnderAnotherNameIsIgnored) {
  const auto segments = PutThree();
  Put(7, segments[1].Bytes());
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_EQ(report_.ignored_files, Names{SegmentName(7)});
  EXPECT_EQ(log.removable, Names());
  EXPECT_EQ(log.next_segment, 8u);
}

TEST_F(RecoveryChainTest, ACrashWhileRecyclingLeavesARemovableFile) {
  const auto segments = PutTrimmed();
  Remove(1);
  Put(9, segments[0].Bytes());  // renamed, its headers not yet replaced
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "11..15");
  EXPECT_EQ(log.removable, (Names{SegmentName(2), SegmentName(9)}));
  EXPECT_EQ(Lost(), "");
}

TEST_F(RecoveryChainTest, AnotherLogsSegmentIsIgnoredWhereverItStands) {
  PutThree();
  PutSuperblock(OwnSuperblock(15));
  const LogId own = log_id_;
  log_id_.fill('x');
  const std::string foreign = Segment(2, 9).Bytes();
  const std::string higher = Segment(8, 9).Bytes();
  log_id_ = own;
  Put(2, foreign);
  Put(8, higher);
  const RecoveredLog log = Recover();
  EXPECT_EQ(log.log_id, own);
  EXPECT_EQ(Chain(log), "1..5 11..15");
  EXPECT_EQ(Lost(), "6..10 acknowledged foreign segment");
  EXPECT_EQ(report_.ignored_files, (Names{SegmentName(2), SegmentName(8)}));
  EXPECT_EQ(log.next_segment, 9u);
}

TEST_F(RecoveryChainTest, AnOlderBackupOfASegmentIsALossOfWhatItLacks) {
  const auto segments = PutThree();
  Put(Segment(2, 3, segments[0].AsPredecessor()));  // records 6..8 of 6..10
  const RecoveredLog log = Recover({.scan = Scan::kAll});
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_EQ(Lost(), "9..10 acknowledged truncated");
}

TEST_F(RecoveryChainTest, ASegmentWithTheNumberButNotTheIncarnationIsForeign) {
  const auto segments = PutThree();
  SegmentHeader header = Header(2, 6, segments[0].AsPredecessor());
  header.incarnation = 4444;
  SegmentBuilder other(header);
  other.Group(5);
  for (int i = 0; i < 5; ++i) other.Record("other");
  Put(other);
  EXPECT_EQ(Chain(Recover()), "1..5 11..15");
  EXPECT_EQ(Lost(), "6..10 acknowledged foreign segment");
}

TEST_F(RecoveryChainTest, WhatLiesBehindACutIsDead) {
  // Segment 2 ended segment 1 at record 3; records 4 and 5 in it are dead.
  const SegmentBuilder first = Segment(1, 5).IdleMark();
  SegmentHeader header = Header(2, 4, {1, 1001, 3, first.FrameBegin(4), 0});
  Put(first);
  Put(SegmentBuilder(header).Group(3).Record("another 4").IdleMark());
  RecoveredLog log = Recover({.scan = Scan::kAll});
  EXPECT_EQ(Chain(log), "1..3 4..4");
  EXPECT_EQ(log.chain[0].end, first.FrameBegin(4));
  EXPECT_EQ(log.next_sequence, 5u) << "the mark behind the cut is dead, too";
}

TEST_F(RecoveryChainTest, FramesBehindACutAreNotRevivedWhenTheHeaderThatCutIsLost) {
  // A power cut tore record 4; segment 2 went on there, and now its file is gone.
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  Flip(1, first.FrameBegin(4) + 40);
  Put(Segment(3, 2, {2, 1002, 8, 9000, 0}).IdleMark());
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..3 9..10");
  EXPECT_EQ(Lost(), "4..8 acknowledged missing segment");
}

TEST_F(RecoveryChainTest, ASegmentCutOffTheChainIsSetAsideNotDeleted) {
  const SegmentBuilder first = Segment(1, 5);
  Put(first);
  Put(Segment(2, 2, first.AsPredecessor()));  // dead: 3 does not name it
  Put(Segment(3, 2, first.AsPredecessor()).IdleMark());
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..7");
  EXPECT_EQ(log.set_aside, Names{SegmentName(2)});
  EXPECT_EQ(log.removable, Names());
}

TEST_F(RecoveryChainTest, PreparedAndUnusedFilesAreRemovableAndDamagedOnesAreNot) {
  PutThree();
  SegmentHeader prepared = Header(4, 1);
  prepared.state = SegmentState::kPrepared;
  Put(4, SegmentBuilder(prepared).Bytes() + std::string(8192, '\0'));
  Put(5, "");
  Put(6, std::string(30'000, '\0'));
  Put(7, std::string(30'000, 'g'));
  Put(8, std::string(20'000, '\0') + "x");  // a zero header before other content
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_EQ(log.removable, (Names{SegmentName(4), SegmentName(5), SegmentName(6)}));
  EXPECT_EQ(report_.ignored_files, (Names{SegmentName(7), SegmentName(8)}));
  EXPECT_EQ(log.next_segment, 9u);
}

TEST_F(RecoveryChainTest, NamesThatAreNotTheLogsAreReported) {
  PutThree();
  WriteFile(*directory_, "notes.txt", "hello");
  WriteFile(*directory_, "1.seg", "hello");
  WriteFile(*directory_, "99999999999999999999.seg", "hello");
  WriteFile(*directory_, SegmentName(2) + ".aside", "hello");
  WriteFile(*directory_, kLockName, "");
  PutCursor("c", 3);
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "1..5 6..10 11..15");
  EXPECT_EQ(report_.ignored_files,
            (Names{SegmentName(2) + ".aside", "1.seg", "99999999999999999999.seg", "notes.txt"}));
  EXPECT_EQ(log.next_segment, 4u);
}

TEST_F(RecoveryChainTest, TheLargestNumberIsRefusedRatherThanWrapped) {
  PutThree();
  Put(kMaxSegmentNumber, std::string(100, 'x'));
  const absl::Status status = RecoverStatus();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status.ToString();
}

TEST_F(RecoveryChainTest, AGapThatAHeaderDeclaresIsReportedAtEveryOpen) {
  const SegmentBuilder first = Segment(1, 5);
  SegmentHeader header = Header(2, 9, first.AsPredecessor());
  Put(first);
  Put(SegmentBuilder(header).Group(8).Record("9").Footer());
  for (int i = 0; i < 2; ++i) {
    const RecoveredLog log = Recover();
    EXPECT_EQ(Chain(log), "1..5 9..9");
    EXPECT_EQ(Lost(), "6..8 acknowledged truncated");
    // Where they had been: behind what is left of the predecessor.
    ASSERT_EQ(report_.lost.size(), 1u);
    EXPECT_EQ(report_.lost[0].segment, 1u);
    EXPECT_EQ(report_.lost[0].begin, first.offset());
    EXPECT_EQ(report_.outcome, Outcome::kClean);
  }
}

TEST_F(RecoveryChainTest, ASoleSegmentWithoutARecordIsTheNewest) {
  Put(SegmentBuilder(Header(1, 1)));
  const RecoveredLog log = Recover();
  EXPECT_EQ(Chain(log), "");
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(log.next_sequence, 1u);
  ASSERT_TRUE(log.newest.has_value());
  EXPECT_EQ(log.newest->number, 1u);
}

// On the operating system's files.

class HostileDirectoryTest : public ::testing::Test {
 protected:
  HostileDirectoryTest() {
    const char* base = getenv("TEST_TMPDIR");
    path_ = std::string(base == nullptr ? "/tmp" : base) + "/hostileXXXXXX";
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~HostileDirectoryTest() override {
    for (const std::string& name : made_) {
      unlink((path_ + "/" + name).c_str());
      rmdir((path_ + "/" + name).c_str());
    }
    rmdir(path_.c_str());
  }
  std::string Made(const std::string& name) {
    made_.push_back(name);
    return path_ + "/" + name;
  }

  std::string path_;
  Names made_;
};

TEST_F(HostileDirectoryTest, WhatIsNoRegularFileIsNeitherFollowedNorWaitedFor) {
  ASSERT_EQ(mkdir(Made(SegmentName(1)).c_str(), 0700), 0);
  ASSERT_EQ(mkfifo(Made(SegmentName(2)).c_str(), 0600), 0);
  ASSERT_EQ(symlink("/etc/passwd", Made(SegmentName(3)).c_str()), 0);
  ASSERT_EQ(symlink("nowhere", Made(SegmentName(4)).c_str()), 0);
  ASSERT_EQ(symlink(SegmentName(5).c_str(), Made(SegmentName(5)).c_str()), 0);
  // As large as the file system allows, and sparse.
  const int fd = open(Made(SegmentName(6)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  int bits = 62;
  while (bits > 30 && ftruncate(fd, off_t{1} << bits) != 0) --bits;
  close(fd);

  std::unique_ptr<Directory> directory;
  ASSERT_EQ(PosixFileSystem()->OpenDirectory(path_, DirectoryMode::kMustExist, &directory), 0);
  RecoveryReport report;
  const auto log = Recover(*PosixFileSystem(), *directory, {}, &report);
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  EXPECT_EQ(log->removable, Names());
  EXPECT_EQ(report.ignored_files, (Names{SegmentName(1), SegmentName(2), SegmentName(3),
                                         SegmentName(4), SegmentName(5), SegmentName(6)}));
  EXPECT_EQ(log->next_segment, 7u);
}

}  // namespace
}  // namespace millrace
