// Goal: a segment's file is handed out only when it is durable under its name, and a
// failure at any call leaves neither a file behind nor a number given twice.
// Method: a factory on a simulated disk in which one call fails.

#include "wal/segment_factory.h"

#include <errno.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"
#include "wal/format.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

constexpr uint64_t kFileBytes = uint64_t{1} << 20;

struct Log {
  explicit Log(SimOptions options = {}, uint64_t next_number = 1) : disk(options) {
    EXPECT_EQ(disk.OpenDirectory("log", DirectoryMode::kCreate, &directory), 0);
    Superblock first;
    first.log_id.fill('f');
    auto opened = SuperblockFile::Open(*directory, first);
    EXPECT_TRUE(opened.ok()) << opened.status();
    superblock = *std::move(opened);
    factory = std::make_unique<SegmentFactory>(*directory, *superblock, first.log_id, next_number);
  }

  std::vector<std::string> Segments() const {
    std::vector<std::string> names;
    for (const std::string& name : disk.FileNames("log")) {
      if (ParseSegmentName(name).has_value()) names.push_back(name);
    }
    return names;
  }

  SimFileSystem disk;
  std::unique_ptr<Directory> directory;
  std::unique_ptr<SuperblockFile> superblock;
  std::unique_ptr<SegmentFactory> factory;
};

using Names = std::vector<std::string>;

// The prepared header that both copies in the file hold.
SegmentHeader PreparedHeader(const Log& log, const std::string& name) {
  const std::string bytes = log.disk.ReadDurableBytes("log/" + name).value_or("");
  SegmentHeader headers[2];
  for (int copy = 0; copy < 2; ++copy) {
    if (bytes.size() < kFramesOffset) break;
    const std::span<const char, kSegmentHeaderBytes> block(&bytes[copy * kBlockBytes],
                                                           kSegmentHeaderBytes);
    EXPECT_EQ(DecodeSegmentHeader(block, copy, &headers[copy]), HeaderStatus::kValid) << copy;
  }
  EXPECT_EQ(headers[0], headers[1]);
  return headers[0];
}

TEST(SegmentFactoryTest, FileIsPreparedAndDurableWhenItIsHandedOut) {
  for (const Fill fill : {Fill::kZeros, Fill::kReserve}) {
    Log log;
    auto segment = log.factory->Create(kFileBytes, fill);
    ASSERT_TRUE(segment.ok()) << segment.status();
    EXPECT_EQ(segment->number, 1u);
    EXPECT_EQ(segment->origin, PreparedSegment::Origin::kCreated);
    const SegmentHeader header = PreparedHeader(log, SegmentName(1));
    EXPECT_EQ(header.state, SegmentState::kPrepared);
    EXPECT_EQ(header.number, 1u);
    EXPECT_EQ(header.capacity, kFileBytes);
    EXPECT_EQ(log.disk.ReadDurableBytes("log/" + SegmentName(1))->size(), kFileBytes);
  }
}

// Not all zeros at once, which would keep the log's own syncs waiting; and before the header
// says that they are there.
TEST(SegmentFactoryTest, ZerosAreSyncedPieceByPieceBeforeTheHeader) {
  Log log;
  uint64_t unsynced = 0;
  uint64_t most = 0;
  uint64_t before_header = kFileBytes;
  log.disk.SetHook([&](const FileCall& call) {
    if (!ParseSegmentName(call.name).has_value()) return SimVerdict::kProceed;
    if (call.op == FileOp::kWrite && call.bytes == kFramesOffset) before_header = unsynced;
    if (call.op == FileOp::kWrite) unsynced += call.bytes;
    if (call.op == FileOp::kSync) unsynced = 0;
    most = std::max(most, unsynced);
    return SimVerdict::kProceed;
  });
  ASSERT_TRUE(log.factory->Create(kFileBytes, Fill::kZeros).ok());
  EXPECT_EQ(before_header, 0u);
  EXPECT_LE(most, kFileBytes / 4);
}

TEST(SegmentFactoryTest, OneFailureOfAFileIsMendedWithAnother) {
  for (const FileOp op : {FileOp::kWrite, FileOp::kSync}) {
    Log log;
    log.disk.AddRule({.op = op, .error = EIO, .name = "*.seg"});
    const auto segment = log.factory->Create(kFileBytes, Fill::kZeros);
    ASSERT_TRUE(segment.ok()) << segment.status();
    EXPECT_EQ(segment->number, 2u);
    EXPECT_EQ(log.Segments(), Names({SegmentName(2)}));
  }
}

TEST(SegmentFactoryTest, FailureAtAnyCallOfCreateLeavesNoFileBehind) {
  for (const Fill fill : {Fill::kZeros, Fill::kReserve}) {
    for (const FileOp op : {FileOp::kCreate, FileOp::kWrite, FileOp::kAllocate, FileOp::kSync,
                            FileOp::kDirectorySync}) {
      Log sound;
      const uint64_t before = sound.disk.Calls(op);
      ASSERT_TRUE(sound.factory->Create(kFileBytes, fill).ok());
      const uint64_t calls = sound.disk.Calls(op) - before;
      for (uint64_t call = 1; call <= calls; ++call) {
        Log log;
        // For good: one failure of the file alone is mended with another file.
        log.disk.AddRule({.op = op, .error = EIO, .first = call, .count = SimRule::kForever});
        const absl::Status failed = log.factory->Create(kFileBytes, fill).status();
        EXPECT_EQ(ErrnoOf(failed), EIO) << FileOpName(op) << " " << call << ": " << failed;
        EXPECT_EQ(log.Segments(), Names()) << FileOpName(op) << " " << call;
      }
    }
  }
}

