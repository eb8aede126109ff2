#ifndef MILLRACE_IRREGULAR_DIRECTORY_H_
#define MILLRACE_IRREGULAR_DIRECTORY_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/file_system.h"

namespace millrace {

// Another directory in which the file `name` opens and says of itself that it is no
// regular file: a file system of the user's own need not refuse to open one.
class IrregularDirectory final : public Directory {
 public:
  // `target` outlives this.
  IrregularDirectory(Directory& target, std::string name)
      : target_(target), name_(std::move(name)) {}

  IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) override {
    std::unique_ptr<File> opened;
    const IoResult result = target_.Open(name, mode, &opened);
    if (result < 0) return result;
    if (name == name_) {
      *file = std::make_unique<Irregular>(std::move(opened));
    } else {
      *file = std::move(opened);
    }
    return result;
  }
  IoResult List(std::vector<std::string>* names) override { return target_.List(names); }
  IoResult Rename(std::string_view from, std::string_view to) override {
    return target_.Rename(from, to);
  }
  IoResult Unlink(std::string_view name) override { return target_.Unlink(name); }
  IoResult Sync() override { return target_.Sync(); }
  bool OverwritesInPlace() override { return target_.OverwritesInPlace(); }

 private:
  class Irregular final : public File {
   public:
    explicit Irregular(std::unique_ptr<File> target) : target_(std::move(target)) {}

    IoResult Read(uint64_t offset, std::span<char> out) override {
      return target_->Read(offset, out);
    }
    IoResult Write(uint64_t offset, std::span<const std::string_view> pieces) override {
      return target_->Write(offset, pieces);
    }
    IoResult Sync() override { return target_->Sync(); }
    IoResult Truncate(uint64_t size) override { return target_->Truncate(size); }
    IoResult Allocate(uint64_t size) override { return target_->Allocate(size); }
    IoResult DropCache() override { return target_->DropCache(); }
    IoResult Stat(FileInfo* info) override {
      const IoResult result = target_->Stat(info);
      info->kind = FileInfo::Kind::kOther;
      return result;
    }
    IoResult TryLock(LockMode mode) override { return target_->TryLock(mode); }

   private:
    const std::unique_ptr<File> target_;
  };

  Directory& target_;
  const std::string name_;
};

}  // namespace millrace

#endif  // MILLRACE_IRREGULAR_DIRECTORY_H_
