// Goal: the damages that LevelDB's log_test does cost exactly the records that they stand
// in, by number, where LevelDB counts dropped bytes; a torn end costs nothing that was
// acknowledged.
// Method: segments made by hand, damaged at every place where LevelDB tries one; read from
// outside.

#include <errno.h>

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"

namespace millrace {
namespace {

class LevelDbDamageTest : public PeerLogTest {
 protected:
  static constexpr uint64_t kSector = 512;

  // Records 1..5, of which 3 begins a sector and fills `sectors` of them; the idle mark says that
  // all are durable.
  SegmentBuilder WithLargeThird(uint64_t sectors) {
    SegmentBuilder segment(Header(1, 1));
    AddGroup(segment, 0, 1);
    const uint64_t begin = RoundUp(segment.offset() + FrameBytes(0), kSector);
    AddRecord(segment, begin - segment.offset() - FrameBytes(0));
    AddRecord(segment, sectors * kSector - FrameBytes(0));
    AddRecord(segment, 30);
    AddRecord(segment, 40);
    segment.IdleMark();
    return segment;
  }

  static std::string LostThird(LossCause cause) {
    return "1..2 lost 3..3 acknowledged " + std::string(LossCauseName(cause)) + " 4..5";
  }
};

// LevelDB log_test: ReadError.
TEST_F(LevelDbDamageTest, AReadErrorLosesTheRecordsOfThatSegmentAlone) {
  const SegmentBuilder first = Segment(1, 5);
  const SegmentBuilder second = Segment(2, 4, first.AsPredecessor());
  Put(first), Put(second), Put(Segment(3, 3, second.AsPredecessor()).Footer());
  // Its header was read before.
  disk_.AddRule({.op = FileOp::kRead,
                 .error = EIO,
                 .name = SegmentName(2),
                 .first = 2,
                 .count = SimRule::kForever});
  EXPECT_EQ(ReadBack(), "1..5 lost 6..9 acknowledged unreadable 10..12");
  disk_.ClearRules();
  EXPECT_EQ(ReadBack(), "1..12") << "an error that passes loses nothing for good";
}

// LevelDB log_test: BadRecordType.
TEST_F(LevelDbDamageTest, AWrongTypeByteLosesItsRecordAlone) {
  const SegmentBuilder segment = WithLargeThird(2);
  for (int type = 0; type < 256; ++type) {
    if (type == static_cast<int>(FrameType::kRecord)) continue;
    Put(segment);
    Overwrite(1, segment.FrameBegin(3) + 20, std::string(1, static_cast<char>(type)));
    ASSERT_EQ(ReadBack(), LostThird(LossCause::kChecksum)) << type;
  }
}

// LevelDB log_test: ChecksumMismatch.
TEST_F(LevelDbDamageTest, EveryByteOfARecordThatIsChangedLosesThatRecordAlone) {
  const SegmentBuilder segment = WithLargeThird(2);
  for (uint64_t at = segment.FrameBegin(3); at < segment.FrameBegin(4); ++at) {
    Put(segment);
    disk_.FlipBit(PathOf(1), at, static_cast<int>(at % 8));
    ASSERT_EQ(ReadBack(), LostThird(LossCause::kChecksum)) << at;
  }
}

// LevelDB log_test: BadLength.
TEST_F(LevelDbDamageTest, AWrongLengthLosesItsRecordAloneWhateverItClaims) {
  const SegmentBuilder segment = WithLargeThird(2);
  const uint32_t right = 2 * kSector - kFrameHeaderBytes;
  for (uint32_t bit = 0; bit < 32; ++bit) {
    for (const uint32_t wrong : {right ^ (1u << bit), right + (1u << bit), 1u << bit, ~0u << bit}) {
      if (wrong == right) continue;
      Put(segment);
      Overwrite(1, segment.FrameBegin(3) + 16,
                std::string_view(reinterpret_cast<const char*>(&wrong), sizeof wrong));
      ASSERT_EQ(ReadBack(), LostThird(LossCause::kChecksum)) << wrong;
    }
  }
}

// LevelDB log_test: UnexpectedMiddleType, UnexpectedLastType, UnexpectedFullType,
// UnexpectedFirstType.
TEST_F(LevelDbDamageTest, EverySubsetOfARecordsSectorsLosesThatRecordAlone) {
  // A fragment without its beginning, its end, or both: here one record is one frame, of which any
  // sectors are missing.
  constexpr uint64_t kSectors = 6;
  const SegmentBuilder segment = WithLargeThird(kSectors);
  for (uint64_t kept = 0; kept < (1 << kSectors) - 1; ++kept) {
    Put(segment);
    for (uint64_t i = 0; i < kSectors; ++i) {
      const uint64_t begin = segment.FrameBegin(3) + i * kSector;
      if ((kept >> i & 1) == 0) Zero(1, begin, begin + kSector);
    }
    ASSERT_EQ(WithoutCause(ReadBack()), "1..2 lost 3..3 acknowledged 4..5") << kept;
  }
}

// LevelDB log_test: ErrorJoinsRecords.
TEST_F(LevelDbDamageTest, AHoleAcrossRecordsNeverJoinsThemAndLosesTheOnesItTouches) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 5, 900);
  segment.IdleMark();
  const uint64_t end = segment.FrameBegin(5) + FrameBytes(900);
  for (const uint64_t bytes : {uint64_t{1}, kSector, uint64_t{1500}}) {
    for (uint64_t begin = segment.FrameBegin(1); begin + bytes <= end; begin += 8) {
      Put(segment);
      Overwrite(1, begin, std::string(bytes, '\xb7'));
      // Frame 0 is the group, frame i record i.
      SequenceNumber first = 1;
      while (first < 5 && segment.FrameBegin(first + 1) <= begin) ++first;
      SequenceNumber last = first;
      while (last < 5 && segment.FrameBegin(last + 1) < begin + bytes) ++last;
      std::string text = first > 1 ? absl::StrCat("1..", first - 1, " ") : "";
      absl::StrAppend(&text, "lost ", first, "..", last, " acknowledged checksum");
      if (last < 5) absl::StrAppend(&text, " ", last + 1, "..5");
      // The zeros behind a body are no part of a record.
      const bool only_alignment =
          bytes == 1 && (begin - segment.FrameBegin(first)) >= kFrameHeaderBytes + 900;
      ASSERT_EQ(ReadBack(), only_alignment ? "1..5" : text) << begin << " +" << bytes;
    }
  }
}

