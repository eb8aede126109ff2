// Goal: the loops above the seam move every byte exactly once, whatever short
// counts and interruptions the file system answers with, and end when it makes no
// progress at all.
// Method: faults of the simulated file system, at every byte where a short write
// can end.

#include "wal/io.h"

#include <errno.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"

namespace millrace {
namespace {

class IoTest : public testing::Test {
 protected:
  IoTest() : disk_(SimOptions{}) {
    EXPECT_EQ(disk_.OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0);
    EXPECT_EQ(directory_->Open("f", OpenMode::kCreate, &file_), 0);
  }

  void Fault(FileOp op, SimRule::Action action, int error, uint64_t bytes, uint64_t first,
             uint64_t count) {
    disk_.AddRule({.op = op,
                   .action = action,
                   .error = error,
                   .bytes = bytes,
                   .name = "*",
                   .first = first,
                   .count = count});
  }
  std::string Content() { return disk_.ReadFileBytes("/log/f").value(); }

  SimFileSystem disk_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<File> file_;
};

using Action = SimRule::Action;
constexpr uint64_t kForever = SimRule::kForever;

TEST_F(IoTest, ShortWriteAtEveryByteStillWritesEverythingOnce) {
  const std::vector<std::string_view> pieces = {"", "abc", "", "d", "efgh", "", "ijklmnop", ""};
  const std::string whole = "abcdefghijklmnop";
  for (uint64_t step = 1; step <= whole.size(); ++step) {
    disk_.ClearRules();
    EXPECT_EQ(file_->Truncate(0), 0);
    Fault(FileOp::kWrite, Action::kShort, 0, step, 1, kForever);
    const WriteOutcome outcome = WriteFully(*file_, 5, pieces);
    EXPECT_EQ(outcome.error, 0);
    EXPECT_EQ(outcome.written, whole.size());
    EXPECT_EQ(Content(), std::string(5, '\0') + whole) << "step " << step;
  }
}

TEST_F(IoTest, OneShortWriteAtEveryByteStillWritesEverythingOnce) {
  const std::vector<std::string_view> pieces = {"abc", "d", "efgh"};
  for (uint64_t cut = 0; cut <= 8; ++cut) {
    disk_.ClearRules();
    EXPECT_EQ(file_->Truncate(0), 0);
    Fault(FileOp::kWrite, Action::kShort, 0, cut, 1, 1);
    EXPECT_EQ(WriteFully(*file_, 0, pieces).written, 8u);
    EXPECT_EQ(Content(), "abcdefgh") << "cut " << cut;
  }
}

TEST_F(IoTest, MorePiecesThanOneCallTakesAreSplit) {
  std::string whole;
  std::vector<std::string> texts;
  for (int i = 0; i < 2500; ++i) texts.push_back(std::to_string(i));
  std::vector<std::string_view> pieces(texts.begin(), texts.end());
  for (const std::string& text : texts) whole += text;
  const WriteOutcome outcome = WriteFully(*file_, 0, pieces);
  EXPECT_EQ(outcome.error, 0);
  EXPECT_EQ(Content(), whole);
  EXPECT_EQ(disk_.Calls(FileOp::kWrite), 3u);
}

TEST_F(IoTest, NothingToWriteMakesNoCall) {
  const std::vector<std::string_view> pieces = {"", ""};
  EXPECT_EQ(WriteFully(*file_, 0, pieces).error, 0);
  EXPECT_EQ(WriteFully(*file_, 0, std::span<const std::string_view>()).error, 0);
  EXPECT_EQ(disk_.Calls(FileOp::kWrite), 0u);
}

TEST_F(IoTest, FailedWriteTellsHowManyBytesWentOut) {
  const std::vector<std::string_view> pieces = {"abc", "defg"};
  Fault(FileOp::kWrite, Action::kShort, 0, 5, 1, 1);
  Fault(FileOp::kWrite, Action::kFail, ENOSPC, 0, 2, kForever);
  const WriteOutcome outcome = WriteFully(*file_, 0, pieces);
  EXPECT_EQ(outcome.error, -ENOSPC);
  EXPECT_EQ(outcome.written, 5u);
  EXPECT_EQ(Content(), "abcde");
}

TEST_F(IoTest, InterruptedCallsAreRepeated) {
  for (const FileOp op : {FileOp::kRead, FileOp::kWrite, FileOp::kSync, FileOp::kAllocate,
                          FileOp::kTruncate, FileOp::kOpen, FileOp::kDirectorySync}) {
    Fault(op, Action::kFail, EINTR, 0, 1, 3);
  }
  EXPECT_EQ(AllocateFile(*file_, 100), 0);
  EXPECT_EQ(TruncateFile(*file_, 0), 0);
  EXPECT_EQ(WriteFully(*file_, 0, "hello").error, 0);
  EXPECT_EQ(SyncFile(*file_), 0);
  EXPECT_EQ(SyncDirectory(*directory_), 0);
  std::unique_ptr<File> again;
  ASSERT_EQ(OpenFile(*directory_, "f", OpenMode::kRead, &again), 0);
  std::string out(5, '?');
  EXPECT_EQ(ReadFully(*again, 0, out), 5);
  EXPECT_EQ(out, "hello");
  EXPECT_EQ(disk_.ReadDurableBytes("/log/f").value(), "hello");
  for (int rule = 0; rule < 7; ++rule) EXPECT_EQ(disk_.RuleHits(rule), 3u) << rule;
}

TEST_F(IoTest, WriteAndReadTryAgainAfterEagain) {
  Fault(FileOp::kWrite, Action::kFail, EAGAIN, 0, 1, 5);
  Fault(FileOp::kRead, Action::kFail, EAGAIN, 0, 1, 5);
  EXPECT_EQ(WriteFully(*file_, 0, "hello").error, 0);
  std::string out(5, '?');
  EXPECT_EQ(ReadFully(*file_, 0, out), 5);
  EXPECT_EQ(out, "hello");
}

TEST_F(IoTest, FailedSyncIsNeverRepeated) {
  for (const int error : {EIO, ENOSPC, EAGAIN, EROFS}) {
    disk_.ClearRules();
    const uint64_t before = disk_.Calls(FileOp::kSync);
    const uint64_t directory_before = disk_.Calls(FileOp::kDirectorySync);
    Fault(FileOp::kSync, Action::kFail, error, 0, 1, 1);
    Fault(FileOp::kDirectorySync, Action::kFail, error, 0, 1, 1);
    EXPECT_EQ(SyncFile(*file_), -error);
    EXPECT_EQ(SyncDirectory(*directory_), -error);
    EXPECT_EQ(disk_.Calls(FileOp::kSync), before + 1);
    EXPECT_EQ(disk_.Calls(FileOp::kDirectorySync), directory_before + 1);
  }
}

TEST_F(IoTest, LoopsEndWhenNothingMoves) {
  Fault(FileOp::kWrite, Action::kShort, 0, 0, 1, kForever);
  EXPECT_EQ(WriteFully(*file_, 0, "hello").error, -EIO);
  disk_.ClearRules();
  Fault(FileOp::kWrite, Action::kFail, EAGAIN, 0, 1, kForever);
  EXPECT_EQ(WriteFully(*file_, 0, "hello").error, -EAGAIN);
  disk_.ClearRules();
  Fault(FileOp::kWrite, Action::kFail, EINTR, 0, 1, kForever);
  EXPECT_EQ(WriteFully(*file_, 0, "hello").error, -EINTR);
  Fault(FileOp::kRead, Action::kFail, EAGAIN, 0, 1, kForever);
  std::string out(5, '?');
  EXPECT_EQ(ReadFully(*file_, 0, out), -EAGAIN);
}

TEST_F(IoTest, ShortReadsAreJoined) {
  ASSERT_EQ(WriteFully(*file_, 0, "hello, world").error, 0);
  for (uint64_t step = 1; step <= 12; ++step) {
    disk_.ClearRules();
    Fault(FileOp::kRead, Action::kShort, 0, step, 1, kForever);
    std::string out(10, '?');
    EXPECT_EQ(ReadFully(*file_, 2, out), 10);
    EXPECT_EQ(out, "llo, world");
  }
}

TEST_F(IoTest, ReadEndsWithTheFileAndLeavesTheRestOfTheBuffer) {
  ASSERT_EQ(WriteFully(*file_, 0, "hello").error, 0);
  std::string out(8, '?');
  EXPECT_EQ(ReadFully(*file_, 3, out), 2);
  EXPECT_EQ(out, "lo??????");
  EXPECT_EQ(ReadFully(*file_, 5, out), 0);
  EXPECT_EQ(ReadFully(*file_, 500, out), 0);
}

TEST_F(IoTest, ReadErrorAfterSomeBytesIsAnError) {
  ASSERT_EQ(WriteFully(*file_, 0, "hello").error, 0);
  Fault(FileOp::kRead, Action::kShort, 0, 2, 1, 1);
  Fault(FileOp::kRead, Action::kFail, EIO, 0, 2, 1);
  std::string out(5, '?');
  EXPECT_EQ(ReadFully(*file_, 0, out), -EIO);
}

}  // namespace
}  // namespace millrace
