#ifndef MILLRACE_TESTS_MODEL_MODEL_ATOMICS_H_
#define MILLRACE_TESTS_MODEL_MODEL_ATOMICS_H_

// The atomics policy that runs the shipping templates under the explorer.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>

#include "queue/atomics.h"
#include "tests/model/explorer.h"

namespace millrace::model {

// Stands in for std::atomic<T>. It becomes a location of the model when it is first used, so that
// large arrays of atomics of which few are used cost nothing.
template <class T>
class ModelAtomic {
 public:
  constexpr ModelAtomic() : ModelAtomic(T{}) {}
  constexpr ModelAtomic(T value) : first_(value) {}  // NOLINT: implicit, as std::atomic's is.
  ModelAtomic(const ModelAtomic&) = delete;
  ModelAtomic& operator=(const ModelAtomic&) = delete;

  T load(std::memory_order order) const {
    // Set-up and tear-down may look at any number of atomics that nobody used.
    if (location_ == kNone && Explorer::Current().InMain()) return first_;
    return Unpack(Explorer::Current().Load(location(), order));
  }
  void store(T value, std::memory_order order) {
    Explorer::Current().Store(location(), Pack(value), order);
  }
  T exchange(T value, std::memory_order order) {
    return Change(order, [value](T) { return value; });
  }
  T fetch_add(T value, std::memory_order order) {
    return Change(order, [value](T old) { return static_cast<T>(old + value); });
  }
  T fetch_sub(T value, std::memory_order order) {
    return Change(order, [value](T old) { return static_cast<T>(old - value); });
  }
  T fetch_or(T value, std::memory_order order) {
    return Change(order, [value](T old) { return static_cast<T>(old | value); });
  }
  T fetch_and(T value, std::memory_order order) {
    return Change(order, [value](T old) { return static_cast<T>(old & value); });
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                               std::memory_order failure) {
    uint64_t found = Pack(expected);
    bool done =
        Explorer::Current().CompareExchange(location(), found, Pack(desired), success, failure);
    expected = Unpack(found);
    return done;
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                             std::memory_order failure) {
    return compare_exchange_strong(expected, desired, success, failure);
  }

  // Blocks until a load finds `value`, as a loop around load() would.
  void Await(T value, std::memory_order order) const {
    Explorer::Current().Await(location(), order,
                              [wanted = Pack(value)](uint64_t found) { return found == wanted; });
  }

  std::size_t location() const {
    if (location_ == kNone) location_ = Explorer::Current().Create(this, Pack(first_));
    return location_;
  }

 private:
  static_assert(sizeof(T) <= sizeof(uint64_t));
  static constexpr std::size_t kNone = ~std::size_t{0};

  static uint64_t Pack(T value) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    return bits;
  }
  static T Unpack(uint64_t bits) {
    T value;
    std::memcpy(&value, &bits, sizeof(T));
    return value;
  }
  template <class F>
  T Change(std::memory_order order, F change) {
    return Unpack(Explorer::Current().Update(
        location(), order, [&](uint64_t old) { return Pack(change(Unpack(old))); }));
  }

  T first_;
  mutable std::size_t location_ = kNone;
};

// Orders, as variables: a test weakens one and expects the explorer to find what breaks.
struct ModelOrders {
  static inline std::memory_order kStamp = Orders::kStamp;
  static inline std::memory_order kWorkerFence = Orders::kWorkerFence;
  static inline std::memory_order kSleeperFence = Orders::kSleeperFence;
  static inline std::memory_order kNotify = Orders::kNotify;
  static inline std::memory_order kAwaken = Orders::kAwaken;
  static inline std::memory_order kGiverFence = Orders::kGiverFence;
  static inline std::memory_order kWaiterFence = Orders::kWaiterFence;
  static inline std::memory_order kReturn = Orders::kReturn;
  static inline std::memory_order kIdle = Orders::kIdle;
  static inline std::memory_order kPoolPush = Orders::kPoolPush;
  static inline std::memory_order kPoolPop = Orders::kPoolPop;
};

struct ModelAtomics {
  template <class T>
  using Atomic = ModelAtomic<T>;
  using Orders = ModelOrders;

  // Spinning changes how fast a waiter is, not what it may see.
  static constexpr int kSpins = 0;

  static void Fence(std::memory_order order) { Explorer::Current().Fence(order); }
  static void Relax() {}
  static void Step(EnqueueStep) {}

  static bool Wait(Atomic<uint32_t>& word, uint32_t expected, Deadline deadline) {
    return Explorer::Current().FutexWait(
        word.location(), expected, deadline != kNoDeadline ? Thread::kDozing : Thread::kAsleep);
  }
  static bool WaitAtMost(Atomic<uint32_t>& word, uint32_t expected, std::chrono::microseconds,
                         Deadline) {
    Explorer::Current().FutexWait(word.location(), expected, Thread::kPatient);
    return true;
  }
  static void WakeOne(Atomic<uint32_t>& word) {
    Explorer::Current().FutexWake(word.location(), Explorer::Sleepers::kOne);
  }
  static void WakeAll(Atomic<uint32_t>& word) {
    Explorer::Current().FutexWake(word.location(), Explorer::Sleepers::kAll);
  }
};

// A plain variable. A read or write that is not ordered after the last write is a data race and is
// reported; a write that races with an earlier read is not seen.
template <class T>
class Cell {
 public:
  T Read() const {
    if (!Explorer::Current().KnowsLast(word_.location())) Explorer::Current().Fail("data race");
    return word_.load(std::memory_order_relaxed);
  }
  void Write(T value) {
    if (!Explorer::Current().KnowsLast(word_.location())) Explorer::Current().Fail("data race");
    word_.store(value, std::memory_order_relaxed);
  }

 private:
  ModelAtomic<T> word_{T{}};
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_MODEL_ATOMICS_H_
