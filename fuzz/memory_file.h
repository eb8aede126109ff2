#ifndef MILLRACE_MEMORY_FILE_H_
#define MILLRACE_MEMORY_FILE_H_

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "millrace/file_system.h"

namespace millrace {

// Bytes, as a file that can be read and nothing else. They outlive this. The first `begin`
// bytes of the file, which nobody may read, are not among them.
class MemoryFile : public File {
 public:
  explicit MemoryFile(std::string_view bytes, uint64_t begin = 0) : begin_(begin), bytes_(bytes) {}

  IoResult Read(uint64_t offset, std::span<char> out) override {
    if (offset < begin_) return -EBADF;
    offset -= begin_;
    if (offset >= bytes_.size()) return 0;
    const size_t bytes = std::min<uint64_t>(out.size(), bytes_.size() - offset);
    std::memcpy(out.data(), bytes_.data() + offset, bytes);
    return static_cast<IoResult>(bytes);
  }
  IoResult Stat(FileInfo* info) override {
    *info = {.kind = FileInfo::Kind::kRegular, .size = begin_ + bytes_.size(), .link_count = 1};
    return 0;
  }
  IoResult Write(uint64_t, std::span<const std::string_view>) override { return -EBADF; }
  IoResult Sync() override { return -EBADF; }
  IoResult Truncate(uint64_t) override { return -EBADF; }
  IoResult Allocate(uint64_t) override { return -EBADF; }
  IoResult DropCache() override { return 0; }
  IoResult TryLock(LockMode) override { return -EBADF; }

 private:
  const uint64_t begin_;
  const std::string_view bytes_;
};

}  // namespace millrace

#endif  // MILLRACE_MEMORY_FILE_H_
