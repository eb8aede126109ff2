// What the writer does while there is no space, and what it tells the log's owner of.

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "wal/committer.h"
#include "wal/cursor_lag.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

// While there is no space: how long until it is tried again, at first and in the end, and how
// often commands are looked for meanwhile.
constexpr std::chrono::milliseconds kFirstRetry{10};
constexpr std::chrono::milliseconds kLastRetry{250};
constexpr std::chrono::milliseconds kHoldingStep{5};

// How often it is looked whether the queue was full: that adds up what all producers count.
constexpr std::chrono::milliseconds kWatchInterval{100};

Deadline SteadyNow() { return std::chrono::steady_clock::now(); }

}  // namespace

// Has the core do `call`; as long as there is no space for it, again and again. What was drained
// is held meanwhile, and what comes meets the full queue, so nothing that was accepted is given
// up. Errors: those of the core that are final, and want of space once StopHolding() was called.
absl::Status Committer::Persist(absl::FunctionRef<absl::Status()> call) {
  absl::Status status = call();
  if (__builtin_expect(!IsPassing(status), 1)) return status;
  // relaxed: as in holding().
  holding_.store(true, std::memory_order_relaxed);
  const Deadline since = SteadyNow();
  parts_.events->DiskFull(status);
  AnnounceDurable();
  std::chrono::milliseconds delay = kFirstRetry;
  bool last_attempt = false;
  while (IsPassing(status) && !last_attempt) {
    last_attempt = !AwaitSpace(SteadyNow() + delay);
    delay = std::min(2 * delay, kLastRetry);
    status = call();
  }
  // relaxed: as in holding().
  holding_.store(false, std::memory_order_relaxed);
  if (status.ok()) parts_.events->DiskFullOver(absl::FromChrono(SteadyNow() - since));
  return status;
}

// Waits for the time of the next attempt, which comes early when a command may have made space.
// False if there is to be no further one.
bool Committer::AwaitSpace(Deadline until) {
  while (SteadyNow() < until) {
    // relaxed: as in StopHolding().
    if (stop_holding_.load(std::memory_order_relaxed)) return false;
    // relaxed: a hint; RunCommands() looks under the mutex.
    if (has_commands_.load(std::memory_order_relaxed)) {
      RunCommands();
      return true;
    }
    std::this_thread::sleep_for(kHoldingStep);
    Watch(SteadyNow());
  }
  return true;
}

// Looks for what the log's owner should hear of, if he listens.
void Committer::Watch(Deadline now) {
  if (!parts_.events->enabled()) return;
  if (parts_.meter->TakeRotated()) {
    const std::vector<CursorStatus> cursors =
        ListCursors(*parts_.cursors, *parts_.core->segments(), *parts_.watermark);
    for (const CursorStatus& c : lagging_.Look(cursors)) {
      parts_.events->CursorLagging(c.name, c.lag_records, c.lag_bytes,
                                   options_.lagging_cursor_bytes);
    }
  }
  if (now < next_watch_ && now < queue_full_.due()) return;
  next_watch_ = now + kWatchInterval;
  watch_again_ = false;
  const AdmissionCounts counts = parts_.admissions();
  const auto full =
      queue_full_.Look(now, counts.waited_appends, counts.refused_records, counts.dropped_records);
  if (full.has_value()) parts_.events->QueueFull(full->waited, full->refused, full->dropped);
}

void Committer::WatchForTheLastTime() {
  if (!parts_.events->enabled()) return;
  const AdmissionCounts counts = parts_.admissions();
  const auto full = queue_full_.LookForTheLastTime(counts.waited_appends, counts.refused_records,
                                                   counts.dropped_records);
  if (full.has_value()) parts_.events->QueueFull(full->waited, full->refused, full->dropped);
}

}  // namespace millrace
