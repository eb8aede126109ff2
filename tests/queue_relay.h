#ifndef MILLRACE_TESTS_QUEUE_RELAY_H_
#define MILLRACE_TESTS_QUEUE_RELAY_H_

// The baton relay: threads take turns, and whoever has the baton enqueues the next number and
// passes the baton on. Each enqueue thus happens after the one before it, in another thread; a
// queue that respects happens-before must give the numbers out in order.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define MILLRACE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define MILLRACE_SANITIZED 1
#endif
#endif

namespace millrace {

#ifdef MILLRACE_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

struct RelayResult {
  uint64_t received = 0;
  uint64_t violations = 0;  // numbers that came out after a larger one
};

// How far a relay of `threads` runs: long where hops are cheap.
inline uint64_t RelayHops(int threads) { return kSanitized || threads > 4 ? 20'000 : 300'000; }

// Runs `hops` hops over `threads` threads. `make_producer()` is called in each thread and returns a
// function that enqueues a number; `drain(std::vector<uint64_t>*)` appends what it finds.
//
// Numbers count from 1.
template <class MakeProducer, class Drain>
RelayResult RunRelay(int threads, uint64_t hops, MakeProducer make_producer, Drain drain) {
  std::atomic<uint64_t> baton{1};
  std::vector<std::thread> runners;
  for (int i = 0; i < threads; ++i) {
    runners.emplace_back([&, i] {
      auto enqueue = make_producer();
      for (uint64_t hop = 1 + static_cast<uint64_t>(i); hop <= hops;
           hop += static_cast<uint64_t>(threads)) {
        uint64_t at = baton.load(std::memory_order_acquire);
        while (at != hop) {
          baton.wait(at, std::memory_order_acquire);
          at = baton.load(std::memory_order_acquire);
        }
        enqueue(hop);
        baton.store(hop + 1, std::memory_order_release);
        baton.notify_all();
      }
    });
  }
  RelayResult result;
  uint64_t largest = 0;
  std::vector<uint64_t> found;
  while (result.received < hops) {
    found.clear();
    drain(&found);
    for (uint64_t number : found) {
      ++result.received;
      if (number < largest) ++result.violations;
      if (number > largest) largest = number;
    }
  }
  for (std::thread& runner : runners) runner.join();
  return result;
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_QUEUE_RELAY_H_
