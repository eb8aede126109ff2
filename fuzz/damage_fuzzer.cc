// Takes a log that the shipping code wrote, damages it as the input says (flips, tears, splices,
// swaps, loses and copies of files), and reads it: what is missing is named, exactly.
//
// No byte of the damage is the fuzzer's own choice: it would learn to forge checksums.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "fuzz/damage_check.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/valid_log.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

using Files = std::map<std::string, std::string>;

constexpr size_t kLogs = 64;
constexpr int kMostEdits = 8;

// Building one takes longer than reading it.
const ValidLog& LogOf(uint8_t seed) {
  static auto& logs = *new std::array<std::optional<ValidLog>, kLogs>();
  std::optional<ValidLog>& log = logs[seed % kLogs];
  if (!log.has_value()) log = RandomValidLog(seed % kLogs);
  return *log;
}

// Some of this log's files, or some other name in its directory.
std::string AnyName(FuzzInput& input) {
  const uint64_t which = input.Number(1);
  switch (which % 16) {
    case 10:
      return "LOG";
    case 11:
      return "audit.cursor";
    case 12:
      return "b.cursor";
    case 13:
      return "CURSORS";
    case 14:
      return "notes";
    default:
      return SegmentName(which % 16 + 1);
  }
}

std::string* AnyFile(FuzzInput& input, Files& files) {
  const uint64_t which = input.Number(1);
  if (files.empty()) return nullptr;
  return &std::next(files.begin(), static_cast<int64_t>(which % files.size()))->second;
}

// A range of what is there.
struct Range {
  std::string* bytes;
  size_t begin;
  size_t size;
};

std::optional<Range> AnyRange(FuzzInput& input, Files& files) {
  std::string* const bytes = AnyFile(input, files);
  const size_t begin = input.Number(2);
  const size_t size = input.Number(2);
  if (bytes == nullptr || bytes->empty()) return std::nullopt;
  const size_t at = begin % bytes->size();
  return Range{bytes, at, std::min(size, bytes->size() - at)};
}

std::string Garbage(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  std::minstd_rand random(static_cast<unsigned>(seed) + 1);
  for (char& c : bytes) c = static_cast<char>(random() >> 16);
  return bytes;
}

void EditRange(uint64_t kind, const Range& range, FuzzInput& input, Files& files) {
  std::string& bytes = *range.bytes;
  switch (kind) {
    case 0:
      bytes[range.begin] ^= static_cast<char>(1 << range.size % 8);
      return;
    case 1:
      bytes.replace(range.begin, range.size, Garbage(range.size, input.Number(1)));
      return;
    case 2:
      bytes.replace(range.begin, range.size, range.size, '\0');
      return;
    case 3:  // and what stands behind it moves up
      bytes.erase(range.begin, range.size);
      return;
    case 4:
      bytes.resize(range.begin);
      return;
    case 5: {  // a splice
      const std::string copy = bytes.substr(range.begin, range.size);
      const std::optional<Range> to = AnyRange(input, files);
      if (to.has_value()) to->bytes->replace(to->begin, std::min(copy.size(), to->size), copy);
      return;
    }
    case 6: {  // a swap
      const std::optional<Range> other = AnyRange(input, files);
      if (!other.has_value()) return;
      const size_t size = std::min(range.size, other->size);
      const std::string mine = bytes.substr(range.begin, size);
      const std::string theirs = other->bytes->substr(other->begin, size);
      bytes.replace(range.begin, size, theirs);
      other->bytes->replace(other->begin, size, mine);
      return;
    }
    default:
      return;
  }
}

void Edit(FuzzInput& input, Files& files) {
  const uint64_t kind = input.Number(1) % 11;
  if (kind < 7) {
    const std::optional<Range> range = AnyRange(input, files);
    if (range.has_value()) EditRange(kind, *range, input, files);
    return;
  }
  std::string* const bytes = AnyFile(input, files);
  if (bytes == nullptr) return;
  switch (kind) {
    case 7:
      bytes->append(input.Number(2), '\0');
      return;
    case 8:
      bytes->append(Garbage(input.Number(2), input.Number(1)));
      return;
    case 9: {
      const std::string copy = *bytes;
      files[AnyName(input)] = copy;
      return;
    }
    case 10:
      files.erase(AnyName(input));
      return;
    default:
      return;
  }
}

}  // namespace
}  // namespace millrace

// The first byte names the log, and how the damaged one is opened; edits follow.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const millrace::ValidLog& log = millrace::LogOf(data[0]);
  millrace::FuzzInput input(data + 1, size - 1);
  millrace::Files files = log.files;
  for (int edits = 0; edits < millrace::kMostEdits && !input.empty(); ++edits) {
    millrace::Edit(input, files);
  }
  millrace::CheckDamaged(log, files, data[0] / 64);
  return 0;
}
