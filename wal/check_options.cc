#include "wal/check_options.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace millrace {
namespace {

constexpr uint64_t kKiB = uint64_t{1} << 10;
constexpr uint64_t kMiB = uint64_t{1} << 20;

absl::Status CheckRange(const char* field, uint64_t value, uint64_t least, uint64_t most,
                        const char* most_is = "") {
  if (value < least) {
    return absl::InvalidArgumentError(
        absl::StrCat("Options::", field, " is ", value, ": raise it to at least ", least));
  }
  if (value > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("Options::", field, " is ", value, ": lower it to at most ", most, most_is));
  }
  return absl::OkStatus();
}

template <class Enum>
absl::Status CheckEnum(const char* field, Enum value, Enum last) {
  if (value <= last) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "Options::", field, " is ", static_cast<int>(value), ": use one of the enumerators"));
}

absl::Status CheckDuration(const char* field, absl::Duration value, absl::Duration least) {
  // A bound above too: points in time are counted in 64 bits of nanoseconds.
  const absl::Duration most = absl::Hours(24 * 365);
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("Options::", field, " is ", absl::FormatDuration(value), ": set it to between ",
                   absl::FormatDuration(least), " and ", absl::FormatDuration(most)));
}

}  // namespace

absl::Status CheckOptions(const Options& options) {
  const absl::Status checks[] = {
      CheckEnum("create_mode", options.create_mode, CreateMode::kMustNotExist),
      CheckEnum("recovery_policy", options.recovery_policy, RecoveryPolicy::kStopAtFirstLoss),
      CheckRange("segment_bytes", options.segment_bytes, 8 * kKiB, kKiB * kMiB),
      CheckRange("initial_segment_bytes", options.initial_segment_bytes, 8 * kKiB,
                 options.segment_bytes, " (segment_bytes)"),
      CheckRange("queue_records", options.queue_records, 64, uint64_t{1} << 22),
      CheckRange("queue_bytes", options.queue_bytes, 64 * kKiB, uint64_t{1} << 38),
      CheckRange("group_bytes", options.group_bytes, 4 * kKiB, 64 * kMiB),
      CheckRange("unsynced_bytes", options.unsynced_bytes, 64 * kKiB, UINT64_MAX),
      CheckDuration("sync_policy.interval", options.sync_policy.interval, absl::ZeroDuration()),
      CheckDuration("idle_mark_delay", options.idle_mark_delay, absl::Milliseconds(1)),
  };
  for (const absl::Status& check : checks) {
    if (!check.ok()) return check;
  }
  return absl::OkStatus();
}

}  // namespace millrace
