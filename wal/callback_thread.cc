#include "wal/callback_thread.h"

#include <utility>

#include "absl/status/statusor.h"
#include "wal/append_outcome.h"
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

CallbackThread::CallbackThread(AppendQueue* queue, const Watermark* watermark, absl::Status dropped)
    : queue_(queue), watermark_(watermark), dropped_(std::move(dropped)) {}

CallbackThread::~CallbackThread() {
  // relaxed: destruction is ordered after all use by its caller.
  WAL_CHECK(pushed_.load(std::memory_order_relaxed) == nullptr);
}

bool CallbackThread::EnsureStarted() {
  // relaxed: nothing is read through it; the thread exists once it is kRunning.
  if (state_.load(std::memory_order_relaxed) == State::kRunning) return true;
  State none = State::kNone;
  // acquire: what was done with thread_, and in its place, comes before; pairs with the releases
  // here and in RunWithoutThread(). relaxed: somebody else is at it.
  if (!state_.compare_exchange_strong(none, State::kBusy, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
    return none == State::kRunning;
  }
  const bool started = thread_.Start("millrace-calls", [this] { Run(); }).ok();
  // release: passes thread_ on; pairs with acquire above and in Stop().
  state_.store(started ? State::kRunning : State::kNone, std::memory_order_release);
  return started;
}

void CallbackThread::Push(CallbackAppend* oldest, CallbackAppend* newest) {
  newest->next = nullptr;
  Reverse(oldest);
  // relaxed: only the links below are made with it; the exchange publishes them.
  CallbackAppend* before = pushed_.load(std::memory_order_relaxed);
  do {
    oldest->next = before;
    // release: publishes the appends and their results; pairs with acquire in RunPushed().
  } while (!pushed_.compare_exchange_weak(before, newest, std::memory_order_release,
                                          std::memory_order_relaxed));
  if (EnsureStarted()) sleeper_.WakeIfAsleep();
}

bool CallbackThread::Serve() {
  // relaxed: the writer pushed them itself, and who took them needs no thread.
  return pushed_.load(std::memory_order_relaxed) == nullptr || EnsureStarted();
}

bool CallbackThread::IsCurrent() const { return current_callback_thread == this; }

void CallbackThread::Run() {
  current_callback_thread = this;
  while (true) {
    // acquire: whoever saw the flag sees all that was pushed before; pairs with Stop().
    const bool stopping = stopping_.load(std::memory_order_acquire);
    if (RunPushed()) continue;
    if (stopping) break;
    // relaxed: only asks whether to sleep.
    sleeper_.Sleep([this] { return pushed_.load(std::memory_order_relaxed) != nullptr; },
                   kNoDeadline);
  }
  // relaxed: says only that joining will not take long.
  ended_.store(true, std::memory_order_relaxed);
  ended_waiters_.Notify();
}

// False if there was nothing to run.
bool CallbackThread::RunPushed() {
  // acquire: shows the appends and their results; pairs with release in Push().
  CallbackAppend* append = Reverse(pushed_.exchange(nullptr, std::memory_order_acquire));
  if (append == nullptr) return false;
  while (append != nullptr) {
    CallbackAppend* next = append->next;
    Call(append);
    append = next;
  }
  return true;
}

void CallbackThread::RunWithoutThread() {
  // relaxed: only asks whether there is anything to do.
  if (pushed_.load(std::memory_order_relaxed) == nullptr || EnsureStarted()) return;
  State none = State::kNone;
  // acquire: what was run before comes first; pairs with the releases here and in EnsureStarted().
  // relaxed: somebody else is at it.
  if (!state_.compare_exchange_strong(none, State::kBusy, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
    return;
  }
  // The caller may itself be in a callback, of another log.
  const CallbackThread* const before = std::exchange(current_callback_thread, this);
  while (RunPushed()) {
  }
  current_callback_thread = before;
  // release: what was run comes before what others run; pairs with acquire above.
  state_.store(State::kNone, std::memory_order_release);
  ended_waiters_.Notify();
}

void CallbackThread::Call(CallbackAppend* append) {
  absl::StatusOr<SequenceNumber> result = append->sequence;
  if (append->kind == PendingAppend::Kind::kDropped) {
    result = dropped_;
  } else if (append->sequence == kNoSequence) {
    result = AfterAcceptance(watermark_->status());
  }
  AppendCallback callback = std::move(append->callback);
  // Before the call, so that a callback that appends finds the space of its own record.
  AppendReleaser releaser(queue_);
  releaser.Add(append);
  append->~CallbackAppend();
  releaser.Flush();
  std::move(callback)(std::move(result));
}

bool CallbackThread::Stop(Deadline deadline) {
  // release: orders all pushes before it; pairs with acquire in Run().
  stopping_.store(true, std::memory_order_release);
  sleeper_.Notify();
  State state = State::kBusy;
  auto ended = [&] {
    // acquire: shows thread_; pairs with release in EnsureStarted().
    state = state_.load(std::memory_order_acquire);
    if (state == State::kNone) return true;
    // relaxed: joining the thread orders what it did.
    return state == State::kRunning && ended_.load(std::memory_order_relaxed);
  };
  // Without the lock, behind which another call would wait beyond its deadline.
  if (!ended_waiters_.Await(ended, deadline)) return false;
  if (state == State::kNone) return true;
  MutexLock lock(&join_mu_);
  thread_.Join();
  return true;
}

}  // namespace millrace
