#ifndef MILLRACE_WAL_LOG_SCOUT_H_
#define MILLRACE_WAL_LOG_SCOUT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/recovery.h"
#include "wal/segment_reader.h"

namespace millrace {

// Follows a log that another process may be writing, from the state in which
// recovery saw it: the marks it writes, and how far its last segment goes.
//
// Not thread-safe. Changes nothing.
class LogScout {
 public:
  enum class News : uint8_t {
    kSeen,        // the marks and the end below are up to date
    kNewSegment,  // records stand in a segment that this does not know: recover again
  };

  // `directory` outlives this.
  LogScout(Directory& directory, const RecoveredLog& log, RecoveryReport::Outcome outcome);
  LogScout(const LogScout&) = delete;
  LogScout& operator=(const LogScout&) = delete;

  absl::StatusOr<News> Look();

  // Looks only for what was given up, which is said before the first file goes:
  // to be asked when a file is gone.
  SequenceNumber LookAtFirstRetained();

  SequenceNumber mark() const { return mark_; }          // the highest number known durable
  SequenceNumber readable() const { return readable_; }  // the last record that is there
  SequenceNumber first_retained() const { return first_retained_; }
  uint64_t end() const { return offset_; }  // of the last segment's frames
  // True if the last thing written was that the log was closed in order.
  bool closed() const { return closed_; }

 private:
  absl::Status LookAtSuperblock();
  absl::StatusOr<bool> SegmentFollows();
  absl::StatusOr<bool> AddsRecords(uint64_t number);
  absl::Status LookAtHead();
  uint64_t FrameBytesAt(uint64_t offset);
  void TakeGroup(const GroupBody& group);

  Directory& directory_;
  const LogId log_id_;
  const uint64_t epoch_;
  const std::optional<ChainSegment> head_;
  SequenceNumber mark_;
  SequenceNumber stated_mark_;  // mark_, once it is known that no segment is missed
  const SequenceNumber known_;  // the last number that recovery accounted for
  SequenceNumber readable_;
  SequenceNumber first_retained_;
  bool closed_;

  // The last segment, if it is there, and how far its frames were seen.
  std::unique_ptr<File> file_;
  std::optional<SegmentReader> reader_;
  uint64_t offset_ = kFramesOffset;
  SequenceNumber next_ = 1;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_LOG_SCOUT_H_
