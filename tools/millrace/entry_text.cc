#include "tools/millrace/entry_text.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "tools/millrace/choices.h"

namespace millrace {
namespace {

using Json = nlohmann::ordered_json;

// The bytes of the sequence that `lead` begins, and the least code point that may take that many; 0
// bytes if no sequence begins so.
struct Utf8Length {
  size_t bytes;
  uint32_t least;
};

Utf8Length LengthOf(unsigned char lead) {
  if (lead < 0x80) return {1, 0};
  if ((lead & 0xe0) == 0xc0) return {2, 0x80};
  if ((lead & 0xf0) == 0xe0) return {3, 0x800};
  if ((lead & 0xf8) == 0xf0) return {4, 0x10000};
  return {0, 0};
}

bool IsUtf8(std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const Utf8Length length = LengthOf(lead);
    if (length.bytes == 0 || i + length.bytes > bytes.size()) return false;
    uint32_t point = length.bytes == 1 ? lead : lead & (0x7fu >> length.bytes);
    for (size_t k = 1; k < length.bytes; ++k) {
      const auto next = static_cast<unsigned char>(bytes[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3fu);
    }
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < length.least || point > 0x10ffff || surrogate) return false;
    i += length.bytes;
  }
  return true;
}

std::string_view OutcomeName(RecoveryReport::Outcome outcome) {
  switch (outcome) {
    case RecoveryReport::Outcome::kCreated:
      return "created";
    case RecoveryReport::Outcome::kClean:
      return "clean";
    case RecoveryReport::Outcome::kRecovered:
      return "recovered";
  }
  return "unknown";
}

}  // namespace

absl::StatusOr<EntryStyle> EntryStyleOf(const Invocation& invocation) {
  const bool length = FramingOf(invocation) == Framing::kLength;
  const bool json = invocation.On("json");
  const bool with_sequence = invocation.On("with-sequence");
  if (length && (json || with_sequence)) {
    return absl::InvalidArgumentError(
        "--framing=length prints payloads alone; drop it or --json and --with-sequence");
  }
  if (json) return EntryStyle{EntryStyle::Form::kJson};
  if (with_sequence) return EntryStyle{EntryStyle::Form::kSequenceAndPayload};
  if (length) return EntryStyle{EntryStyle::Form::kLengthPrefixed};
  return EntryStyle{EntryStyle::Form::kPayload};
}

std::vector<JsonKey> EntryJsonKeys() {
  return {{"sequence", "the record's number"},
          {"time", "when its group was written, by the writer's clock, in UTC"},
          {"key",
           "of a record that has one; here and below `_base64` is added to the name of what "
           "is not UTF-8, and the value is in base64"},
          {"attributes", "of a record that has some: objects with name and value"},
          {"payload", "its bytes"},
          {"lost",
           "alone, in place of records: first, last, records, segment, begin, end (bytes "
           "of the segment), cause, acknowledgement"}};
}

std::string RecordText(const EntryStyle& style, const Record& record) {
  std::string text;
  switch (style.form) {
    case EntryStyle::Form::kJson:
      return JsonLine(RecordJson(record));
    case EntryStyle::Form::kLengthPrefixed:
      for (int shift = 0; shift < 32; shift += 8) {
        text += static_cast<char>(record.payload.size() >> shift & 0xff);
      }
      text += record.payload;
      return text;
    case EntryStyle::Form::kSequenceAndPayload:
      text = std::to_string(record.sequence) + "\t";
      break;
    case EntryStyle::Form::kPayload:
      break;
  }
  text += record.payload;
  text += '\n';
  return text;
}

void SetBytes(std::string_view name, std::string_view bytes, Json* object) {
  if (IsUtf8(bytes)) {
    (*object)[std::string(name)] = std::string(bytes);
  } else {
    (*object)[std::string(name) + "_base64"] =
        absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
  }
}

Json RecordJson(const Record& record) {
  Json object = {{"sequence", record.sequence}, {"time", TimeText(record.time)}};
  if (record.key) SetBytes("key", *record.key, &object);
  if (!record.attributes.empty()) {
    Json attributes = Json::array();
    for (const Attribute& attribute : record.attributes) {
      Json pair = Json::object();
      SetBytes("name", attribute.name, &pair);
      SetBytes("value", attribute.value, &pair);
      attributes.push_back(std::move(pair));
    }
    object["attributes"] = std::move(attributes);
  }
  SetBytes("payload", record.payload, &object);
  return object;
}

Json LostJson(const LostRange& lost) {
  return {{"first", lost.first},
          {"last", lost.last},
          {"records", lost.records()},
          {"segment", lost.segment},
          {"begin", lost.begin},
          {"end", lost.end},
          {"cause", LossCauseName(lost.cause)},
          {"acknowledgement", AcknowledgementName(lost.acknowledgement)}};
}

Json ReportJson(const RecoveryReport& report) {
  Json lost = Json::array();
  for (const LostRange& range : report.lost) lost.push_back(LostJson(range));
  return {{"outcome", OutcomeName(report.outcome)},
          {"first_retained", report.first_retained},
          {"last_recovered", report.last_recovered},
          {"next_sequence", report.next_sequence},
          {"mark", report.mark},
          {"epoch", report.epoch},
          {"lost", std::move(lost)},
          {"records_lost", report.records_lost()},
          {"tail",
           {{"segment", report.tail_segment},
            {"offset", report.tail_offset},
            {"bytes", report.tail_bytes},
            {"records_dropped", report.tail_records_dropped}}},
          {"segments", report.segments},
          {"bytes_scanned", report.bytes_scanned},
          {"ignored_files", report.ignored_files}};
}

std::string JsonLine(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

}  // namespace millrace
