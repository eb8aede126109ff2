#ifndef MILLRACE_RECOVERY_FIXTURE_H_
#define MILLRACE_RECOVERY_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"
#include "wal/recovery.h"
#include "wal/segment_name.h"
#include "wal/superblock.h"

namespace millrace {

// A directory with segments made by hand, and what recovery says about it.
class RecoveryFixture : public ::testing::Test {
 protected:
  static constexpr uint64_t kOtherBoot = 0x0b007;

  RecoveryFixture() {
    EXPECT_EQ(disk_.OpenDirectory("log", DirectoryMode::kCreate, &directory_), 0);
    log_id_.fill('m');
  }

  // A header as an open in another boot writes it. The mark is what such an open
  // knows: everything before is durable.
  SegmentHeader Header(uint64_t number, SequenceNumber first, Predecessor predecessor = {}) {
    SegmentHeader header;
    header.log_id = log_id_;
    header.number = number;
    header.incarnation = 1000 + number;
    header.first_sequence = first;
    header.mark = first - 1;
    header.capacity = kFramesOffset + 65536;
    header.predecessor = predecessor;
    header.boot_id = kOtherBoot;
    return header;
  }

  void Put(const SegmentBuilder& segment) { Put(segment.header().number, segment.Bytes()); }
  void Put(uint64_t number, std::string_view bytes) {
    WriteFile(*directory_, SegmentName(number), bytes);
    Settle(SegmentName(number));
  }
  void Remove(uint64_t number) { disk_.DeleteFile("log/" + SegmentName(number)); }

  void PutSuperblock(Superblock superblock) {
    superblock.generation = 2;
    std::string bytes(2 * kBlockBytes, '\0');
    EncodeSuperblock(superblock, 0, std::span<char, kSlotBytes>(bytes.data(), kSlotBytes));
    WriteFile(*directory_, kSuperblockName, bytes);
    Settle(std::string(kSuperblockName));
  }
  Superblock OwnSuperblock(SequenceNumber mark = 0) {
    Superblock superblock;
    superblock.log_id = log_id_;
    superblock.mark = mark;
    return superblock;
  }

  void PutCursor(const std::string& name, SequenceNumber committed, uint64_t epoch = 1) {
    CursorSlot cursor;
    cursor.log_id = log_id_;
    cursor.generation = 1;
    cursor.epoch = epoch;
    cursor.committed = committed;
    cursor.name = name;
    std::string bytes(2 * kBlockBytes, '\0');
    EncodeCursorSlot(cursor, 1,
                     std::span<char, kSlotBytes>(bytes.data() + kBlockBytes, kSlotBytes));
    WriteFile(*directory_, name + ".cursor", bytes);
  }

  // `records` records of 100 bytes in segment `number`, following `predecessor`.
  SegmentBuilder Segment(uint64_t number, int records, Predecessor predecessor = {}) {
    SegmentBuilder segment(Header(number, predecessor.last_sequence + 1, predecessor));
    segment.Group(predecessor.last_sequence);
    for (int i = 0; i < records; ++i) segment.Record(std::string(100, 'a' + i % 26));
    return segment;
  }

  // Three segments with records 1..5, 6..10, 11..15, the last closed in order.
  std::vector<SegmentBuilder> PutThree() {
    std::vector<SegmentBuilder> segments;
    segments.push_back(Segment(1, 5));
    segments.push_back(Segment(2, 5, segments[0].AsPredecessor()));
    segments.push_back(Segment(3, 5, segments[1].AsPredecessor()).Footer());
    for (const SegmentBuilder& segment : segments) Put(segment);
    return segments;
  }

  RecoveredLog Recover(RecoveryOptions options = {}) {
    absl::StatusOr<RecoveredLog> log = millrace::Recover(disk_, *directory_, options, &report_);
    EXPECT_TRUE(log.ok()) << log.status().ToString();
    return log.ok() ? *std::move(log) : RecoveredLog();
  }
  absl::Status RecoverStatus(RecoveryOptions options = {}) {
    return millrace::Recover(disk_, *directory_, options, &report_).status();
  }

  // "1..5 6..10": the records of each segment of the chain.
  static std::string Chain(const RecoveredLog& log) {
    std::string text;
    for (const ChainSegment& segment : log.chain) {
      if (!text.empty()) text += " ";
      text += std::to_string(segment.first_sequence) + ".." + std::to_string(segment.last_sequence);
    }
    return text;
  }

  // "6..10 acknowledged missing segment": each loss that the report names.
  std::string Lost() const {
    std::string text;
    for (const LostRange& range : report_.lost) {
      if (!text.empty()) text += ", ";
      text += std::to_string(range.first) + ".." + std::to_string(range.last) + " " +
              std::string(AcknowledgementName(range.acknowledgement)) + " " +
              std::string(LossCauseName(range.cause));
    }
    return text;
  }

  // Makes what is written so far durable, so that a failing sync has nothing to lose.
  void Settle(const std::string& name) {
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open(name, OpenMode::kReadWrite, &file), 0);
    EXPECT_EQ(file->Sync(), 0);
  }

  void Flip(uint64_t number, uint64_t offset) {
    disk_.FlipBit("log/" + SegmentName(number), offset, 2);
  }
  // Zeros both header blocks.
  void DestroyHeaders(uint64_t number) {
    const std::string path = "log/" + SegmentName(number);
    std::string bytes = *disk_.ReadFileBytes(path);
    bytes.replace(0, kFramesOffset, kFramesOffset, '\0');
    disk_.WriteFileBytes(path, bytes);
  }

  SimFileSystem disk_{SimOptions{}};
  std::unique_ptr<Directory> directory_;
  LogId log_id_;
  RecoveryReport report_;
};

}  // namespace millrace

#endif  // MILLRACE_RECOVERY_FIXTURE_H_
