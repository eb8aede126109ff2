#ifndef MILLRACE_QUEUE_CREDITS_H_
#define MILLRACE_QUEUE_CREDITS_H_

#include <algorithm>
#include <cstdint>

#include "queue/atomics.h"
#include "queue/cache_line.h"
#include "queue/wait_strategy.h"

namespace millrace {

// What a queue may hold. Values above the largest supported are lowered to it.
struct Limits {
  static constexpr uint32_t kMostRecords = uint32_t{1} << 22;
  static constexpr uint32_t kMostMarkers = uint32_t{1} << 20;
  static constexpr uint64_t kMostBytes = uint64_t{1} << 39;

  uint32_t records = 64 << 10;
  uint64_t bytes = 64 << 20;
  // How many elements of one producer may wait to be drained. A bound of its own because a
  // producer's part of the queue never gives memory back. Where producers are many it is lower:
  // their share of kMostOfAll, but not less than kLeastPerProducer.
  uint32_t per_producer = 2048;
  static constexpr uint32_t kMostOfAll = 32 << 10;
  static constexpr uint32_t kLeastPerProducer = 512;
  // How many markers may be in flight. They take nothing from `records`, so that however many
  // there are they keep no append out; but the consumer's buffer needs some bound.
  uint32_t markers = 32 << 10;

  // The most that one append may take, beside what arrays take for it, so that no append can starve
  // behind smaller ones for long. The caller checks it.
  struct Share {
    uint32_t records;
    uint64_t bytes;
  };
  Share largest_append() const {
    return {std::max<uint32_t>(1, records / 4), std::max<uint64_t>(1, bytes / 4)};
  }
};

enum class Admission { kAdmitted, kFull, kClosed, kTimedOut };

// How much is in flight.
struct InFlight {
  uint32_t records;  // and markers
  uint64_t bytes;
};

// Counts what is in flight, bounds it, and closes it. Records and their bytes share one atomic word
// with a closed bit, so that once it is set no admission succeeds and a count of zero means that
// nothing can still arrive. Markers have such a word of their own.
//
// Thread-safe. Never takes a lock; only Take() waits.
template <class Atomics>
class Credits {
 public:
  explicit Credits(const Limits& limits)
      : records_(std::clamp<uint32_t>(limits.records, 1, Limits::kMostRecords)),
        markers_(std::min(limits.markers, Limits::kMostMarkers)),
        bytes_(std::clamp<uint64_t>(limits.bytes, 1, Limits::kMostBytes)) {}

  // The most elements that can ever be in flight.
  uint32_t most_elements() const { return records_ + markers_; }

  Admission TryTake(uint32_t records, uint64_t bytes) {
    return TryAdd(word_, records, bytes, records_);
  }

  // Leaves at least `leave` markers to others.
  Admission TryTakeMarker(uint32_t leave = 0) {
    return TryAdd(markers_word_, 1, 0, leave < markers_ ? markers_ - leave : 0);
  }

  // Waits for space. A request above the limits can never be met and returns kFull at once.
  Admission Take(uint32_t records, uint64_t bytes, Deadline deadline) {
    Admission result = TryTake(records, bytes);
    if (result != Admission::kFull || records > records_ || bytes > bytes_) return result;
    bool decided = space_.Await(
        [&] { return (result = TryTake(records, bytes)) != Admission::kFull; }, deadline);
    return decided ? result : Admission::kTimedOut;
  }

  // What is left of the same sort: records, or markers.
  enum class Left { kSome, kNoneAndClosed };

  // Gives back what was taken.
  Left Return(uint32_t records, uint64_t bytes) {
    const Left left = Subtract(word_, Pack(records, bytes));
    space_.Notify();
    return left;
  }
  Left ReturnMarkers(uint32_t markers) { return Subtract(markers_word_, Pack(markers, 0)); }

