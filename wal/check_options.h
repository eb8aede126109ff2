#ifndef MILLRACE_WAL_CHECK_OPTIONS_H_
#define MILLRACE_WAL_CHECK_OPTIONS_H_

#include "absl/status/status.h"
#include "millrace/options.h"

namespace millrace {

// Ok if every field is within the bounds that its comment states; else
// InvalidArgument naming the first that is not, its value and the bound.
absl::Status CheckOptions(const Options& options);

// Ok if the options exist and go together; else InvalidArgument, naming those that do not.
absl::Status CheckAppendOptions(const AppendOptions& options);
absl::Status CheckFlushOptions(const FlushOptions& options);

}  // namespace millrace

#endif  // MILLRACE_WAL_CHECK_OPTIONS_H_
