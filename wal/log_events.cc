#include "wal/log_events.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "wal/strings.h"

namespace millrace {
namespace {

std::string_view OutcomeValue(RecoveryReport::Outcome outcome) {
  switch (outcome) {
    case RecoveryReport::Outcome::kCreated:
      return "created";
    case RecoveryReport::Outcome::kClean:
      return "clean";
    case RecoveryReport::Outcome::kRecovered:
      return "recovered";
  }
  return "unknown";
}

std::string Text(const absl::Status& status) {
  return status.ok() ? std::string() : status.ToString();
}

// "records 3..5", for a person.
std::string Records(SequenceNumber first, SequenceNumber last) {
  if (last < first) return "no records";
  if (first == last) return absl::StrCat("record ", first);
  return absl::StrCat("records ", first, "..", last);
}

}  // namespace

void LogEvents::Opened(const RecoveryReport& report) {
  if (!to_->enabled()) return;
  const std::string outcome(OutcomeValue(report.outcome));
  to_->Post(EventKind::kOpened,
            absl::StrCat("opened (", outcome,
                         "): ", Records(report.first_retained, report.last_recovered),
                         ", the next is ", report.next_sequence),
            {{"outcome", outcome},
             {"first", absl::StrCat(report.first_retained)},
             {"last", absl::StrCat(report.last_recovered)},
             {"epoch", absl::StrCat(report.epoch)}});
  const uint64_t lost = report.records_lost();
  if (report.tail_bytes != 0 || !report.lost.empty()) {
    to_->Post(
        EventKind::kRecovered,
        absl::StrCat("recovered: ", lost, " records lost, ", report.tail_bytes,
                     " bytes of unacknowledged tail cut with ", report.tail_records_dropped,
                     " whole records; see Log::recovery()"),
        {{"lost_records", absl::StrCat(lost)}, {"tail_bytes", absl::StrCat(report.tail_bytes)}});
  }
  for (const LostRange& range : report.lost) {
    to_->Post(EventKind::kRecordsLost,
              absl::StrCat("lost ", range.ToString(),
                           "; restore them from a backup or a replica, and check the disk"),
              {{"first", absl::StrCat(range.first)},
               {"last", absl::StrCat(range.last)},
               {"segment", absl::StrCat(range.segment)},
               {"cause", std::string(LossCauseName(range.cause))}});
  }
}

void LogEvents::SegmentRotated(uint64_t segment, SequenceNumber first, uint64_t bytes) {
  if (!to_->enabled()) return;
  to_->Post(
      EventKind::kSegmentRotated,
      absl::StrCat("segment ", segment, " is full: ", bytes, " bytes from record ", first, " on"),
      {{"segment", absl::StrCat(segment)},
       {"first", absl::StrCat(first)},
       {"bytes", absl::StrCat(bytes)}});
}

void LogEvents::Trimmed(SequenceNumber first_retained, uint64_t segments) {
  if (!to_->enabled()) return;
  to_->Post(
      EventKind::kTrimmed,
      absl::StrCat("trimmed ", segments, " segments; the oldest record is now ", first_retained),
      {{"first_retained", absl::StrCat(first_retained)}, {"segments", absl::StrCat(segments)}});
}

void LogEvents::Truncated(SequenceNumber after, uint64_t epoch, uint64_t dropped_records) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kTruncated,
            absl::StrCat("truncated after record ", after, ": ", dropped_records,
                         " records dropped, epoch ", epoch, " begins"),
            {{"after", absl::StrCat(after)},
             {"epoch", absl::StrCat(epoch)},
             {"dropped_records", absl::StrCat(dropped_records)}});
}

void LogEvents::SlowSync(absl::Duration took, uint64_t bytes, absl::Duration bound) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kSlowSync,
            absl::StrCat("a sync of ", bytes, " bytes took ", absl::FormatDuration(took),
                         ", over Options::slow_sync = ", absl::FormatDuration(bound),
                         ": look at what else uses the disk, and at its health"),
            {{"microseconds", absl::StrCat(absl::ToInt64Microseconds(took))},
             {"bytes", absl::StrCat(bytes)}});
}

void LogEvents::QueueFull(uint64_t waited, uint64_t refused, uint64_t dropped) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kQueueFull,
            absl::StrCat("the queue was full: ", waited, " appends waited, ", refused,
                         " records were refused, ", dropped,
                         " dropped; raise Options::queue_records and queue_bytes for bursts, "
                         "append less or sync less often for a lasting load"),
            {{"waited", absl::StrCat(waited)},
             {"refused", absl::StrCat(refused)},
             {"dropped", absl::StrCat(dropped)}});
}

