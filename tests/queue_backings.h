#ifndef MILLRACE_TESTS_QUEUE_BACKINGS_H_
#define MILLRACE_TESTS_QUEUE_BACKINGS_H_

// Queues to put underneath CausalQueue in tests.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "queue/backing.h"

namespace millrace {

// As unkind as the contract of queue/backing.h allows: a scan finds what was enqueued before it
// began, and of what was enqueued since a random prefix per producer, visiting the producers in
// random order and taking its time.
template <class E, class Atomics>
class AdversarialBacking {
  struct List {
    std::mutex mutex;
    std::vector<E> elements;
    std::size_t scanned = 0;
  };

 public:
  class Token {
   public:
    bool valid() const { return list_ != nullptr; }

   private:
    friend class AdversarialBacking;
    explicit Token(List* list) : list_(list) {}
    List* list_;
  };

  Token MakeToken() {
    std::lock_guard<std::mutex> lock(mutex_);
    lists_.push_back(std::make_unique<List>());
    return Token(lists_.back().get());
  }

  bool Enqueue(Token& token, const E& element) {
    std::lock_guard<std::mutex> lock(token.list_->mutex);
    token.list_->elements.push_back(element);
    return true;
  }

  std::size_t Scan(E* out, std::size_t most) {
    std::vector<List*> order;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (auto& list : lists_) order.push_back(list.get());
    }
    std::vector<std::size_t> enqueued_before;
    std::shuffle(order.begin(), order.end(), random_);
    for (List* list : order) {
      std::lock_guard<std::mutex> lock(list->mutex);
      enqueued_before.push_back(list->elements.size());
    }
    std::size_t count = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (random_() % 4 == 0) std::this_thread::yield();
      std::lock_guard<std::mutex> lock(order[i]->mutex);
      count += Take(*order[i], enqueued_before[i], out + count, most - count);
    }
    return count;
  }

 private:
  std::size_t Take(List& list, std::size_t at_least, E* out, std::size_t most) {
    std::size_t end = at_least + random_() % (list.elements.size() - at_least + 1);
    end = std::min(end, list.scanned + most);
    std::size_t count = end - list.scanned;
    std::copy_n(list.elements.begin() + static_cast<std::ptrdiff_t>(list.scanned), count, out);
    list.scanned = end;
    if (list.scanned == list.elements.size()) {
      list.elements.clear();
      list.scanned = 0;
    }
    return count;
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<List>> lists_;
  std::mt19937 random_{20220623};  // a fixed seed: the threads' timing is the chance here
};

// Shipping, except that there is no memory for elements whose item is kFailingItem.
inline constexpr uint64_t kFailingItem = ~uint64_t{0};

template <class E, class Atomics>
class FailingBacking : public MoodycamelBacking<E, Atomics> {
 public:
  using typename MoodycamelBacking<E, Atomics>::Token;

  bool Enqueue(Token& token, const E& element) {
    return element.item != kFailingItem && MoodycamelBacking<E, Atomics>::Enqueue(token, element);
  }
};

// Shipping, except that every second scan finds nothing: CausalQueue's drain with one pass only.
// Use it with Drain() alone.
template <class E, class Atomics>
class OnePassBacking : public MoodycamelBacking<E, Atomics> {
 public:
  std::size_t Scan(E* out, std::size_t most) {
    if (second_) {
      second_ = false;
      return 0;
    }
    std::size_t count = MoodycamelBacking<E, Atomics>::Scan(out, most);
    second_ = count != 0;
    return count;
  }

 private:
  bool second_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_QUEUE_BACKINGS_H_
