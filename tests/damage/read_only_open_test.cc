// Goal: reading a log from outside changes nothing, and needs nothing that could: not on an
// intact log, not on a damaged one, not with cursors.
// Method: a file system under which every call that changes or syncs anything fails and is
// counted; all is read through LogReader from logs that were closed, crashed and damaged.

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "millrace/log_reader.h"
#include "millrace/testing/forwarding_file_system.h"
#include "tests/damage/damage_kinds.h"
#include "tests/damage/damaged_log.h"
#include "tests/flip_log.h"

namespace millrace {
namespace {

bool Changes(FileOp op) {
  switch (op) {
    case FileOp::kMakeDirectory:
    case FileOp::kCreate:
    case FileOp::kWrite:
    case FileOp::kSync:
    case FileOp::kTruncate:
    case FileOp::kAllocate:
    case FileOp::kRename:
    case FileOp::kUnlink:
    case FileOp::kDirectorySync:
    case FileOp::kLock:
      return true;
    default:
      return false;
  }
}

// The number of entries read; the reader's own copies of what it says are looked at, too.
uint64_t ReadAll(FileSystem& file_system) {
  LogReaderOptions options;
  options.file_system = &file_system;
  options.scan = LogReaderOptions::Scan::kAll;
  options.limit = LogReaderOptions::Limit::kReadable;
  auto reader = LogReader::Open(kFlipDirectory, options);
  EXPECT_TRUE(reader.ok()) << reader.status();
  if (!reader.ok()) return 0;
  uint64_t entries = 0;
  while ((*reader)->Next().ok()) ++entries;
  return entries;
}

class ReadOnlyOpenTest : public ::testing::TestWithParam<FlipEnding> {};

TEST_P(ReadOnlyOpenTest, MakesNoCallThatChangesAnything) {
  const FlipLog log = BuildFlipLog(GetParam());
  const FlipLog other = BuildFlipLog(GetParam(), /*seed=*/12);
  const std::unique_ptr<SimFileSystem> disk = log.disk->Clone();
  uint64_t tried = 0;
  ForwardingFileSystem read_only(disk.get(), [&tried](const FileCall& call) {
    if (!Changes(call.op)) return std::optional<IoResult>();
    ++tried;
    return std::optional<IoResult>(-EROFS);
  });
  EXPECT_EQ(ReadAll(read_only), log.last());
  uint64_t states = 0;
  VisitFiles(log, other, [&](const Damage& damage) {
    if (damage.bytes.has_value()) {
      disk->WriteFileBytes(damage.file->path, *damage.bytes);
    } else {
      disk->DeleteFile(damage.file->path);
    }
    const uint64_t before = disk->Hash();
    ReadAll(read_only);
    EXPECT_EQ(disk->Hash(), before) << damage.what;
    EXPECT_EQ(tried, 0u) << damage.what;
    disk->WriteFileBytes(damage.file->path, *log.disk->ReadFileBytes(damage.file->path));
    ++states;
  });
  EXPECT_GT(states, 30u);
  EXPECT_EQ(tried, 0u);
}

INSTANTIATE_TEST_SUITE_P(, ReadOnlyOpenTest,
                         ::testing::Values(FlipEnding::kClosed, FlipEnding::kCrashed),
                         [](const auto& instance) {
                           return instance.param == FlipEnding::kClosed ? "Closed" : "Crashed";
                         });

}  // namespace
}  // namespace millrace
