#ifndef MILLRACE_WAL_COPY_TARGET_H_
#define MILLRACE_WAL_COPY_TARGET_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"

namespace millrace {

// A new directory in which a log is being built. Until Finish it holds the mark that says so, and
// without Finish the destructor removes whatever was made in it, as far as that goes.
//
// Not thread-safe.
class CopyTarget {
 public:
  // The log that is copied.
  struct Source {
    std::string path;
    FileSystem* file_system = nullptr;
    Directory* directory = nullptr;
  };

  // Creates the directory if need be. `file_system` outlives this.
  //
  // Errors: InvalidArgument (it is the source, or inside it); AlreadyExists (it holds
  //   anything); I/O errors.
  static absl::StatusOr<std::unique_ptr<CopyTarget>> Create(const Source& source,
                                                            FileSystem& file_system,
                                                            const std::string& path);

  CopyTarget(const CopyTarget&) = delete;
  CopyTarget& operator=(const CopyTarget&) = delete;
  ~CopyTarget();

  FileSystem& file_system() { return file_system_; }
  Directory& directory() { return *directory_; }
  const std::string& path() const { return path_; }

  // Everything is durable and checked: from now on it is a log.
  absl::Status Finish();

 private:
  CopyTarget(FileSystem& file_system, std::string path)
      : file_system_(file_system), path_(std::move(path)) {}

  FileSystem& file_system_;
  const std::string path_;
  std::unique_ptr<Directory> directory_;
  bool begun_ = false;  // and not finished
};

// Ok unless `target` is the source's directory or lies inside it; it need not exist.
absl::Status CheckNotInside(const CopyTarget::Source& source, FileSystem& file_system,
                            const std::string& target);

}  // namespace millrace

#endif  // MILLRACE_WAL_COPY_TARGET_H_
