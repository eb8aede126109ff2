// Goal: defects found by the review of the read path and recovery. Each test here
// states what was promised, and failed when it was written.

#include <errno.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "tests/forwarding_file_system.h"
#include "tests/recovery_fixture.h"
#include "tests/temp_directory.h"
#include "wal/posix_file_system.h"

namespace millrace {
namespace {

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
TEST(ReviewB, AForeignSuperblockDoesNotTrimThisLog) {
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

// kStopAtFirstLoss: "files renamed to *.aside, nothing deleted"; C7, C10.
TEST(ReviewB, ACrashBeforeSettingAsideDeletesNothing) {
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

// L8, C10: numbers at the end of their range are refused.
TEST(ReviewB, TheLastSegmentNumberIsRefusedNotFatal) {
  TempDirectory temp;
  const std::string a = temp.Sub("a");
  fs::create_directory(a);
  std::ofstream(a + "/04611686018427387902.seg") << std::string(100, 'x');
  auto log = MustOpen(a);
  if (log == nullptr) return;
  absl::Status status;
  for (int i = 0; i < 60 && status.ok(); ++i) {
    status = log->Append(std::string(1000, 'a')).status();
  }
  EXPECT_FALSE(status.ok());
}

class ReviewBRecovery : public RecoveryFixture {};

// C10, D10: a slot with the last generation must not abort the next write.
TEST(ReviewB, TheLastGenerationIsNotFatal) {
  TempDirectory temp;
  const std::string a = temp.Sub("a");
  fs::create_directory(a);
  Superblock superblock;
  superblock.log_id.fill('m');
  superblock.generation = ~uint64_t{0};
  std::string bytes(2 * kBlockBytes, '\0');
  EncodeSuperblock(superblock, 1,
                   std::span<char, kSlotBytes>(bytes.data() + kBlockBytes, kSlotBytes));
  std::ofstream(a + "/LOG") << bytes;
  auto log = Log::Open(a);
  SUCCEED();
}

// FORMAT "Identify": with nothing else left, the cursors name the log.
TEST_F(ReviewBRecovery, OnlyCursorsLeftIsNotAFreshLog) {
  PutCursor("reader", 5);
  const RecoveredLog log = Recover();
  EXPECT_TRUE(log.exists);
  EXPECT_EQ(log.log_id, log_id_);
  EXPECT_NE(report_.outcome, RecoveryReport::Outcome::kCreated) << Lost();
}

// E12, C9: a device error over records at the end is not a torn write.
TEST_F(ReviewBRecovery, AnUnreadableTailIsReported) {
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
  EXPECT_FALSE(report_.lost.empty()) << report_.ToString();
  auto strict =
      millrace::Recover(broken, *directory, {.policy = RecoveryPolicy::kStrict}, &report_);
  EXPECT_FALSE(strict.ok());
}

TEST(ReviewB, WalkSegmentOfNumberZeroIsAnError) {
  TempDirectory temp;
  const std::string a = temp.Sub("a");
  {
    auto log = MustOpen(a);
    ASSERT_TRUE(log->Append("x").ok());
  }
  auto reader = LogReader::Open(a);
  ASSERT_TRUE(reader.ok());
  EXPECT_FALSE((*reader)->WalkSegment(0, [](const FrameInfo&) {}).ok());
}

// D5: the last segment is gone.
TEST(ReviewB, TheLastSegmentGoneIsNamed) {
  TempDirectory temp;
  const std::string a = temp.Sub("a");
  const std::string b = temp.Sub("b");
  auto log = MustOpen(a);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(log->Append(std::string(1000, 'a')).ok());
  fs::copy(a, b, fs::copy_options::recursive);  // as a crash leaves it
  // Delete the highest active segment that holds records.
  auto reader = LogReader::Open(b, {.limit = LogReaderOptions::Limit::kReadable});
  ASSERT_TRUE(reader.ok());
  auto infos = (*reader)->Segments();
  ASSERT_TRUE(infos.ok());
  std::string victim;
  for (const auto& i : *infos)
    if (i.last >= i.first && i.first != 0) victim = i.file_name;
  fs::remove(b + "/" + victim);
  auto after = MustOpen(b);
  EXPECT_LT(after->recovery().last_recovered, 60u);
  EXPECT_FALSE(after->recovery().lost.empty()) << after->recovery().ToString();
}

// C3, FORMAT "Chain": "A superblock of a later epoch ... says where older epochs end".
TEST_F(ReviewBRecovery, WhatAnEpochCutOffStaysCutOffWhenTheNextHeaderIsLost) {
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

// C11, P8: an opened cursor's file has a durable name.
TEST(ReviewB, ACursorOpenedAfterAFailedDirectorySyncIsDurable) {
  TempDirectory temp;
  bool fail = false;
  bool renamed_unsynced = false;
  ForwardingFileSystem disk(PosixFileSystem(), [&](const FileCall& call) {
    if (call.op == FileOp::kRename) renamed_unsynced = true;
    if (call.op == FileOp::kDirectorySync) {
      if (fail && renamed_unsynced) return std::optional<IoResult>(-EIO);
      renamed_unsynced = false;
    }
    return std::optional<IoResult>();
  });
  Options options = Small();
  options.file_system = &disk;
  auto log = MustOpen(temp.Sub("a"), options);
  ASSERT_TRUE(log->Append("x").ok());
  fail = true;
  EXPECT_FALSE(log->OpenCursor("c", {.start = CursorStart::Latest()}).ok());
  fail = false;
  EXPECT_TRUE(log->OpenCursor("c", {.start = CursorStart::Latest()}).ok());
  EXPECT_FALSE(renamed_unsynced) << "its directory entry was never synced";
}

// A settled loss keeps its class: numbers above the mark were never known durable.
TEST_F(ReviewBRecovery, TheNextSuffixKeepsTheAcknowledgement) {
  SegmentBuilder one(Header(1, 1));
  one.Group(0).Record("1").Record("2").Record("3");
  one.Group(3).Record("4").Record("5").Record("6");
  Put(one);
  Flip(1, one.FrameBegin(2) + 32);  // record 2, at or below the mark
  const RecoveredLog stopped = Recover({.policy = RecoveryPolicy::kStopAtFirstLoss});
  EXPECT_EQ(Lost(),
            "2..2 acknowledged checksum, 3..3 acknowledged set aside, 4..6 acknowledgement unknown "
            "set aside");
  SegmentHeader header = Header(2, stopped.next_sequence, stopped.predecessor);
  header.epoch = 2;
  Put(SegmentBuilder(header));
  Recover();
  EXPECT_EQ(Lost(), "2..3 acknowledged set aside, 4..6 acknowledgement unknown set aside");
}

// The recovering sync failed: acknowledged records read back from the device.
TEST_F(ReviewBRecovery, AFailedSyncCostsNoRecordThatTheDeviceReturns) {
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

// C11: a cursor beyond the end (here: of a later epoch, as after a restored backup)
// goes on at the end the log had when it was opened, not where it is by now.
TEST(ReviewB, ACursorBeyondTheEndSkipsNothingAppendedSince) {
  TempDirectory temp;
  const std::string a = temp.Sub("a");
  {
    auto log = MustOpen(a);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(log->Append("x").ok());
    ASSERT_TRUE(log->OpenCursor("c").ok());
    ASSERT_TRUE(log->Close().ok());
  }
  std::string bytes(2 * kBlockBytes, '\0');
  std::ifstream(a + "/c.cursor").read(bytes.data(), bytes.size());
  bytes.resize(2 * kBlockBytes);
  CursorSlot slot;
  ASSERT_EQ(
      DecodeCursorSlot(std::span<const char, kSlotBytes>(bytes.data() + kBlockBytes, kSlotBytes), 1,
                       &slot),
      HeaderStatus::kValid);
  slot.name = "c";
  slot.epoch = 9;
  slot.committed = 8;
  EncodeCursorSlot(slot, 1, std::span<char, kSlotBytes>(bytes.data() + kBlockBytes, kSlotBytes));
  std::ofstream(a + "/c.cursor") << bytes;
  auto log = MustOpen(a);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(log->Append("y").ok());  // 6..15
  auto cursor = log->OpenCursor("c");
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  auto entry = (*cursor)->Next(absl::Seconds(1));
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->record.sequence, 6u);
}

// C3: what a failed sync at open cut off does not come back under numbers that
// were given again.
TEST_F(ReviewBRecovery, WithheldRecordsDoNotComeBack) {
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
  ASSERT_EQ(Chain(*log), "1..3");
  ASSERT_EQ(log->next_sequence, 4u);
  SegmentBuilder two(Header(2, 4, log->predecessor));
  two.Group(3).Record("new4");
  Put(two);
  Put(Segment(3, 2, two.AsPredecessor()));
  ASSERT_EQ(Chain(Recover({.scan = Scan::kAll})), "1..3 4..4 5..6");
  Remove(2);
  EXPECT_EQ(Chain(Recover({.scan = Scan::kAll})), "1..3 5..6");
  EXPECT_EQ(Lost(), "4..4 acknowledged missing segment");
}

// E12: one segment that cannot be opened for a device error is a loss with its
// range; the others stay readable.
TEST_F(ReviewBRecovery, ASegmentThatCannotBeOpenedIsALossNotARefusal) {
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

// D8, C10: time by the bytes of a segment, not by the size of a sparse file.
TEST(ReviewB, ASparseSegmentIsWalkedInBoundedTime) {
  TempDirectory temp;
  const std::string a = temp.Sub("a");
  {
    auto log = MustOpen(a);
    ASSERT_TRUE(log->Append("x").ok());
    ASSERT_TRUE(log->Close().ok());
  }
  fs::resize_file(a + "/00000000000000000001.seg", uint64_t{1} << 33);
  auto reader = LogReader::Open(a);
  ASSERT_TRUE(reader.ok());
  const absl::Time start = absl::Now();
  ASSERT_TRUE((*reader)->WalkSegment(1, [](const FrameInfo&) {}).ok());
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
}

}  // namespace
}  // namespace millrace
