#include "tools/millrace/command.h"

#include <cstdio>
#include <string>

#include "wal/io_status.h"

namespace millrace {

ExitCode ExitCodeFor(const absl::Status& status) {
  // A directory where a segment should be is no wrong usage, though its errno is called EINVAL.
  if (ErrnoOf(status) != 0) return ExitCode::kIoError;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kFine;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kAlreadyExists:
      return ExitCode::kUsage;
    case absl::StatusCode::kDataLoss:
      return ExitCode::kDamage;
    case absl::StatusCode::kAborted:
      return ExitCode::kLocked;
    default:
      return ExitCode::kIoError;
  }
}

void Complain(std::string_view command, std::string_view message) {
  std::fprintf(stderr, "millrace %.*s: %.*s\n", static_cast<int>(command.size()), command.data(),
               static_cast<int>(message.size()), message.data());
}

ExitCode Fail(std::string_view command, const absl::Status& status) {
  Complain(command, std::string(status.message()));
  return ExitCodeFor(status);
}

}  // namespace millrace
