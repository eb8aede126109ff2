#ifndef MILLRACE_WAL_CALLBACK_THREAD_H_
#define MILLRACE_WAL_CALLBACK_THREAD_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "queue/cache_line.h"
#include "wal/append_queue.h"
#include "wal/mutex.h"
#include "wal/thread.h"
#include "wal/watermark.h"

namespace millrace {

// The thread that runs the callbacks of a log's asynchronous appends, so that a
// slow one holds up other callbacks and never the writer.
//
// The writer starts it with the first callback. If there is no thread to be had the
// callbacks wait for one, and closing runs them without.
//
// Push() and Serve() are the writer's; Stop() comes after the last of both; the rest
// is thread-safe.
class CallbackThread {
 public:
  // `queue` gets the credits back; `watermark` knows the error for appends that
  // failed. Both outlive this. `dropped` is the result of appends that were given up.
  CallbackThread(AppendQueue* queue, const Watermark* watermark, absl::Status dropped);
  // Must have been stopped.
  ~CallbackThread();

  // Hands over the finished appends from `oldest` on, linked by `next` up to
  // `newest`. Never waits.
  void Push(CallbackAppend* oldest, CallbackAppend* newest);

  // Starts the thread if that failed before and callbacks wait. False if they still do.
  bool Serve();

  // True in a callback of this log.
  bool IsCurrent() const;

  // Runs in the calling thread what was pushed, if there is no thread to do it.
  void RunWithoutThread();

  // Runs what was pushed, then ends the thread. False if a callback takes beyond
  // `deadline`; call again then.
  bool Stop(Deadline deadline);

 private:
  enum class State : uint32_t {
    kNone,     // no thread
    kBusy,     // one thread starts it, or runs callbacks in its place
    kRunning,  // for good
  };

  bool EnsureStarted();
  void Run();
  bool RunPushed();
  void Call(CallbackAppend* append);

  AppendQueue* const queue_;
  const Watermark* const watermark_;
  const absl::Status dropped_;

  // Passes thread_, and the right to run callbacks, from one to the next.
  std::atomic<State> state_{State::kNone};
  Thread thread_;  // while kRunning: under join_mu_
  Mutex join_mu_;

  // The newest append that was pushed and not yet taken; they are linked from new to old.
  alignas(kCacheLineBytes) std::atomic<CallbackAppend*> pushed_{nullptr};
  std::atomic<bool> stopping_{false};

  // Written by the thread itself.
  alignas(kCacheLineBytes) std::atomic<bool> ended_{false};
  Waiters<StdAtomics> ended_waiters_;
  // How this thread sleeps.
  Sleeper<StdAtomics> sleeper_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CALLBACK_THREAD_H_
