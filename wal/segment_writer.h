#ifndef MILLRACE_WAL_SEGMENT_WRITER_H_
#define MILLRACE_WAL_SEGMENT_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "millrace/options.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/segment_factory.h"

namespace millrace {

// One record or batch as it comes from a producer: encoded and summed, without
// place and number.
struct PendingFrame {
  std::string_view body;
  uint64_t body_checksum = 0;  // BodyChecksum(body)
  FrameType type = FrameType::kRecord;
  uint8_t flags = 0;
  uint16_t count = 1;  // records in it
  Durability durability = Durability::kDurable;
};

// Appends to one segment: frames are gathered, then written with one call, then
// synced. After a failed write or sync the file is given up: every later call
// returns that error and touches the file no more.
//
// Not thread-safe.
class SegmentWriter {
 public:
  // Begins `header`'s segment in the file of `prepared`. The header itself goes
  // out with the first Write.
  SegmentWriter(PreparedSegment prepared, const SegmentHeader& header);

  // True if a frame with such a body fits, with the group header it may need.
  bool Fits(uint64_t body_bytes) const;

  // Gathers one frame; `group` begins the group if it is the first since Write.
  // The body is not copied if it is large: it must stay valid until Write.
  void Add(const PendingFrame& frame, SequenceNumber sequence, const GroupBody& group);

  // Gathers a kIdleMark frame at the next free place.
  void AddMark(SequenceNumber next, const GroupBody& group);

  // Gathers padding up to a block boundary, so that what follows shares no block
  // with what was written. False, and nothing gathered, if `bytes` do not fit
  // behind it.
  enum class Room : uint8_t { kWithinCapacity, kBeyondCapacity };
  bool PadToBlock(SequenceNumber next, uint64_t bytes, Room room);

  // Gathers the footer, cuts the file behind it and syncs.
  absl::Status Finish(SequenceNumber next, const GroupBody& group);

  absl::Status Write();
  // Writes what is gathered and not yet the header: that goes out with the next Write, when
  // the segment is to count. Until then it is a prepared one, which holds no record.
  absl::Status WriteBehindHeader();
  absl::Status Sync();

  // Gives back memory that only load needs.
  void ReleaseMemory();

  const SegmentHeader& header() const { return header_; }
  const std::string& name() const { return name_; }
  uint64_t gathered_bytes() const { return gathered_bytes_; }
  uint64_t unsynced_bytes() const { return unsynced_bytes_; }
  uint64_t written_bytes() const { return written_bytes_; }  // in all
  // The end of what was written, and the digest of the frames up to there.
  uint64_t end() const { return offset_; }
  uint64_t digest() const { return digest_; }

 private:
  // A run of bytes to be written: in staging_ (external == nullptr) or outside.
  struct Piece {
    const char* external;
    uint64_t bytes;
  };

  absl::Status WritePieces(std::string_view header_blocks);
  char* Stage(uint64_t bytes);
  void AppendStaged(uint64_t bytes);
  uint64_t next_offset() const { return offset_ + gathered_bytes_; }
  void AddControl(FrameType type, SequenceNumber next, uint32_t body_bytes, const char* body);

  const SegmentHeader header_;
  const std::string name_;
  const uint64_t segment_seed_;
  const uint64_t body_seed_;
  std::unique_ptr<File> file_;
  absl::Status status_;

  uint64_t offset_ = kFramesOffset;  // file offset behind what was written
  uint64_t digest_ = 0;
  uint64_t unsynced_bytes_ = 0;
  uint64_t written_bytes_ = 0;
  bool header_written_ = false;

  // What is gathered. staging_ holds headers and small bodies.
  std::vector<char> staging_;
  uint64_t staged_bytes_ = 0;
  std::vector<Piece> pieces_;
  std::vector<std::string_view> views_;
  uint64_t gathered_bytes_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_WRITER_H_
