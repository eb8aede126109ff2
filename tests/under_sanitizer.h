#ifndef MILLRACE_UNDER_SANITIZER_H_
#define MILLRACE_UNDER_SANITIZER_H_

namespace millrace {

// Whether this program was built with a sanitizer, which makes it ten times
// slower and much larger. GCC and Clang say so in different ways.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kUnderSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kUnderSanitizer = true;
#else
inline constexpr bool kUnderSanitizer = false;
#endif
#else
inline constexpr bool kUnderSanitizer = false;
#endif

}  // namespace millrace

#endif  // MILLRACE_UNDER_SANITIZER_H_
