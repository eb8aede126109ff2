#ifndef MILLRACE_BENCH_COMPARE_TICKS_H_
#define MILLRACE_BENCH_COMPARE_TICKS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace millrace {

// A clock for single calls of some 50 ns, which a system clock would double. Measures how fast it
// ticks, and what reading it twice costs, when it is made: 2 ms.
class TickClock {
 public:
  TickClock() {
    const auto begin = std::chrono::steady_clock::now();
    const uint64_t first = Now();
    while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(2)) {
    }
    const uint64_t ticks = Now() - first;
    const auto ns =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin);
    ns_per_tick_ = ns.count() / static_cast<double>(ticks);
    reading_ = UINT64_MAX;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t start = Now();
      reading_ = std::min(reading_, Now() - start);
    }
  }

  static uint64_t Now() {
#if defined(__x86_64__)
    return __rdtsc();
#else
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
  }

  // What lay between two readings, without what reading costs at least.
  uint64_t Nanoseconds(uint64_t from, uint64_t to) const {
    const uint64_t ticks = to - from;
    return ticks <= reading_
               ? 0
               : static_cast<uint64_t>(static_cast<double>(ticks - reading_) * ns_per_tick_);
  }

 private:
  double ns_per_tick_ = 1;
  uint64_t reading_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_TICKS_H_
