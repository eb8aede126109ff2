#ifndef MILLRACE_QUEUE_CACHE_LINE_H_
#define MILLRACE_QUEUE_CACHE_LINE_H_

#include <cstddef>

namespace millrace {

// The distance that keeps two variables from slowing each other down when different threads write
// them. Not std::hardware_destructive_interference_size: GCC warns, rightly, that it changes with
// compiler flags, and a layout must not.
inline constexpr std::size_t kCacheLineBytes = 64;

}  // namespace millrace

#endif  // MILLRACE_QUEUE_CACHE_LINE_H_
