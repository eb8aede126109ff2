#include "wal/append_content.h"

#include <cstring>

namespace millrace {
namespace {

// More than any body may have. Adding up stops there, far from where 64 bits end.
constexpr uint64_t kFarTooLarge = uint64_t{1} << 48;

AppendOptions ExtrasOf(const NewRecord& record) {
  AppendOptions extras;
  extras.key = record.key;
  extras.attributes = record.attributes;
  return extras;
}

char* Copy(std::string_view payload, char* out) {
  if (!payload.empty()) std::memcpy(out, payload.data(), payload.size());
  return out + payload.size();
}

}  // namespace

AppendContent AppendContent::Record(std::string_view payload, const AppendOptions& options) {
  AppendContent content;
  content.payload_ = payload;
  content.options_ = &options;
  const uint64_t extras = ExtrasBytes(options);
  if (extras != 0) content.flags_ = kHasExtras;
  content.body_bytes_ = extras + payload.size();
  return content;
}

AppendContent AppendContent::Batch(std::span<const NewRecord> records) {
  AppendContent content;
  content.type_ = FrameType::kBatch;
  content.records_ = records;
  content.body_bytes_ = sizeof(uint32_t) * records.size();
  for (const NewRecord& record : records) {
    content.body_bytes_ += ExtrasBytes(ExtrasOf(record)) + record.payload.size();
    if (content.body_bytes_ > kFarTooLarge) break;
  }
  return content;
}

void AppendContent::CopyTo(char* out) const {
  if (type_ == FrameType::kRecord) {
    if (flags_ != 0) {
      EncodeExtras(*options_, out);
      out += body_bytes_ - payload_.size();
    }
    Copy(payload_, out);
    return;
  }
  char* entry = out;
  out += sizeof(uint32_t) * records_.size();
  for (const NewRecord& record : records_) {
    const AppendOptions extras = ExtrasOf(record);
    const uint64_t extras_bytes = ExtrasBytes(extras);
    uint32_t bytes = static_cast<uint32_t>(extras_bytes + record.payload.size());
    if (extras_bytes != 0) {
      EncodeExtras(extras, out);
      bytes |= kBatchEntryHasExtras;
    }
    std::memcpy(entry, &bytes, sizeof bytes);
    entry += sizeof bytes;
    out = Copy(record.payload, out + extras_bytes);
  }
}

}  // namespace millrace
