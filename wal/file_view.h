#ifndef MILLRACE_WAL_FILE_VIEW_H_
#define MILLRACE_WAL_FILE_VIEW_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/file_system.h"

namespace millrace {

// A file as a view shows it: which one it is in truth, and bytes that stand in place of its own.
struct ViewedFile {
  struct Patch {
    uint64_t offset = 0;
    std::string bytes;
  };
  std::string name;
  std::vector<Patch> patches;
};

// By the names under which they are shown.
using FileNames = std::map<std::string, ViewedFile, std::less<>>;

// Every directory as it would be if certain files had other names and no others were there. For
// reading: what would change a name or create a file is -EROFS, but locks and syncs are passed on.
class FileView final : public FileSystem {
 public:
  // `target` outlives this, and this what it hands out.
  FileView(FileSystem* target, FileNames names) : target_(target), names_(std::move(names)) {}

  IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                         std::unique_ptr<Directory>* directory) override;
  IoResult Random(std::span<char> out) override { return target_->Random(out); }
  uint64_t BootId() override { return target_->BootId(); }

 private:
  FileSystem* const target_;
  const FileNames names_;
};

// A directory in which every name that is asked for has `suffix` behind it; of those that are
// there it shows none. For writing a log beside another.
class SuffixedDirectory final : public Directory {
 public:
  // `target` outlives this.
  SuffixedDirectory(Directory& target, std::string_view suffix)
      : target_(target), suffix_(suffix) {}

  IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) override {
    return target_.Open(With(name), mode, file);
  }
  IoResult List(std::vector<std::string>* names) override {
    names->clear();
    return 0;
  }
  IoResult Rename(std::string_view from, std::string_view to) override {
    return target_.Rename(With(from), With(to));
  }
  IoResult Unlink(std::string_view name) override { return target_.Unlink(With(name)); }
  IoResult Sync() override { return target_.Sync(); }
  bool OverwritesInPlace() override { return target_.OverwritesInPlace(); }

 private:
  std::string With(std::string_view name) const { return std::string(name) + suffix_; }

  Directory& target_;
  const std::string suffix_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_FILE_VIEW_H_
