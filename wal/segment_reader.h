#ifndef MILLRACE_WAL_SEGMENT_READER_H_
#define MILLRACE_WAL_SEGMENT_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "millrace/file_system.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/format.h"

namespace millrace {

// Walks the frames of one segment's file and says where and why they end.
//
// At a place where no valid frame in sequence stands it looks for the next one,
// in steps of 8 bytes, and reports what lies between as lost. Whether the end of
// the frames is the end of the records, a torn tail or a loss is for the caller,
// who knows the mark.
//
// Not thread-safe. Holds one buffer, which grows to the largest frame met.
class SegmentReader {
 public:
  enum class Kind : uint8_t {
    kFrame,    // a frame, header and body intact and in sequence
    kLost,     // damage, after which valid frames go on at `lost.end`
    kEnd,      // no valid frame from `offset` up to the limit
    kUnknown,  // an intact frame of a type or with flags of a newer version
    kError,    // the device returned an error that is not a damaged range (-error)
  };

  struct Step {
    Kind kind = Kind::kEnd;
    uint64_t offset = 0;     // of the frame, or where the frames end
    FrameHeader header;      // kFrame
    std::string_view frame;  // kFrame: header, body and padding; until the next call
    std::string_view body() const { return frame.substr(kFrameHeaderBytes, header.body_bytes); }
    LostRange lost;  // kLost; segment, begin, end, first, last and cause are set
    LossCause end_cause = LossCause::kZeroed;  // kEnd: what stands at `offset`
    uint64_t nonzero_bytes = 0;  // kEnd: bytes that are not zero between there and the limit
    IoResult error = 0;          // kError
  };

  // `file` is not owned and outlives this.
  SegmentReader(File* file, const LogId& log_id, uint64_t number, uint64_t incarnation);
  ~SegmentReader();

  // Goes to a frame boundary where the record `next` is expected (kNoSequence:
  // whichever stands there), and forgets what was buffered.
  void Seek(uint64_t offset, SequenceNumber next);

  // The next frame that ends at or below `limit` (a file offset; the file's size
  // may be less) and whose records are numbered up to `highest`. Reads nothing at
  // or beyond `limit`, so that it may be raised and the call repeated after kEnd:
  // that, and kUnknown, leave the reader where it is.
  Step Next(uint64_t limit, SequenceNumber highest);

  struct PlainRecord {
    uint64_t offset;  // of its frame
    SequenceNumber sequence;
    std::string_view body;  // until the next call
  };

  // Next() for as many as fit `out`, sooner, as long as these are records without key and
  // attributes, in sequence and whole in the buffer, as most are. Returns how many. What follows is
  // none, or is not known to be.
  size_t NextPlain(uint64_t limit, SequenceNumber highest, std::span<PlainRecord> out);
  // Takes back `first`, of what the last call of NextPlain gave, and those behind it.
  void GiveBack(const PlainRecord& first);

  uint64_t offset() const;
  SequenceNumber next_sequence() const;
  uint64_t bytes_read() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_READER_H_
