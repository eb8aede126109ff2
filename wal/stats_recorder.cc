#include "wal/stats_recorder.h"

#include <chrono>

namespace millrace {

uint32_t MicrosecondStamp(Deadline now) {
  using std::chrono::microseconds;
  const auto us = std::chrono::duration_cast<microseconds>(now.time_since_epoch()).count();
  const uint32_t stamp = static_cast<uint32_t>(us);
  return stamp == 0 ? 1 : stamp;
}

void StatsRecorder::RecordGroup(uint64_t records, uint64_t bytes, uint64_t ns) {
  records_per_group_.Record(records);
  bytes_per_group_.Record(bytes);
  write_ns_.Record(ns);
}

void StatsRecorder::RecordSync(SyncReason reason, uint64_t ns) {
  std::atomic<uint64_t>& count = sync_reasons_[static_cast<size_t>(reason)];
  // relaxed, both: a number to report, that only this thread writes.
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  sync_ns_.Record(ns);
}

void StatsRecorder::Publish(const Levels& levels) {
  // relaxed, all: numbers to report; nothing is read through them.
  levels_.records.store(levels.records, std::memory_order_relaxed);
  levels_.groups.store(levels.groups, std::memory_order_relaxed);
  levels_.syncs.store(levels.syncs, std::memory_order_relaxed);
  levels_.bytes_written.store(levels.bytes_written, std::memory_order_relaxed);
  levels_.rotations.store(levels.rotations, std::memory_order_relaxed);
  levels_.recycled_segments.store(levels.recycled_segments, std::memory_order_relaxed);
  levels_.fail_overs.store(levels.fail_overs, std::memory_order_relaxed);
  // relaxed, all: as above.
  levels_.unsynced_records.store(levels.unsynced_records, std::memory_order_relaxed);
  levels_.unsynced_bytes.store(levels.unsynced_bytes, std::memory_order_relaxed);
  levels_.active_bytes.store(levels.active_bytes, std::memory_order_relaxed);
}

void StatsRecorder::Fill(Deadline now, LogStats* stats) const {
  // relaxed, all: as in Publish().
  stats->records = levels_.records.load(std::memory_order_relaxed);
  stats->groups = levels_.groups.load(std::memory_order_relaxed);
  stats->syncs = levels_.syncs.load(std::memory_order_relaxed);
  stats->bytes_written = levels_.bytes_written.load(std::memory_order_relaxed);
  stats->rotations = levels_.rotations.load(std::memory_order_relaxed);
  stats->recycled_segments = levels_.recycled_segments.load(std::memory_order_relaxed);
  stats->fail_overs = levels_.fail_overs.load(std::memory_order_relaxed);
  // relaxed, all: as above.
  stats->unsynced_records = levels_.unsynced_records.load(std::memory_order_relaxed);
  stats->unsynced_bytes = levels_.unsynced_bytes.load(std::memory_order_relaxed);
  stats->log_bytes += levels_.active_bytes.load(std::memory_order_relaxed);
  const auto syncs_for = [this](SyncReason reason) {
    // relaxed: as above.
    return sync_reasons_[static_cast<size_t>(reason)].load(std::memory_order_relaxed);
  };
  SyncReasons& reasons = stats->sync_reasons;
  reasons.durable_append = syncs_for(SyncReason::kDurableAppend);
  reasons.flush = syncs_for(SyncReason::kFlush);
  reasons.policy_records = syncs_for(SyncReason::kPolicyRecords);
  reasons.policy_bytes = syncs_for(SyncReason::kPolicyBytes);
  reasons.policy_interval = syncs_for(SyncReason::kPolicyInterval);
  reasons.unsynced_bytes = syncs_for(SyncReason::kUnsyncedBytes);
  reasons.rotation = syncs_for(SyncReason::kRotation);
  reasons.idle_mark = syncs_for(SyncReason::kIdleMark);
  reasons.trim = syncs_for(SyncReason::kTrim);
  reasons.close = syncs_for(SyncReason::kClose);

  stats->append_ns = append_ns_.Snapshot();
  stats->acknowledge_us = acknowledge_us_.Snapshot();
  stats->write_ns = write_ns_.Snapshot();
  stats->sync_ns = sync_ns_.Snapshot();
  stats->records_per_group = records_per_group_.Snapshot();
  stats->bytes_per_group = bytes_per_group_.Snapshot();
  stats->oldest_pending = stats->pending == 0 ? absl::ZeroDuration() : pending_age_.Oldest(now);
}

}  // namespace millrace
