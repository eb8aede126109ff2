#ifndef MILLRACE_QUEUE_CACHE_LINE_H_
#define MILLRACE_QUEUE_CACHE_LINE_H_

#include <cstddef>
#include <cstdint>

namespace millrace {

// The distance that keeps two variables from slowing each other down when different threads write
// them. Not std::hardware_destructive_interference_size: GCC warns, rightly, that it changes with
// compiler flags, and a layout must not.
inline constexpr std::size_t kCacheLineBytes = 64;

// Begins to fetch the lines of [begin, end) for writing, so that later stores need not wait until
// another processor, which read them last, lets go of them. Never faults; waits for nothing but a
// place among the fetches under way.
inline void PrefetchForWriting(const char* begin, const char* end) {
  begin -= reinterpret_cast<std::uintptr_t>(begin) % kCacheLineBytes;
  for (; begin < end; begin += kCacheLineBytes) {
#if defined(__x86_64__)
    // The builtin becomes a fetch for reading where a build does not name the processor: the other
    // processor keeps the line then, and the store waits as before. Processors that have no such
    // instruction take it for a no-op.
    asm volatile("prefetchw %0" : : "m"(*begin));
#else
    __builtin_prefetch(begin, 1);
#endif
  }
}

}  // namespace millrace

#endif  // MILLRACE_QUEUE_CACHE_LINE_H_
