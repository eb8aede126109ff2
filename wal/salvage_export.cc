#include "wal/salvage_export.h"

#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/strings.h"

namespace millrace {
namespace {

constexpr size_t kWriteBytes = size_t{256} << 10;

// A JSON string. Bytes beyond ASCII, which need not be UTF-8, as the characters of their numbers.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      absl::StrAppendFormat(&quoted, "\\u%04x", byte);
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string Base64(std::string_view bytes) {
  return "\"" + absl::Base64Escape(ToAbsl(bytes)) + "\"";
}

void AppendRecord(const RecordView& record, std::string* line) {
  if (record.key.has_value()) absl::StrAppend(line, ",\"key_base64\":", Base64(*record.key));
  std::string_view encoded = record.attributes;
  Attribute attribute;
  if (!encoded.empty()) *line += ",\"attributes\":[";
  for (bool first = true; NextAttribute(&encoded, &attribute); first = false) {
    absl::StrAppend(line, first ? "" : ",", "{\"name_base64\":", Base64(attribute.name),
                    ",\"value_base64\":", Base64(attribute.value), "}");
  }
  if (!record.attributes.empty()) *line += "]";
  absl::StrAppend(line, ",\"payload_base64\":", Base64(record.payload), "}\n");
}

}  // namespace

absl::Status UnplaceableFile::Add(std::string_view file, const FileIdentity& identity,
                                  const SurveyedFrame& frame, std::string_view reason) {
  const std::string id(identity.log_id.data(), identity.log_id.size());
  for (uint16_t i = 0; i < frame.header.count; ++i) {
    const std::optional<RecordView> record =
        frame.header.type == FrameType::kBatch
            ? DecodeBatchRecord(frame.body(), frame.header.count, i)
            : DecodeRecord(frame.body(), frame.header.flags);
    if (!record.has_value()) continue;
    absl::StrAppend(&lines_, "{\"file\":", Quoted(file), ",\"reason\":", Quoted(reason),
                    ",\"log_id\":\"", absl::BytesToHexString(id),
                    "\",\"segment\":", identity.number, ",\"incarnation\":", identity.incarnation,
                    ",\"offset\":", frame.offset, ",\"sequence\":", frame.header.sequence + i,
                    ",\"time_ns\":", frame.time_ns);
    AppendRecord(*record, &lines_);
  }
  return lines_.size() < kWriteBytes ? absl::OkStatus() : Write();
}

absl::Status UnplaceableFile::Write() {
  if (lines_.empty()) return absl::OkStatus();
  if (file_ == nullptr) {
    const IoResult opened = OpenFile(directory_, name_, OpenMode::kCreateExclusive, &file_);
    if (opened < 0) return IoError("create", name_, opened);
  }
  const WriteOutcome outcome = WriteFully(*file_, offset_, lines_);
  if (outcome.error < 0) {
    return IoErrorAt("write", name_, offset_ + outcome.written, outcome.error);
  }
  offset_ += lines_.size();
  lines_.clear();
  return absl::OkStatus();
}

absl::Status UnplaceableFile::Finish() {
  absl::Status status = Write();
  if (!status.ok() || file_ == nullptr) return status;
  const IoResult synced = SyncFile(*file_);
  return synced < 0 ? IoError("sync", name_, synced) : absl::OkStatus();
}

}  // namespace millrace
