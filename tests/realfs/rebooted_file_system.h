#ifndef MILLRACE_REBOOTED_FILE_SYSTEM_H_
#define MILLRACE_REBOOTED_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "millrace/file_system.h"

namespace millrace {

// Another file system, in another boot of the machine: after a power cut that did not come to pass
// the log must not believe that all its writes are in the page cache.
class RebootedFileSystem final : public FileSystem {
 public:
  RebootedFileSystem(FileSystem* target, uint64_t boot) : target_(target), boot_(boot) {}

  IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                         std::unique_ptr<Directory>* directory) override {
    return target_->OpenDirectory(path, mode, directory);
  }
  IoResult Random(std::span<char> out) override { return target_->Random(out); }
  uint64_t BootId() override { return target_->BootId() ^ boot_; }

 private:
  FileSystem* const target_;
  const uint64_t boot_;
};

}  // namespace millrace

#endif  // MILLRACE_REBOOTED_FILE_SYSTEM_H_
