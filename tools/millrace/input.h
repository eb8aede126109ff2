#ifndef MILLRACE_TOOLS_MILLRACE_INPUT_H_
#define MILLRACE_TOOLS_MILLRACE_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "tools/millrace/choices.h"
#include "tools/millrace/interrupt.h"

namespace millrace {

// Takes records off a file descriptor. Used by one thread at a time.
class RecordInput {
 public:
  enum class Result : uint8_t {
    kRecord,
    kEnd,          // of the input
    kInterrupted,  // by a signal; what was read in part is dropped
    kError,        // see status()
  };

  // `interrupt` is not owned. Longer records than `max_record_bytes` are an error.
  RecordInput(int fd, Framing framing, uint64_t max_record_bytes, InterruptWatch* interrupt);
  RecordInput(const RecordInput&) = delete;
  RecordInput& operator=(const RecordInput&) = delete;

  Result Next(std::string* record);

  const absl::Status& status() const { return status_; }
  uint64_t records() const { return records_; }

 private:
  enum class Found : uint8_t { kRecord, kNeedsMore, kTooLarge };

  Found TakeLine(std::string* record);
  Found TakeLengthPrefixed(std::string* record);
  // What an input that ends in the middle of a record is worth.
  Result AtEnd(std::string* record);
  Result ReadMore();
  std::string_view unread() const {
    return std::string_view(buffer_.data() + begin_, end_ - begin_);
  }

  const int fd_;
  const Framing framing_;
  const uint64_t max_record_bytes_;
  InterruptWatch* const interrupt_;
  std::vector<char> buffer_;
  size_t begin_ = 0;  // [begin_, end_) of buffer_ is read and not yet taken
  size_t end_ = 0;
  size_t searched_ = 0;  // bytes from begin_ on that hold no newline
  uint64_t records_ = 0;
  bool ended_ = false;
  absl::Status status_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_INPUT_H_
