#ifndef MILLRACE_WAL_QUEUE_FULL_WATCH_H_
#define MILLRACE_WAL_QUEUE_FULL_WATCH_H_

#include <chrono>
#include <cstdint>
#include <optional>

#include "queue/atomics.h"

namespace millrace {

// Decides when it is said that the queue was full: at once the first time, then once a second
// for as long as it goes on. Every append is in exactly one of what it gives.
//
// Not thread-safe.
class QueueFullWatch {
 public:
  // What came since the last one.
  struct Report {
    uint64_t waited;
    uint64_t refused;
    uint64_t dropped;
  };

  // The counts are since the log was opened, and never fall.
  std::optional<Report> Look(Deadline now, uint64_t waited, uint64_t refused, uint64_t dropped) {
    due_ = kNoDeadline;
    if (waited == said_.waited && refused == said_.refused && dropped == said_.dropped) {
      return std::nullopt;
    }
    if (now < next_) {
      due_ = next_;
      return std::nullopt;
    }
    next_ = now + std::chrono::seconds(1);
    return Say(waited, refused, dropped);
  }

  // What is not said yet, for the log's end.
  std::optional<Report> LookForTheLastTime(uint64_t waited, uint64_t refused, uint64_t dropped) {
    next_ = Deadline::min();
    return Look(Deadline(), waited, refused, dropped);
  }

  // When to look again, even if nothing happens: something is not said yet.
  Deadline due() const { return due_; }

 private:
  Report Say(uint64_t waited, uint64_t refused, uint64_t dropped) {
    const Report report = {waited - said_.waited, refused - said_.refused, dropped - said_.dropped};
    said_ = {waited, refused, dropped};
    return report;
  }

  Report said_ = {0, 0, 0};
  Deadline next_ = Deadline::min();
  Deadline due_ = kNoDeadline;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_QUEUE_FULL_WATCH_H_
