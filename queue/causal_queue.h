#ifndef MILLRACE_QUEUE_CAUSAL_QUEUE_H_
#define MILLRACE_QUEUE_CAUSAL_QUEUE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "queue/atomics.h"
#include "queue/backing.h"
#include "queue/cache_line.h"
#include "queue/credits.h"
#include "queue/slot_pool.h"
#include "queue/stamp_counter.h"
#include "queue/wait_strategy.h"

namespace millrace {

// A multi-producer, single-consumer queue that respects happens-before: if Enqueue of x returned
// before Enqueue of y began, in any threads, the consumer gets x before y. No producer, wherever it
// stops, holds up the elements of another.
//
// The queue underneath keeps order per producer only. So each producer draws a stamp from one
// counter and then enqueues {stamp, item}. The consumer looks twice: it takes what it finds, notes
// the largest stamp seen, B, and scans once more; then it emits everything with a stamp up to B in
// stamp order and holds the rest over. Any y with a stamp up to B drew it before the first scan
// ended, so each x that happened before y was enqueued before the second scan began, and was found
// by it. No gap in the stamps is ever waited for. tests/model explores this under a weak memory
// model.
//
// It is bounded: an append takes credits (records, bytes) before it enqueues, and they return when
// whoever emptied the queue is done with the records, not when they are dequeued.
//
//   CausalQueue<Entry*> queue(limits);
//   auto producer = queue.MakeProducer();            // producer: one per thread
//   if (queue.Admit(producer, 1, entry->bytes, deadline) == Admission::kAdmitted)
//     if (!queue.Enqueue(producer, entry)) queue.Return(1, entry->bytes);
//
//   while (!queue.Finished()) {                      // consumer: one thread
//     queue.WaitForWork(kNoDeadline);
//     queue.Drain(&entries);
//     ...; queue.Return(records, bytes);
//   }
//
// T is a pointer or alike. The steady state allocates nothing, on neither side.
template <class T, class Atomics = StdAtomics,
          template <class, class> class Backing = MoodycamelBacking>
class CausalQueue {
 public:
  class Producer;

  // Memory for the consumer is reserved here, untouched until used. If there is none, ok() is false
  // and nothing else may be called.
  explicit CausalQueue(const Limits& limits)
      : longest_window_(std::max<uint32_t>(1, limits.per_producer / 2)),
        credits_(limits),
        capacity_(credits_.most_elements() + std::size_t{1}),
        found_(static_cast<Stamped*>(std::malloc(capacity_ * sizeof(Stamped)))) {}

  CausalQueue(const CausalQueue&) = delete;
  CausalQueue& operator=(const CausalQueue&) = delete;

  bool ok() const { return found_ != nullptr; }

  // ---- Admission: any thread. ----

  // Takes credits without waiting. kFull, kClosed: nothing was taken.
  Admission TryAdmit(uint32_t records, uint64_t bytes) { return credits_.TryTake(records, bytes); }

  // Takes credits, waiting for space until `deadline`. kFull: the request is above the limits.
  Admission Admit(uint32_t records, uint64_t bytes, Deadline deadline) {
    return credits_.Take(records, bytes, deadline);
  }

  // As above, and sees to it that `producer` has room for one element.
  Admission TryAdmit(Producer& producer, uint32_t records, uint64_t bytes) {
    return HasRoom(producer) ? TryAdmit(records, bytes) : Admission::kFull;
  }
  Admission Admit(Producer& producer, uint32_t records, uint64_t bytes, Deadline deadline) {
    return WaitForRoom(producer, deadline) ? Admit(records, bytes, deadline) : Admission::kTimedOut;
  }

  // Admits a marker: it is in flight until returned, but takes nothing of what records may take.
  // kFull: Limits::markers are in flight, or all but `leave` of them.
  Admission AdmitMarker(uint32_t leave = 0) { return credits_.TryTakeMarker(leave); }

