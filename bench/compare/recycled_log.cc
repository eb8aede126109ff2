#include "bench/compare/recycled_log.h"

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace millrace {

absl::Status FillLog(Log* log, uint64_t bytes, size_t record_bytes) {
  absl::StatusOr<std::unique_ptr<Producer>> producer = log->NewProducer();
  if (!producer.ok()) return producer.status();
  const std::string payload(record_bytes, 'f');
  for (uint64_t filled = 0; filled < bytes; filled += record_bytes) {
    const absl::Status status =
        (*producer)->Append(payload, {.durability = Durability::kBuffered}).status();
    if (!status.ok()) return status;
  }
  return log->Flush();
}

absl::StatusOr<std::unique_ptr<Log>> OpenRecycled(const std::string& directory,
                                                  uint64_t segment_bytes, Options options) {
  options.segment_bytes = segment_bytes;
  options.initial_segment_bytes = segment_bytes;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, options);
  if (!log.ok()) return log.status();
  const size_t record_bytes = std::min<uint64_t>(32 << 10, segment_bytes / 16);
  // Two segments wait to be used again, and one is prepared before that.
  for (int i = 0; i < 6; ++i) {
    absl::Status status = FillLog(log->get(), segment_bytes, record_bytes);
    if (!status.ok()) return status;
    status = (*log)->TrimBefore((*log)->last_durable());
    if (!status.ok()) return status;
  }
  if ((*log)->stats().recycled_segments == 0) {
    return absl::UnimplementedError("segments are not recycled on this file system");
  }
  return log;
}

Trimmer::Trimmer(Log* log) : log_(log), thread_([this] { Run(); }) {}

Trimmer::~Trimmer() {
  // relaxed: a request to end; join orders the rest.
  stopping_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void Trimmer::Run() {
  uint64_t rotations = log_->stats().rotations;
  SequenceNumber before = log_->last_durable();
  // relaxed: see the destructor.
  while (!stopping_.load(std::memory_order_relaxed)) {
    absl::SleepFor(absl::Milliseconds(2));
    const uint64_t now = log_->stats().rotations;
    if (now == rotations) continue;
    rotations = now;
    const SequenceNumber durable = log_->last_durable();
    log_->TrimBefore(before).IgnoreError();
    before = durable;
  }
}

}  // namespace millrace
