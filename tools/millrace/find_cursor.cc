#include "tools/millrace/find_cursor.h"

#include <algorithm>
#include <utility>
#include <vector>

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

absl::Status ExplainMissingLog(std::string_view command, std::string_view arguments,
                               const Invocation& invocation, const absl::Status& status) {
  if (!absl::IsNotFound(status)) return status;
  const std::vector<std::string>& words = invocation.words();
  std::string meanings;
  std::string names(arguments);
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t space = std::min(names.find(' '), names.size());
    absl::StrAppendFormat(&meanings, "%s%s is \"%s\"", i == 0 ? "" : ", ", names.substr(0, space),
                          words[i]);
    names.erase(0, space + 1);
  }
  std::string text =
      absl::StrFormat("there is no log: %s (%s)", meanings, std::string(status.message()));
  for (size_t i = 1; i < words.size(); ++i) {
    if (!OpenReader(words[i]).ok()) continue;
    std::vector<std::string> meant = words;
    std::swap(meant[0], meant[i]);
    absl::StrAppendFormat(&text, "; \"%s\" is a log's directory: was it meant to be `millrace %s",
                          words[i], command);
    for (const std::string& word : meant) text += " " + word;
    return absl::NotFoundError(text + "`?");
  }
  return absl::NotFoundError(text);
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
