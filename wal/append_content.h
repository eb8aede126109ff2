#ifndef MILLRACE_WAL_APPEND_CONTENT_H_
#define MILLRACE_WAL_APPEND_CONTENT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "millrace/options.h"
#include "wal/format.h"

namespace millrace {

// What one append brings, still in the caller's memory: a record, or the records of
// a batch. Knows the body that they make in the log.
class AppendContent {
 public:
  // One record, with the key and attributes in `options`.
  static AppendContent Record(std::string_view payload, const AppendOptions& options);
  // One batch; CopyTo() may be called if it has 1 to kMaxBatchRecords records.
  static AppendContent Batch(std::span<const NewRecord> records);

  FrameType type() const { return type_; }
  size_t count() const { return type_ == FrameType::kBatch ? records_.size() : 1; }
  uint64_t body_bytes() const { return body_bytes_; }
  uint8_t flags() const { return flags_; }

  // Writes the body, body_bytes() long.
  void CopyTo(char* out) const;

 private:
  FrameType type_ = FrameType::kRecord;
  uint8_t flags_ = 0;
  uint64_t body_bytes_ = 0;
  std::string_view payload_;                // of a record
  const AppendOptions* options_ = nullptr;  // of a record
  std::span<const NewRecord> records_;      // of a batch
};

}  // namespace millrace

#endif  // MILLRACE_WAL_APPEND_CONTENT_H_
