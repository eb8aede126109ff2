#ifndef MILLRACE_WAL_RECOVERY_UNSYNCED_H_
#define MILLRACE_WAL_RECOVERY_UNSYNCED_H_

#include "absl/status/status.h"
#include "millrace/options.h"
#include "millrace/recovery_report.h"
#include "wal/recovery_chain.h"
#include "wal/recovery_judge.h"

namespace millrace {

// Of the segments that the device would not sync nothing is trusted above the mark: after an
// error of a sync the next one returns 0 for pages that the kernel has dropped. What still
// reads back is taken off what `verdict` keeps and put into `unsynced`, to be copied. Each
// such segment is noted in `report`: what was written there last may be gone.
//
// Errors: DataLoss (kStrict, and there is something to copy).
absl::Status TakeUnsynced(const RecoveryChain& chain, RecoveryPolicy policy,
                          RecoveryVerdict* verdict, RecoveryReport* report);

}  // namespace millrace

#endif  // MILLRACE_WAL_RECOVERY_UNSYNCED_H_