  // Gives credits back.
  void Return(uint32_t records, uint64_t bytes) { WakeIfNone(credits_.Return(records, bytes)); }
  void ReturnMarkers(uint32_t markers) { WakeIfNone(credits_.ReturnMarkers(markers)); }

  // Stops admission. What was admitted before can still be enqueued and drained.
  void Close() {
    credits_.Close();
    WakeConsumer();
  }

  bool Closed() const { return credits_.Closed(); }
  // True if nothing is in flight.
  bool Idle() const { return credits_.Idle(); }
  // True if the queue is closed and nothing is in flight, nor ever will be.
  bool Finished() const { return credits_.Finished(); }
  InFlight Depth() const { return credits_.Depth(); }

  // ---- Production: any thread, each Producer by one thread at a time. ----

  // Returns a producer that is not valid() if memory failed or SlotPool::kMostSlots are in use.
  Producer MakeProducer() {
    auto make = [this] { return Seat{backing_.MakeToken(), NextWindow(), 0, 0}; };
    Seat* seat = seats_.Acquire(make);
    if (seat == nullptr) return Producer();
    if (!seat->token.valid()) seat->token = backing_.MakeToken();
    if (seat->token.valid()) return Producer(this, seat);
    seats_.Release(seat);
    return Producer();
  }

  // How many producers were ever in use at once.
  uint32_t producers_made() const { return seats_.size(); }

  // True if `producer` may enqueue one more element without passing Limits::per_producer.
  bool HasRoom(Producer& producer) {
    Seat& seat = *producer.seat_;
    if (seat.in_window < seat.window) return true;
    // relaxed: it only bounds memory; nothing is read through it.
    if (drained_.load(std::memory_order_relaxed) < seat.window_stamp) return false;
    seat.window = NextWindow();
    seat.in_window = 0;
    return true;
  }

  // Waits until HasRoom(). Only the consumer's next drain is waited for, not the return of credits.
  // Returns false once `deadline` has passed.
  bool WaitForRoom(Producer& producer, Deadline deadline) {
    return HasRoom(producer) || room_.Await([&] { return HasRoom(producer); }, deadline);
  }

  // Enqueues one admitted element and wakes the consumer if it sleeps. Returns false, and leaves no
  // trace but an unused stamp, if memory failed; the caller returns the credits. Never blocks.
  [[nodiscard]] bool Enqueue(Producer& producer, const T& item) {
    Seat& seat = *producer.seat_;
    Atomics::Step(EnqueueStep::kBeforeStamp);
    const auto drawn = stamps_.Draw();
    Atomics::Step(EnqueueStep::kAfterStamp);
    if (!backing_.Enqueue(seat.token, Stamped{drawn.stamp, item})) {
      stamps_.GiveUp();
      return false;
    }
    if (seat.in_window++ == 0) seat.window_stamp = drawn.stamp;
    Atomics::Step(EnqueueStep::kAfterEnqueue);
    if (drawn.consumer_sleeps) stamps_.WakeConsumer();
    return true;
  }

  // ---- Consumption: exactly one thread, ever. ----

  // Appends to `out`, in an order that respects happens-before, every element whose enqueue
  // happened before this call, and possibly later ones. Returns how many. Reserve most_elements()
  // in `out` and it never allocates.
  std::size_t Drain(std::vector<T>* out) {
    std::size_t count = pending_ + Scan(pending_);
    if (count == 0) return 0;
    // Pass one is over: whatever has a stamp up to `bound` happened after nothing that pass two
    // could miss. That holds for the last bound too, should all that was found now be late.
    uint64_t bound = bound_;
    for (std::size_t i = 0; i < count; ++i) bound = std::max(bound, found_[i].stamp);
    count += Scan(count);
    std::size_t emitted = Emit(count, bound, out);
    bound_ = bound;
    // relaxed: only bounds the producers' memory; Notify() orders it against those who wait.
    drained_.store(bound, std::memory_order_relaxed);
    room_.Notify();
    return emitted;
  }

