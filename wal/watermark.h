#ifndef MILLRACE_WAL_WATERMARK_H_
#define MILLRACE_WAL_WATERMARK_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "millrace/sequence.h"
#include "queue/atomics.h"
#include "queue/cache_line.h"
#include "queue/wait_strategy.h"
#include "wal/mutex.h"

namespace millrace {

// How far a log has come, published by its writer thread for everybody else:
// the inclusive watermarks, and how the log ended once it has.
//
// Publishing never waits and makes no system call while nobody waits. The writer
// calls the functions up to End(); the rest is thread-safe.
class Watermark {
 public:
  enum class Wait : uint8_t {
    kReached,
    kTimedOut,
    kClosed,     // the log ended before the number: status() is Cancelled
    kFailed,     // the log ended before the number: status() is its first error
    kTruncated,  // the log was truncated since the caller looked
  };

  // What recovery found: everything up to `last` is written and durable.
  void Start(SequenceNumber last, SequenceNumber first_retained, uint64_t epoch) {
    // relaxed: nobody looks yet; the threads that will are started or told of it later.
    epoch_.store(epoch, std::memory_order_relaxed);
    PublishFirstRetained(first_retained);
    PublishWritten(last);
    PublishDurable(last);
  }

  void PublishWritten(SequenceNumber last) {
    // release: passes on the write itself; pairs with acquire in last_written().
    last_written_.store(last, std::memory_order_release);
  }

  void PublishDurable(SequenceNumber last) {
    RaiseDurable(last);
    WakeWaiters();
  }
  // The same in two steps: who looks finds it after the first; who waits hears of it with the
  // second.
  void RaiseDurable(SequenceNumber last) {
    // release: passes on the write and the sync; pairs with acquire in last_durable().
    last_durable_.store(last, std::memory_order_release);
  }
  void WakeWaiters() { waiters_.Notify(); }

  void PublishFirstRetained(SequenceNumber first) {
    // release: who sees the number also sees that the segments left the list; pairs with acquire
    // in first_retained().
    first_retained_.store(first, std::memory_order_release);
  }

  // The records after `last` were dropped, durably, and a new epoch begun; the chain of segments
  // no longer shows them. The only call that lowers a watermark.
  //
  // A reader takes a watermark first and truncations() after it. If that is what it was before, no
  // record up to the watermark was given its number anew: whatever raises the watermark
  // again comes after this.
  void PublishTruncation(SequenceNumber last, uint64_t epoch) {
    {
      MutexLock lock(&mu_);
      truncated_after_.push_back(last);
      // Before the count: who has seen this truncation never finds a watermark of before it.
      // release, both: as in PublishWritten() and PublishDurable().
      last_written_.store(last, std::memory_order_release);
      last_durable_.store(last, std::memory_order_release);
      // relaxed: the release below, and the mutex, publish it.
      epoch_.store(epoch, std::memory_order_relaxed);
      // release: who sees the count sees the new chain, the epoch and the lowered watermarks;
      // pairs with acquire in truncations().
      truncations_.store(truncated_after_.size(), std::memory_order_release);
    }
    waiters_.Notify();
  }

  // The last call: no watermark moves any more. Cancelled: the log was closed in
  // order; any other status is the first error it met. Only the first call counts.
  void End(absl::Status status) {
    // relaxed: the writer alone writes it.
    if (state_.load(std::memory_order_relaxed) != State::kOpen) return;
    const State state = absl::IsCancelled(status) ? State::kClosed : State::kFailed;
    status_ = std::move(status);
    // release: publishes status_ and the final watermarks; pairs with acquire in state().
    state_.store(state, std::memory_order_release);
    waiters_.Notify();
  }

  SequenceNumber last_written() const {
    // acquire: pairs with release in PublishWritten().
    return last_written_.load(std::memory_order_acquire);
  }
  SequenceNumber last_durable() const {
    // acquire: pairs with release in PublishDurable().
    return last_durable_.load(std::memory_order_acquire);
  }
  SequenceNumber first_retained() const {
    // acquire: pairs with release in PublishFirstRetained().
    return first_retained_.load(std::memory_order_acquire);
  }

