// Goal: what is encoded decodes to the same, and nothing else passes for it: not
// after a flipped bit, not in another place, not from another log.
// Method: round trips; exhaustive single-bit flips; crafted values whose checksums
// hold (made with the seeds that FORMAT.md states).

#include "wal/format.h"

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#define XXH_INLINE_ALL
#include "xxhash.h"

namespace millrace {
namespace {

using HeaderBytes = std::array<char, kSegmentHeaderBytes>;

LogId Id(char c) {
  LogId id;
  id.fill(c);
  return id;
}

SegmentHeader SampleHeader() {
  SegmentHeader header;
  header.log_id = Id('a');
  header.number = 7;
  header.incarnation = 0x1122334455667788;
  header.epoch = 2;
  header.first_sequence = 101;
  header.mark = 100;
  header.first_retained = 50;
  header.capacity = 65536;
  header.predecessor = {6, 99, 100, 8192, 12345};
  header.boot_id = 77;
  header.created_ns = -5;
  header.in_use = 5;
  for (uint64_t epoch = 2; epoch < 2 + EpochBases::kEntries; ++epoch) {
    header.epoch_bases.Push(epoch, 90 + epoch);
  }
  return header;
}

HeaderBytes Encode(const SegmentHeader& header, int copy) {
  HeaderBytes bytes;
  EncodeSegmentHeader(header, copy, bytes);
  return bytes;
}

// Makes the checksum of a segment header hold again.
void Reseal(HeaderBytes& bytes, int copy) {
  const uint64_t sum =
      XXH3_64bits_withSeed(bytes.data() + 8, bytes.size() - 8, 0x6d696c6c73656700 + copy);
  std::memcpy(bytes.data(), &sum, sizeof sum);
}

template <class T>
void Set(HeaderBytes& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

TEST(SegmentHeaderTest, ComesBackAsItWas) {
  for (int copy = 0; copy < 2; ++copy) {
    SegmentHeader decoded;
    EXPECT_EQ(DecodeSegmentHeader(Encode(SampleHeader(), copy), copy, &decoded),
              HeaderStatus::kValid);
    EXPECT_EQ(decoded, SampleHeader());
  }
}

TEST(SegmentHeaderTest, OneCopyDoesNotPassForTheOther) {
  SegmentHeader decoded;
  EXPECT_EQ(DecodeSegmentHeader(Encode(SampleHeader(), 0), 1, &decoded), HeaderStatus::kDamaged);
}

TEST(SegmentHeaderTest, ZerosAreNothing) {
  SegmentHeader decoded;
  EXPECT_EQ(DecodeSegmentHeader(HeaderBytes{}, 0, &decoded), HeaderStatus::kZero);
}

TEST(SegmentHeaderTest, ChecksumOfZerosAndAnotherKindOfBlockAreDamage) {
  SegmentHeader decoded;
  HeaderBytes bytes = Encode(SampleHeader(), 0);
  Set<uint64_t>(bytes, 0, 0);
  EXPECT_EQ(DecodeSegmentHeader(bytes, 0, &decoded), HeaderStatus::kDamaged);
  bytes = Encode(SampleHeader(), 0);
  bytes[15] ^= 1;  // of the magic
  Reseal(bytes, 0);
  EXPECT_EQ(DecodeSegmentHeader(bytes, 0, &decoded), HeaderStatus::kDamaged);
}

TEST(SegmentHeaderTest, IsWrittenInItsPlaceAlone) {
  std::array<char, kSegmentHeaderBytes + 8> bytes;
  bytes.fill('u');
  EncodeSegmentHeader(SampleHeader(), 0,
                      std::span<char, kSegmentHeaderBytes>(bytes.data(), kSegmentHeaderBytes));
  EXPECT_EQ(std::string(bytes.end() - 8, bytes.end()), "uuuuuuuu");
}

TEST(SegmentHeaderTest, SegmentBehindTheLastNumberIsNoContradiction) {
  SegmentHeader header = SampleHeader();
  header.first_sequence = kMaxSequence + 1;
  SegmentHeader decoded;
  EXPECT_EQ(DecodeSegmentHeader(Encode(header, 0), 0, &decoded), HeaderStatus::kValid);
}

TEST(SegmentHeaderTest, EveryFlippedBitIsDamage) {
  HeaderBytes bytes = Encode(SampleHeader(), 0);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= 1 << bit % 8;
    SegmentHeader decoded;
    ASSERT_EQ(DecodeSegmentHeader(bytes, 0, &decoded), HeaderStatus::kDamaged) << bit;
    bytes[bit / 8] ^= 1 << bit % 8;
  }
}

TEST(SegmentHeaderTest, ANewerVersionIsNotDamage) {
  SegmentHeader decoded;
  HeaderBytes version = Encode(SampleHeader(), 0);
  Set<uint32_t>(version, 16, kFormatVersion + 1);
  Reseal(version, 0);
  EXPECT_EQ(DecodeSegmentHeader(version, 0, &decoded), HeaderStatus::kNewer);

  HeaderBytes features = Encode(SampleHeader(), 1);
  Set<uint64_t>(features, 248, 1);
  Reseal(features, 1);
  EXPECT_EQ(DecodeSegmentHeader(features, 1, &decoded), HeaderStatus::kNewer);

  HeaderBytes state = Encode(SampleHeader(), 0);
  Set<uint32_t>(state, 20, 3);
  Reseal(state, 0);
  EXPECT_EQ(DecodeSegmentHeader(state, 0, &decoded), HeaderStatus::kNewer);
}

TEST(SegmentHeaderTest, ContradictionsAreDamageThoughTheChecksumHolds) {
  struct Case {
    size_t offset;
    uint64_t value;
  };
  for (const Case c : {Case{40, 0},                             // number 0
                       Case{96, 7},                             // its own predecessor
                       Case{96, 8},                             // a later one's successor
                       Case{64, 0},                             // record 0
                       Case{64, kMaxSequence + 2},              // beyond all numbers
                       Case{64, ~uint64_t{0}}, Case{112, 101},  // overlaps its predecessor
                       Case{112, ~uint64_t{0}}}) {
    HeaderBytes bytes = Encode(SampleHeader(), 0);
    Set(bytes, c.offset, c.value);
    Reseal(bytes, 0);
    SegmentHeader decoded;
    EXPECT_EQ(DecodeSegmentHeader(bytes, 0, &decoded), HeaderStatus::kDamaged)
        << c.offset << " " << c.value;
  }
}

// --- Frames -------------------------------------------------------------------

FrameHeader Sample(FrameType type = FrameType::kRecord, uint16_t count = 1) {
  FrameHeader header;
  header.sequence = 42;
  header.body_bytes = type == FrameType::kFooter                                  ? kFooterBodyBytes
                      : type == FrameType::kGroup || type == FrameType::kIdleMark ? kGroupBodyBytes
                                                                                  : 100;
  header.type = type;
  header.count = count;
  header.body_checksum = 0x0123456789abcdef;
  return header;
}

FrameStatus RoundTrip(const FrameHeader& header, FrameHeader* decoded) {
  char bytes[kFrameHeaderBytes];
  EncodeFrameHeader(header, 5, 8192, bytes);
  return DecodeFrameHeader(bytes, 5, 8192, decoded);
}

TEST(FrameHeaderTest, EveryTypeComesBackAsItWas) {
  for (const FrameHeader& header :
       {Sample(), Sample(FrameType::kBatch, 1), Sample(FrameType::kBatch, 3),
        Sample(FrameType::kGroup, 0), Sample(FrameType::kIdleMark, 0),
        Sample(FrameType::kFooter, 0), Sample(FrameType::kPadding, 0),
        Sample(static_cast<FrameType>(0x80), 0)}) {
    FrameHeader decoded;
    EXPECT_EQ(RoundTrip(header, &decoded), FrameStatus::kValid);
    EXPECT_EQ(decoded, header);
  }
}

TEST(FrameHeaderTest, ZerosAreNothing) {
  const char bytes[kFrameHeaderBytes] = {};
  FrameHeader decoded;
  EXPECT_EQ(DecodeFrameHeader(bytes, 5, 8192, &decoded), FrameStatus::kEmpty);
}

TEST(FrameHeaderTest, EveryFlippedBitIsInvalid) {
  char bytes[kFrameHeaderBytes];
  EncodeFrameHeader(Sample(), 5, 8192, bytes);
  for (size_t bit = 0; bit < sizeof bytes * 8; ++bit) {
    bytes[bit / 8] ^= 1 << bit % 8;
    FrameHeader decoded;
    ASSERT_EQ(DecodeFrameHeader(bytes, 5, 8192, &decoded), FrameStatus::kInvalid) << bit;
    bytes[bit / 8] ^= 1 << bit % 8;
  }
}

TEST(FrameHeaderTest, CountsOnlyInItsOwnPlaceSegmentAndLog) {
  const uint64_t seed = SegmentSeed(Id('a'), 3, 4);
  char bytes[kFrameHeaderBytes];
  EncodeFrameHeader(Sample(), seed, 8192, bytes);
  FrameHeader decoded;
  EXPECT_EQ(DecodeFrameHeader(bytes, seed, 8192, &decoded), FrameStatus::kValid);
  EXPECT_EQ(DecodeFrameHeader(bytes, seed, 8200, &decoded), FrameStatus::kInvalid);
  for (const uint64_t other :
       {SegmentSeed(Id('b'), 3, 4), SegmentSeed(Id('a'), 4, 4), SegmentSeed(Id('a'), 3, 5)}) {
    EXPECT_EQ(DecodeFrameHeader(bytes, other, 8192, &decoded), FrameStatus::kInvalid);
  }
}

TEST(FrameHeaderTest, NewerTypesAndFlagsAreUnknownUnlessSkippable) {
  FrameHeader decoded;
  EXPECT_EQ(RoundTrip(Sample(static_cast<FrameType>(7)), &decoded), FrameStatus::kUnknown);
  EXPECT_EQ(RoundTrip(Sample(static_cast<FrameType>(0x7f)), &decoded), FrameStatus::kUnknown);
  FrameHeader flagged = Sample();
  flagged.flags = 0x02;
  EXPECT_EQ(RoundTrip(flagged, &decoded), FrameStatus::kUnknown);
  EXPECT_EQ(RoundTrip(Sample(static_cast<FrameType>(0x80), 1), &decoded), FrameStatus::kUnknown)
      << "records are not skipped";
  FrameHeader skippable = Sample(static_cast<FrameType>(0xff), 0);
  skippable.flags = 0xff;
  EXPECT_EQ(RoundTrip(skippable, &decoded), FrameStatus::kValid);
}

TEST(FrameHeaderTest, ContradictionsAreInvalidThoughTheChecksumHolds) {
  FrameHeader decoded;
  EXPECT_EQ(RoundTrip(Sample(FrameType::kRecord, 0), &decoded), FrameStatus::kInvalid);
  EXPECT_EQ(RoundTrip(Sample(FrameType::kRecord, 2), &decoded), FrameStatus::kInvalid);
  EXPECT_EQ(RoundTrip(Sample(FrameType::kBatch, 0), &decoded), FrameStatus::kInvalid);
  EXPECT_EQ(RoundTrip(Sample(FrameType::kGroup, 1), &decoded), FrameStatus::kInvalid);
  EXPECT_EQ(RoundTrip(Sample(FrameType::kPadding, 1), &decoded), FrameStatus::kInvalid);
  for (const FrameType mark : {FrameType::kGroup, FrameType::kIdleMark, FrameType::kFooter}) {
    EXPECT_EQ(RoundTrip(Sample(mark, 1), &decoded), FrameStatus::kInvalid);
    FrameHeader wrong_size = Sample(mark, 0);
    wrong_size.body_bytes += 8;
    EXPECT_EQ(RoundTrip(wrong_size, &decoded), FrameStatus::kInvalid);
  }
  for (const SequenceNumber sequence : {SequenceNumber{0}, kMaxSequence + 2, ~SequenceNumber{0}}) {
    FrameHeader header = Sample();
    header.sequence = sequence;
    EXPECT_EQ(RoundTrip(header, &decoded), FrameStatus::kInvalid) << sequence;
  }
  FrameHeader last = Sample(FrameType::kGroup, 0);
  last.sequence = kMaxSequence + 1;
  EXPECT_EQ(RoundTrip(last, &decoded), FrameStatus::kValid) << "behind the last record";
}

TEST(FrameHeaderTest, ThePreCheckNeverRulesOutAFrame) {
  char bytes[kFrameHeaderBytes];
  EncodeFrameHeader(Sample(), 5, 8192, bytes);
  const uint64_t size = FrameBytes(100);
  EXPECT_TRUE(MayBeFrame(bytes, 42, 42, size));
  EXPECT_FALSE(MayBeFrame(bytes, 43, 50, size));
  EXPECT_FALSE(MayBeFrame(bytes, 1, 41, size));
  EXPECT_FALSE(MayBeFrame(bytes, 42, 42, size - 8));
  const char zeros[kFrameHeaderBytes] = {};
  EXPECT_FALSE(MayBeFrame(zeros, 0, 42, size));
}

TEST(FrameHeaderTest, TheDigestTellsOrderAndContent) {
  char a[kFrameHeaderBytes];
  char b[kFrameHeaderBytes];
  EncodeFrameHeader(Sample(), 5, 8192, a);
  EncodeFrameHeader(Sample(), 5, 8320, b);
  EXPECT_NE(FrameDigest(FrameDigest(0, a), b), FrameDigest(FrameDigest(0, b), a));
  EXPECT_NE(FrameDigest(0, a), FrameDigest(0, b));
  EXPECT_NE(FrameDigest(0, a), 0u);
  // What comes out as 0 is 1.
  uint64_t word;
  std::memcpy(&word, a, sizeof word);
  EXPECT_EQ(FrameDigest(word, a), 1u);
}

TEST(BytesTest, ThoseThatAreNotZeroAreCounted) {
  const std::string bytes("\x80\x01\0\xff\x7f\0\x80\x80\xfe\0\0\x10\x01\0\x40\x02\x03", 17);
  const size_t counts[] = {0, 1, 2, 2, 3, 4, 4, 5, 6, 7, 7, 7, 8, 9, 9, 10, 11, 12};
  for (size_t size = 0; size <= bytes.size(); ++size) {
    EXPECT_EQ(NonZeroBytes(std::span(bytes.data(), size)), counts[size]) << size;
  }
}

// --- Bodies -------------------------------------------------------------------

TEST(BodyTest, MarksComeBackAsTheyWere) {
  const GroupBody group{3, 0xfeedface, 2, -7, 99, 50};
  char group_bytes[kGroupBodyBytes];
  EncodeGroupBody(group, group_bytes);
  EXPECT_EQ(DecodeGroupBody(group_bytes), group);

  const FooterBody footer{group, 60, 99, 4711};
  char footer_bytes[kFooterBodyBytes];
  EncodeFooterBody(footer, footer_bytes);
  EXPECT_EQ(DecodeFooterBody(footer_bytes), footer);
}

std::string WithExtras(const AppendOptions& options, std::string_view payload) {
  std::string body(ExtrasBytes(options), '\0');
  if (!body.empty()) EncodeExtras(options, body.data());
  return body.append(payload);
}

TEST(BodyTest, KeyAndAttributesComeBackAndCostNothingWhenAbsent) {
  EXPECT_EQ(ExtrasBytes({}), 0u);
  const std::vector<Attribute> attributes = {{"kind", "x"}, {"", ""}, {"n", std::string_view()}};
  AppendOptions options;
  options.key = "the key";
  options.attributes = attributes;
  const std::string body = WithExtras(options, "payload");
  std::optional<RecordView> record = DecodeRecord(body, kHasExtras);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->key, "the key");
  EXPECT_EQ(record->payload, "payload");
  for (const Attribute& expected : attributes) {
    Attribute attribute;
    ASSERT_TRUE(NextAttribute(&record->attributes, &attribute));
    EXPECT_EQ(attribute.name, expected.name);
    EXPECT_EQ(attribute.value, expected.value);
  }
  Attribute none;
  EXPECT_FALSE(NextAttribute(&record->attributes, &none));
}

TEST(BodyTest, AnEmptyKeyIsNotNoKey) {
  AppendOptions options;
  options.key = "";
  EXPECT_EQ(DecodeRecord(WithExtras(options, "p"), kHasExtras)->key, "");
  EXPECT_EQ(DecodeRecord("p", 0)->key, std::nullopt);
}

TEST(BodyTest, ExtrasThatContradictThemselvesAreRefused) {
  AppendOptions options;
  options.key = "key";
  const Attribute attribute{"name", "value"};
  options.attributes = std::span(&attribute, 1);
  const std::string good = WithExtras(options, "");
  ASSERT_TRUE(DecodeRecord(good, kHasExtras).has_value());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(DecodeRecord(good.substr(0, size), kHasExtras).has_value()) << size;
  }
  // Lengths: of all, of the key, of the name, of the value.
  for (const size_t offset : {size_t{0}, size_t{4}, size_t{11}, size_t{15}}) {
    for (const uint32_t value : {7u, 0x7fffffffu, 0x80000000u, 0xfffffffeu}) {
      std::string bad = good;
      std::memcpy(bad.data() + offset, &value, sizeof value);
      EXPECT_FALSE(DecodeRecord(bad, kHasExtras).has_value()) << offset << " " << value;
    }
  }
}

TEST(BodyTest, BatchesSplitIntoTheirRecords) {
  AppendOptions options;
  options.key = "k";
  const std::string second = WithExtras(options, "two");
  const std::array<uint32_t, 3> index = {
      3, static_cast<uint32_t>(second.size()) | kBatchEntryHasExtras, 0};
  std::string body(reinterpret_cast<const char*>(index.data()), sizeof index);
  body += "one" + second;
  EXPECT_EQ(DecodeBatchRecord(body, 3, 0)->payload, "one");
  EXPECT_EQ(DecodeBatchRecord(body, 3, 1)->payload, "two");
  EXPECT_EQ(DecodeBatchRecord(body, 3, 1)->key, "k");
  EXPECT_EQ(DecodeBatchRecord(body, 3, 2)->payload, "");
  EXPECT_FALSE(DecodeBatchRecord(body.substr(0, body.size() - 1), 3, 1).has_value());
  EXPECT_FALSE(DecodeBatchRecord(body.substr(0, 11), 3, 0).has_value());
}

}  // namespace
}  // namespace millrace
