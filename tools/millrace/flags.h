#ifndef MILLRACE_TOOLS_MILLRACE_FLAGS_H_
#define MILLRACE_TOOLS_MILLRACE_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/flags/declare.h"
#include "absl/status/statusor.h"
#include "millrace/log_reader.h"
#include "millrace/options.h"

// The flags of all commands; each command names those that it takes.
ABSL_DECLARE_FLAG(bool, ack);
ABSL_DECLARE_FLAG(bool, check);
ABSL_DECLARE_FLAG(std::string, dir);
ABSL_DECLARE_FLAG(std::string, durability);
ABSL_DECLARE_FLAG(bool, f);
ABSL_DECLARE_FLAG(std::string, framing);
ABSL_DECLARE_FLAG(uint64_t, from);
ABSL_DECLARE_FLAG(bool, json);
ABSL_DECLARE_FLAG(std::string, key_separator);
ABSL_DECLARE_FLAG(uint64_t, n);
ABSL_DECLARE_FLAG(std::string, policy);
ABSL_DECLARE_FLAG(uint32_t, producers);
ABSL_DECLARE_FLAG(bool, quick);
ABSL_DECLARE_FLAG(int, rounds);
ABSL_DECLARE_FLAG(double, seconds);
ABSL_DECLARE_FLAG(uint64_t, segment_bytes);
ABSL_DECLARE_FLAG(std::string, upto);
ABSL_DECLARE_FLAG(bool, with_sequence);

namespace millrace {

// How records stand in a stream of bytes.
enum class Framing : uint8_t {
  kLines,   // each ends with a newline, which is not part of it
  kLength,  // each begins with its length, 4 bytes, little-endian
};

// The values of the flags of these names.
//
// Errors: InvalidArgument (not one of the words that the flag takes).
absl::StatusOr<Framing> FramingFlag();
absl::StatusOr<Durability> DurabilityFlag();
absl::StatusOr<RecoveryPolicy> PolicyFlag();
absl::StatusOr<LogReaderOptions::Limit> UptoFlag();

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_FLAGS_H_