  // How often the log was truncated since it was opened.
  uint64_t truncations() const {
    // acquire: pairs with release in PublishTruncation().
    return truncations_.load(std::memory_order_acquire);
  }
  // The lowest number after which it was truncated since truncations() was `seen`;
  // kMaxSequence if it was not.
  SequenceNumber LowestTruncationSince(uint64_t seen) const {
    return TruncationsSince(seen).lowest;
  }
  // What happened since truncations() was `seen`, all of one moment.
  struct Truncations {
    uint64_t count = 0;                    // of all: what truncations() showed then
    SequenceNumber lowest = kMaxSequence;  // as LowestTruncationSince()
    uint64_t epoch = 1;                    // that the last of them began
  };
  Truncations TruncationsSince(uint64_t seen) const {
    MutexLock lock(&mu_);
    Truncations news;
    news.count = truncated_after_.size();
    for (size_t i = seen; i < truncated_after_.size(); ++i) {
      news.lowest = std::min(news.lowest, truncated_after_[i]);
    }
    // relaxed: written under the mutex, or before any thread was told of this.
    news.epoch = epoch_.load(std::memory_order_relaxed);
    return news;
  }
  // As of the last truncation that truncations() showed, or a later one.
  uint64_t epoch() const {
    // relaxed: truncations() orders it.
    return epoch_.load(std::memory_order_relaxed);
  }

  // Ok while the log runs.
  absl::Status status() const { return state() == State::kOpen ? absl::OkStatus() : status_; }

  // Waits until everything up to `s` is durable, the log ends, or `deadline`
  // passes. What the writer did before it published the number is visible after
  // kReached.
  Wait WaitDurable(SequenceNumber s, Deadline deadline) const {
    Wait result = Wait::kTimedOut;
    waiters_.Await([&] { return (result = Look(s)) != Wait::kTimedOut; }, deadline);
    return result;
  }

  // As above, but also until the log is truncated more often than `truncations_seen` times.
  Wait WaitDurable(SequenceNumber s, uint64_t truncations_seen, Deadline deadline) const {
    Wait result = Wait::kTimedOut;
    auto look = [&] {
      result = Look(s);
      if (truncations() != truncations_seen) result = Wait::kTruncated;
      return result != Wait::kTimedOut;
    };
    waiters_.Await(look, deadline);
    return result;
  }

 private:
  enum class State : uint32_t { kOpen, kClosed, kFailed };

  State state() const {
    // acquire: shows status_ and the final watermarks; pairs with release in End().
    return state_.load(std::memory_order_acquire);
  }

  // kTimedOut: nothing decided yet.
  Wait Look(SequenceNumber s) const {
    // The state first: if it is not open, the watermark read after it is the final one.
    const State now = state();
    if (last_durable() >= s) return Wait::kReached;
    switch (now) {
      case State::kOpen:
        return Wait::kTimedOut;
      case State::kClosed:
        return Wait::kClosed;
      case State::kFailed:
        return Wait::kFailed;
    }
    return Wait::kTimedOut;
  }

  // Written by the writer thread.
  alignas(kCacheLineBytes) std::atomic<SequenceNumber> last_written_{kNoSequence};
  std::atomic<SequenceNumber> last_durable_{kNoSequence};
  std::atomic<SequenceNumber> first_retained_{1};
  std::atomic<uint64_t> epoch_{1};
  std::atomic<uint64_t> truncations_{0};
  std::atomic<State> state_{State::kOpen};
  absl::Status status_;  // written once, before state_ leaves kOpen

  // Written by those who wait.
  alignas(kCacheLineBytes) mutable Waiters<StdAtomics> waiters_;

  mutable Mutex mu_;
  std::vector<SequenceNumber> truncated_after_ ABSL_GUARDED_BY(mu_);  // every one, in order
};

}  // namespace millrace

#endif  // MILLRACE_WAL_WATERMARK_H_
