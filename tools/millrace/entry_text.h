#ifndef MILLRACE_TOOLS_MILLRACE_ENTRY_TEXT_H_
#define MILLRACE_TOOLS_MILLRACE_ENTRY_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/recovery_report.h"
#include "nlohmann/json.hpp"
#include "tools/millrace/command.h"
#include "tools/millrace/invocation.h"

namespace millrace {

// How `cat` and `tail` show what they read.
struct EntryStyle {
  enum class Form : uint8_t { kPayload, kSequenceAndPayload, kLengthPrefixed, kJson };
  Form form = Form::kPayload;
};

// From --framing, --with-sequence and --json.
//
// Errors: InvalidArgument (they contradict each other).
absl::StatusOr<EntryStyle> EntryStyleOf(const Invocation& invocation);

// One record as it is printed.
std::string RecordText(const EntryStyle& style, const Record& record);

// The keys of what is printed with --json.
std::vector<JsonKey> EntryJsonKeys();

nlohmann::ordered_json RecordJson(const Record& record);
nlohmann::ordered_json LostJson(const LostRange& lost);
nlohmann::ordered_json ReportJson(const RecoveryReport& report);

// Sets object[name] to `bytes` if they are UTF-8, which JSON demands, else object[name +
// "_base64"].
void SetBytes(std::string_view name, std::string_view bytes, nlohmann::ordered_json* object);

// One JSON value and a newline. Bytes of file names that are not UTF-8 are replaced.
std::string JsonLine(const nlohmann::ordered_json& value);

// RFC 3339, in UTC.
std::string TimeText(absl::Time time);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_ENTRY_TEXT_H_
