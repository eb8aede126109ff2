#ifndef MILLRACE_BENCH_COMPARE_RAW_FILE_H_
#define MILLRACE_BENCH_COMPARE_RAW_FILE_H_

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "bench/compare/raw_device.h"

namespace millrace {

// A descriptor that closes itself.
class RawFile {
 public:
  explicit RawFile(int fd) : fd_(fd) {}
  RawFile(RawFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  RawFile& operator=(RawFile&&) = delete;
  ~RawFile();

  int fd() const { return fd_; }

 private:
  int fd_;
};

struct FreeBlock {
  void operator()(char* memory) const { std::free(memory); }
};
using Block = std::unique_ptr<char[], FreeBlock>;

// Bytes that are not zero, aligned for O_DIRECT.
Block MakeBlock(size_t bytes);

// Creates `path`, allocated or written as `work` asks, opened as its way needs.
absl::StatusOr<RawFile> PrepareRawFile(const RawWork& work, const std::string& path);

// Where write number `i` goes.
uint64_t OffsetOf(const RawWork& work, uint64_t i);

// kDirectRing, on a prepared file.
absl::StatusOr<RawResult> MeasureRing(const RawWork& work, int fd);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_RAW_FILE_H_
