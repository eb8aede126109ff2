// Goal: recovery neither deletes, resurrects nor passes over records where evidence
// is missing, foreign or unreadable.
// Method: logs on disk and on the simulated disk, with the evidence taken away.

#include <errno.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/testing/forwarding_file_system.h"
#include "tests/recovery_fixture.h"
#include "tests/temp_directory.h"
#include "wal/posix_file_system.h"
#include "wal/stored_cursor.h"

namespace millrace {
namespace {

class RecoveryEvidenceFixture : public RecoveryFixture {};

namespace fs = std::filesystem;

Options Small() {
  Options options;
  options.segment_bytes = 8192;
  options.initial_segment_bytes = 8192;
  return options;
}

std::unique_ptr<Log> MustOpen(const std::string& path, const Options& options = Small()) {
  auto log = Log::Open(path, options);
  EXPECT_TRUE(log.ok()) << log.status();
  return log.ok() ? *std::move(log) : nullptr;
}

int CountRecords(const std::string& path) {
  auto reader = LogReader::Open(path);
  if (!reader.ok()) return -1;
  int records = 0;
  while (true) {
    auto entry = (*reader)->Next();
    if (!entry.ok()) return records;
    if (entry->kind == Entry::Kind::kRecord) ++records;
  }
}

// C3, D7: the superblock of another log must not give up this log's records.
TEST(RecoveryEvidenceTest, AForeignSuperblockDoesNotTrimThisLog) {
  TempDirectory temp;
  const std::string a = temp.Sub("a");
  const std::string b = temp.Sub("b");
  {
    auto log = MustOpen(a);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(log->Append(std::string(1000, 'a')).ok());
    ASSERT_TRUE(log->Close().ok());
  }
  {
    auto log = MustOpen(b);
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(log->Append(std::string(1000, 'b')).ok());
    ASSERT_TRUE(log->TrimBefore(55).ok());
    ASSERT_TRUE(log->Close().ok());
  }
  fs::copy_file(b + "/LOG", a + "/LOG", fs::copy_options::overwrite_existing);
  ASSERT_EQ(CountRecords(a), 20);
  for (int i = 0; i < 2; ++i) {
    auto log = MustOpen(a);
    EXPECT_EQ(log->recovery().first_retained, 1u) << "open " << i;
    EXPECT_EQ(log->recovery().lost.size(), 0u) << "open " << i;
    ASSERT_TRUE(log->Close().ok());
  }
  EXPECT_EQ(CountRecords(a), 20);
}

TEST(RecoveryEvidenceTest, ACrashBeforeSettingAsideDeletesNothing) {
  TempDirectory temp;
  const std::string a = temp.Sub("a");
  {
    auto log = MustOpen(a);
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(log->Append(std::string(1000, 'a')).ok());
    ASSERT_TRUE(log->TrimBefore(20).ok());
    ASSERT_TRUE(log->Close().ok());
  }
  auto segments = [&] {
    int n = 0;
    for (const auto& e : fs::directory_iterator(a)) {
      if (e.path().string().find(".seg") != std::string::npos && e.file_size() > 8192 + 512) ++n;
    }
    return n;
  };
  // The first retained segment loses its first frames.
  std::string first;
  for (const auto& e : fs::directory_iterator(a)) {
    const std::string p = e.path().string();
    if (p.ends_with(".seg") && (first.empty() || p < first)) first = p;
  }
  {
    std::fstream f(first, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(8192);
    f.write(std::string(1200, 'X').data(), 1200);
  }
  const int before = segments();
  ForwardingFileSystem broken(PosixFileSystem(), [](const FileCall& call) {
    if (call.op == FileOp::kRename) return std::optional<IoResult>(-EIO);
    return std::optional<IoResult>();
  });
  Options stop = Small();
  stop.recovery_policy = RecoveryPolicy::kStopAtFirstLoss;
  Options stop_broken = stop;
  stop_broken.file_system = &broken;
  EXPECT_FALSE(Log::Open(a, stop_broken).ok());  // as a crash there
  EXPECT_GE(segments(), before);
  auto log = MustOpen(a, stop);
  ASSERT_TRUE(log->Close().ok());
  EXPECT_GE(segments(), before) << "files with intact records were deleted";
}

TEST_F(RecoveryEvidenceFixture, OnlyCursorsLeftIsNotAFreshLog) {
  PutCursor("reader", 5);
  const RecoveredLog log = Recover();
  EXPECT_TRUE(log.exists);
  EXPECT_EQ(log.log_id, log_id_);
  EXPECT_NE(report_.outcome, RecoveryReport::Outcome::kCreated) << Lost();
}

TEST_F(RecoveryEvidenceFixture, CheckpointSharedInCursorsVouchesForRecords) {
  PutThree();
  Remove(3);
  EXPECT_EQ(Chain(Recover()), "1..5 6..10");
  EXPECT_EQ(Lost(), "");
  CursorSlot cursor;
  cursor.log_id = log_id_;
  cursor.generation = 3;
  cursor.committed = 14;
  cursor.name = "reader";
  std::string bytes(2 * kSharedEntryBytes, '\0');
  EncodeCursorSlot(cursor, 1, std::span<char, kSlotBytes>(&bytes[3 * kBlockBytes], kSlotBytes));
  WriteFile(*directory_, kSharedCheckpointsName, bytes);
  EXPECT_EQ(Recover().next_sequence, 15);
  EXPECT_EQ(Lost(), "11..14 acknowledged truncated");
  // Another log's vouches for nothing.
  cursor.log_id = LogId{'o'};
  EncodeCursorSlot(cursor, 1, std::span<char, kSlotBytes>(&bytes[3 * kBlockBytes], kSlotBytes));
  WriteFile(*directory_, kSharedCheckpointsName, bytes);
  EXPECT_EQ(Recover().next_sequence, 11);
  EXPECT_EQ(Lost(), "");
}

TEST_F(RecoveryEvidenceFixture, AnUnreadableTailIsReported) {
  const SegmentBuilder segment = Segment(1, 60);
  Put(segment);
  Recover();
  EXPECT_EQ(report_.last_recovered, 60u);
  ForwardingFileSystem broken(&disk_, [](const FileCall& call) {
    if (call.op == FileOp::kRead && call.offset + call.bytes > 12288 && call.offset < 40000 &&
        call.name.ends_with(".seg")) {
      return std::optional<IoResult>(-EIO);
    }
    return std::optional<IoResult>();
  });
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(broken.OpenDirectory("log", DirectoryMode::kMustExist, &directory), 0);
  auto log = millrace::Recover(broken, *directory, {}, &report_);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_LT(report_.last_recovered, 60u);
  ASSERT_FALSE(report_.lost.empty()) << report_.ToString();
  EXPECT_EQ(report_.lost.back().acknowledgement, Acknowledgement::kUnknown);
  EXPECT_EQ(report_.lost.back().cause, LossCause::kUnreadable);
  EXPECT_EQ(report_.lost.back().segment, 1u);
  EXPECT_EQ(report_.lost.back().begin, log->chain.back().end);
  EXPECT_EQ(report_.lost.back().end, segment.offset());
  auto strict =
      millrace::Recover(broken, *directory, {.policy = RecoveryPolicy::kStrict}, &report_);
  EXPECT_FALSE(strict.ok());
}

TEST_F(RecoveryEvidenceFixture, WhatAnEpochCutOffStaysCutOffWhenTheNextHeaderIsLost) {
  SegmentBuilder one(Header(1, 1));
  one.Group(0);
  for (int i = 0; i < 5; ++i) one.Record(std::string(100, 'a'));
  one.Group(5);
  for (int i = 0; i < 5; ++i) one.Record(std::string(100, 'b'));
  one.Group(10).Record("11");
  Put(one);
  Flip(1, one.FrameBegin(3) + 40);  // record 3
  const RecoveredLog stopped = Recover({.policy = RecoveryPolicy::kStopAtFirstLoss});
  ASSERT_EQ(Chain(stopped), "1..2");
  ASSERT_TRUE(stopped.starts_new_epoch);
  SegmentHeader header = Header(2, stopped.next_sequence, stopped.predecessor);
  header.epoch = 2;
  SegmentBuilder two(header);
  two.Group(stopped.next_sequence - 1).Record("x").Record("y");
  Put(two);
  Superblock superblock = OwnSuperblock(stopped.next_sequence - 1);
  superblock.epoch = 2;
  superblock.epoch_base = 2;
  PutSuperblock(superblock);
  ASSERT_EQ(Chain(Recover()), "1..2 12..13") << Lost();
  DestroyHeaders(2);
  EXPECT_EQ(Chain(Recover()), "1..2 12..13") << Lost();
}

TEST_F(RecoveryEvidenceFixture, StrictRefusesWhatTheDeviceWillNotSync) {
  Put(Segment(1, 10));
  ForwardingFileSystem broken(&disk_, [](const FileCall& call) {
    if (call.op == FileOp::kSync) return std::optional<IoResult>(-EIO);
    return std::optional<IoResult>();
  });
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(broken.OpenDirectory("log", DirectoryMode::kMustExist, &directory), 0);
  auto log = millrace::Recover(broken, *directory, {.policy = RecoveryPolicy::kStrict}, &report_);
  EXPECT_FALSE(log.ok()) << "strict: " << report_.ToString();
}

// After a failed sync nothing is trusted where it stands, and nothing that reads back is lost.
TEST_F(RecoveryEvidenceFixture, RecordsThatTheDeviceWillNotSyncAreToBeCopied) {
  SegmentBuilder one(Header(1, 1));
  one.Group(0).Record("1").Record("2").Record("3");
  one.Group(3).Record("old4").Record("old5");
  Put(one);
  ForwardingFileSystem broken(&disk_, [](const FileCall& call) {
    if (call.op == FileOp::kSync) return std::optional<IoResult>(-EIO);
    return std::optional<IoResult>();
  });
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(broken.OpenDirectory("log", DirectoryMode::kMustExist, &directory), 0);
  auto log = millrace::Recover(broken, *directory, {}, &report_);
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(Chain(*log), "1..3");
  EXPECT_EQ(log->next_sequence, 6u);
  EXPECT_FALSE(log->starts_new_epoch);
  ASSERT_EQ(log->unsynced.size(), 1u);
  EXPECT_EQ(log->unsynced[0].first, 4u);
  EXPECT_EQ(log->unsynced[0].last, 5u);
  EXPECT_EQ(log->unsynced[0].end, one.offset());
  EXPECT_EQ(Lost(), "6..5 acknowledgement unknown unreadable");
}

TEST_F(RecoveryEvidenceFixture, ASegmentThatCannotBeOpenedIsALossNotARefusal) {
  PutThree();
  ForwardingFileSystem broken(&disk_, [](const FileCall& call) {
    if (call.op == FileOp::kOpen && call.name == SegmentName(2)) {
      return std::optional<IoResult>(-EIO);
    }
    return std::optional<IoResult>();
  });
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(broken.OpenDirectory("log", DirectoryMode::kMustExist, &directory), 0);
  auto log = millrace::Recover(broken, *directory, {}, &report_);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(Lost(), "6..10 acknowledged unreadable");
}

}  // namespace
}  // namespace millrace
