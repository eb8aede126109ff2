#ifndef MILLRACE_STEP_GATE_H_
#define MILLRACE_STEP_GATE_H_

#include <atomic>

#include "wal/append_queue.h"

namespace millrace {

// Holds the threads that ask for it at one step inside an append. One at a time
// in a program.
class StepGate {
 public:
  explicit StepGate(AppendStep step) {
    step_ = step;
    open_ = false;
    arrived_ = false;
    append_hook.store(&Pass, std::memory_order_release);
  }
  StepGate(const StepGate&) = delete;
  StepGate& operator=(const StepGate&) = delete;
  // No thread may be inside.
  ~StepGate() { append_hook.store(nullptr, std::memory_order_release); }

  // From now on the calling thread stops there.
  static void HoldThisThread() { held_ = true; }

  void AwaitArrival() { arrived_.wait(false); }
  bool arrived() const { return arrived_; }
  void Open() {
    open_ = true;
    open_.notify_all();
  }

 private:
  static void Pass(AppendStep step) {
    if (!held_ || step != step_) return;
    arrived_ = true;
    arrived_.notify_all();
    open_.wait(false);
  }

  static inline thread_local bool held_ = false;
  static inline std::atomic<AppendStep> step_{};
  static inline std::atomic<bool> open_{false};
  static inline std::atomic<bool> arrived_{false};
};

}  // namespace millrace

#endif  // MILLRACE_STEP_GATE_H_
