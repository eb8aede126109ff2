#ifndef MILLRACE_STATS_H_
#define MILLRACE_STATS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "millrace/language.h"
#include "millrace/sequence.h"

namespace millrace {

// A distribution of values. A bucket holds values that differ by at most a quarter, so a
// percentile is too high by at most that.
struct Histogram {
  // Bucket i < 4 holds the value i; after that four buckets to each power of two.
  static constexpr size_t kBuckets = size_t{4} * 63;

  uint64_t count = 0;
  uint64_t sum = 0;
  uint64_t max = 0;
  std::array<uint64_t, kBuckets> buckets{};

  static size_t BucketOf(uint64_t value);
  static uint64_t HighestOf(size_t bucket);

  // The value that `percent` (0 to 100) of all do not exceed; 0 if there are none.
  uint64_t Percentile(double percent) const;
  double Mean() const {
    return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
  }
};

// Why the writer synced. One sync may have several reasons; the first that holds is counted.
struct SyncReasons {
  uint64_t durable_append = 0;
  uint64_t flush = 0;
  uint64_t policy_records = 0;   // SyncPolicy::records
  uint64_t policy_bytes = 0;     // SyncPolicy::bytes
  uint64_t policy_interval = 0;  // SyncPolicy::interval
  uint64_t unsynced_bytes = 0;   // Options::unsynced_bytes
  uint64_t rotation = 0;         // a segment was full
  uint64_t idle_mark = 0;        // nothing to do for Options::idle_mark_delay
  uint64_t trim = 0;             // TrimBefore, TruncateAfter
  uint64_t close = 0;
};

// How far a cursor is behind, by its durable checkpoint.
struct CursorStatus {
  std::string name;
  bool open = false;  // in this process
  SequenceNumber checkpointed = kNoSequence;
  uint64_t lag_records = 0;  // durable and not consumed
  uint64_t lag_bytes = 0;    // of the segments that hold them: a whole one more at most
};

// Counts since the log was opened, and how it stands now. Taken without stopping anything.
//
// Of the records that appends brought, at every moment:
//
//   accepted = acknowledged + failed + pending
//
// all four taken at one moment. Dropped and refused ones were never accepted. The other
// counts are each exact; together they may straddle a group.
struct LogStats {
  uint64_t accepted = 0;      // records taken in
  uint64_t acknowledged = 0;  // became as durable as was asked for; buffered ones: were written
  uint64_t failed = 0;        // will not: the log failed, or they were withdrawn
  uint64_t pending = 0;       // neither yet
  uint64_t withdrawn = 0;     // of the failed ones: after a deadline, or by Ticket::Withdraw

  uint64_t waited_appends = 0;   // found the queue full and waited
  uint64_t refused_records = 0;  // found the queue full: WhenFull::kFail, or the timeout passed
  uint64_t dropped_records = 0;  // WhenFull::kDropNewest

  uint64_t records = 0;        // given a sequence number
  uint64_t groups = 0;         // writes that carried records
  uint64_t syncs = 0;          // of segment data
  uint64_t bytes_written = 0;  // to segments, headers included
  uint64_t rotations = 0;
  uint64_t recycled_segments = 0;
  uint64_t fail_overs = 0;         // to another segment, after a failed write or sync
  uint64_t prepared_segments = 0;  // that were ready when rotation needed them
  SyncReasons sync_reasons;

  // Of the time that calls of Append took, in ns: each that waited for the writer, one
  // in 64 of the buffered ones.
  Histogram append_ns;
  // From taking a record in to acknowledging it, in us, whoever is told; of buffered ones one
  // in 64.
  Histogram acknowledge_us;
  Histogram write_ns;           // one write of a group
  Histogram sync_ns;            // one sync of segment data
  Histogram records_per_group;  // groups as the file system got them
  Histogram bytes_per_group;

  // As of now.
  uint64_t queue_records = 0;  // not yet done with, flushes included
  uint64_t queue_bytes = 0;
  uint64_t producer_memory_bytes = 0;
  uint64_t unsynced_records = 0;  // written, not durable
  uint64_t unsynced_bytes = 0;
  bool disk_full = false;  // what was accepted is held until there is space
  // No pending record has been in the queue for longer, but for what waking the writer takes, or a
  // millisecond.
  // Zero if none is pending.
  absl::Duration oldest_pending = absl::ZeroDuration();
  uint64_t segments = 0;     // that hold the log
  uint64_t log_bytes = 0;    // of their files, up to where their frames end
  uint64_t spare_bytes = 0;  // of files prepared, or waiting to be used again
  SequenceNumber last_written = kNoSequence;
  SequenceNumber last_durable = kNoSequence;
  SequenceNumber first_retained = 1;
  std::vector<CursorStatus> cursors;  // in order of name
};

// The stats of one of several logs. Not owned.
struct NamedStats {
  const LogStats* stats = nullptr;
  std::string_view log;  // what its samples are labelled with
};

// In the text format that Prometheus reads; each name begins with `millrace_`, each sample
// carries log="`log`". Times are in seconds, as is the custom there. The format wants all
// samples of a metric together, so several logs go into one text by the second form.
std::string ToPrometheusText(const LogStats& stats, std::string_view log);
std::string ToPrometheusText(std::span<const NamedStats> logs);

}  // namespace millrace

#endif  // MILLRACE_STATS_H_
