// Goal: a read that fails costs what stood at that place and nothing else, where the
// device has lost a place, and is an error where everything fails.
// Method: a segment of several reads with damage and a torn tail; every read that a
// walk makes fails once, alone and together with those that follow it.

#include <errno.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"
#include "wal/format.h"
#include "wal/segment_reader.h"

namespace millrace {
namespace {

using Kind = SegmentReader::Kind;

constexpr uint64_t kNumber = 3;
constexpr uint64_t kIncarnation = 1234;

SegmentHeader Header() {
  SegmentHeader header;
  header.log_id.fill('r');
  header.number = kNumber;
  header.incarnation = kIncarnation;
  header.capacity = 1 << 20;
  return header;
}

constexpr SequenceNumber kRecords = 400;

// Records of 1.2 MB, of which number 30 is destroyed, and a long tail that is none.
std::string DamagedSegment() {
  SegmentBuilder segment(Header());
  segment.Group(0);
  for (int i = 0; i < static_cast<int>(kRecords); ++i)
    segment.Record(std::string(3000, static_cast<char>('a' + i % 26)));
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(30) + 8] ^= 1;
  return bytes + std::string(1500000, 't');
}

class SegmentReaderFaultTest : public ::testing::Test {
 protected:
  SegmentReaderFaultTest() {
    EXPECT_EQ(disk_.OpenDirectory("log", DirectoryMode::kCreate, &directory_), 0);
  }

  // "1 2 [3..4] 5": records and losses up to the end, or to an error.
  std::string Walk(const std::string& bytes, uint64_t limit = 0) {
    WriteFile(*directory_, "segment", bytes);
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open("segment", OpenMode::kRead, &file), 0);
    SegmentReader reader(file.get(), Header().log_id, kNumber, kIncarnation);
    reader.Seek(kFramesOffset, 1);
    std::string walk;
    lost_.clear();
    while (true) {
      last_ = reader.Next(limit == 0 ? bytes.size() : limit, kMaxSequence);
      if (last_.kind == Kind::kLost) {
        lost_.push_back(last_.lost);
        absl::StrAppend(&walk, "[", last_.lost.first, "..", last_.lost.last, "] ");
      } else if (last_.kind != Kind::kFrame) {
        next_ = reader.next_sequence();
        return walk;
      } else if (last_.header.count > 0) {
        absl::StrAppend(&walk, last_.header.sequence, " ");
      }
    }
  }

  uint64_t ReadsOf(const std::string& bytes) {
    const uint64_t before = disk_.Calls(FileOp::kRead);
    Walk(bytes);
    return disk_.Calls(FileOp::kRead) - before;
  }

  void FailReads(int error, uint64_t first, uint64_t count = 1) {
    disk_.AddRule({.op = FileOp::kRead, .error = error, .first = first, .count = count});
  }

  SimFileSystem disk_{SimOptions{}};
  std::unique_ptr<Directory> directory_;
  std::vector<LostRange> lost_;
  SegmentReader::Step last_;
  SequenceNumber next_ = 0;
};

TEST_F(SegmentReaderFaultTest, PlaceThatIsReadWhenItIsAskedForAloneLosesNothing) {
  const std::string bytes = DamagedSegment();
  const std::string sound = Walk(bytes);
  EXPECT_NE(sound.find(" [30..30] "), std::string::npos) << sound;
  const uint64_t reads = ReadsOf(bytes);
  ASSERT_GT(reads, 4u);
  for (const int error : {EIO, EBADMSG, EUCLEAN, ENODATA, EREMOTEIO, EILSEQ}) {
    for (uint64_t call = 1; call <= reads; ++call) {
      FailReads(error, call);
      EXPECT_EQ(Walk(bytes), sound) << call;
      EXPECT_EQ(last_.kind, Kind::kEnd);
      disk_.ClearRules();
    }
  }
}

TEST_F(SegmentReaderFaultTest, BlocksThatCannotBeReadCostTheRecordsInThem) {
  const std::string bytes = DamagedSegment();
  const uint64_t reads = ReadsOf(bytes);
  for (uint64_t call = 1; call <= reads; ++call) {
    // The read of many blocks, and those of the first two of them.
    FailReads(EIO, call, 3);
    Walk(bytes);
    EXPECT_EQ(last_.kind, Kind::kEnd) << call;
    SequenceNumber lost = 0;
    for (const LostRange& range : lost_) lost += range.records();
    EXPECT_LE(lost + (kRecords + 1 - next_), 1u + 5u) << "two blocks hold at most five records";
    disk_.ClearRules();
  }
}

TEST_F(SegmentReaderFaultTest, NeighbouringBlocksAreOneUnreadablePlace) {
  SegmentBuilder segment(Header());
  segment.Group(0);
  for (int i = 0; i < 8; ++i) segment.Record(std::string(3000, 'r'));
  // The bulk read, and after the first block the next two.
  FailReads(EIO, 1);
  FailReads(EIO, 3, 2);
  EXPECT_EQ(Walk(segment.Bytes()), "1 [2..5] 6 7 8 ");
  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(lost_[0].cause, LossCause::kUnreadable);
}

