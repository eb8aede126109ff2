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
// Start() is thread-safe; Push() is the writer's; Stop() comes after the last of
// both.
class CallbackThread {
 public:
  // `queue` gets the credits back; `watermark` knows the error for appends that
  // failed. Both outlive this.
  CallbackThread(AppendQueue* queue, const Watermark* watermark);
  // Must have been stopped.
  ~CallbackThread();

  // Starts the thread unless it runs already. Errors: ResourceExhausted.
  absl::Status Start();

  // Hands over the finished appends from `oldest` on, linked by `next` up to
  // `newest`. Never waits.
  void Push(CallbackAppend* oldest, CallbackAppend* newest);

  // True in a callback of this log.
  bool IsCurrent() const;

  // Runs what was pushed, then ends the thread. False if a callback takes beyond
  // `deadline`; call again then.
  bool Stop(Deadline deadline);

 private:
  void Run();
  void Call(CallbackAppend* append);

  AppendQueue* const queue_;
  const Watermark* const watermark_;

  Mutex mu_;
  Thread thread_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  // Set once the thread runs.
  std::atomic<bool> running_{false};

  // Written by the writer. The newest append that was pushed and not yet taken;
  // they are linked from new to old.
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
