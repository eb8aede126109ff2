// Fault rules and options as text: printed where a test fails, parsed to run it again.

#include <cctype>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "millrace/testing/sim_rule.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

using Action = SimRule::Action;

constexpr std::string_view kActionNames[kSimActions] = {
    "fail",    "short", "lose-pages",   "pretend",      "limit",
    "corrupt", "delay", "crash-before", "crash-inside", "crash-after"};
constexpr std::string_view kEntriesNames[] = {"any-subset", "prefix"};
constexpr std::string_view kNewEntryNames[] = {"needs-directory-sync", "synced-with-file"};
constexpr std::string_view kFailedSyncNames[] = {"keeps-size", "reverts-size", "reports-late",
                                                 "aborts-journal", "reverts-cache"};

struct Switch {
  std::string_view name;
  bool SimOptions::*field;
};
constexpr Switch kSwitches[] = {
    {"torn-sectors", &SimOptions::torn_sectors},
    {"garbage", &SimOptions::garbage},
    {"stale-holes", &SimOptions::stale_holes},
    {"powersafe-overwrite", &SimOptions::powersafe_overwrite},
    {"overwrites-in-place", &SimOptions::overwrites_in_place},
};

// Sets `value` to the enumerator that `names` calls `word`.
template <typename Enum, size_t kNames>
bool ParseName(const std::string_view (&names)[kNames], std::string_view word, Enum* value) {
  for (size_t i = 0; i < kNames; ++i) {
    if (names[i] != word) continue;
    *value = static_cast<Enum>(i);
    return true;
  }
  return false;
}

template <typename Number>
bool ParseNumber(std::string_view word, Number* value) {
  return absl::SimpleAtoi(absl::string_view(word.data(), word.size()), value);
}

// Names of errors, or their numbers.
bool ParseErrno(std::string_view word, int* error) {
  constexpr int kMaxErrno = 4095;
  for (int number = 1; number <= 133; ++number) {
    if (ErrnoName(number) != word) continue;
    *error = number;
    return true;
  }
  return ParseNumber(word, error) && *error > 0 && *error <= kMaxErrno;
}

std::string PrintErrno(int error) {
  const std::string_view name = ErrnoName(error);
  return name == "errno" ? absl::StrCat(error) : std::string(name);
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos || line[begin] == '#') return words;
    const size_t end = line.find_first_of(" \t\r", begin);
    words.push_back(line.substr(begin, end - begin));
    if (end == std::string_view::npos) return words;
    line.remove_prefix(end);
  }
}

std::string PrintRule(const SimRule& rule) {
  std::string glob = rule.name;
  for (char& c : glob) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) c = '?';
  }
  std::string text = absl::StrCat("on ", std::string(FileOpName(rule.op)), " ", glob);
  if (rule.first != 1) absl::StrAppend(&text, " first=", rule.first);
  if (rule.count == SimRule::kForever) {
    absl::StrAppend(&text, " count=forever");
  } else if (rule.count != 1) {
    absl::StrAppend(&text, " count=", rule.count);
  }
  if (rule.one_in > 1) absl::StrAppend(&text, " one-in=", rule.one_in);
  absl::StrAppend(&text, " then ", std::string(kActionNames[static_cast<int>(rule.action)]));
  switch (rule.action) {
    case Action::kFail:
    case Action::kLosePages:
      absl::StrAppend(&text, " ", PrintErrno(rule.error));
      break;
    case Action::kShort:
      absl::StrAppend(&text, " ", rule.bytes);
      break;
    case Action::kLimit:
      absl::StrAppend(&text, " ", rule.bytes, " ", PrintErrno(rule.error));
      break;
    case Action::kCorrupt:
      absl::StrAppend(&text, " ", rule.bits);
      break;
    case Action::kDelay:
      absl::StrAppend(&text, " ", rule.delay);
      break;
    case Action::kPretend:
    case Action::kCrashBefore:
    case Action::kCrashInside:
    case Action::kCrashAfter:
      break;
  }
  return text;
}

// Whether `arguments` are those of the rule's action; takes them in.
bool ParseArguments(const std::vector<std::string_view>& arguments, SimRule* rule) {
  switch (rule->action) {
    case Action::kFail:
    case Action::kLosePages:
      return arguments.size() == 1 && ParseErrno(arguments[0], &rule->error);
    case Action::kShort:
      return arguments.size() == 1 && ParseNumber(arguments[0], &rule->bytes);
    case Action::kLimit:
      return arguments.size() == 2 && ParseNumber(arguments[0], &rule->bytes) &&
             ParseErrno(arguments[1], &rule->error);
    case Action::kCorrupt:
      return arguments.size() == 1 && ParseNumber(arguments[0], &rule->bits);
    case Action::kDelay:
      return arguments.size() == 1 && ParseNumber(arguments[0], &rule->delay);
    case Action::kPretend:
    case Action::kCrashBefore:
    case Action::kCrashInside:
    case Action::kCrashAfter:
      return arguments.empty();
  }
  return false;
}