// --- The end ----------------------------------------------------------------------------

// LevelDB log_test: TruncatedTrailingRecordIsIgnored, MissingLastIsIgnored.
TEST_F(LevelDbDamageTest, ALastRecordCutAtAnyByteIsATornTailAndCounted) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 3, 201);
  const std::string bytes = segment.Bytes();
  const uint64_t begin = segment.FrameBegin(3);
  for (uint64_t size = begin; size < bytes.size(); ++size) {
    Put(1, bytes.substr(0, size));
    ASSERT_EQ(ReadBack(), "1..2") << size;
    Recover();
    ASSERT_EQ(Lost(), "") << size;
    uint64_t nonzero = 0;
    for (uint64_t at = begin; at < size; ++at) nonzero += bytes[at] != '\0';
    ASSERT_EQ(report_.tail_bytes, nonzero) << size;
    ASSERT_EQ(report_.next_sequence, 3u) << size;
  }
}

// LevelDB log_test: BadLengthAtEndIsIgnored.
TEST_F(LevelDbDamageTest, ALastRecordWhoseLengthPassesTheEndIsATornTail) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 3);
  for (const uint32_t length : {101u, 104u, 4096u, 1u << 20, 1u << 31, ~0u}) {
    Put(segment);
    Overwrite(1, segment.FrameBegin(3) + 16,
              std::string_view(reinterpret_cast<const char*>(&length), sizeof length));
    ASSERT_EQ(ReadBack(), "1..2") << length;
    Recover();
    ASSERT_EQ(Lost(), "") << length;
  }
}

// LevelDB log_test: PartialLastIsIgnored.
TEST_F(LevelDbDamageTest, ALastRecordOfWhichAnySectorsArrivedIsATornTail) {
  constexpr uint64_t kSectors = 6;
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 1);
  AddRecord(segment, RoundUp(segment.offset() + 64, kSector) - segment.offset() - FrameBytes(0));
  AddRecord(segment, kSectors * kSector - FrameBytes(0));
  for (uint64_t kept = 0; kept < (1 << kSectors) - 1; ++kept) {
    Put(segment);
    for (uint64_t i = 0; i < kSectors; ++i) {
      const uint64_t begin = segment.FrameBegin(3) + i * kSector;
      if ((kept >> i & 1) == 0) Zero(1, begin, begin + kSector);
    }
    ASSERT_EQ(ReadBack(), "1..2") << kept;
    Recover();
    ASSERT_EQ(Lost(), "") << kept;
    ASSERT_EQ(report_.tail_bytes == 0, kept == 0) << kept;
  }
}

// LevelDB log_test: TruncatedTrailingRecordIsIgnored, its twin below the mark.
TEST_F(LevelDbDamageTest, TheSameEndBelowTheMarkIsALossByNumber) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 3, 201);
  const std::string bytes = segment.Bytes();
  PutSuperblock(OwnSuperblock(/*mark=*/3));
  for (uint64_t size = segment.FrameBegin(2); size < bytes.size(); ++size) {
    Put(1, bytes.substr(0, size));
    // The zeros that fill a frame up belong to it.
    const SequenceNumber last = size < segment.FrameBegin(3) ? 1 : 2;
    const std::string expected = absl::StrCat("1..", last, " lost ", last + 1, "..3 acknowledged");
    ASSERT_EQ(WithoutCause(ReadBack()), expected) << size;
    ASSERT_TRUE(absl::IsDataLoss(RecoverStatus({.policy = RecoveryPolicy::kStrict}))) << size;
  }
}

}  // namespace
}  // namespace millrace
