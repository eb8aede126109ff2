// The bodies of records and batches.

#include <cstring>

#include "wal/check.h"
#include "wal/format.h"

namespace millrace {
namespace {

uint32_t GetU32(const char* p) {
  uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

void PutU32(char* p, uint64_t value) {
  const auto narrow = static_cast<uint32_t>(value);
  std::memcpy(p, &narrow, sizeof narrow);
}

}  // namespace

uint64_t ExtrasBytes(const AppendOptions& options) {
  if (!options.key.has_value() && options.attributes.empty()) return 0;
  uint64_t bytes = 8 + (options.key.has_value() ? options.key->size() : 0);
  for (const Attribute& a : options.attributes) bytes += 8 + a.name.size() + a.value.size();
  return bytes;
}

void EncodeExtras(const AppendOptions& options, char* out) {
  const auto put_bytes = [&out](std::string_view s) {
    if (!s.empty()) std::memcpy(out, s.data(), s.size());
    out += s.size();
  };
  PutU32(out, ExtrasBytes(options));
  PutU32(out + 4, options.key.has_value() ? options.key->size() : kNoKey);
  out += 8;
  if (options.key.has_value()) put_bytes(*options.key);
  for (const Attribute& a : options.attributes) {
    PutU32(out, a.name.size());
    PutU32(out + 4, a.value.size());
    out += 8;
    put_bytes(a.name);
    put_bytes(a.value);
  }
}

bool IsConsistentBatch(std::string_view body, uint16_t count) {
  const uint64_t index_bytes = uint64_t{4} * count;
  if (body.size() < index_bytes) return false;
  uint64_t begin = index_bytes;
  for (uint16_t i = 0; i < count; ++i) {
    uint32_t entry;
    std::memcpy(&entry, body.data() + uint64_t{4} * i, sizeof entry);
    const uint64_t bytes = entry & ~kBatchEntryHasExtras;
    if (bytes > body.size() - begin) return false;
    if ((entry & kBatchEntryHasExtras) != 0 &&
        !DecodeRecord(body.substr(begin, bytes), kHasExtras).has_value()) {
      return false;
    }
    begin += bytes;
  }
  return true;
}

bool NextAttribute(std::string_view* encoded, Attribute* attribute) {
  if (encoded->size() < 8) return false;
  const uint64_t name_bytes = GetU32(encoded->data());
  const uint64_t value_bytes = GetU32(encoded->data() + 4);
  if (encoded->size() - 8 < name_bytes + value_bytes) return false;
  attribute->name = encoded->substr(8, name_bytes);
  attribute->value = encoded->substr(8 + name_bytes, value_bytes);
  encoded->remove_prefix(8 + name_bytes + value_bytes);
  return true;
}

std::optional<RecordView> DecodeRecord(std::string_view body, uint8_t flags) {
  RecordView record;
  if ((flags & kHasExtras) == 0) {
    record.payload = body;
    return record;
  }
  if (body.size() < 8) return std::nullopt;
  const uint64_t extras_bytes = GetU32(body.data());
  const uint32_t key_bytes = GetU32(body.data() + 4);
  if (extras_bytes < 8 || extras_bytes > body.size()) return std::nullopt;
  std::string_view extras = body.substr(8, extras_bytes - 8);
  if (key_bytes != kNoKey) {
    if (key_bytes > extras.size()) return std::nullopt;
    record.key = extras.substr(0, key_bytes);
    extras.remove_prefix(key_bytes);
  }
  record.attributes = extras;
  record.payload = body.substr(extras_bytes);
  Attribute attribute;
  while (NextAttribute(&extras, &attribute)) {
  }
  if (!extras.empty()) return std::nullopt;
  return record;
}

std::optional<RecordView> DecodeBatchRecord(std::string_view body, uint16_t count, uint16_t i) {
  WAL_CHECK(i < count);
  uint64_t begin = uint64_t{4} * count;
  if (body.size() < begin) return std::nullopt;
  for (uint16_t k = 0; k < i; ++k) {
    begin += GetU32(body.data() + uint64_t{4} * k) & ~kBatchEntryHasExtras;
  }
  const uint32_t entry = GetU32(body.data() + uint64_t{4} * i);
  const uint64_t bytes = entry & ~kBatchEntryHasExtras;
  if (begin > body.size() || bytes > body.size() - begin) return std::nullopt;
  return DecodeRecord(body.substr(begin, bytes),
                      (entry & kBatchEntryHasExtras) != 0 ? kHasExtras : 0);
}

}  // namespace millrace