  // Sleeps until there may be something to drain, WakeConsumer() was called, the queue was closed
  // or became Finished(), or `deadline` has passed. Returns false only for the deadline.
  bool WaitForWork(Deadline deadline) {
    if (pending_ != 0) return true;
    const auto find = [this] { return (pending_ = Scan(0)) != 0; };
    // A stamp that was drawn announces an element: while they come quickly, find them without
    // saying that this sleeps, which would cost the producers a system call.
    for (int i = 0; i < Atomics::kSpins; ++i) {
      if (stamps_.DrewAbove(bound_) && find()) return true;
      Atomics::Relax();
    }
    return stamps_.Sleep(find, found_in_all_, deadline);
  }

  // Makes the present or else the next WaitForWork() return. Any thread.
  void WakeConsumer() { stamps_.Notify(); }

  // The most elements that one Drain() can return.
  std::size_t most_elements() const { return credits_.most_elements(); }

 private:
  struct Stamped {
    uint64_t stamp;
    T item;
  };
  static_assert(std::is_trivially_copyable_v<T>, "elements are pointers or alike");

  using BackingQueue = Backing<Stamped, Atomics>;
  using Left = typename Credits<Atomics>::Left;

  // The queue may be Finished() now.
  void WakeIfNone(Left left) {
    if (left == Left::kNoneAndClosed) WakeConsumer();
  }

  // What outlives a Producer: its place in the queue underneath, and its window.
  //
  // The window bounds how many elements of one producer wait to be drained, without any cost to the
  // consumer. Suppose drained_ has reached a stamp s2 that this producer drew after it enqueued an
  // element s1. Then s1 was enqueued before s2 was drawn, and the second scan of the drain that
  // published drained_ found s1. So once drained_ has reached the first stamp of a window all of
  // the window before is gone, and at most two half-size windows are ever waiting.
  struct Seat {
    typename BackingQueue::Token token;
    uint32_t window;  // how many elements the present one has
    uint32_t in_window;
    uint64_t window_stamp;
  };

  uint32_t NextWindow() const {
    const uint32_t share = Limits::kMostOfAll / std::max<uint32_t>(1, seats_.size());
    return std::min(longest_window_, std::max(share, Limits::kLeastPerProducer) / 2);
  }

  struct Free {
    void operator()(Stamped* memory) const { std::free(memory); }
  };
  using Buffer = std::unique_ptr<Stamped[], Free>;

  // One complete walk over the queue underneath; appends to the `held` elements in found_.
  std::size_t Scan(std::size_t held) {
    std::size_t room = capacity_ - held;
    std::size_t count = backing_.Scan(found_.get() + held, room);
    found_in_all_ += count;
    // More elements than were ever admitted: the walk may have been cut short, and with it the
    // order that this queue promises.
    if (count == room) std::abort();
    return count;
  }

  // Appends the elements of found_[0, count) with stamps up to `bound` to `out`, in stamp order,
  // and keeps the rest at the front of found_. Returns how many were appended.
  //
  // Stamps are nearly dense, so each element above the last bound goes straight to the place that
  // its stamp names. A late element, below the last bound, can only come from a producer that
  // stopped between its stamp and its enqueue: at most one per producer, kept apart and sorted.
  std::size_t Emit(std::size_t count, uint64_t bound, std::vector<T>* out) {
    const uint64_t base = bound_ + 1;
    // Failed enqueues leave gaps; after very many of them the direct way would need too much
    // memory.
    const uint64_t range = bound - bound_;
    if (range > capacity_ || !ReservePlaces(range + count)) return EmitSorted(count, bound, out);
    Stamped* const late_end = ordered_.get() + places_;
    Stamped* late = late_end;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Stamped element = found_[i];
      if (element.stamp > bound) {
        found_[kept++] = element;
      } else if (element.stamp >= base) {
        ordered_[element.stamp - base] = element;
      } else {
        *--late = element;
      }
    }
    pending_ = kept;
    const std::size_t emitted = count - kept;
    out->resize(out->size() + emitted);
    T* to = out->data() + out->size() - emitted;
    T* const end = out->data() + out->size();
    std::sort(late, late_end, ByStamp);
    for (; late != late_end; ++late) *to++ = late->item;
    // A place holds an element of this round if it holds its own stamp: no stamp is drawn twice.
    for (uint64_t stamp = base; to != end; ++stamp) {
      const Stamped& place = ordered_[stamp - base];
      if (place.stamp == stamp) *to++ = place.item;
    }
    return emitted;
  }

