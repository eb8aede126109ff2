#include "tools/millrace/flags.h"

#include <array>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"

ABSL_FLAG(bool, ack, false, "print each sequence number once its record is safe");
ABSL_FLAG(bool, check, false, "fail unless Millrace is ahead of its peers");
ABSL_FLAG(std::string, dir, "", "where to measure; a new directory is made there");
ABSL_FLAG(std::string, durability, "durable", "buffered, written or durable");
ABSL_FLAG(bool, f, false, "wait for more records");
ABSL_FLAG(std::string, framing, "lines", "lines or length");
ABSL_FLAG(uint64_t, from, 0, "the sequence number to begin at");
ABSL_FLAG(bool, json, false, "print JSON");
ABSL_FLAG(std::string, key_separator, "", "what ends the key that each record begins with");
ABSL_FLAG(uint64_t, n, 10, "how many of the last records to begin with");
ABSL_FLAG(std::string, policy, "salvage", "salvage, strict or stop");
ABSL_FLAG(uint32_t, producers, 1, "threads that append");
ABSL_FLAG(bool, quick, false, "measure shorter");
ABSL_FLAG(int, rounds, 0, "how often each measurement is taken");
ABSL_FLAG(double, seconds, 0, "how long each measurement takes");
ABSL_FLAG(uint64_t, segment_bytes, uint64_t{64} << 20, "bytes of records in one segment");
ABSL_FLAG(std::string, upto, "readable", "durable or readable");
ABSL_FLAG(bool, with_sequence, false, "print the sequence number before each record");

namespace millrace {
namespace {

template <typename T, size_t kCount>
absl::StatusOr<T> Choose(const char* flag, const std::string& value,
                         const std::array<std::pair<std::string_view, T>, kCount>& choices) {
  std::string words;
  for (const auto& [word, choice] : choices) {
    if (value == word) return choice;
    words += words.empty() ? "" : ", ";
    words += word;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("--%s is \"%s\"; it takes one of: %s", flag, value, words));
}

}  // namespace

absl::StatusOr<Framing> FramingFlag() {
  using Choice = std::pair<std::string_view, Framing>;
  return Choose("framing", absl::GetFlag(FLAGS_framing),
                std::array{Choice{"lines", Framing::kLines}, Choice{"length", Framing::kLength}});
}

absl::StatusOr<Durability> DurabilityFlag() {
  using Choice = std::pair<std::string_view, Durability>;
  return Choose(
      "durability", absl::GetFlag(FLAGS_durability),
      std::array{Choice{"buffered", Durability::kBuffered}, Choice{"written", Durability::kWritten},
                 Choice{"durable", Durability::kDurable}});
}

absl::StatusOr<RecoveryPolicy> PolicyFlag() {
  using Choice = std::pair<std::string_view, RecoveryPolicy>;
  return Choose("policy", absl::GetFlag(FLAGS_policy),
                std::array{Choice{"salvage", RecoveryPolicy::kSalvage},
                           Choice{"strict", RecoveryPolicy::kStrict},
                           Choice{"stop", RecoveryPolicy::kStopAtFirstLoss}});
}

absl::StatusOr<LogReaderOptions::Limit> UptoFlag() {
  using Limit = LogReaderOptions::Limit;
  using Choice = std::pair<std::string_view, Limit>;
  return Choose(
      "upto", absl::GetFlag(FLAGS_upto),
      std::array{Choice{"durable", Limit::kDurable}, Choice{"readable", Limit::kReadable}});
}

}  // namespace millrace
