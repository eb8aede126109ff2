#ifndef MILLRACE_WAL_STATS_RECORDER_H_
#define MILLRACE_WAL_STATS_RECORDER_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "millrace/stats.h"
#include "queue/atomics.h"
#include "queue/cache_line.h"
#include "wal/histogram_recorder.h"
#include "wal/pending_age.h"
#include "wal/sync_reason.h"

namespace millrace {

// The moment `now` as a record carries it: microseconds in 32 bits, which wrap after 71
// minutes. Never 0, which says that the record carries none.
uint32_t MicrosecondStamp(Deadline now);

// Gathers the distributions of a log's LogStats, and what its writer knows at the moment.
//
// Fill() and RecordAppend() are thread-safe; the rest is the writer thread's, which pays
// plain loads and stores.
class StatsRecorder {
 public:
  // What the writer knows; replaced whole by each Publish().
  struct Levels {
    uint64_t records = 0;
    uint64_t groups = 0;
    uint64_t syncs = 0;
    uint64_t bytes_written = 0;
    uint64_t rotations = 0;
    uint64_t recycled_segments = 0;
    uint64_t fail_overs = 0;
    uint64_t unsynced_records = 0;
    uint64_t unsynced_bytes = 0;
    uint64_t active_bytes = 0;  // of the segment that is written to
  };

  // An append took `ns`. For those that waited for the writer and a sample of the others:
  // all threads add to one distribution. One for each thread would be 2 KiB for each of up to
  // 4096, and two contended additions are little beside a write that was waited for.
  void RecordAppend(uint64_t ns) { append_ns_.Record(ns); }

  // A write brought `records` in `bytes` to the file system.
  void RecordGroup(uint64_t records, uint64_t bytes, uint64_t ns);

  // A sync of segment data.
  void RecordSync(SyncReason reason, uint64_t ns);

  // A record that carries `accepted_us`, of MicrosecondStamp(), is acknowledged at `now_us`.
  // Does nothing if it carries none.
  void RecordAcknowledged(uint32_t accepted_us, uint32_t now_us) {
    // The difference is right across a wrap.
    if (accepted_us != 0) acknowledge_us_.Record(now_us - accepted_us);
  }

  void Publish(const Levels& levels);

  PendingAge& pending_age() { return pending_age_; }

  // Sets those fields of `stats` that this knows. `stats->pending` is already set: without
  // anything pending nothing is old. So is `stats->log_bytes`, to that of the segments that
  // are full.
  void Fill(Deadline now, LogStats* stats) const;

 private:
  using Recorder = HistogramRecorder<RecorderWriters::kOne>;

  // Written by producers.
  alignas(kCacheLineBytes) HistogramRecorder<RecorderWriters::kMany> append_ns_;

  // Written by the writer.
  alignas(kCacheLineBytes) PendingAge pending_age_;
  struct {
    std::atomic<uint64_t> records{0};
    std::atomic<uint64_t> groups{0};
    std::atomic<uint64_t> syncs{0};
    std::atomic<uint64_t> bytes_written{0};
    std::atomic<uint64_t> rotations{0};
    std::atomic<uint64_t> recycled_segments{0};
    std::atomic<uint64_t> fail_overs{0};
    std::atomic<uint64_t> unsynced_records{0};
    std::atomic<uint64_t> unsynced_bytes{0};
    std::atomic<uint64_t> active_bytes{0};
  } levels_;
  std::array<std::atomic<uint64_t>, kSyncReasons> sync_reasons_{};
  Recorder acknowledge_us_;
  Recorder write_ns_;
  Recorder sync_ns_;
  Recorder records_per_group_;
  Recorder bytes_per_group_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_STATS_RECORDER_H_
