#ifndef MILLRACE_SEGMENT_BUILDER_H_
#define MILLRACE_SEGMENT_BUILDER_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/file_system.h"
#include "millrace/options.h"
#include "millrace/sequence.h"
#include "wal/format.h"

namespace millrace {

// Makes the bytes of one segment by hand, frame by frame, without any of the code
// that writes logs in production: what reads them is tested against the format.
//
//   SegmentBuilder segment(LogBuilderHeader(/*number=*/1, /*first=*/1));
//   segment.Group(/*mark=*/0).Record("a").Record("b");
//   WriteFile(directory, SegmentName(1), segment.Bytes());
class SegmentBuilder {
 public:
  // One record of a batch.
  struct Batched {
    std::string_view payload;
    AppendOptions options = {};
  };

  explicit SegmentBuilder(const SegmentHeader& header)
      : header_(header), next_(header.first_sequence), frames_() {
    seed_ = SegmentSeed(header.log_id, header.number, header.incarnation);
    body_seed_ = BodySeed(header.log_id);
  }

  SegmentBuilder& Group(SequenceNumber mark) { return GroupFrame(FrameType::kGroup, mark); }

  SegmentBuilder& Record(std::string_view payload, const AppendOptions& options = {}) {
    std::string body(ExtrasBytes(options), '\0');
    if (!body.empty()) EncodeExtras(options, body.data());
    const uint8_t flags = body.empty() ? 0 : kHasExtras;
    body.append(payload);
    return Frame(FrameType::kRecord, flags, 1, body);
  }

  SegmentBuilder& Batch(const std::vector<Batched>& records) {
    std::string index;
    std::string bodies;
    for (const Batched& record : records) {
      std::string body(ExtrasBytes(record.options), '\0');
      uint32_t entry = static_cast<uint32_t>(body.size() + record.payload.size());
      if (!body.empty()) {
        EncodeExtras(record.options, body.data());
        entry |= kBatchEntryHasExtras;
      }
      index.append(reinterpret_cast<const char*>(&entry), sizeof entry);
      bodies += body;
      bodies += record.payload;
    }
    return Frame(FrameType::kBatch, 0, static_cast<uint16_t>(records.size()), index + bodies);
  }

  // Pads to the next block that leaves room for the padding's own header.
  SegmentBuilder& PadToBlock() {
    uint64_t end = RoundUp(offset(), kBlockBytes);
    if (end == offset()) return *this;
    if (end - offset() < kFrameHeaderBytes) end += kBlockBytes;
    return Frame(FrameType::kPadding, 0, 0, std::string(end - offset() - kFrameHeaderBytes, '\0'));
  }

  SegmentBuilder& IdleMark() {
    PadToBlock();
    return GroupFrame(FrameType::kIdleMark, next_ - 1);
  }

  SegmentBuilder& Footer() {
    PadToBlock();
    FooterBody footer;
    footer.group = Body(next_ - 1);
    footer.first_sequence = header_.first_sequence;
    footer.last_sequence = next_ - 1;
    footer.digest = digest_;
    std::string body(kFooterBodyBytes, '\0');
    EncodeFooterBody(footer, body.data());
    return Frame(FrameType::kFooter, 0, 0, body);
  }

  // A frame of any kind, valid as far as its checksums go.
  SegmentBuilder& Frame(FrameType type, uint8_t flags, uint16_t count, std::string_view body) {
    FrameHeader header;
    header.sequence = next_;
    header.body_bytes = static_cast<uint32_t>(body.size());
    header.type = type;
    header.flags = flags;
    header.count = count;
    // The body of a padding frame is not checked.
    header.body_checksum = type == FrameType::kPadding ? 0 : BodyChecksum(body_seed_, body);
    const uint64_t begin = offset();
    std::string frame(FrameBytes(body.size()), '\0');
    EncodeFrameHeader(header, seed_, begin, frame.data());
    frame.replace(kFrameHeaderBytes, body.size(), body);
    digest_ = FrameDigest(digest_, frame.data());
    begins_.push_back(begin);
    frames_ += frame;
    next_ += count;
    return *this;
  }

  // Gives up numbers: what an earlier damage left out.
  SegmentBuilder& SkipTo(SequenceNumber next) {
    next_ = next;
    return *this;
  }

  // The wall clock of the groups to come.
  SegmentBuilder& At(int64_t time_ns) {
    time_ns_ = time_ns;
    return *this;
  }

  // The whole file: both copies of the header and all frames.
  std::string Bytes() const {
    std::string bytes(kFramesOffset, '\0');
    for (int copy = 0; copy < 2; ++copy) {
      EncodeSegmentHeader(header_, copy,
                          std::span<char, kSegmentHeaderBytes>(bytes.data() + copy * kBlockBytes,
                                                               kSegmentHeaderBytes));
    }
    return bytes + frames_;
  }

  // Where the next frame will begin; where frame `i` (from 0) begins.
  uint64_t offset() const { return kFramesOffset + frames_.size(); }
  uint64_t FrameBegin(size_t i) const { return begins_[i]; }
  SequenceNumber next() const { return next_; }
  const SegmentHeader& header() const { return header_; }

  Predecessor AsPredecessor() const {
    return {header_.number, header_.incarnation, next_ - 1, offset(), digest_};
  }

 private:
  GroupBody Body(SequenceNumber mark) const {
    return {header_.number, header_.incarnation,   header_.epoch, time_ns_,
            mark,           header_.first_retained};
  }

  SegmentBuilder& GroupFrame(FrameType type, SequenceNumber mark) {
    std::string body(kGroupBodyBytes, '\0');
    EncodeGroupBody(Body(mark), body.data());
    return Frame(type, 0, 0, body);
  }

  SegmentHeader header_;
  uint64_t seed_ = 0;
  uint64_t body_seed_ = 0;
  uint64_t digest_ = 0;
  int64_t time_ns_ = 1'000'000'000;
  SequenceNumber next_;
  std::string frames_;
  std::vector<uint64_t> begins_;
};

// Puts a file there as a whole.
inline void WriteFile(Directory& directory, std::string_view name, std::string_view bytes) {
  std::unique_ptr<File> file;
  const bool opened = directory.Open(name, OpenMode::kCreate, &file) == 0;
  const bool written = opened && file->Truncate(0) == 0 &&
                       (bytes.empty() || file->Write(0, std::span(&bytes, 1)) ==
                                             static_cast<IoResult>(bytes.size()));
  if (!written) {
    std::fprintf(stderr, "cannot write %s\n", std::string(name).c_str());
    std::abort();
  }
}

}  // namespace millrace

#endif  // MILLRACE_SEGMENT_BUILDER_H_