TEST(SegmentFactoryTest, NumberOfAFileThatCouldNotBeMadeIsNotGivenAgain) {
  Log log;
  log.disk.AddRule({.op = FileOp::kAllocate, .error = ENOSPC});
  const absl::Status full = log.factory->Create(kFileBytes, Fill::kReserve).status();
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_EQ(log.factory->Create(kFileBytes, Fill::kReserve)->number, 2u);
}

TEST(SegmentFactoryTest, FileGrowsAsItIsWrittenWhereSpaceCannotBeReserved) {
  for (const int error : {EOPNOTSUPP, ENOSYS}) {
    Log log;
    log.disk.AddRule({.op = FileOp::kAllocate, .error = error});
    ASSERT_TRUE(log.factory->Create(kFileBytes, Fill::kReserve).ok());
    EXPECT_EQ(log.disk.ReadFileBytes("log/" + SegmentName(1))->size(), kFramesOffset);
  }
}

TEST(SegmentFactoryTest, NumberIsUsedOnlyOnceTheSuperblockKnowsOfIt) {
  Log log;
  log.disk.AddRule({.op = FileOp::kSync, .error = EIO, .name = std::string(kSuperblockName)});
  EXPECT_FALSE(log.factory->Create(kFileBytes, Fill::kReserve).ok());
  EXPECT_EQ(log.Segments(), Names());
  WriteFile(*log.directory, SegmentName(7), std::string(kFileBytes, 'o'));
  EXPECT_FALSE(log.factory->Recycle(7, kFileBytes).ok()) << "that sync is failed for good";
  EXPECT_EQ(log.Segments(), Names({SegmentName(7)}));
}

TEST(SegmentFactoryTest, NumbersThatRunOutAreAnErrorForCreatingAndRecycling) {
  Log log({}, kMaxSegmentNumber);
  ASSERT_TRUE(log.factory->Create(kFileBytes, Fill::kReserve).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(log.factory->Create(kFileBytes, Fill::kZeros).status()));
  const absl::Status refused = log.factory->Recycle(kMaxSegmentNumber, kFileBytes).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(log.Segments(), Names({SegmentName(kMaxSegmentNumber)}));
}

TEST(SegmentFactoryTest, RecycledFileIsPreparedUnderItsNewName) {
  Log log({}, 8);
  WriteFile(*log.directory, SegmentName(7), std::string(kFileBytes + 4096, 'o'));
  auto segment = log.factory->Recycle(7, kFileBytes);
  ASSERT_TRUE(segment.ok()) << segment.status();
  EXPECT_EQ(segment->origin, PreparedSegment::Origin::kRecycled);
  EXPECT_EQ(segment->file_bytes, kFileBytes + 4096);
  EXPECT_EQ(log.Segments(), Names({SegmentName(8)}));
  EXPECT_EQ(PreparedHeader(log, SegmentName(8)).capacity, kFileBytes + 4096);
}

TEST(SegmentFactoryTest, FileThatDoesNotSuitIsLeftAsItIs) {
  const std::string old = SegmentName(7);
  {
    Log log({.overwrites_in_place = false}, 8);
    WriteFile(*log.directory, old, std::string(kFileBytes, 'o'));
    EXPECT_TRUE(absl::IsNotFound(log.factory->Recycle(7, kFileBytes).status()));
    EXPECT_EQ(log.Segments(), Names({old}));
  }
  Log log({}, 8);
  EXPECT_TRUE(absl::IsNotFound(log.factory->Recycle(7, kFileBytes).status()));
  WriteFile(*log.directory, old, std::string(kFileBytes - 1, 'o'));
  EXPECT_TRUE(absl::IsNotFound(log.factory->Recycle(7, kFileBytes).status()));
  WriteFile(*log.directory, old, std::string(kFileBytes, 'o'));
  log.disk.SetLinkCount("log/" + old, 2);
  EXPECT_TRUE(absl::IsNotFound(log.factory->Recycle(7, kFileBytes).status()));
  log.disk.SetLinkCount("log/" + old, 1);
  for (const FileOp op : {FileOp::kOpen, FileOp::kStat, FileOp::kRename}) {
    log.disk.AddRule({.op = op, .error = EIO, .name = old});
    EXPECT_EQ(ErrnoOf(log.factory->Recycle(7, kFileBytes).status()), EIO) << FileOpName(op);
    log.disk.ClearRules();
  }
  EXPECT_EQ(*log.disk.ReadFileBytes("log/" + old), std::string(kFileBytes, 'o'));
  EXPECT_TRUE(log.factory->Recycle(7, kFileBytes).ok());
}

TEST(SegmentFactoryTest, RenamedFileThatCannotBePreparedIsRemoved) {
  for (const FileOp op : {FileOp::kWrite, FileOp::kSync, FileOp::kDirectorySync}) {
    Log log({}, 8);
    ASSERT_TRUE(log.superblock->Update([](Superblock& s) { s.highest_segment = 20; }).ok());
    WriteFile(*log.directory, SegmentName(7), std::string(kFileBytes, 'o'));
    log.disk.AddRule({.op = op, .error = EIO});
    EXPECT_EQ(ErrnoOf(log.factory->Recycle(7, kFileBytes).status()), EIO) << FileOpName(op);
    EXPECT_EQ(log.Segments(), Names()) << FileOpName(op);
  }
}

TEST(SegmentFactoryTest, RemovingWhatIsNotThereIsSuccess) {
  Log log;
  EXPECT_TRUE(log.factory->Remove("none").ok());
  WriteFile(*log.directory, "some", "x");
  log.disk.AddRule({.op = FileOp::kUnlink, .error = EROFS, .name = "some"});
  EXPECT_TRUE(absl::IsPermissionDenied(log.factory->Remove("some")));
  EXPECT_TRUE(log.factory->Remove("some").ok());
}

}  // namespace
}  // namespace millrace
