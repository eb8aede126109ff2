#include "wal/file_view.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace {
namespace {

class PatchedFile final : public File {
 public:
  PatchedFile(std::unique_ptr<File> target, const std::vector<ViewedFile::Patch>* patches)
      : target_(std::move(target)), patches_(*patches) {}

  IoResult Read(uint64_t offset, std::span<char> out) override {
    const IoResult got = target_->Read(offset, out);
    // A place that the device cannot read may be covered; to be asked for piece by piece.
    if (got < 0) return ReadPatched(offset, out, got);
    uint64_t end = offset + static_cast<uint64_t>(got);
    for (const ViewedFile::Patch& patch : patches_) {
      const uint64_t patch_end = patch.offset + patch.bytes.size();
      if (patch_end <= offset || patch.offset >= offset + out.size()) continue;
      // Behind the file's end only what goes on without a gap.
      if (patch.offset > end) continue;
      const uint64_t from = std::max(offset, patch.offset);
      const uint64_t to = std::min(offset + out.size(), patch_end);
      std::memcpy(out.data() + (from - offset), patch.bytes.data() + (from - patch.offset),
                  to - from);
      end = std::max(end, to);
    }
    return static_cast<IoResult>(end - offset);
  }
  IoResult Write(uint64_t, std::span<const std::string_view>) override { return -EROFS; }
  IoResult Sync() override { return target_->Sync(); }
  IoResult Truncate(uint64_t) override { return -EROFS; }
  IoResult Allocate(uint64_t) override { return -EROFS; }
  IoResult DropCache() override { return target_->DropCache(); }
  IoResult Stat(FileInfo* info) override {
    const IoResult result = target_->Stat(info);
    if (result < 0) return result;
    for (const ViewedFile::Patch& patch : patches_) {
      info->size = std::max(info->size, patch.offset + patch.bytes.size());
    }
    return result;
  }
  IoResult TryLock(LockMode mode) override { return target_->TryLock(mode); }

 private:
  IoResult ReadPatched(uint64_t offset, std::span<char> out, IoResult error) const {
    for (const ViewedFile::Patch& patch : patches_) {
      const uint64_t patch_end = patch.offset + patch.bytes.size();
      if (patch.offset > offset || patch_end <= offset) continue;
      const uint64_t bytes = std::min<uint64_t>(out.size(), patch_end - offset);
      std::memcpy(out.data(), patch.bytes.data() + (offset - patch.offset), bytes);
      return static_cast<IoResult>(bytes);
    }
    return error;
  }

  const std::unique_ptr<File> target_;
  const std::vector<ViewedFile::Patch>& patches_;
};

class ViewedDirectory final : public Directory {
 public:
  ViewedDirectory(std::unique_ptr<Directory> target, const FileNames* names)
      : target_(std::move(target)), names_(*names) {}

  IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) override {
    const auto viewed = names_.find(name);
    const bool reads = mode == OpenMode::kRead || mode == OpenMode::kReadWrite;
    if (viewed == names_.end()) return reads ? -ENOENT : -EROFS;
    if (!reads) return -EROFS;
    std::unique_ptr<File> opened;
    const IoResult result = target_->Open(viewed->second.name, mode, &opened);
    if (result < 0) return result;
    *file = std::make_unique<PatchedFile>(std::move(opened), &viewed->second.patches);
    return result;
  }
  IoResult List(std::vector<std::string>* names) override {
    names->clear();
    for (const auto& [name, file] : names_) names->push_back(name);
    return 0;
  }
  IoResult Rename(std::string_view, std::string_view) override { return -EROFS; }
  IoResult Unlink(std::string_view) override { return -EROFS; }
  IoResult Sync() override { return target_->Sync(); }
  bool OverwritesInPlace() override { return false; }

 private:
  const std::unique_ptr<Directory> target_;
  const FileNames& names_;
};

}  // namespace

IoResult FileView::OpenDirectory(const std::string& path, DirectoryMode,
                                 std::unique_ptr<Directory>* directory) {
  std::unique_ptr<Directory> opened;
  const IoResult result = target_->OpenDirectory(path, DirectoryMode::kMustExist, &opened);
  if (result < 0) return result;
  *directory = std::make_unique<ViewedDirectory>(std::move(opened), &names_);
  return result;
}

}  // namespace millrace
