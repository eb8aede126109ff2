// Goal: the reader returns every intact record, and for everything else says
// exactly which numbers are lost, where and why.
// Method: segments made by hand, damaged in one place; expectations in sequence
// numbers and byte offsets.

#include "wal/segment_reader.h"

#include <errno.h>

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"

namespace millrace {
namespace {

using Kind = SegmentReader::Kind;

SegmentHeader Header(SequenceNumber first = 1) {
  SegmentHeader header;
  header.log_id.fill('r');
  header.number = 3;
  header.incarnation = 1234;
  header.first_sequence = first;
  header.capacity = 1 << 20;
  return header;
}

class SegmentReaderTest : public ::testing::Test {
 protected:
  SegmentReaderTest() {
    EXPECT_EQ(disk_.OpenDirectory("log", DirectoryMode::kCreate, &directory_), 0);
  }

  // Frames 0 to 5: a group and five records of 100 bytes.
  SegmentBuilder FiveRecords(SequenceNumber first = 1) {
    SegmentBuilder segment(Header(first));
    segment.Group(first - 1);
    for (char c = 'a'; c < 'f'; ++c) segment.Record(std::string(100, c));
    return segment;
  }

  SegmentReader& Read(const std::string& bytes, SequenceNumber next = 1) {
    WriteFile(*directory_, "segment", bytes);
    EXPECT_EQ(directory_->Open("segment", OpenMode::kRead, &file_), 0);
    reader_ = std::make_unique<SegmentReader>(file_.get(), Header().log_id, 3, 1234);
    reader_->Seek(kFramesOffset, next);
    size_ = bytes.size();
    return *reader_;
  }

  // What is met up to the end: "12[3..4]5" for records 1, 2 and 5 and a loss. `plain`: by
  // NextPlain where it knows.
  std::string Walk(bool plain = false) {
    std::string walk;
    SegmentReader::PlainRecord record;
    for (int steps = 0; steps < 1000; ++steps) {
      const uint64_t before = reader_->offset();
      if (plain && reader_->NextPlain(size_, kMaxSequence, &record)) {
        EXPECT_EQ(record.offset, before);
        walk += std::to_string(record.sequence);
        bodies_.emplace_back(record.body);
        ++plain_records_;
        continue;
      }
      EXPECT_EQ(reader_->offset(), before);
      last_ = reader_->Next(size_, kMaxSequence);
      if (last_.kind == Kind::kLost) {
        walk +=
            "[" + std::to_string(last_.lost.first) + ".." + std::to_string(last_.lost.last) + "]";
        lost_.push_back(last_.lost);
      } else if (last_.kind != Kind::kFrame) {
        return walk;
      } else if (last_.header.count > 0) {
        walk += std::to_string(last_.header.sequence);
        bodies_.emplace_back(last_.body());
      }
    }
    return walk + " without end";
  }

