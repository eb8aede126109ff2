#include "wal/record_body.h"

#include <cstring>

#include "millrace/options.h"

namespace millrace {
namespace {

void AppendU32(uint32_t value, std::string* out) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out->append(bytes, sizeof bytes);
}

}  // namespace

uint8_t AppendRecordBody(const RecordView& record, std::string* body) {
  if (!record.key.has_value() && record.attributes.empty()) {
    body->append(record.payload);
    return 0;
  }
  const std::string_view key = record.key.value_or(std::string_view());
  AppendU32(static_cast<uint32_t>(8 + key.size() + record.attributes.size()), body);
  AppendU32(record.key.has_value() ? static_cast<uint32_t>(key.size()) : kNoKey, body);
  body->append(key);
  body->append(record.attributes);
  body->append(record.payload);
  return kHasExtras;
}

uint8_t AppendRecordBody(const Record& record, std::string* body) {
  AppendOptions extras;
  extras.key = record.key;
  extras.attributes = record.attributes;
  const uint64_t bytes = ExtrasBytes(extras);
  if (bytes > 0) {
    body->resize(body->size() + bytes);
    EncodeExtras(extras, body->data() + body->size() - bytes);
  }
  body->append(record.payload);
  return bytes > 0 ? kHasExtras : 0;
}

void RecordDigest::Add(SequenceNumber sequence, int64_t time_ns, uint8_t flags,
                       std::string_view body) {
  char place[2 * sizeof(uint64_t) + 1];
  std::memcpy(place, &sequence, sizeof sequence);
  std::memcpy(place + sizeof sequence, &time_ns, sizeof time_ns);
  place[sizeof place - 1] = static_cast<char>(flags);
  value_ = BodyChecksum(value_, std::string_view(place, sizeof place));
  value_ = BodyChecksum(value_, body);
}

}  // namespace millrace