// Records behind an unreadable padding, whose content is nothing anyway.
TEST_F(SegmentReaderFaultTest, CauseIsOfThePlaceAndNotOfItsNeighbours) {
  const auto padded = [](SegmentBuilder segment, uint64_t to) {
    const uint64_t bytes = to - segment.offset() - kFrameHeaderBytes;
    return segment.Frame(FrameType::kPadding, 0, 0, std::string(bytes, '\0'));
  };
  SegmentBuilder segment(Header());
  // Record 1 ends where block 3 begins; the padding of block 4 ends where block 5 begins.
  segment.Group(0);
  segment.Record(std::string(3 * kBlockBytes - segment.offset() - kFrameHeaderBytes, 'r'));
  segment.Record("2");
  segment = padded(segment, 5 * kBlockBytes).Record("3");
  segment = padded(segment, 6 * kBlockBytes).Record("4");
  segment = padded(segment, 8 * kBlockBytes).Record("5");
  const std::string good = segment.Bytes();
  // The bulk read, and the single blocks `from` to `to`.
  const auto unreadable = [this](uint64_t from, uint64_t to) {
    FailReads(EIO, 1);
    FailReads(EIO, from, to - from + 1);
  };
  std::string bytes = good;
  bytes[segment.FrameBegin(1) + kFrameHeaderBytes] ^= 1;
  unreadable(3, 3);
  EXPECT_EQ(Walk(bytes), "[1..2] 3 4 5 ");
  EXPECT_EQ(lost_[0].cause, LossCause::kChecksum) << "ends where the unreadable place begins";
  disk_.ClearRules();

  bytes = good;
  bytes[segment.FrameBegin(4) + kFrameHeaderBytes] ^= 1;
  unreadable(4, 4);
  FailReads(EIO, 7);
  EXPECT_EQ(Walk(bytes), "1 2 [3..3] 4 5 ");
  EXPECT_EQ(lost_[0].cause, LossCause::kChecksum) << "between two unreadable places";
  disk_.ClearRules();

  unreadable(4, 5);
  EXPECT_EQ(Walk(good), "1 2 [3..3] 4 5 ");
  EXPECT_EQ(lost_[0].cause, LossCause::kUnreadable) << "the second of two blocks";
  disk_.ClearRules();
}

TEST_F(SegmentReaderFaultTest, FailureOfEverythingIsAnErrorAtWhateverReadItComes) {
  const std::string bytes = DamagedSegment();
  const uint64_t reads = ReadsOf(bytes);
  for (uint64_t call = 1; call <= reads; ++call) {
    FailReads(EBADF, call);
    Walk(bytes);
    EXPECT_EQ(last_.kind, Kind::kError) << call;
    EXPECT_EQ(last_.error, -EBADF) << call;
    disk_.ClearRules();
    // Also where single blocks are being read.
    FailReads(EIO, call);
    FailReads(EBADF, call + 1);
    Walk(bytes);
    EXPECT_EQ(last_.kind, Kind::kError) << call;
    EXPECT_EQ(last_.error, -EBADF) << call;
    disk_.ClearRules();
  }
}

TEST_F(SegmentReaderFaultTest, FileThatEndsAmongSingleBlocksIsReadToItsEnd) {
  SegmentBuilder segment(Header());
  segment.Group(0).Record(std::string(5000, 'r')).Record("2");
  const std::string bytes = segment.Bytes();
  FailReads(EIO, 1);
  EXPECT_EQ(Walk(bytes, bytes.size() + 100'000), "1 2 ");
  EXPECT_EQ(last_.kind, Kind::kEnd);
  EXPECT_EQ(last_.end_cause, LossCause::kTruncated);
  // And where it ends with one of them.
  const std::string whole = segment.PadToBlock().Bytes();
  ASSERT_EQ(whole.size() % kBlockBytes, 0u);
  FailReads(EIO, 1);
  EXPECT_EQ(Walk(whole, whole.size() + 100'000), "1 2 ");
  EXPECT_EQ(last_.offset, whole.size());
}

TEST_F(SegmentReaderFaultTest, SizeOfTheFileThatCannotBeToldIsAnError) {
  SegmentBuilder segment(Header());
  segment.Group(0).Record(std::string(3 << 20, 'r'));
  disk_.AddRule({.op = FileOp::kStat, .error = ENOMEM});
  EXPECT_EQ(Walk(segment.Bytes(), uint64_t{1} << 40), "");
  EXPECT_EQ(last_.kind, Kind::kError);
  EXPECT_EQ(last_.error, -ENOMEM);
}

}  // namespace
}  // namespace millrace