  SimFileSystem disk_{SimOptions{}};
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<File> file_;
  std::unique_ptr<SegmentReader> reader_;
  uint64_t size_ = 0;
  SegmentReader::Step last_;
  std::vector<LostRange> lost_;
  std::vector<std::string> bodies_;
  int plain_records_ = 0;
};

TEST_F(SegmentReaderTest, ReturnsEveryFrameAndEndsAtTheEnd) {
  const SegmentBuilder segment = FiveRecords().IdleMark();
  Read(segment.Bytes());
  EXPECT_EQ(Walk(), "12345");
  EXPECT_EQ(last_.kind, Kind::kEnd);
  EXPECT_EQ(last_.offset, segment.offset());
  EXPECT_EQ(bodies_[4], std::string(100, 'e'));
  EXPECT_EQ(reader_->next_sequence(), 6u);
}

TEST_F(SegmentReaderTest, PlainRecordsAreThoseOfNextWhateverByteIsDamaged) {
  const SegmentBuilder segment = FiveRecords().IdleMark();
  const std::string sound = segment.Bytes();
  for (uint64_t at = kFramesOffset; at < sound.size(); ++at) {
    std::string bytes = sound;
    bytes[at] ^= 1;
    Read(bytes);
    bodies_.clear();
    const std::string walk = Walk();
    const std::vector<std::string> bodies = bodies_;
    Read(bytes);
    bodies_.clear();
    EXPECT_EQ(Walk(/*plain=*/true), walk) << at;
    EXPECT_EQ(bodies_, bodies) << at;
  }
  Read(sound);
  plain_records_ = 0;
  EXPECT_EQ(Walk(/*plain=*/true), "12345");
  EXPECT_EQ(plain_records_, 5);
  SegmentReader::PlainRecord record;
  Read(sound);
  EXPECT_EQ(reader_->Next(size_, 2).kind, Kind::kFrame);  // the group
  EXPECT_TRUE(reader_->NextPlain(size_, 2, &record));
  EXPECT_TRUE(reader_->NextPlain(size_, 2, &record));
  EXPECT_FALSE(reader_->NextPlain(size_, 2, &record)) << "beyond the highest";
  EXPECT_FALSE(reader_->NextPlain(segment.FrameBegin(4) - 1, 9, &record)) << "beyond the limit";
  EXPECT_FALSE(reader_->NextPlain(segment.FrameBegin(3), 9, &record)) << "at the limit";
}

TEST_F(SegmentReaderTest, ZerosBehindTheLastFrameAreTheEnd) {
  const SegmentBuilder segment = FiveRecords();
  Read(segment.Bytes() + std::string(300'000, '\0'));
  EXPECT_EQ(Walk(), "12345");
  EXPECT_EQ(last_.offset, segment.offset());
  EXPECT_EQ(last_.end_cause, LossCause::kZeroed);
  EXPECT_EQ(last_.nonzero_bytes, 0u);
}

TEST_F(SegmentReaderTest, ATornLastFrameIsTheEndAtEveryByte) {
  SegmentBuilder segment = FiveRecords();
  const std::string bytes = segment.Bytes();
  for (uint64_t size = segment.FrameBegin(5) + 1; size < segment.offset(); ++size) {
    // Four bytes of alignment behind the last body carry nothing.
    if (size >= segment.FrameBegin(5) + kFrameHeaderBytes + 100) break;
    Read(bytes.substr(0, size));
    size_ = bytes.size();
    ASSERT_EQ(Walk(), "1234") << size;
    ASSERT_EQ(last_.kind, Kind::kEnd);
    ASSERT_EQ(last_.offset, segment.FrameBegin(5));
    ASSERT_EQ(last_.end_cause, LossCause::kTruncated);
  }
}

TEST_F(SegmentReaderTest, EveryFlippedBitLosesItsRecordOnly) {
  const SegmentBuilder segment = FiveRecords().IdleMark();
  const std::string bytes = segment.Bytes();
  for (uint64_t at = segment.FrameBegin(3); at < segment.FrameBegin(4); ++at) {
    std::string damaged = bytes;
    damaged[at] ^= 0x10;
    lost_.clear();
    Read(damaged);
    const bool alignment = at >= segment.FrameBegin(3) + kFrameHeaderBytes + 100;
    ASSERT_EQ(Walk(), alignment ? "12345" : "12[3..3]45") << at;
    if (alignment) continue;
    EXPECT_EQ(lost_[0].segment, 3u);
    EXPECT_EQ(lost_[0].begin, segment.FrameBegin(3));
    EXPECT_EQ(lost_[0].end, segment.FrameBegin(4));
    EXPECT_EQ(lost_[0].cause, LossCause::kChecksum);
  }
}

TEST_F(SegmentReaderTest, DamageOverSeveralFramesIsOneLoss) {
  const SegmentBuilder segment = FiveRecords();
  std::string bytes = segment.Bytes();
  const uint64_t begin = segment.FrameBegin(2) + 40;
  bytes.replace(begin, segment.FrameBegin(4) + 10 - begin, segment.FrameBegin(4) + 10 - begin, 'x');
  Read(bytes);
  EXPECT_EQ(Walk(), "1[2..4]5");
  EXPECT_EQ(lost_[0].begin, segment.FrameBegin(2));
  EXPECT_EQ(lost_[0].end, segment.FrameBegin(5));
}

TEST_F(SegmentReaderTest, ZerosBetweenFramesAreDamage) {
  const SegmentBuilder segment = FiveRecords();
  std::string bytes = segment.Bytes();
  bytes.replace(segment.FrameBegin(2), 264, 264, '\0');
  Read(bytes);
  EXPECT_EQ(Walk(), "1[2..3]45");
  EXPECT_EQ(lost_[0].cause, LossCause::kZeroed);
}

TEST_F(SegmentReaderTest, ALostGroupFrameLosesNoRecord) {
  const SegmentBuilder segment = FiveRecords();
  std::string bytes = segment.Bytes();
  bytes[kFramesOffset + 40] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "[1..0]12345");
  EXPECT_EQ(lost_[0].records(), 0u);
}

TEST_F(SegmentReaderTest, AMarkBehindTheDamageTellsHowManyWereLost) {
  const SegmentBuilder segment = FiveRecords().IdleMark();
  std::string bytes = segment.Bytes();
  for (size_t frame : {4, 5}) bytes[segment.FrameBegin(frame)] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "123[4..5]");
}

TEST_F(SegmentReaderTest, FramesOfAnotherIncarnationLogOrPlaceAreNotRead) {
  SegmentHeader other = Header();
  other.incarnation = 999;
  SegmentHeader foreign = Header();
  foreign.log_id.fill('x');
  for (const SegmentHeader& header : {other, foreign}) {
    SegmentBuilder segment(header);
    segment.Group(0).Record("stale");
    Read(segment.Bytes());
    EXPECT_EQ(Walk(), "");
    EXPECT_EQ(last_.offset, kFramesOffset);
    EXPECT_GT(last_.nonzero_bytes, 0u);
  }
  const SegmentBuilder segment = FiveRecords();
  std::string moved = segment.Bytes();
  moved.insert(kFramesOffset, 8, '\0');
  Read(moved);
  EXPECT_EQ(Walk(), "");
}

TEST_F(SegmentReaderTest, FramesEmbeddedInAPayloadNeverSurface) {
  // An old copy of the segment's own frames, as a payload in front of which the
  // header is then destroyed.
  const SegmentBuilder inner = FiveRecords();
  const std::string frames = inner.Bytes().substr(kFramesOffset);
  SegmentBuilder segment(Header());
  segment.Group(0).Record("a").Record(frames).Record("c");
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(2)] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "1[2..2]3");
  EXPECT_EQ(bodies_, (std::vector<std::string>{"a", "c"}));
}

