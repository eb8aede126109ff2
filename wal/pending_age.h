#ifndef MILLRACE_WAL_PENDING_AGE_H_
#define MILLRACE_WAL_PENDING_AGE_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/time/time.h"
#include "queue/atomics.h"

namespace millrace {

// Knows a moment before which nothing that is still pending was put into the queue.
//
// A drain finds all that was enqueued before it began. So once all that a drain brought is
// finished, whatever is pending was enqueued after that drain began; and until then, after
// the one before it had begun. A writer that slept for an hour would make that an hour: but it
// sleeps only with an empty queue, and the first element wakes it, or, if it was on its way just
// then, is found within a millisecond. So what is found then was enqueued shortly before it woke.
//
// It costs the writer a reading of the clock for each drain, and producers nothing.
//
// Oldest() is thread-safe; the rest is the writer's.
class PendingAge {
 public:
  // Before each drain of the queue.
  void DrainBegins(Deadline now) { began_ = now; }

  // All that the drain brought is finished; also of one that brought nothing.
  void DrainFinished() { Publish(Nanoseconds(began_)); }

  // Around waiting for work; the writer begins by waking, before it can be given any.
  void Sleeps() { Publish(kAsleep); }
  void Wakes(Deadline now) { Publish(Nanoseconds(now)); }

  // Nothing that is pending has been in the queue for longer, but for what waking the
  // writer takes, or a millisecond.
  absl::Duration Oldest(Deadline now) const {
    // relaxed: a number to report; nothing is read through it.
    const int64_t since = since_ns_.load(std::memory_order_relaxed);
    if (since == kAsleep) return absl::ZeroDuration();
    const int64_t age = Nanoseconds(now) - since;
    return age < 0 ? absl::ZeroDuration() : absl::Nanoseconds(age);
  }

 private:
  static constexpr int64_t kAsleep = INT64_MIN;

  static int64_t Nanoseconds(Deadline moment) {
    return std::chrono::nanoseconds(moment.time_since_epoch()).count();
  }
  void Publish(int64_t since_ns) {
    // relaxed: as in Oldest().
    since_ns_.store(since_ns, std::memory_order_relaxed);
  }

  Deadline began_;
  std::atomic<int64_t> since_ns_{kAsleep};
};

}  // namespace millrace

#endif  // MILLRACE_WAL_PENDING_AGE_H_
