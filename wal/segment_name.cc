#include "wal/segment_name.h"

#include "wal/check.h"

namespace millrace {
namespace {

constexpr size_t kDigits = 20;
constexpr std::string_view kSuffix = ".seg";

}  // namespace

std::string SegmentName(uint64_t number) {
  WAL_CHECK(number != 0);
  WAL_CHECK_LE(number, kMaxSegmentNumber);
  std::string name(kDigits + kSuffix.size(), '0');  // takes memory once
  for (size_t i = kDigits; number != 0; number /= 10)
    name[--i] = static_cast<char>('0' + number % 10);
  name.replace(kDigits, kSuffix.size(), kSuffix);
  return name;
}

std::optional<uint64_t> ParseSegmentName(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || name.substr(kDigits) != kSuffix) {
    return std::nullopt;
  }
  uint64_t number = 0;
  for (const char c : name.substr(0, kDigits)) {
    if (c < '0' || c > '9') return std::nullopt;
    // Checked in every step: 20 digits can exceed 64 bits.
    if (number > kMaxSegmentNumber / 10) return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  if (number == 0 || number > kMaxSegmentNumber) return std::nullopt;
  return number;
}

}  // namespace millrace
