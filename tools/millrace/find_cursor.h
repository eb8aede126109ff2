#ifndef MILLRACE_TOOLS_MILLRACE_FIND_CURSOR_H_
#define MILLRACE_TOOLS_MILLRACE_FIND_CURSOR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/millrace/picture.h"

namespace millrace {

// Errors: InvalidArgument (no such cursor; those that there are, are named).
absl::StatusOr<CursorInfo> FindCursor(const Picture& picture, const std::string& name);

// Errors: DataLoss, FailedPrecondition, Unimplemented (its file is damaged, another's, newer; says
//   what to do).
absl::Status CheckReadable(const CursorInfo& cursor);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_FIND_CURSOR_H_
