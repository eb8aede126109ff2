#ifndef MILLRACE_QUEUE_MOODYCAMEL_H_
#define MILLRACE_QUEUE_MOODYCAMEL_H_
// concurrentqueue has a different include path in each distribution.
#if __has_include("concurrentqueue.h")  // Bazel, both worlds
#include "concurrentqueue.h"            // IWYU pragma: export
#elif __has_include( \
    <concurrentqueue/moodycamel/concurrentqueue.h>)      // upstream's CMake install, Debian 13
#include <concurrentqueue/moodycamel/concurrentqueue.h>  // IWYU pragma: export
#else                                                    // Debian 12
#include <concurrentqueue/concurrentqueue.h>             // IWYU pragma: export
#endif
#endif
