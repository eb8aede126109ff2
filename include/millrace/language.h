#ifndef MILLRACE_LANGUAGE_H_
#define MILLRACE_LANGUAGE_H_

// Every public header includes this one, so that a program of an older language is told so once,
// before the errors that follow from it.
#if __cplusplus < 202002L
#error "Millrace needs C++20: compile with -std=c++20, by a compiler as new as GCC 11 or Clang 10"
#endif

#endif  // MILLRACE_LANGUAGE_H_
