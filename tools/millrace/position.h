#ifndef MILLRACE_TOOLS_MILLRACE_POSITION_H_
#define MILLRACE_TOOLS_MILLRACE_POSITION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "tools/millrace/picture.h"

namespace millrace {

// The record that `text` names: a number, `earliest`, `latest` (behind the last one), or a time in
// RFC 3339 (the first record written then or later; behind the last one if there is none).
//
// Errors: InvalidArgument (none of these); OutOfRange (a number that the log neither has nor gives
//   out next).
absl::StatusOr<SequenceNumber> ResolvePosition(const std::string& text, const Picture& picture,
                                               LogReader* reader);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_POSITION_H_
