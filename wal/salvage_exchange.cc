#include "wal/salvage_exchange.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "wal/format.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/salvage_survey.h"
#include "wal/strings.h"
#include "wal/unfinished.h"

namespace millrace {
namespace {

constexpr std::string_view kAside = "aside";
constexpr std::string_view kPlace = "place";
constexpr std::string_view kEnd = "end ";

void AppendRename(std::string_view what, const std::pair<std::string, std::string>& names,
                  std::string* out) {
  // Names may hold anything, so their lengths stand before them.
  absl::StrAppendFormat(out, "%s %d %d %s%s\n", what, names.first.size(), names.second.size(),
                        names.first, names.second);
}

absl::Status Damaged() {
  return absl::DataLossError(
      "UNFINISHED, which says how an interrupted salvage goes on, is damaged: rename the log's "
      "files that do not end in .salvage to end in .aside, take .salvage off those that do, and "
      "delete UNFINISHED");
}

// Takes the text up to a space off `*rest`, as a number.
bool TakeNumber(std::string_view* rest, uint64_t* number) {
  const size_t space = rest->find(' ');
  if (space == std::string_view::npos) return false;
  const bool parsed = absl::SimpleAtoi(ToAbsl(rest->substr(0, space)), number);
  rest->remove_prefix(space + 1);
  return parsed;
}

bool TakeRename(std::string_view* rest, Exchange* exchange) {
  const bool aside = rest->starts_with(kAside);
  if (!aside && !rest->starts_with(kPlace)) return false;
  rest->remove_prefix(std::min(rest->size(), kAside.size() + 1));
  uint64_t from = 0;
  uint64_t to = 0;
  if (!TakeNumber(rest, &from) || !TakeNumber(rest, &to)) return false;
  if (from > rest->size() || to + 1 > rest->size() - from) return false;
  auto& list = aside ? exchange->aside : exchange->place;
  list.emplace_back(rest->substr(0, from), rest->substr(from, to));
  rest->remove_prefix(from + to + 1);
  return true;
}

absl::Status Rename(Directory& directory, const std::pair<std::string, std::string>& names) {
  const IoResult renamed = directory.Rename(names.first, names.second);
  return renamed < 0 ? IoError("rename", names.first, renamed) : absl::OkStatus();
}

absl::Status SyncEntries(Directory& directory) {
  const IoResult synced = SyncDirectory(directory);
  return synced < 0 ? IoError("sync", "the log's directory", synced) : absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SortedNames(Directory& directory) {
  std::vector<std::string> names;
  const IoResult listed = directory.List(&names);
  if (listed < 0) return IoError("list", "the log's directory", listed);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::string EncodeExchange(const Exchange& exchange) {
  std::string content(kExchangeLine);
  for (const auto& names : exchange.aside) AppendRename(kAside, names, &content);
  for (const auto& names : exchange.place) AppendRename(kPlace, names, &content);
  absl::StrAppendFormat(&content, "%s%016x\n", kEnd, BodyChecksum(0, content));
  return content;
}

absl::StatusOr<Exchange> DecodeExchange(const std::string& content) {
  constexpr size_t kEndBytes = 4 + 16 + 1;
  if (content.size() < kExchangeLine.size() + kEndBytes || !content.starts_with(kExchangeLine)) {
    return Damaged();
  }
  std::string_view rest = content;
  const std::string_view body = rest.substr(0, rest.size() - kEndBytes);
  if (rest.substr(body.size()) != absl::StrFormat("%s%016x\n", kEnd, BodyChecksum(0, body))) {
    return Damaged();
  }
  rest = body.substr(kExchangeLine.size());
  Exchange exchange;
  while (!rest.empty()) {
    if (!TakeRename(&rest, &exchange)) return Damaged();
  }
  return exchange;
}

absl::Status BeginExchange(Directory& directory, const Exchange& exchange) {
  const std::string name = std::string(kUnfinishedName) + std::string(kBuiltSuffix);
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(directory, name, OpenMode::kCreateExclusive, &file);
  if (opened < 0) return IoError("create", name, opened);
  const WriteOutcome outcome = WriteFully(*file, 0, EncodeExchange(exchange));
  if (outcome.error < 0) return IoErrorAt("write", name, outcome.written, outcome.error);
  const IoResult synced = SyncFile(*file);
  if (synced < 0) return IoError("sync", name, synced);
  absl::Status status = SyncEntries(directory);
  // Whole, or not there.
  if (status.ok()) status = Rename(directory, {name, std::string(kUnfinishedName)});
  return status.ok() ? SyncEntries(directory) : status;
}

absl::Status FinishExchange(Directory& directory, const Exchange& exchange) {
  absl::StatusOr<std::vector<std::string>> names = SortedNames(directory);
  if (!names.ok()) return names.status();
  const auto is_there = [&names](const std::string& name) {
    return std::binary_search(names->begin(), names->end(), name);
  };
  absl::Status status;
  for (const auto& rename : exchange.aside) {
    // By the new name: under the old one another file may stand by now.
    if (status.ok() && !is_there(rename.second)) status = Rename(directory, rename);
  }
  // Before a new file gets an old one's name.
  if (status.ok()) status = SyncEntries(directory);
  for (const auto& rename : exchange.place) {
    if (status.ok() && is_there(rename.first)) status = Rename(directory, rename);
  }
  if (status.ok()) status = SyncEntries(directory);
  return status.ok() ? RemoveUnfinished(directory) : status;
}

}  // namespace millrace
