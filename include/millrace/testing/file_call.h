#ifndef MILLRACE_TESTING_FILE_CALL_H_
#define MILLRACE_TESTING_FILE_CALL_H_

#include <cstdint>
#include <string_view>

#include "millrace/language.h"

namespace millrace {

// One call through the file-system seam, as tests that watch or disturb it see
// it.
enum class FileOp : uint8_t {
  kOpenDirectory,
  kMakeDirectory,  // an OpenDirectory that creates (through ForwardingFileSystem: that may)
  kOpen,
  kCreate,  // an Open that creates (likewise)
  kRead,
  kWrite,
  kSync,
  kTruncate,
  kAllocate,
  kDropCache,
  kStat,
  kLock,
  kList,
  kRename,
  kUnlink,
  kDirectorySync,
};
inline constexpr int kFileOps = static_cast<int>(FileOp::kDirectorySync) + 1;

inline std::string_view FileOpName(FileOp op) {
  static constexpr std::string_view kNames[kFileOps] = {
      "open-directory", "make-directory", "open",     "create",        "read", "write",
      "sync",           "truncate",       "allocate", "drop-cache",    "stat", "lock",
      "list",           "rename",         "unlink",   "sync-directory"};
  return kNames[static_cast<int>(op)];
}

struct FileCall {
  uint64_t number = 0;  // of a mutating call on a SimFileSystem, from 1 on; else 0
  FileOp op = FileOp::kOpen;
  std::string_view name;  // the entry; "." for the directory itself; a path for OpenDirectory
  uint64_t offset = 0;
  uint64_t bytes = 0;  // asked for; the size for Truncate and Allocate
};

}  // namespace millrace

#endif  // MILLRACE_TESTING_FILE_CALL_H_
