#include "wal/callback_thread.h"

#include <utility>

#include "absl/status/statusor.h"
#include "wal/check.h"

namespace millrace {
namespace {

// The callback thread that this thread is, if it is one.
thread_local const CallbackThread* current_callback_thread = nullptr;

// Turns a chain around; returns its new front.
CallbackAppend* Reverse(CallbackAppend* front) {
  CallbackAppend* reversed = nullptr;
  while (front != nullptr) {
    CallbackAppend* next = front->next;
    front->next = reversed;
    reversed = front;
    front = next;
  }
  return reversed;
}

}  // namespace

CallbackThread::CallbackThread(AppendQueue* queue, const Watermark* watermark)
    : queue_(queue), watermark_(watermark) {}

CallbackThread::~CallbackThread() {
  // relaxed: destruction is ordered after all use by its caller.
  WAL_CHECK(pushed_.load(std::memory_order_relaxed) == nullptr);
}

absl::Status CallbackThread::Start() {
  // relaxed: nothing is read through it; the thread exists once it is true.
  if (running_.load(std::memory_order_relaxed)) return absl::OkStatus();
  MutexLock lock(&mu_);
  // After Stop() the queue is closed, and the append about to be refused.
  if (thread_.started() || stopped_) return absl::OkStatus();
  absl::Status status = thread_.Start("millrace-calls", [this] { Run(); });
  // relaxed: as above.
  if (status.ok()) running_.store(true, std::memory_order_relaxed);
  return status;
}

void CallbackThread::Push(CallbackAppend* oldest, CallbackAppend* newest) {
  newest->next = nullptr;
  Reverse(oldest);
  // relaxed: only the links below are made with it; the exchange publishes them.
  CallbackAppend* before = pushed_.load(std::memory_order_relaxed);
  do {
    oldest->next = before;
    // release: publishes the appends and their results; pairs with acquire in Run().
  } while (!pushed_.compare_exchange_weak(before, newest, std::memory_order_release,
                                          std::memory_order_relaxed));
  sleeper_.WakeIfAsleep();
}

bool CallbackThread::IsCurrent() const { return current_callback_thread == this; }

void CallbackThread::Run() {
  current_callback_thread = this;
  while (true) {
    // acquire: whoever saw the flag sees all that was pushed before; pairs with Stop().
    const bool stopping = stopping_.load(std::memory_order_acquire);
    // acquire: shows the appends and their results; pairs with release in Push().
    CallbackAppend* append = Reverse(pushed_.exchange(nullptr, std::memory_order_acquire));
    if (append == nullptr) {
      if (stopping) break;
      // relaxed: only asks whether to sleep.
      sleeper_.Sleep([this] { return pushed_.load(std::memory_order_relaxed) != nullptr; },
                     kNoDeadline);
      continue;
    }
    while (append != nullptr) {
      CallbackAppend* next = append->next;
      Call(append);
      append = next;
    }
  }
  // relaxed: says only that joining will not take long.
  ended_.store(true, std::memory_order_relaxed);
  ended_waiters_.Notify();
}

void CallbackThread::Call(CallbackAppend* append) {
  absl::StatusOr<SequenceNumber> result = append->sequence;
  if (append->sequence == kNoSequence) result = watermark_->status();
  AppendCallback callback = std::move(append->callback);
  // Before the call, so that a callback that appends finds the space of its own record.
  AppendReleaser releaser(queue_);
  releaser.Add(append);
  append->~CallbackAppend();
  releaser.Flush();
  std::move(callback)(std::move(result));
}

bool CallbackThread::Stop(Deadline deadline) {
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    if (!thread_.started()) return true;
  }
  // release: orders all pushes before it; pairs with acquire in Run().
  stopping_.store(true, std::memory_order_release);
  sleeper_.Notify();
  // Without the lock, behind which another call would wait beyond its deadline.
  // relaxed: joining the thread orders what it did.
  auto ended = [this] { return ended_.load(std::memory_order_relaxed); };
  if (!ended_waiters_.Await(ended, deadline)) return false;
  MutexLock lock(&mu_);
  thread_.Join();
  return true;
}

}  // namespace millrace
