#ifndef MILLRACE_MUTEX_H_
#define MILLRACE_MUTEX_H_
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
namespace millrace {
// std::mutex with thread safety annotations.  Not absl::Mutex: ThreadSanitizer
// cannot see a lock inside a prebuilt Abseil and reports races that are none.
class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock(); }

 private:
  friend class Condition;
  std::mutex mu_;
};
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { mu_->Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mu_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mu_;
};
// Wakes threads that wait for what a mutex guards to change.
class Condition {
 public:
  // `mu` is held by the caller, given up while it waits, and held again. Wakes without reason, too.
  void Wait(Mutex* mu) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    std::unique_lock<std::mutex> held(mu->mu_, std::adopt_lock);
    changed_.wait(held);
    held.release();
  }
  void NotifyAll() { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};
}  // namespace millrace
#endif