bool ParseOp(std::string_view word, FileOp* op) {
  for (int i = 0; i < kFileOps; ++i) {
    if (FileOpName(static_cast<FileOp>(i)) != word) continue;
    *op = static_cast<FileOp>(i);
    return true;
  }
  return false;
}

// "first=3", "count=forever", "one-in=100".
bool ParseCondition(std::string_view word, SimRule* rule) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view key = word.substr(0, equals);
  const std::string_view value = word.substr(equals + 1);
  if (key == "first") return ParseNumber(value, &rule->first) && rule->first > 0;
  if (key == "one-in") return ParseNumber(value, &rule->one_in) && rule->one_in > 0;
  if (key != "count") return false;
  if (value == "forever") {
    rule->count = SimRule::kForever;
    return true;
  }
  return ParseNumber(value, &rule->count);
}

// Returns what is wrong with the line, or nothing.
std::string ParseRule(const std::vector<std::string_view>& words, std::vector<SimRule>* rules) {
  SimRule rule;
  if (words.size() < 2 || !ParseOp(words[1], &rule.op)) return "names no operation";
  if (words.size() < 3) return "has no glob";
  rule.name = words[2];
  size_t i = 3;
  for (; i < words.size() && words[i] != "then"; ++i) {
    if (!ParseCondition(words[i], &rule)) return absl::StrCat("cannot be: ", std::string(words[i]));
  }
  if (i + 1 >= words.size() || !ParseName(kActionNames, words[i + 1], &rule.action)) {
    return "names no action after \"then\"";
  }
  const std::vector<std::string_view> arguments(words.begin() + static_cast<ptrdiff_t>(i) + 2,
                                                words.end());
  if (!ParseArguments(arguments, &rule)) {
    return absl::StrCat(std::string(words[i + 1]), " has other arguments");
  }
  rules->push_back(std::move(rule));
  return "";
}

std::string ParseLine(const std::vector<std::string_view>& words, SimScript* script) {
  if (words[0] == "on") return ParseRule(words, &script->rules);
  if (words.size() != 2) return "has not two words";
  SimOptions& options = script->options;
  const std::string_view value = words[1];
  bool good = false;
  if (words[0] == "seed") {
    good = ParseNumber(value, &options.seed);
  } else if (words[0] == "sector-bytes") {
    good = ParseNumber(value, &options.sector_bytes) &&
           (options.sector_bytes == 512 || options.sector_bytes == 4096);
  } else if (words[0] == "entries") {
    good = ParseName(kEntriesNames, value, &options.entries);
  } else if (words[0] == "new-entry") {
    good = ParseName(kNewEntryNames, value, &options.new_entry);
  } else if (words[0] == "failed-sync") {
    good = ParseName(kFailedSyncNames, value, &options.failed_sync);
  } else if (words[0] == "capacity") {
    good = ParseNumber(value, &script->capacity.emplace());
  } else {
    for (const Switch& known : kSwitches) {
      if (known.name != words[0]) continue;
      good = value == "on" || value == "off";
      options.*known.field = value == "on";
    }
  }
  return good ? "" : absl::StrCat("cannot be: ", std::string(words[0]), " ", std::string(value));
}

}  // namespace

std::string SimScript::ToString() const {
  const SimOptions usual;
  std::string text;
  const auto line = [&text](std::string_view name, std::string_view value) {
    absl::StrAppend(&text, std::string(name), " ", std::string(value), "\n");
  };
  if (options.seed != usual.seed) line("seed", absl::StrCat(options.seed));
  if (options.sector_bytes != usual.sector_bytes) {
    line("sector-bytes", absl::StrCat(options.sector_bytes));
  }
  if (options.entries != usual.entries) {
    line("entries", kEntriesNames[static_cast<int>(options.entries)]);
  }
  if (options.new_entry != usual.new_entry) {
    line("new-entry", kNewEntryNames[static_cast<int>(options.new_entry)]);
  }
  if (options.failed_sync != usual.failed_sync) {
    line("failed-sync", kFailedSyncNames[static_cast<int>(options.failed_sync)]);
  }
  for (const Switch& known : kSwitches) {
    if (options.*known.field == usual.*known.field) continue;
    line(known.name, options.*known.field ? "on" : "off");
  }
  if (capacity.has_value()) line("capacity", absl::StrCat(*capacity));
  for (const SimRule& rule : rules) absl::StrAppend(&text, PrintRule(rule), "\n");
  return text;
}

std::optional<SimScript> SimScript::Parse(std::string_view text, std::string* error) {
  SimScript script;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::vector<std::string_view> words = Words(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (words.empty()) continue;
    if (const std::string wrong = ParseLine(words, &script); !wrong.empty()) {
      *error = absl::StrCat("line ", number, " ", wrong);
      return std::nullopt;
    }
  }
  return script;
}

}  // namespace millrace