TEST_F(SegmentReaderTest, ABatchIsLostAsAWhole) {
  SegmentBuilder segment(Header());
  segment.Group(0).Record("1").Batch({{"2"}, {"3"}, {"4"}}).Record("5");
  std::string bytes = segment.Bytes();
  Read(bytes);
  EXPECT_EQ(Walk(), "125");
  bytes[segment.FrameBegin(2) + kFrameHeaderBytes + 12] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "1[2..4]5");
}

TEST_F(SegmentReaderTest, SkipsUnknownSkippableFramesAndStopsAtOthers) {
  SegmentBuilder segment(Header());
  segment.Group(0).Record("1").Frame(static_cast<FrameType>(0x81), 3, 0, "later").Record("2");
  Read(segment.Bytes());
  EXPECT_EQ(Walk(), "12");
  segment.Frame(static_cast<FrameType>(9), 0, 0, "needed").Record("3");
  Read(segment.Bytes());
  EXPECT_EQ(Walk(), "12");
  EXPECT_EQ(last_.kind, Kind::kUnknown);
  EXPECT_EQ(last_.offset, segment.FrameBegin(4));
}

TEST_F(SegmentReaderTest, IntactFramesThatContradictTheSegmentAreLost) {
  // Checksums hold in all of these.
  SegmentBuilder backwards(Header());
  backwards.Group(0).Record("1").Record("2").SkipTo(1).Record("again").SkipTo(3).Record("3");
  Read(backwards.Bytes());
  EXPECT_EQ(Walk(), "12[3..2]3");
  EXPECT_EQ(lost_.back().cause, LossCause::kInconsistent);

  SegmentBuilder far(Header());
  far.Group(0).Record("1").SkipTo(kMaxSequence).Record("far").SkipTo(3).Record("3");
  Read(far.Bytes());
  EXPECT_EQ(Walk(), "1[2..2]3");

  SegmentBuilder batch(Header());
  batch.Group(0).Record("1").Frame(FrameType::kBatch, 0, 9, "short").Record("11");
  Read(batch.Bytes());
  EXPECT_EQ(Walk(), "1[2..10]11");

  SegmentBuilder extras(Header());
  extras.Group(0).Frame(FrameType::kRecord, kHasExtras, 1, "\xff\xff\xff\xff....").Record("2");
  Read(extras.Bytes());
  EXPECT_EQ(Walk(), "[1..1]2");
  EXPECT_EQ(lost_.back().cause, LossCause::kInconsistent);

  SegmentBuilder mark(Header());
  mark.Group(/*mark=*/5).Record("1");
  Read(mark.Bytes());
  EXPECT_EQ(Walk(), "[1..0]1");
}

TEST_F(SegmentReaderTest, HighestBoundsWhatIsTaken) {
  const SegmentBuilder segment = FiveRecords();
  Read(segment.Bytes());
  std::string walk;
  SegmentReader::Step step;
  while ((step = reader_->Next(size_, 3)).kind == Kind::kFrame) {
    if (step.header.count > 0) walk += std::to_string(step.header.sequence);
  }
  EXPECT_EQ(walk, "123");
  EXPECT_EQ(step.kind, Kind::kEnd);
  EXPECT_EQ(step.offset, segment.FrameBegin(4));
}

TEST_F(SegmentReaderTest, NumberTooHighForTheBytesBetweenIsNotTaken) {
  SegmentBuilder segment = FiveRecords();
  segment.SkipTo(2000).Record("too far");
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(5) + 40] ^= 1;
  Read(bytes);
  EXPECT_EQ(Walk(), "1234");
  EXPECT_GE(reader_->bytes_read(), bytes.size() - kFramesOffset);
}

