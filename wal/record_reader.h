#ifndef MILLRACE_WAL_RECORD_READER_H_
#define MILLRACE_WAL_RECORD_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "millrace/cursor.h"
#include "millrace/file_system.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/segment_list.h"
#include "wal/segment_reader.h"

namespace millrace {

// A place in a segment from which reading can start: the beginning of a group,
// so that its time is read too.
struct ReadPosition {
  uint64_t segment = 0;  // 0: none
  uint64_t incarnation = 0;
  uint64_t offset = 0;
  SequenceNumber sequence = kNoSequence;  // of the first record from there on
};

// Reads the records of a chain of segments in order of sequence number, and names
// those that cannot be read. Each number is either returned or part of one lost
// range. Damage is never an error.
//
// Reads beside the writer, up to a limit that the caller knows to be written.
// Holds on to the segment it is in, which keeps its file from being reused.
// Nothing is allocated per record. Not thread-safe.
class RecordReader {
 public:
  enum class Kind : uint8_t {
    kRecord,   // see record()
    kLost,     // see lost()
    kAtLimit,  // all up to the limit was returned
    kError,    // see status(); nothing was passed over, the call may be repeated
  };

  struct Entry {
    SequenceNumber sequence = kNoSequence;
    int64_t time_ns = 0;  // of the group; of the last one known where that one is lost
    RecordView record;
  };

  // The oldest record not trimmed, at the moment of the call.
  using FirstRetained = absl::AnyInvocable<SequenceNumber() const>;

  // Starts at the record `next`; `start` is the segment that SegmentList::Find
  // gives for it. `directory` outlives this.
  RecordReader(Directory& directory, const LogId& log_id, std::shared_ptr<SegmentNode> start,
               SequenceNumber next, FirstRetained first_retained);
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;
  ~RecordReader();

  // Lets reading begin at `hint` if it is in the first segment, before `next`,
  // and there is a frame; otherwise it changes nothing. Before the first Next.
  void UseHint(const ReadPosition& hint) { hint_ = hint; }

  // The next record or loss numbered up to `limit`, which must be written, and
  // acquired from whoever wrote it.
  Kind Next(SequenceNumber limit);

  // As many of the records without key and attributes that come next as fit `out`, and were read
  // from the file before. Returns how many; of 0 nothing follows. Their time is time_ns().
  using PlainRecord = SegmentReader::PlainRecord;
  size_t NextPlain(SequenceNumber limit, std::span<PlainRecord> out);
  // Takes back `first`, of what the last call of NextPlain gave, and those behind it.
  void GiveBack(const PlainRecord& first);
  int64_t time_ns() const { return time_ns_; }

  // After kRecord; until the next call.
  const Entry& record() const { return entry_; }
  // After kLost. `acknowledgement` is for the caller, who knows the mark.
  const LostRange& lost() const { return lost_; }
  // After kError.
  const absl::Status& status() const { return status_; }

  // What comes next, if it is there.
  SequenceNumber next_sequence() const { return next_; }
  // From where to read next_sequence() again.
  ReadPosition position() const;
  // After kRecord: the segment it stands in, and where the record's frame begins.
  const SegmentNode& segment() const { return *node_; }
  uint64_t frame_offset() const { return frame_offset_; }

 private:
  // One batch, of which some records are still to be returned.
  struct Batch {
    std::string_view body;
    uint64_t offset = 0;  // in the body, of the next record
    uint16_t count = 0;
    uint16_t index = 0;  // of the next record; == count: none left
  };

  enum class Identity : uint8_t { kOurs, kForeign, kUnknown };

  // These return nothing where the caller is to go on.
  std::optional<Kind> OpenSegment(SequenceNumber limit);
  std::optional<Kind> ReadSegment(SequenceNumber limit);
  bool EndsElsewhere(const SegmentNode::Ending* ending) const;
  std::optional<Kind> TakeFrame(const SegmentReader::Step& step);
  std::optional<Kind> TakeDamage(const SegmentReader::Step& step, SequenceNumber highest,
                                 uint64_t end, const SegmentNode::Ending* ending);

  void SetEntry(SequenceNumber sequence, std::string_view body, uint8_t flags);
  Kind DeliverBatched();
  void BeginBatch(const SegmentReader::Step& step);
  Kind Lose(SequenceNumber last, uint64_t segment, uint64_t begin, uint64_t end, LossCause cause);
  std::optional<Kind> LoseFile(SequenceNumber limit, const SegmentNode::Ending* ending,
                               LossCause cause);
  Kind LoseGap(SequenceNumber last);
  Kind Fail(absl::Status status);
  Identity CheckHeader();
  void Start();
  void Refresh(SequenceNumber fresh_up_to);
  void NextSegment(const SegmentNode::Ending& ending);

  Directory& directory_;
  const LogId log_id_;
  const FirstRetained first_retained_;
  std::shared_ptr<SegmentNode> node_;
  SequenceNumber next_;
  ReadPosition hint_;

  // The segment before node_, for telling where a gap between the two is.
  uint64_t previous_number_ = 0;
  uint64_t previous_end_ = 0;

  // The open segment, if any.
  std::unique_ptr<File> file_;
  std::optional<SegmentReader> reader_;
  uint64_t file_end_ = 0;           // no frame stands there or later
  SequenceNumber fresh_up_to_ = 0;  // what is buffered was read when this was written
  bool confirming_ = false;         // damage was met, and the bytes are read a second time
  ReadPosition group_;              // the last group met
  int64_t time_ns_ = 0;             // its time
  Batch batch_;
  uint64_t frame_offset_ = 0;  // of the last record, or the batch it is in

  Entry entry_;
  LostRange lost_;
  absl::Status status_;
};

// As the public interface shows it: fills `record`, which is new. The views are
// those of `entry`.
void ShowRecord(const RecordReader::Entry& entry, Record* record);
inline Record ToRecord(const RecordReader::Entry& entry) {
  Record record;
  ShowRecord(entry, &record);
  return record;
}

}  // namespace millrace

#endif  // MILLRACE_WAL_RECORD_READER_H_
