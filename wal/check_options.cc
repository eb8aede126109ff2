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

absl::Status NoSuchEnumerator(const char* field, int value) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, ": use one of the enumerators"));
}

template <class Enum>
absl::Status CheckEnum(const char* field, Enum value, Enum last) {
  if (value <= last) return absl::OkStatus();
  return NoSuchEnumerator(field, static_cast<int>(value));
}

absl::Status CheckDuration(const char* field, absl::Duration value, absl::Duration least) {
  // A bound above too: points in time are counted in 64 bits of nanoseconds.
  const absl::Duration most = absl::Hours(24 * 365);
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("Options::", field, " is ", absl::FormatDuration(value), ": set it to between ",
                   absl::FormatDuration(least), " and ", absl::FormatDuration(most)));
}

absl::Status CheckSlowSync(absl::Duration value) {
  if (value >= absl::Microseconds(1)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("Options::slow_sync is ",
                                                 absl::FormatDuration(value),
                                                 ": set it to 1us or more, or make it infinite"));
}

}  // namespace

absl::Status CheckOptions(const Options& options) {
  const absl::Status checks[] = {
      CheckEnum("Options::create_mode", options.create_mode, CreateMode::kMustNotExist),
      CheckEnum("Options::recovery_policy", options.recovery_policy,
                RecoveryPolicy::kStopAtFirstLoss),
      CheckRange("segment_bytes", options.segment_bytes, 8 * kKiB, kKiB * kMiB),
      CheckRange("initial_segment_bytes", options.initial_segment_bytes, 8 * kKiB,
                 options.segment_bytes, " (segment_bytes)"),
      CheckRange("queue_records", options.queue_records, 64, uint64_t{1} << 22),
      CheckRange("queue_bytes", options.queue_bytes, 64 * kKiB, uint64_t{1} << 38),
      CheckRange("group_bytes", options.group_bytes, 4 * kKiB, 64 * kMiB),
      CheckRange("wait_yields", options.wait_yields, 0, 100'000),
      CheckRange("unsynced_bytes", options.unsynced_bytes, 64 * kKiB, UINT64_MAX),
      CheckDuration("sync_policy.interval", options.sync_policy.interval, absl::ZeroDuration()),
      CheckDuration("idle_mark_delay", options.idle_mark_delay, absl::Milliseconds(1)),
      CheckSlowSync(options.slow_sync),
  };
  for (const absl::Status& check : checks) {
    if (!check.ok()) return check;
  }
  return absl::OkStatus();
}

absl::Status CheckAppendOptions(const AppendOptions& options) {
  if (options.durability > Durability::kDurable) {
    return NoSuchEnumerator("AppendOptions::durability", static_cast<int>(options.durability));
  }
  if (options.when_full > WhenFull::kDropNewest) {
    return NoSuchEnumerator("AppendOptions::when_full", static_cast<int>(options.when_full));
  }
  if (options.when_full == WhenFull::kDropNewest && options.durability != Durability::kBuffered) {
    return absl::InvalidArgumentError(
        "AppendOptions::when_full is kDropNewest, and durability is not kBuffered: a record that "
        "somebody waits for is not given up; use kFail, or Durability::kBuffered");
  }
  return absl::OkStatus();
}

absl::Status CheckFlushOptions(const FlushOptions& options) {
  if (options.durability > Durability::kDurable) {
    return NoSuchEnumerator("FlushOptions::durability", static_cast<int>(options.durability));
  }
  if (options.durability == Durability::kBuffered) {
    return absl::InvalidArgumentError(
        "FlushOptions::durability is kBuffered, which every accepted record is: use kWritten or "
        "kDurable");
  }
  return absl::OkStatus();
}

}  // namespace millrace
