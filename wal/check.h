#ifndef MILLRACE_CHECK_H_
#define MILLRACE_CHECK_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>

// Checks for invariants of this library's own code. A broken invariant ends the
// process: to go on would mean writing a log that nobody can reason about.
// Operating errors (a full disk, a damaged file) are never checked this way;
// they return a Status.
//
//   WAL_CHECK(offset % kAlignment == 0);
//   WAL_CHECK_LE(used, capacity);        // prints both values
//   WAL_DCHECK(IsSorted(list));          // debug builds only; may be costly
//
// WAL_CHECK stays on in release builds. No message is formatted and nothing is
// allocated before a check has failed.

namespace millrace::check_internal {

[[noreturn]] inline void Fail(const char* file, int line, const char* expression) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expression);
  std::abort();
}

template <typename T>
long long Printable(const T& value) {
  if constexpr (std::is_enum_v<T> || std::is_arithmetic_v<T>) {
    return static_cast<long long>(value);
  } else {
    return static_cast<long long>(reinterpret_cast<intptr_t>(value));
  }
}

template <typename A, typename B>
[[noreturn]] void FailCompare(const char* file, int line, const char* expression, const A& a,
                              const B& b) {
  std::fprintf(stderr, "%s:%d: check failed: %s (%lld against %lld)\n", file, line, expression,
               Printable(a), Printable(b));
  std::abort();
}

}  // namespace millrace::check_internal

#define WAL_CHECK(condition)                         \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::millrace::check_internal::Fail(__FILE__, __LINE__, #condition))

#define WAL_CHECK_COMPARE_(a, op, b)                                                              \
  do {                                                                                            \
    const auto& wal_check_a = (a);                                                                \
    const auto& wal_check_b = (b);                                                                \
    if (__builtin_expect(!(wal_check_a op wal_check_b), 0)) {                                     \
      ::millrace::check_internal::FailCompare(__FILE__, __LINE__, #a " " #op " " #b, wal_check_a, \
                                              wal_check_b);                                       \
    }                                                                                             \
  } while (false)

#define WAL_CHECK_EQ(a, b) WAL_CHECK_COMPARE_(a, ==, b)
#define WAL_CHECK_NE(a, b) WAL_CHECK_COMPARE_(a, !=, b)
#define WAL_CHECK_LT(a, b) WAL_CHECK_COMPARE_(a, <, b)
#define WAL_CHECK_LE(a, b) WAL_CHECK_COMPARE_(a, <=, b)
#define WAL_CHECK_GT(a, b) WAL_CHECK_COMPARE_(a, >, b)
#define WAL_CHECK_GE(a, b) WAL_CHECK_COMPARE_(a, >=, b)

// In release builds the condition is compiled, so that it cannot rot, and not run.
#ifdef NDEBUG
#define WAL_DCHECK(condition) static_cast<void>(false && static_cast<bool>(condition))
#else
#define WAL_DCHECK(condition) WAL_CHECK(condition)
#endif

#endif  // MILLRACE_CHECK_H_
