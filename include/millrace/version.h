#ifndef MILLRACE_VERSION_H_
#define MILLRACE_VERSION_H_

#include <string_view>

#include "millrace/language.h"

namespace millrace {

// The version of the library, as in CHANGELOG.md and MODULE.bazel; a test holds the three together.
// Semantic versioning: before 1.0.0 a minor version may change the interface.
inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace millrace

#endif  // MILLRACE_VERSION_H_
