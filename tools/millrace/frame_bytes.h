#ifndef MILLRACE_TOOLS_MILLRACE_FRAME_BYTES_H_
#define MILLRACE_TOOLS_MILLRACE_FRAME_BYTES_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/log_reader.h"

namespace millrace {

// The bytes of one segment's file, as they stand there.
class SegmentBytes {
 public:
  static absl::StatusOr<SegmentBytes> Open(const std::string& directory,
                                           const std::string& file_name);

  // The first bytes of a frame, at most kMostFrameBytes: all fields, and how its body begins. Fewer
  // where the file ends or cannot be read.
  std::string Of(const FrameInfo& frame) const;

 private:
  explicit SegmentBytes(std::unique_ptr<File> file) : file_(std::move(file)) {}
  std::unique_ptr<File> file_;
};

inline constexpr size_t kMostFrameBytes = 256;

// A line for each field that `bytes` begin with, as wal/FORMAT.md names them, then the body in hex
// and in characters.
std::string ExplainBytes(const FrameInfo& frame, std::string_view bytes);

std::string HexOf(std::string_view bytes);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_FRAME_BYTES_H_
