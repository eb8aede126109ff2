#ifndef MILLRACE_WAL_APPEND_OUTCOME_H_
#define MILLRACE_WAL_APPEND_OUTCOME_H_

#include "absl/status/status.h"

namespace millrace {

// `error`, marked as that of an append that had been accepted; see MayHaveBeenAppended().
absl::Status AfterAcceptance(absl::Status error);

}  // namespace millrace

#endif  // MILLRACE_WAL_APPEND_OUTCOME_H_
