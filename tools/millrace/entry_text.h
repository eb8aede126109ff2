#ifndef MILLRACE_TOOLS_MILLRACE_ENTRY_TEXT_H_
#define MILLRACE_TOOLS_MILLRACE_ENTRY_TEXT_H_

#include <string>
#include <string_view>

#include "millrace/cursor.h"
#include "millrace/recovery_report.h"
#include "nlohmann/json.hpp"
#include "tools/millrace/flags.h"

namespace millrace {

// How `cat` and `tail` show what they read.
struct EntryStyle {
  enum class Form : uint8_t { kPayload, kSequenceAndPayload, kLengthPrefixed, kJson };
  Form form = Form::kPayload;
};

// From --framing, --with-sequence and --json.
//
// Errors: InvalidArgument (they contradict each other).
absl::StatusOr<EntryStyle> EntryStyleFlags();

// One record as it is printed.
std::string RecordText(const EntryStyle& style, const Record& record);

nlohmann::ordered_json RecordJson(const Record& record);
nlohmann::ordered_json LostJson(const LostRange& lost);
nlohmann::ordered_json ReportJson(const RecoveryReport& report);

// Sets object[name] to `bytes` if they are UTF-8, which JSON demands, else object[name +
// "_base64"].
void SetBytes(std::string_view name, std::string_view bytes, nlohmann::ordered_json* object);

// One JSON value and a newline. Bytes of file names that are not UTF-8 are replaced.
std::string JsonLine(const nlohmann::ordered_json& value);
std::string JsonDocument(const nlohmann::ordered_json& value);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_ENTRY_TEXT_H_