TEST_F(SegmentReaderTest, BytesBehindTheEndAreCountedWithoutZeros) {
  const std::string tail("\x80\x01\0\xff\x7f\0\x80\x80\xfe\0\0\x10\x01", 13);
  Read(FiveRecords().Bytes() + tail);
  EXPECT_EQ(Walk(), "12345");
  EXPECT_EQ(last_.nonzero_bytes, 9u);
}

TEST_F(SegmentReaderTest, FollowsAGrowingFileWithoutReadingPastTheLimit) {
  const SegmentBuilder segment = FiveRecords();
  std::string bytes = segment.Bytes();
  std::string later = bytes.substr(segment.FrameBegin(3));
  bytes.replace(segment.FrameBegin(3), later.size(), later.size(), '?');
  SegmentReader& reader = Read(bytes);
  const uint64_t limit = segment.FrameBegin(3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reader.Next(limit, 9).kind, Kind::kFrame);
  EXPECT_EQ(reader.Next(limit, 9).kind, Kind::kEnd);
  // Now the writer writes what stands behind the limit.
  std::unique_ptr<File> writer;
  ASSERT_EQ(directory_->Open("segment", OpenMode::kReadWrite, &writer), 0);
  const std::string_view piece(later);
  ASSERT_EQ(writer->Write(limit, std::span(&piece, 1)), static_cast<IoResult>(later.size()));
  EXPECT_EQ(Walk(), "345");
}

TEST_F(SegmentReaderTest, AnUnknownStartTakesTheFirstFrameThatStandsThere) {
  const SegmentBuilder segment = FiveRecords(501);
  Read(segment.Bytes(), kNoSequence);
  EXPECT_EQ(Walk(), "501502503504505");
  EXPECT_TRUE(lost_.empty());
}

TEST_F(SegmentReaderTest, APlaceTheDeviceCannotReadIsLostAlone) {
  SegmentBuilder segment(Header());
  segment.Group(0);
  for (int i = 0; i < 8; ++i) segment.Record(std::string(3000, 'r'));
  Read(segment.Bytes());
  // The bulk read, then the one of the block with records 2 to 4.
  disk_.AddRule({.op = FileOp::kRead, .error = EIO, .name = "segment", .first = 1});
  disk_.AddRule({.op = FileOp::kRead, .error = EIO, .name = "segment", .first = 3});
  EXPECT_EQ(Walk(), "1[2..3]45678");
  EXPECT_EQ(lost_[0].cause, LossCause::kUnreadable);
}

TEST_F(SegmentReaderTest, OtherErrorsOfTheDeviceAreReturned) {
  Read(FiveRecords().Bytes());
  disk_.AddRule({.op = FileOp::kRead, .error = EBADF, .name = "segment"});
  EXPECT_EQ(Walk(), "");
  EXPECT_EQ(last_.kind, Kind::kError);
  EXPECT_EQ(last_.error, -EBADF);
}

TEST_F(SegmentReaderTest, ALengthOnDiskTakesNoMemoryThatTheFileDoesNotHold) {
  // A frame of 4 GiB, as far as its intact header goes, in a file of 9 KiB.
  SegmentBuilder segment(Header());
  segment.Group(0).Record("1");
  std::string bytes = segment.Bytes();
  FrameHeader header;
  header.sequence = 2;
  header.body_bytes = 0xffffffff;
  header.type = FrameType::kRecord;
  header.count = 1;
  std::string frame(1024, 'x');
  EncodeFrameHeader(header, SegmentSeed(Header().log_id, 3, 1234), segment.offset(), frame.data());
  Read(bytes + frame);
  size_ = uint64_t{1} << 62;
  EXPECT_EQ(Walk(), "1");
  EXPECT_EQ(last_.end_cause, LossCause::kTruncated);
  EXPECT_EQ(last_.nonzero_bytes, 1024u - std::count(frame.begin(), frame.end(), '\0'));
}

TEST_F(SegmentReaderTest, FindsAFrameAtEveryOffsetBehindDamage) {
  // Damage of every length, so that the next frame meets every place of a read.
  SegmentBuilder base(Header());
  base.Group(0).Record("1");
  for (uint64_t length = 0; length < 9000; length += 256 + 8) {
    SegmentBuilder segment = base;
    segment.Record(std::string(length, 'z')).Record("3");
    std::string bytes = segment.Bytes();
    const uint64_t begin = segment.FrameBegin(2);
    bytes.replace(begin, segment.FrameBegin(3) - begin, segment.FrameBegin(3) - begin, '\0');
    Read(bytes);
    ASSERT_EQ(Walk(), "1[2..2]3") << length;
  }
}

}  // namespace
}  // namespace millrace
