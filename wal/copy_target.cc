#include "wal/copy_target.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/unfinished.h"

namespace millrace {
namespace {

// How far up the directories above the target are looked at: more than a path can have.
constexpr int kMaxDepth = 64;

std::string WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string Parent(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : WithoutSlashes(path.substr(0, slash));
}

bool StatOf(Directory& directory, std::string_view name, FileInfo* info) {
  std::unique_ptr<File> file;
  return OpenFile(directory, name, OpenMode::kRead, &file) >= 0 && file->Stat(info) >= 0 &&
         info->kind == FileInfo::Kind::kRegular;
}

// Tells a directory from others by one file in it.
class DirectoryIdentity {
 public:
  explicit DirectoryIdentity(Directory& directory) {
    std::vector<std::string> names;
    if (directory.List(&names) < 0) return;
    const auto found = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
      return StatOf(directory, name, &info_);
    });
    if (found != names.end()) name_ = *found;
  }

  bool IsAt(FileSystem& file_system, const std::string& path, bool* exists) const {
    std::unique_ptr<Directory> directory;
    *exists = file_system.OpenDirectory(path, DirectoryMode::kMustExist, &directory) >= 0;
    if (!*exists || name_.empty()) return false;
    FileInfo info;
    return StatOf(*directory, name_, &info) && info.device == info_.device &&
           info.inode == info_.inode;
  }

 private:
  std::string name_;  // empty: the directory holds no file
  FileInfo info_;
};

}  // namespace

absl::Status CheckNotInside(const CopyTarget::Source& source, FileSystem& file_system,
                            const std::string& target) {
  if (&file_system != source.file_system) return absl::OkStatus();
  const std::string log = WithoutSlashes(source.path);
  std::string at = WithoutSlashes(target);
  const DirectoryIdentity identity(*source.directory);
  bool exists = false;
  if (at == log || identity.IsAt(file_system, at, &exists)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the target %s is the log itself; choose a directory outside of it", target));
  }
  bool inside = at.starts_with(log + "/");
  at = Parent(at);
  for (int depth = 0; depth < kMaxDepth && !inside; ++depth) {
    inside = identity.IsAt(file_system, at, &exists);
    if (!exists) break;
    at += "/..";
  }
  if (!inside) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "the target %s is inside the log %s; choose a directory outside of it", target, source.path));
}

absl::StatusOr<std::unique_ptr<CopyTarget>> CopyTarget::Create(const Source& source,
                                                               FileSystem& file_system,
                                                               const std::string& path) {
  absl::Status status = CheckNotInside(source, file_system, path);
  if (!status.ok()) return status;
  std::unique_ptr<CopyTarget> target(new CopyTarget(file_system, path));
  const IoResult opened =
      file_system.OpenDirectory(path, DirectoryMode::kCreate, &target->directory_);
  if (opened < 0) return IoError("open the target", path, opened);
  std::vector<std::string> names;
  const IoResult listed = target->directory_->List(&names);
  if (listed < 0) return IoError("list the target", path, listed);
  if (!names.empty()) {
    const bool part = std::find(names.begin(), names.end(), kUnfinishedName) != names.end();
    if (part) {
      return absl::AlreadyExistsError(absl::StrFormat(
          "the target %s holds a copy that was begun and not finished; if nobody is at work on "
          "it, delete the directory",
          path));
    }
    return absl::AlreadyExistsError(
        absl::StrFormat("the target %s is not empty, it holds %s: choose a new directory or an "
                        "empty one",
                        path, *std::min_element(names.begin(), names.end())));
  }
  status = BeginCopy(*target->directory_);
  // If somebody else began at the same moment, it is theirs.
  target->begun_ = !absl::IsAlreadyExists(status);
  if (!status.ok()) return status;
  return target;
}

absl::Status CopyTarget::Finish() {
  absl::Status status = RemoveUnfinished(*directory_);
  if (status.ok()) begun_ = false;
  return status;
}

CopyTarget::~CopyTarget() {
  if (!begun_) return;
  // Whatever cannot be removed stays marked as a part.
  std::vector<std::string> names;
  if (directory_->List(&names) < 0) return;
  bool removed = true;
  for (const std::string& name : names) {
    if (name != kUnfinishedName) removed = directory_->Unlink(name) >= 0 && removed;
  }
  removed = removed && SyncDirectory(*directory_) >= 0;
  if (removed) RemoveUnfinished(*directory_).IgnoreError();
}

}  // namespace millrace