  void Close() {
    // relaxed, both: the bit itself is the news; admissions and Finished() read these same words.
    markers_word_.fetch_or(kClosedBit, std::memory_order_relaxed);
    word_.fetch_or(kClosedBit, std::memory_order_relaxed);
    space_.Notify();
  }

  // True for whoever was told kClosed, of records or markers.
  bool Closed() const {
    // relaxed, both: nothing is read through the bits.
    return ((word_.load(std::memory_order_relaxed) |
             markers_word_.load(std::memory_order_relaxed)) &
            kClosedBit) != 0;
  }

  // acquire, both: shows what was done with all that was returned; pairs with release in
  // Subtract().
  bool Idle() const {
    return ((word_.load(Atomics::Orders::kIdle) | markers_word_.load(Atomics::Orders::kIdle)) &
            ~kClosedBit) == 0;
  }

  // acquire, both: as Idle(). A word that is closed and counts nothing stays so: of two such words
  // it does not matter that they are read one after the other.
  bool Finished() const {
    return word_.load(Atomics::Orders::kIdle) == kClosedBit &&
           markers_word_.load(Atomics::Orders::kIdle) == kClosedBit;
  }

  InFlight Depth() const {
    // relaxed, both: numbers to report; nothing is read through them.
    const uint64_t word = word_.load(std::memory_order_relaxed);
    const uint64_t markers = markers_word_.load(std::memory_order_relaxed);
    return {CountIn(word) + CountIn(markers), word & kBytesMask};
  }

 private:
  using Word = typename Atomics::template Atomic<uint64_t>;

  // From the top: the closed bit, 23 bits of records or markers, 40 bits of bytes.
  static constexpr int kBytesBits = 40;
  static constexpr uint64_t kBytesMask = (uint64_t{1} << kBytesBits) - 1;
  static constexpr uint64_t kClosedBit = uint64_t{1} << 63;
  static_assert(std::max(Limits::kMostRecords, Limits::kMostMarkers) < uint64_t{1}
                                                                           << (63 - kBytesBits));
  static_assert(Limits::kMostBytes <= kBytesMask);

  static constexpr uint64_t Pack(uint32_t records, uint64_t bytes) {
    return (uint64_t{records} << kBytesBits) + bytes;
  }

  static uint32_t CountIn(uint64_t word) {
    return static_cast<uint32_t>((word & ~kClosedBit) >> kBytesBits);
  }

  Admission TryAdd(Word& in, uint32_t count, uint64_t bytes, uint64_t most) {
    // relaxed, all three: the word bounds and counts; the elements themselves are published by the
    // enqueue, and the exchange keeps the chain of releases that Idle() acquires.
    uint64_t word = in.load(std::memory_order_relaxed);
    while (true) {
      if ((word & kClosedBit) != 0) return Admission::kClosed;
      if ((word >> kBytesBits) + count > most) return Admission::kFull;
      if (bytes > bytes_ - (word & kBytesMask)) return Admission::kFull;
      if (in.compare_exchange_weak(word, word + Pack(count, bytes), std::memory_order_relaxed,
                                   std::memory_order_relaxed)) {
        return Admission::kAdmitted;
      }
    }
  }

  static Left Subtract(Word& from, uint64_t share) {
    // release: passes on what was done with the elements; pairs with acquire in Idle(), Finished().
    const uint64_t before = from.fetch_sub(share, Atomics::Orders::kReturn);
    return before - share == kClosedBit ? Left::kNoneAndClosed : Left::kSome;
  }

  const uint32_t records_;
  const uint32_t markers_;
  const uint64_t bytes_;
  // Written by producers and by whoever returns.
  alignas(kCacheLineBytes) Word word_{0};
  // The same for markers, which are rare.
  alignas(kCacheLineBytes) Word markers_word_{0};
  // Written by those who wait, read by whoever returns.
  alignas(kCacheLineBytes) Waiters<Atomics> space_;
};

}  // namespace millrace

#endif  // MILLRACE_QUEUE_CREDITS_H_
