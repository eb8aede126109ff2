#include "wal/core_meter.h"

#include <utility>

namespace millrace {

uint64_t CoreMeter::NanosecondsSinceBegin() const {
  return static_cast<uint64_t>(std::chrono::nanoseconds(clock_() - began_).count());
}

void CoreMeter::WriteEnded(uint64_t records, uint64_t bytes) {
  stats_->RecordGroup(records, bytes, NanosecondsSinceBegin());
}

void CoreMeter::SyncEnded(SyncReason reason, uint64_t bytes) {
  const uint64_t ns = NanosecondsSinceBegin();
  stats_->RecordSync(reason, ns);
  const absl::Duration took = absl::Nanoseconds(ns);
  if (took > slow_sync_) events_->SlowSync(took, bytes, slow_sync_);
}

void CoreMeter::Rotated(uint64_t segment, SequenceNumber first, uint64_t bytes) {
  rotated_ = true;
  events_->SegmentRotated(segment, first, bytes);
}

bool CoreMeter::TakeRotated() { return std::exchange(rotated_, false); }

}  // namespace millrace
