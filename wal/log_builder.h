#ifndef MILLRACE_WAL_LOG_BUILDER_H_
#define MILLRACE_WAL_LOG_BUILDER_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/segment_writer.h"

namespace millrace {

// Records that share one frame: one record, or a batch.
struct BuiltFrame {
  SequenceNumber sequence = kNoSequence;  // of the first
  int64_t time_ns = 0;
  FrameType type = FrameType::kRecord;
  uint8_t flags = 0;
  uint16_t count = 1;
  std::string_view body;
};

// Writes a whole log from records that have their numbers already: segments with the marks of a
// log that was closed in order, cursors, superblock. Numbers that are left out are so by the
// header of a segment that begins behind them, which vouches that they were acknowledged: readers
// name them as lost.
//
// Takes no lock; until Finish has returned the directory is no log, and it is for the caller to
// see that nobody takes it for one. Not thread-safe.
class LogBuilder {
 public:
  struct Options {
    SequenceNumber first_retained = 1;
    uint64_t segment_bytes = uint64_t{64} << 20;
  };

  // Both outlive this. Draws a log id: two logs that each go on on their own are two.
  static absl::StatusOr<std::unique_ptr<LogBuilder>> Create(FileSystem& file_system,
                                                            Directory& directory,
                                                            const Options& options);

  // `frame.sequence` is above that of what was added before.
  absl::Status Add(const BuiltFrame& frame);

  // A cursor that has consumed everything up to `committed`.
  absl::Status AddCursor(std::string_view name, SequenceNumber committed);

  // Makes everything durable. The next record appended gets the number `next`.
  absl::Status Finish(SequenceNumber next);

  uint64_t body_seed() const { return body_seed_; }
  uint64_t segments() const { return number_; }
  uint64_t bytes() const { return bytes_ + (segment_ == nullptr ? 0 : segment_->written_bytes()); }

 private:
  LogBuilder(FileSystem& file_system, Directory& directory, const Options& options)
      : file_system_(file_system), directory_(directory), options_(options) {}

  absl::StatusOr<uint64_t> DrawIncarnation();
  absl::Status BeginSegment(SequenceNumber first, int64_t time_ns, uint64_t body_bytes);
  absl::Status EndSegment();
  absl::Status WriteSuperblock(SequenceNumber mark);
  GroupBody Group(SequenceNumber next) const;

  FileSystem& file_system_;
  Directory& directory_;
  const Options options_;
  LogId log_id_ = {};
  uint64_t body_seed_ = 0;

  std::unique_ptr<SegmentWriter> segment_;
  uint64_t number_ = 0;      // of the segment
  SequenceNumber next_ = 1;  // behind the last record added
  int64_t time_ns_ = 0;      // of the group that is gathered
  Predecessor predecessor_;  // of the next segment
  uint64_t bytes_ = 0;       // of the segments before
};

}  // namespace millrace

#endif  // MILLRACE_WAL_LOG_BUILDER_H_
