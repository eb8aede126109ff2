#ifndef MILLRACE_WAL_SYNC_REASON_H_
#define MILLRACE_WAL_SYNC_REASON_H_

#include <cstddef>
#include <cstdint>

namespace millrace {

// Why segment data is synced: the fields of SyncReasons, in their order, which is the
// order in which they are asked.
enum class SyncReason : uint8_t {
  kDurableAppend,
  kFlush,
  kPolicyRecords,
  kPolicyBytes,
  kPolicyInterval,
  kUnsyncedBytes,
  kRotation,
  kIdleMark,
  kTrim,
  kClose,
};
inline constexpr size_t kSyncReasons = static_cast<size_t>(SyncReason::kClose) + 1;

}  // namespace millrace

#endif  // MILLRACE_WAL_SYNC_REASON_H_
