// Goal: the device begins early with what is written and waits for a sync, and is told of each
// block once. Method: a SegmentWriter over a file that notes what it is told.

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/file_system.h"
#include "wal/format.h"
#include "wal/segment_factory.h"
#include "wal/segment_writer.h"

namespace millrace {
namespace {

constexpr uint64_t kKiB = 1024;

struct Told {
  uint64_t offset;
  uint64_t bytes;
};

class NotingFile : public File {
 public:
  explicit NotingFile(std::vector<Told>* told) : told_(told) {}
  IoResult Read(uint64_t, std::span<char>) override { return -EBADF; }
  IoResult Write(uint64_t, std::span<const std::string_view> pieces) override {
    IoResult bytes = 0;
    for (const std::string_view piece : pieces) bytes += static_cast<IoResult>(piece.size());
    return bytes;
  }
  // An error of advice is nobody's concern.
  IoResult StartWriteBack(uint64_t offset, uint64_t bytes) override {
    told_->push_back({offset, bytes});
    return -EIO;
  }
  IoResult Sync() override { return 0; }
  IoResult Truncate(uint64_t) override { return -EBADF; }
  IoResult Allocate(uint64_t) override { return -EBADF; }
  IoResult DropCache() override { return -EBADF; }
  IoResult Stat(FileInfo*) override { return -EBADF; }
  IoResult TryLock(LockMode) override { return -EBADF; }

 private:
  std::vector<Told>* const told_;
};

class WriteBackTest : public ::testing::Test {
 protected:
  WriteBackTest() {
    PreparedSegment prepared;
    prepared.number = header_.number = 1;
    prepared.file = std::make_unique<NotingFile>(&told_);
    header_.capacity = 1024 * kKiB;
    writer_.emplace(std::move(prepared), header_);
  }

  void Write(uint64_t bytes) {
    const std::string body(bytes, 'w');
    PendingFrame frame;
    frame.body = body;
    writer_->Add(frame, next_++, GroupBody());
    ASSERT_TRUE(writer_->Write().ok());
  }

  std::vector<Told> told_;
  SegmentHeader header_;
  std::optional<SegmentWriter> writer_;
  SequenceNumber next_ = 1;
};

TEST_F(WriteBackTest, WholeBlocksFrom64KiBOnEachOnce) {
  for (int i = 0; i < 20; ++i) Write(20 * kKiB);
  ASSERT_GE(told_.size(), 4u);
  uint64_t end = kFramesOffset;
  for (const Told& told : told_) {
    EXPECT_EQ(told.offset, end);
    EXPECT_GE(told.bytes, 64 * kKiB);
    EXPECT_EQ(told.bytes % kBlockBytes, 0u);
    end += told.bytes;
  }
  EXPECT_LE(end, writer_->end());
  EXPECT_LT(writer_->end() - end, 64 * kKiB + kBlockBytes);
}

TEST_F(WriteBackTest, WhatIsSyncedSoonIsNotWorthACall) {
  for (int i = 0; i < 20; ++i) {
    Write(20 * kKiB);
    Write(20 * kKiB);
    ASSERT_TRUE(writer_->Sync().ok());
  }
  EXPECT_TRUE(told_.empty());
}

TEST_F(WriteBackTest, BeginsBehindWhatASyncHasCovered) {
  Write(50 * kKiB);
  ASSERT_TRUE(writer_->Sync().ok());
  const uint64_t synced = writer_->end();
  Write(80 * kKiB);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].offset, synced / kBlockBytes * kBlockBytes);
  EXPECT_TRUE(writer_->Sync().ok()) << "whatever became of the advice";
}

TEST_F(WriteBackTest, BeginSyncTellsOfAllThatASyncWouldCover) {
  Write(10 * kKiB);
  writer_->BeginSync();
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].offset, kFramesOffset);
  EXPECT_EQ(told_[0].offset + told_[0].bytes, writer_->end());
  ASSERT_TRUE(writer_->Sync().ok());
  writer_->BeginSync();
  EXPECT_EQ(told_.size(), 1u) << "nothing waits for a sync";
}

}  // namespace
}  // namespace millrace
