#ifndef MILLRACE_WAL_SEGMENT_NAME_H_
#define MILLRACE_WAL_SEGMENT_NAME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

// The largest number a segment may have; far beyond use, and far enough below
// 2^64 that a stray file name cannot make the next number wrap.
inline constexpr uint64_t kMaxSegmentNumber = (uint64_t{1} << 62) - 1;

// "00000000000000000042.seg": names sort as their numbers do.
std::string SegmentName(uint64_t number);

// The number in a segment's file name. nullopt for everything SegmentName does
// not return: other lengths, other characters, 0 and numbers above the largest.
std::optional<uint64_t> ParseSegmentName(std::string_view name);

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_NAME_H_
