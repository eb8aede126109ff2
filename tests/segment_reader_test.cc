// Goal: the reader returns every intact record, and for everything else says
// exactly which numbers are lost, where and why.
// Method: segments made by hand, damaged in one place; expectations in sequence
// numbers and byte offsets.

#include "wal/segment_reader.h"

#include <errno.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/segment_reader_fixture.h"

namespace millrace {
namespace {

class SegmentReaderTest : public SegmentReaderFixture {};

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
  EXPECT_EQ(reader_->NextPlain(size_, 2, {&record, 1}), 1u);
  EXPECT_EQ(reader_->NextPlain(size_, 2, {&record, 1}), 1u);
  EXPECT_EQ(reader_->NextPlain(size_, 2, {&record, 1}), 0u) << "beyond the highest";
  EXPECT_EQ(reader_->NextPlain(segment.FrameBegin(4) - 1, 9, {&record, 1}), 0u)
      << "beyond the limit";
  EXPECT_EQ(reader_->NextPlain(segment.FrameBegin(3), 9, {&record, 1}), 0u) << "at the limit";
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

TEST_F(SegmentReaderTest, SeekForgetsWhatWasBufferedAndWhatCouldNotBeRead) {
  const SegmentBuilder segment = FiveRecords();
  std::string bytes = segment.Bytes();
  Read(bytes);
  disk_.AddRule({.op = FileOp::kRead, .error = EIO, .name = "segment", .count = 2});
  EXPECT_EQ(Walk(), "");
  EXPECT_EQ(last_.end_cause, LossCause::kUnreadable);
  bytes[segment.FrameBegin(2) + kFrameHeaderBytes] ^= 1;
  WriteFile(*directory_, "segment", bytes);
  reader_->Seek(kFramesOffset, 1);
  EXPECT_EQ(Walk(), "1[2..2]345");
  EXPECT_EQ(lost_[0].cause, LossCause::kChecksum);
  bytes[segment.FrameBegin(2) + kFrameHeaderBytes] ^= 1;
  WriteFile(*directory_, "segment", bytes);
  reader_->Seek(segment.FrameBegin(2), 2);
  EXPECT_EQ(Walk(), "2345");
}

// Little memory at the tail, few calls for a whole log.
TEST_F(SegmentReaderTest, ReadsGrowFromSmallToLargeAndReadNothingTwice) {
  SegmentBuilder segment(Header());
  segment.Record(std::string(100'000, 'l'));
  for (int i = 0; i < 2000; ++i) segment.Record(std::string(10 + i, 'r'));
  segment.Record(std::string(3 << 20, 'L'));
  Read(segment.Bytes());
  std::vector<uint64_t> asked;
  disk_.SetHook([&](const FileCall& call) {
    if (call.op == FileOp::kRead) asked.push_back(call.bytes);
    return SimVerdict::kProceed;
  });
  for (int round = 0; round < 2; ++round) {
    const uint64_t before = reader_->bytes_read();
    const uint64_t stats = disk_.Calls(FileOp::kStat);
    asked.clear();
    while (reader_->Next(size_, kMaxSequence).kind == Kind::kFrame) continue;
    EXPECT_EQ(reader_->next_sequence(), 2003u);
    EXPECT_EQ(reader_->bytes_read() - before, size_ - kFramesOffset);
    EXPECT_EQ(asked.front(), 32u << 10);
    EXPECT_LE(asked[2], 128u << 10);
    const uint64_t most = *std::max_element(asked.begin(), asked.end() - 1);
    EXPECT_TRUE(most > 1u << 17 && most <= 1u << 18) << most;
    EXPECT_LE(asked.size(), 12u);
    EXPECT_EQ(disk_.Calls(FileOp::kStat) - stats, 1u) << "for the large record";
    reader_->Seek(kFramesOffset, 1);
  }
  disk_.SetHook(nullptr);
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
  const uint64_t there = size_;
  size_ = uint64_t{1} << 62;
  disk_.SetHook([&](const FileCall& call) {
    EXPECT_TRUE(call.op != FileOp::kRead || call.bytes <= (1u << 20) + there) << call.bytes;
    return SimVerdict::kProceed;
  });
  EXPECT_EQ(Walk(), "1");
  disk_.SetHook(nullptr);
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
