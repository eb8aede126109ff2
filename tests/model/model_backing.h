#ifndef MILLRACE_TESTS_MODEL_MODEL_BACKING_H_
#define MILLRACE_TESTS_MODEL_MODEL_BACKING_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "tests/model/explorer.h"

namespace millrace::model {

// There is no memory for it.
inline constexpr uint32_t kFailingElement = 1000;

// The weakest queue that keeps the contract of queue/backing.h: a scan finds what was enqueued
// before it, and of the rest any prefix per producer, in any combination.
//
// The tails are read relaxed, with one acquire fence after the last: so what a scan finds in one
// sub-queue obliges it to nothing in the next.
template <class E, class Atomics>
class ModelBacking {
 public:
  class Token {
   public:
    bool valid() const { return true; }

   private:
    friend class ModelBacking;
    explicit Token(std::size_t list) : list_(list) {}
    std::size_t list_;
  };

  Token MakeToken() { return Token(lists_in_use_++); }

  bool Enqueue(Token& token, const E& element) {
    List& list = lists_[token.list_];
    if (element.item == kFailingElement) return false;
    if (list.enqueued == kMostElements) Explorer::Current().Fail("the model's queue is too small");
    list.elements[list.enqueued++] = element;
    // release: publishes the element; pairs with the acquire fence in Scan().
    list.tail.store(list.enqueued, std::memory_order_release);
    return true;
  }

  std::size_t Scan(E* out, std::size_t most) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < lists_in_use_; ++i) {
      List& list = lists_[i];
      // relaxed: see above.
      uint32_t tail = list.tail.load(std::memory_order_relaxed);
      while (list.scanned < tail && count < most) out[count++] = list.elements[list.scanned++];
    }
    // acquire: shows what happened before each enqueue that was found.
    Atomics::Fence(std::memory_order_acquire);
    return count;
  }

 private:
  static constexpr std::size_t kMostElements = 8;
  struct List {
    std::array<E, kMostElements> elements;
    uint32_t enqueued = 0;  // the producer's own
    uint32_t scanned = 0;   // the consumer's own
    typename Atomics::template Atomic<uint32_t> tail{0};
  };
  std::array<List, 4> lists_;
  std::size_t lists_in_use_ = 0;
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_MODEL_BACKING_H_
