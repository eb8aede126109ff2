#ifndef MILLRACE_STRINGS_H_
#define MILLRACE_STRINGS_H_
#include <string_view>

#include "absl/strings/string_view.h"
namespace millrace {
// absl::string_view is std::string_view in most builds of Abseil, and a class of
// its own, without conversions, in Debian's.  These compile in both.
inline absl::string_view ToAbsl(std::string_view s) {
  return absl::string_view(s.data(), s.size());
}
inline std::string_view ToStd(absl::string_view s) { return std::string_view(s.data(), s.size()); }
}  // namespace millrace
#endif
