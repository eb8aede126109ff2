#ifndef MILLRACE_TOOLS_MILLRACE_FIND_CURSOR_H_
#define MILLRACE_TOOLS_MILLRACE_FIND_CURSOR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/millrace/invocation.h"
#include "tools/millrace/picture.h"

namespace millrace {

// Errors: InvalidArgument (no such cursor; those that there are, are named).
absl::StatusOr<CursorInfo> FindCursor(const Picture& picture, const std::string& name);

// `status`, of opening a command's directory; where there is no log, with what each word of the
// command was taken for, and with the order meant where another word is a log's directory.
// `arguments` are the command's: "DIR NAME".
absl::Status ExplainMissingLog(std::string_view command, std::string_view arguments,
                               const Invocation& invocation, const absl::Status& status);

// Errors: DataLoss, FailedPrecondition, Unimplemented (its file is damaged, another's, newer; says
//   what to do).
absl::Status CheckReadable(const CursorInfo& cursor);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_FIND_CURSOR_H_