  // Makes ordered_ at least `needed` long. Grows it to twice that, so that it soon stops growing.
  bool ReservePlaces(std::size_t needed) {
    if (needed <= places_) return true;
    // Zeroed, because what happens to lie there must not look like a stamp.
    Buffer larger(static_cast<Stamped*>(std::calloc(2 * needed, sizeof(Stamped))));
    if (larger == nullptr) return false;
    ordered_ = std::move(larger);
    places_ = 2 * needed;
    return true;
  }

  std::size_t EmitSorted(std::size_t count, uint64_t bound, std::vector<T>* out) {
    Stamped* const begin = found_.get();
    std::sort(begin, begin + count, ByStamp);
    std::size_t emitted = 0;
    for (; emitted < count && begin[emitted].stamp <= bound; ++emitted) {
      out->push_back(begin[emitted].item);
    }
    pending_ = count - emitted;
    std::copy(begin + emitted, begin + count, begin);
    return emitted;
  }

  static bool ByStamp(const Stamped& a, const Stamped& b) { return a.stamp < b.stamp; }

  const uint32_t longest_window_;
  BackingQueue backing_;
  SlotPool<Seat, Atomics> seats_;

  StampCounter<Atomics> stamps_;
  // Written by producers that wait for room, read by the consumer.
  alignas(kCacheLineBytes) Waiters<Atomics> room_;
  // Written by producers and by whoever returns credits.
  Credits<Atomics> credits_;

  // Written by the consumer, read by producers now and then.
  alignas(kCacheLineBytes) typename Atomics::template Atomic<uint64_t> drained_{0};

  // The consumer's own. found_[0, pending_) was found and not yet emitted.
  alignas(kCacheLineBytes) const std::size_t capacity_;
  Buffer found_;
  Buffer ordered_;
  std::size_t places_ = 0;  // the length of ordered_
  std::size_t pending_ = 0;
  uint64_t found_in_all_ = 0;
  uint64_t bound_ = 0;
};

// The right to enqueue: one thread's end of a CausalQueue. Movable; hand it to another thread only
// with the usual synchronisation. Must not outlive the queue.
template <class T, class Atomics, template <class, class> class Backing>
class CausalQueue<T, Atomics, Backing>::Producer {
 public:
  Producer() = default;
  Producer(Producer&& other) noexcept
      : queue_(std::exchange(other.queue_, nullptr)), seat_(std::exchange(other.seat_, nullptr)) {}
  Producer& operator=(Producer&& other) noexcept {
    std::swap(queue_, other.queue_);
    std::swap(seat_, other.seat_);
    return *this;
  }
  ~Producer() {
    if (seat_ != nullptr) queue_->seats_.Release(seat_);
  }

  bool valid() const { return seat_ != nullptr; }

 private:
  friend class CausalQueue;
  Producer(CausalQueue* queue, Seat* seat) : queue_(queue), seat_(seat) {}

  CausalQueue* queue_ = nullptr;
  Seat* seat_ = nullptr;
};

}  // namespace millrace

#endif  // MILLRACE_QUEUE_CAUSAL_QUEUE_H_
