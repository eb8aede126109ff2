// Decodes bytes as one frame. What is decided follows from FORMAT.md alone; what is decoded
// lies within the input, and encodes to the same bytes again.
//
// Touches no file and takes no memory, for as many tries as can be had.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "fuzz/mutator.h"
#include "fuzz/seal.h"
#include "wal/check.h"
#include "wal/format.h"

namespace millrace {
namespace {

// The table of FORMAT.md, for a header of which the checksum holds.
FrameStatus ExpectedStatus(const char* bytes) {
  const auto at = [bytes](size_t offset) { return static_cast<uint8_t>(bytes[offset]); };
  uint64_t sequence = 0;
  std::memcpy(&sequence, bytes + 8, 8);
  uint32_t body_bytes = 0;
  std::memcpy(&body_bytes, bytes + 16, 4);
  const int type = at(20);
  const int count = at(22) + 256 * at(23);
  if (sequence < 1 || sequence > uint64_t{1} << 56) return FrameStatus::kInvalid;
  if (type >= 128) return count == 0 ? FrameStatus::kValid : FrameStatus::kUnknown;
  if (type < 1 || type > 6 || (at(21) & 0xfe) != 0) return FrameStatus::kUnknown;
  const bool count_fits = type == 1 ? count == 1 : type == 2 ? count >= 1 : count == 0;
  const bool size_fits = type == 5                ? body_bytes == 72
                         : type == 3 || type == 4 ? body_bytes == 48
                                                  : true;
  return count_fits && size_fits ? FrameStatus::kValid : FrameStatus::kInvalid;
}

bool Lies(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

// Takes a record apart, puts it together again, and compares.
void CheckRecord(std::string_view body, uint8_t flags) {
  const std::optional<RecordView> record = DecodeRecord(body, flags);
  if (!record.has_value()) {
    WAL_CHECK((flags & kHasExtras) != 0);
    return;
  }
  WAL_CHECK(Lies(record->payload, body));
  if ((flags & kHasExtras) == 0) {
    WAL_CHECK(record->payload == body);
    return;
  }
  static std::vector<Attribute> attributes;
  static std::vector<char> again;
  attributes.clear();
  std::string_view encoded = record->attributes;
  for (Attribute attribute; NextAttribute(&encoded, &attribute);) {
    WAL_CHECK(Lies(attribute.name, body));
    WAL_CHECK(Lies(attribute.value, body));
    attributes.push_back(attribute);
  }
  WAL_CHECK(encoded.empty());
  AppendOptions options;
  options.key = record->key;
  options.attributes = attributes;
  const uint64_t extras = ExtrasBytes(options);
  // Extras without a key or attributes are not written; who reads them sees none.
  if (extras == 0) {
    WAL_CHECK(record->payload.size() + 8 == body.size());
    return;
  }
  WAL_CHECK(extras + record->payload.size() == body.size());
  again.resize(std::max<size_t>(again.size(), extras));
  EncodeExtras(options, again.data());
  WAL_CHECK(std::memcmp(again.data(), body.data(), extras) == 0);
}

void CheckBody(const FrameHeader& header, std::string_view body) {
  std::array<char, kFooterBodyBytes> again;
  switch (header.type) {
    case FrameType::kRecord:
      CheckRecord(body, header.flags);
      return;
    case FrameType::kBatch:
      // Each costs a walk over the index.
      for (uint16_t i = 0; i < std::min<uint16_t>(header.count, 32); ++i) {
        const std::optional<RecordView> record = DecodeBatchRecord(body, header.count, i);
        if (record.has_value()) WAL_CHECK(Lies(record->payload, body));
        if (body.size() < uint64_t{4} * header.count) WAL_CHECK(!record.has_value());
      }
      return;
    case FrameType::kGroup:
    case FrameType::kIdleMark:
      EncodeGroupBody(DecodeGroupBody(body.data()), again.data());
      WAL_CHECK(std::memcmp(again.data(), body.data(), kGroupBodyBytes) == 0);
      return;
    case FrameType::kFooter:
      EncodeFooterBody(DecodeFooterBody(body.data()), again.data());
      WAL_CHECK(std::memcmp(again.data(), body.data(), kFooterBodyBytes) == 0);
      return;
    case FrameType::kPadding:
      return;
  }
}

// What holds at one place and with one seed holds at no other, and not for other bytes.
void CheckBound(const char* bytes, uint64_t segment_seed, uint64_t offset, unsigned bit) {
  FrameHeader other;
  WAL_CHECK(DecodeFrameHeader(bytes, segment_seed, offset + 8, &other) == FrameStatus::kInvalid);
  WAL_CHECK(DecodeFrameHeader(bytes, segment_seed + 1, offset, &other) == FrameStatus::kInvalid);
  std::array<char, kFrameHeaderBytes> flipped;
  std::memcpy(flipped.data(), bytes, flipped.size());
  flipped[bit / 8 % kFrameHeaderBytes] ^= static_cast<char>(1 << bit % 8);
  const FrameStatus status = DecodeFrameHeader(flipped.data(), segment_seed, offset, &other);
  WAL_CHECK(status == FrameStatus::kInvalid || status == FrameStatus::kEmpty);
}

void Decode(std::string_view bytes, uint64_t offset, unsigned bit) {
  static const uint64_t segment_seed =
      SegmentSeed(FuzzedLogId(), kFuzzedNumber, kFuzzedIncarnation);
  static const uint64_t body_seed = BodySeed(FuzzedLogId());
  uint64_t sum = 0;
  std::memcpy(&sum, bytes.data(), 8);
  FrameHeader header;
  const FrameStatus status = DecodeFrameHeader(bytes.data(), segment_seed, offset, &header);
  const bool sum_holds = sum == FrameHeaderSum(bytes.data(), offset);
  WAL_CHECK((status == FrameStatus::kEmpty) == (sum == 0));
  if (sum != 0 && !sum_holds) WAL_CHECK(status == FrameStatus::kInvalid);
  if (sum_holds) WAL_CHECK(status == ExpectedStatus(bytes.data()));
  if (status != FrameStatus::kValid && status != FrameStatus::kUnknown) return;

  std::array<char, kFrameHeaderBytes> again;
  EncodeFrameHeader(header, segment_seed, offset, again.data());
  WAL_CHECK(std::memcmp(again.data(), bytes.data(), again.size()) == 0);
  FrameHeader decoded;
  WAL_CHECK(DecodeFrameHeader(again.data(), segment_seed, offset, &decoded) == status);
  WAL_CHECK(decoded == header);
  CheckBound(bytes.data(), segment_seed, offset, bit);

  const uint64_t frame_bytes = FrameBytes(header.body_bytes);
  WAL_CHECK(frame_bytes % kAlignment == 0);
  WAL_CHECK(frame_bytes >= kFrameHeaderBytes + header.body_bytes);
  const bool fits = frame_bytes <= bytes.size();
  WAL_CHECK(MayBeFrame(bytes.data(), header.sequence, header.sequence, bytes.size()) == fits);
  WAL_CHECK(!MayBeFrame(bytes.data(), header.sequence + 1, ~uint64_t{0}, ~uint64_t{0}));
  WAL_CHECK(!MayBeFrame(bytes.data(), 0, header.sequence - 1, ~uint64_t{0}));
  WAL_CHECK(FrameDigest(sum, bytes.data()) != 0);
  if (status != FrameStatus::kValid || !fits) return;
  const std::string_view body = bytes.substr(kFrameHeaderBytes, header.body_bytes);
  WAL_CHECK(BodyChecksum(body_seed, body) == FrameBodySum(body.data(), body.size()));
  CheckBody(header, body);
}

}  // namespace
}  // namespace millrace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = millrace::Mutate(data, size, max_size);
  if (size > 2 && seed % 8 != 0) {
    const uint64_t offset = millrace::kFramesOffset + uint64_t{8} * data[0];
    millrace::SealFrames(reinterpret_cast<char*>(data) + 2, size - 2, offset, seed);
  }
  return size;
}

// The first byte says where the frame stands, the second which bit is flipped.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 + millrace::kFrameHeaderBytes) return 0;
  millrace::Decode(std::string_view(reinterpret_cast<const char*>(data) + 2, size - 2),
                   millrace::kFramesOffset + uint64_t{8} * data[0], data[1]);
  return 0;
}
