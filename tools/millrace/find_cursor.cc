#include "tools/millrace/find_cursor.h"

#include "absl/strings/str_format.h"

namespace millrace {

absl::StatusOr<CursorInfo> FindCursor(const Picture& picture, const std::string& name) {
  std::string names;
  for (const CursorInfo& cursor : picture.cursors) {
    if (cursor.name == name) return cursor;
    names += (names.empty() ? "" : ", ") + cursor.name;
  }
  return absl::InvalidArgumentError(absl::StrFormat("the log has no cursor \"%s\"; it has %s", name,
                                                    names.empty() ? std::string("none") : names));
}

absl::Status CheckReadable(const CursorInfo& cursor) {
  const std::string what = absl::StrFormat("the checkpoint of cursor %s is %s", cursor.name,
                                           CursorFileStateName(cursor.state));
  switch (cursor.state) {
    case CursorInfo::State::kValid:
      break;
    case CursorInfo::State::kDamaged:
      return absl::DataLossError(what + "; `millrace cursor delete --force` removes it");
    case CursorInfo::State::kForeign:
      return absl::FailedPreconditionError(
          what +
          ": another log's, or a copy of another cursor's; `millrace cursor delete --force` "
          "removes it");
    case CursorInfo::State::kNewer:
      return absl::UnimplementedError(what + ": use the version that wrote it");
  }
  return absl::OkStatus();
}

}  // namespace millrace
