#ifndef MILLRACE_WAL_WAKE_THREAD_H_
#define MILLRACE_WAL_WAKE_THREAD_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "millrace/sequence.h"
#include "queue/cache_line.h"
#include "wal/completion.h"
#include "wal/completion_gates.h"
#include "wal/thread.h"
#include "wal/ticket_cell.h"

namespace millrace {

// The thread that wakes those whose appends are done, where there are many: one
// system call each, during which the writer would begin no new group.
//
// Used by one thread, the writer.
class WakeThread {
 public:
  // One of whom one is set.
  struct Finished {
    Completion* completion;
    SequenceNumber sequence;
    TicketCell* ticket = nullptr;

    // Which gate is to be opened then.
    [[nodiscard]] CompletionGates::Mask Tell() const;
  };

  // `gates` outlives it.
  explicit WakeThread(CompletionGates* gates) : gates_(gates) {}
  WakeThread(const WakeThread&) = delete;
  WakeThread& operator=(const WakeThread&) = delete;
  // Must have been stopped.
  ~WakeThread() = default;

  // Takes all of `finished`, leaving it empty, and finishes them. Never waits: if
  // the thread is at work, or there is none to be had, it returns false and takes
  // nothing. The first call starts the thread.
  bool Take(std::vector<Finished>* finished);

  // Waits until all that was taken is finished, and ends the thread.
  void Stop();

 private:
  enum class State : uint32_t {
    kIdle,   // finished_ is the writer's
    kGiven,  // finished_ is the thread's
    kEnd,
  };

  bool EnsureStarted();
  void Run();

  CompletionGates* const gates_;
  Thread thread_;
  bool refused_ = false;  // no thread could be made

  // Passes finished_ back and forth.
  alignas(kCacheLineBytes) std::atomic<uint32_t> state_{static_cast<uint32_t>(State::kIdle)};
  std::vector<Finished> finished_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_WAKE_THREAD_H_
