#include "tools/millrace/command.h"

#include <cstdio>
#include <string>

namespace millrace {

ExitCode ExitCodeFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kFine;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
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
