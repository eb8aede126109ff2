#ifndef MILLRACE_QUEUE_BACKING_H_
#define MILLRACE_QUEUE_BACKING_H_

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <thread>
#include <type_traits>

#include "queue/moodycamel.h"

namespace millrace {

// What the causal queue needs from the queue underneath, and all it may rely on:
//
// - `class Token`: one producer's sub-queue; movable; valid() unless memory failed.
// - `Token MakeToken()`: any thread.
// - `bool Enqueue(Token&, const E&)`: one thread per token at a time; false if memory failed.
// - `size_t Scan(E* out, size_t most)`: one thread, ever; one walk over all sub-queues.
//
// Elements of one token come out in order. A scan that returns less than `most` has found every
// element whose enqueue happened before the scan; of those enqueued while it runs it may find or
// miss any. Found elements are gone from the queue.

// The shipping backing: moodycamel's ConcurrentQueue, used only in ways that were checked against
// its source (1.0.3):
// - Producers use explicit tokens; implicit production is compiled out, because a thread that stops
//   inside the resize of its hash table makes others spin.
// - A scan is one token-free try_dequeue_bulk. Through a consumer token, or in a loop until fewer
//   than asked come back, the end of the walk moves with the producers.
// - One thread scans, ever: with a second one a walk can miss elements that are present.
template <class E, class Atomics>
class MoodycamelBacking {
 public:
  class Token {
   public:
    bool valid() const { return token_.valid(); }

   private:
    friend class MoodycamelBacking;
    template <class Queue>
    explicit Token(Queue& queue) : token_(queue) {}

    moodycamel::ProducerToken token_;
  };

  MoodycamelBacking() : queue_(kFirstElements) {}

  Token MakeToken() { return Token(queue_); }

  bool Enqueue(Token& token, const E& element) { return queue_.enqueue(token.token_, element); }

  std::size_t Scan(E* out, std::size_t most) {
    CheckOneConsumer();
    return queue_.try_dequeue_bulk(out, most);
  }

 private:
  static_assert(std::is_trivially_copyable_v<E>, "a scan must not fail half way");

  // Small blocks: a log has many producers, most of them idle, and each keeps at least one block.
  struct Traits : moodycamel::ConcurrentQueueDefaultTraits {
    static constexpr std::size_t BLOCK_SIZE = 32;
    static constexpr std::size_t EXPLICIT_INITIAL_INDEX_SIZE = 8;
    static constexpr std::size_t INITIAL_IMPLICIT_PRODUCER_HASH_SIZE = 0;
  };
  static constexpr std::size_t kFirstElements = 2 * Traits::BLOCK_SIZE;

#ifdef NDEBUG
  void CheckOneConsumer() {}
#else
  void CheckOneConsumer() {
    if (consumer_ == std::thread::id()) consumer_ = std::this_thread::get_id();
    assert(consumer_ == std::this_thread::get_id() && "a second thread dequeues");
  }
  std::thread::id consumer_;
#endif

  moodycamel::ConcurrentQueue<E, Traits> queue_;
};

}  // namespace millrace

#endif  // MILLRACE_QUEUE_BACKING_H_