void LogEvents::CursorLagging(std::string_view cursor, uint64_t records, uint64_t bytes,
                              uint64_t bound) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kCursorLagging,
            absl::StrCat("cursor ", ToAbsl(cursor), " is ", records, " records behind, in ", bytes,
                         " bytes of segments, over Options::lagging_cursor_bytes = ", bound,
                         ": let it consume and checkpoint, or delete it; it holds trimming back"),
            {{"cursor", std::string(cursor)},
             {"records", absl::StrCat(records)},
             {"bytes", absl::StrCat(bytes)}});
}

void LogEvents::CursorSetBack(std::string_view cursor, SequenceNumber from, SequenceNumber to) {
  if (!to_->enabled()) return;
  to_->Post(
      EventKind::kCursorSetBack,
      absl::StrCat("cursor ", ToAbsl(cursor), " was set back from ", from, " to ", to,
                   ": the records between were truncated; undo what they had caused"),
      {{"cursor", std::string(cursor)}, {"from", absl::StrCat(from)}, {"to", absl::StrCat(to)}});
}

void LogEvents::Corruption(std::string_view cursor, const LostRange& lost) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kCorruption,
            absl::StrCat("cursor ", ToAbsl(cursor), " met damage: ", lost.ToString(),
                         "; run `millrace verify` on the log, and check the disk"),
            {{"cursor", std::string(cursor)},
             {"first", absl::StrCat(lost.first)},
             {"last", absl::StrCat(lost.last)},
             {"segment", absl::StrCat(lost.segment)},
             {"cause", std::string(LossCauseName(lost.cause))}});
}

void LogEvents::CheckpointFailed(std::string_view cursor, const absl::Status& error) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kCheckpointFailed,
            absl::StrCat("the checkpoint of cursor ", ToAbsl(cursor), " failed: ", Text(error),
                         "; after a restart records since its last one come again"),
            {{"cursor", std::string(cursor)}, {"error", Text(error)}});
}

void LogEvents::CheckpointsLost(std::string_view file, const absl::Status& error) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kCheckpointsLost,
            absl::StrCat("checkpoints in ", ToAbsl(file), " cannot be used: ", Text(error),
                         "; cursors go on from earlier ones, and records come again"),
            {{"file", std::string(file)}, {"error", Text(error)}});
}

void LogEvents::DiskFull(const absl::Status& error) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kDiskFull,
            absl::StrCat("no space, and accepted records are held until there is: ", Text(error),
                         "; TrimBefore makes space, too"),
            {{"error", Text(error)}});
}

void LogEvents::DiskFullOver(absl::Duration duration) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kDiskFullOver,
            absl::StrCat("there is space again after ", absl::FormatDuration(duration),
                         ": what was held is written"),
            {{"milliseconds", absl::StrCat(absl::ToInt64Milliseconds(duration))}});
}

void LogEvents::FailedOver(const CoreObserver::FailOverReport& report) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kFailedOver,
            absl::StrCat("segment ", report.segment, " failed, and the log goes on in segment ",
                         report.fresh, ", where ", Records(report.first, report.last),
                         " were logged again: ", Text(report.error),
                         "; check the device and the kernel's log"),
            {{"segment", absl::StrCat(report.segment)},
             {"fresh", absl::StrCat(report.fresh)},
             {"first", absl::StrCat(report.first)},
             {"last", absl::StrCat(report.last)},
             {"error", Text(report.error)}});
  if (report.risk_last < report.risk_first) return;
  to_->Post(EventKind::kDataLossRisk,
            absl::StrCat(Records(report.risk_first, report.risk_last), " in segment ",
                         report.segment, " were synced before, which that error may be about",
                         "; run `millrace verify` on the log once it is closed, and back it up"),
            {{"first", absl::StrCat(report.risk_first)},
             {"last", absl::StrCat(report.risk_last)},
             {"segment", absl::StrCat(report.segment)}});
}

void LogEvents::LogFailed(const absl::Status& error) {
  if (!to_->enabled()) return;
  to_->Post(EventKind::kLogFailed,
            absl::StrCat("the log failed and accepts nothing more: ", Text(error),
                         "; mend the cause, then close the log and open it again"),
            {{"error", Text(error)}});
}

void LogEvents::Closed(SequenceNumber last, const absl::Status& error) {
  if (!to_->enabled()) return;
  const std::string how = error.ok() ? "in order" : absl::StrCat("after an error: ", Text(error));
  to_->Post(EventKind::kClosed, absl::StrCat("closed ", how, "; the last durable record is ", last),
            {{"last", absl::StrCat(last)}, {"error", Text(error)}});
}

}  // namespace millrace
