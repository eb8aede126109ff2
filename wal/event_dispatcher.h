#ifndef MILLRACE_WAL_EVENT_DISPATCHER_H_
#define MILLRACE_WAL_EVENT_DISPATCHER_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "millrace/event_listener.h"
#include "queue/atomics.h"
#include "queue/wait_strategy.h"
#include "wal/event_kind.h"
#include "wal/mutex.h"
#include "wal/thread.h"

namespace millrace {

// Brings events from the threads of a log to its listener, on a thread of its own. The
// others hold a mutex for a push and never wait for the listener.
//
// What is posted is shown, or counted in an `events_suppressed` that is shown: for more than
// kPerSecond of one kind in a second, and for more than kMostWaiting that wait. Without
// a listener there is no thread and nothing is done.
//
// Thread-safe; Start() comes first. What is posted during and after Stop() may be dropped:
// the log posts `closed` before.
class EventDispatcher {
 public:
  static constexpr size_t kMostWaiting = 1024;
  static constexpr uint32_t kPerSecond = 10;

  // One fact; `name` is a constant.
  struct Field {
    std::string_view name;
    std::string value;
  };

  using SteadyClock = Deadline (*)();

  // `listener` may be null. `log` is its directory. Tests give a clock of their own.
  EventDispatcher(std::string log, std::shared_ptr<EventListener> listener,
                  SteadyClock clock = &std::chrono::steady_clock::now);
  EventDispatcher(const EventDispatcher&) = delete;
  EventDispatcher& operator=(const EventDispatcher&) = delete;
  // Stops it, waiting as long as it takes.
  ~EventDispatcher();

  // Errors: ResourceExhausted (no thread could be made).
  absl::Status Start();

  // False: there is no listener, and no event needs to be made.
  bool enabled() const { return listener_ != nullptr; }

  void Post(EventKind kind, std::string text, std::vector<Field> fields);

  // True in a call of the listener by this.
  bool IsCurrent() const;

  // Shows what waits, and the counts of what was suppressed, then ends the thread. False if
  // the listener takes beyond `deadline`; call again then.
  bool Stop(Deadline deadline);

 private:
  struct Waiting {
    EventKind kind;
    std::string text;
    std::vector<Field> fields;
    absl::Time time;
  };

  // What came of one kind in the second that began with the first of it.
  struct Rate {
    Deadline ends;  // of that second
    uint32_t shown = 0;
    uint64_t suppressed = 0;
  };

  void Run();
  bool Push(EventKind kind, std::string text, std::vector<Field> fields)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool PushSuppressed(EventKind kind, Rate& rate) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<Waiting> Take(Deadline* due);
  void Show(const Waiting& event);

  const std::string log_;
  const std::shared_ptr<EventListener> listener_;
  const SteadyClock clock_;

  Mutex mu_;
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mu_);
  std::array<Rate, kEventKinds> rates_ ABSL_GUARDED_BY(mu_);
  // Whether something came that Take() has not seen.
  bool news_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  Sleeper<StdAtomics> sleeper_;  // the thread's
  std::atomic<bool> ended_{false};
  Waiters<StdAtomics> ended_waiters_;
  Mutex thread_mu_;  // around joining
  Thread thread_ ABSL_GUARDED_BY(thread_mu_);
};

}  // namespace millrace

#endif  // MILLRACE_WAL_EVENT_DISPATCHER_H_
