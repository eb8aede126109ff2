#ifndef MILLRACE_WAL_SEGMENT_WRITER_H_
#define MILLRACE_WAL_SEGMENT_WRITER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
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
// returns that error and touches the file no more. Want of space is the exception:
// the same bytes can be written again.
//
// What a failed sync may take away stays in memory, to be logged again in another
// segment: all frames that no sync has covered, those that the last sync covered (up to a
// bound), and those that share their last block with what comes next.
//
// Not thread-safe.
class SegmentWriter {
 public:
  // Where a write ends.
  enum class WriteEnd : uint8_t {
    kFrame,
    kBlock,  // padded, so that no later write changes a block of it
  };

  // Begins `header`'s segment in the file of `prepared`. The header itself goes
  // out with the first Write.
  SegmentWriter(PreparedSegment prepared, const SegmentHeader& header,
                WriteEnd write_end = WriteEnd::kFrame);

  // True if a frame with such a body fits, with the group header it may need.
  bool Fits(uint64_t body_bytes) const;

  // Sees to the memory for such a frame, with the group header it may need. False if there is none.
  bool Reserve(uint64_t body_bytes);

  // Gathers one frame, which is copied; `group` begins the group if it is the first since Write.
  void Add(const PendingFrame& frame, SequenceNumber sequence, const GroupBody& group);

  // Begins another group in the same write. `next` is the number of its first record.
  void AddGroup(SequenceNumber next, const GroupBody& group);

  // Gathers a kIdleMark frame at the next free place.
  void AddMark(SequenceNumber next, const GroupBody& group);

  // Gathers padding up to a block boundary, so that what follows shares no block
  // with what was written. False, and nothing gathered, if `bytes` do not fit
  // behind it.
  enum class Room : uint8_t { kWithinCapacity, kBeyondCapacity };
  bool PadToBlock(SequenceNumber next, uint64_t bytes, Room room);

  // Gathers the footer, cuts the file behind it and syncs.
  absl::Status Finish(SequenceNumber next, const GroupBody& group);

  // Writes what is gathered. An error for which IsPassing() holds leaves it gathered, to be
  // written again.
  absl::Status Write();
  // Writes what is gathered and not yet the header: that goes out with the next Write, when
  // the segment is to count. Until then it is a prepared one, which holds no record. Errors as
  // Write.
  absl::Status WriteAheadOfHeader();
  // Advice, before Sync(): the device gets to work on what is written.
  void BeginSync();
  absl::Status Sync();

  // Gives back memory that only load needs.
  void ReleaseMemory();
  // The frames that are written are durable beyond doubt, and need not be logged again.
  void ForgetSynced();

  // Where logging again would begin: the offset of a frame, the number of the first record
  // from there on, and the digest of the frames before it.
  struct Place {
    uint64_t offset = kFramesOffset;
    SequenceNumber next = 1;
    uint64_t digest = 0;
  };
  Place retained_from() const { return groups_.empty() ? synced_ : groups_.front(); }
  // Where that began which the last sync has covered.
  const Place& synced_from() const { return synced_begin_; }
  // Bytes from retained_from() on that the last sync has covered.
  uint64_t retained_synced_bytes() const {
    return std::max(synced_.offset, retained_from().offset) - retained_from().offset;
  }

  // The frames from retained_from() on, gathered ones included, in order.
  struct RetainedFrame {
    FrameHeader header;
    std::string_view body;
  };
  class RetainedFrames {
   public:
    explicit RetainedFrames(const SegmentWriter& writer);
    // The frame at which this stands; nullopt behind the last one.
    std::optional<RetainedFrame> Look() const;
    void Advance();

   private:
    const SegmentWriter* writer_;
    size_t chunk_ = 0;
    uint64_t offset_;  // in the file
  };

  // What it holds in memory, used or not.
  uint64_t memory_bytes() const;

  const SegmentHeader& header() const { return header_; }
  // Its header is written, though perhaps not durable.
  bool begun() const { return header_written_; }
  const std::string& name() const { return name_; }
  uint64_t gathered_bytes() const { return gathered_bytes_; }
  uint64_t unsynced_bytes() const { return unsynced_bytes_; }
  uint64_t written_bytes() const { return written_bytes_; }  // in all
  // The end of what was written, the digest of the frames up to there with those gathered, and
  // the number of the record after the last one written.
  uint64_t end() const { return offset_; }
  uint64_t digest() const { return digest_; }
  SequenceNumber written_next() const { return written_.next; }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  // A run of the file, as it is, or will be, written.
  struct Chunk {
    std::unique_ptr<char[], Free> bytes;
    uint64_t capacity = 0;
    uint64_t used = 0;
    uint64_t offset = 0;  // in the file, of the first byte

    uint64_t end() const { return offset + used; }
  };

  char* Stage(uint64_t bytes);
  void AppendStaged(uint64_t bytes);
  bool BeginChunk(uint64_t bytes);
  void RetainFrom(uint64_t offset);
  void ReleaseChunksBefore(uint64_t offset);
  void AppendGathered(std::vector<std::string_view>* pieces) const;
  absl::Status WriteOut();
  void PadWrite();
  absl::Status WriteGathered(std::string_view header);
  absl::Status WriteViews(uint64_t offset);
  void StartWriteBack();
  absl::Status GiveUp(absl::Status status);
  uint64_t next_offset() const { return offset_ + gathered_bytes_; }
  void AddControl(FrameType type, SequenceNumber next, uint32_t body_bytes, const char* body);

  const SegmentHeader header_;
  const WriteEnd write_end_;
  const std::string name_;
  const uint64_t segment_seed_;
  const uint64_t body_seed_;
  std::unique_ptr<File> file_;
  absl::Status status_;

  uint64_t offset_ = kFramesOffset;  // file offset behind what was written
  uint64_t digest_ = 0;
  SequenceNumber next_;  // number behind the last record gathered
  uint64_t unsynced_bytes_ = 0;
  uint64_t write_back_from_ = kFramesOffset;  // what is before it, the device has been told of
  uint64_t written_bytes_ = 0;
  bool header_written_ = false;
  uint64_t gathered_bytes_ = 0;
  bool in_group_ = false;  // what is gathered begins a group

  Place written_;             // the end of what is written
  Place synced_;              // the end of what the last sync covered,
  Place synced_begin_;        // and where that began
  std::deque<Place> groups_;  // where those begin that are retained

  // The frames from retained_from() on, or from before it, up to next_offset().
  std::vector<Chunk> chunks_;
  Chunk spare_;
  std::vector<std::string_view> views_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_WRITER_H_
