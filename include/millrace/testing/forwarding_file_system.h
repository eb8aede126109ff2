#ifndef MILLRACE_TESTING_FORWARDING_FILE_SYSTEM_H_
#define MILLRACE_TESTING_FORWARDING_FILE_SYSTEM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/file_system.h"
#include "millrace/language.h"
#include "millrace/testing/file_call.h"

namespace millrace {

// Hands every call on to another file system, after asking a function of the
// test: it may count, wait (a slow disk), or answer in the file system's place.
//
//   ForwardingFileSystem disk(PosixFileSystem(), [&](const FileCall& call) {
//     if (call.op == FileOp::kSync) ++syncs;
//     return std::optional<IoResult>();  // or an errno: -EIO
//   });
//
// The function runs in the thread of the call, in several at once, and before
// the call is made. An answer >= 0 to an Open or an OpenDirectory is not allowed:
// there would be no file.
class ForwardingFileSystem final : public FileSystem {
 public:
  using Intercept = std::function<std::optional<IoResult>(const FileCall&)>;

  ForwardingFileSystem(FileSystem* target, Intercept intercept)
      : target_(target), intercept_(std::move(intercept)) {}

  IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                         std::unique_ptr<Directory>* directory) override {
    const FileOp op =
        mode == DirectoryMode::kCreate ? FileOp::kMakeDirectory : FileOp::kOpenDirectory;
    if (const auto answer = intercept_({.op = op, .name = path})) return *answer;
    std::unique_ptr<Directory> opened;
    const IoResult result = target_->OpenDirectory(path, mode, &opened);
    if (result >= 0) *directory = std::make_unique<Entries>(this, std::move(opened));
    return result;
  }
  IoResult Random(std::span<char> out) override { return target_->Random(out); }
  uint64_t BootId() override { return target_->BootId(); }

 private:
  class Bytes final : public File {
   public:
    Bytes(ForwardingFileSystem* owner, std::string_view name, std::unique_ptr<File> target)
        : owner_(owner), name_(name), target_(std::move(target)) {}

    IoResult Read(uint64_t offset, std::span<char> out) override {
      if (const auto answer = Ask(FileOp::kRead, offset, out.size())) return *answer;
      return target_->Read(offset, out);
    }
    IoResult Write(uint64_t offset, std::span<const std::string_view> pieces) override {
      uint64_t total = 0;
      for (const std::string_view piece : pieces) total += piece.size();
      if (const auto answer = Ask(FileOp::kWrite, offset, total)) return *answer;
      return target_->Write(offset, pieces);
    }
    // Advice; not asked about.
    IoResult StartWriteBack(uint64_t offset, uint64_t bytes) override {
      return target_->StartWriteBack(offset, bytes);
    }
    IoResult Sync() override {
      if (const auto answer = Ask(FileOp::kSync)) return *answer;
      return target_->Sync();
    }
    IoResult Truncate(uint64_t size) override {
      if (const auto answer = Ask(FileOp::kTruncate, 0, size)) return *answer;
      return target_->Truncate(size);
    }
    IoResult Allocate(uint64_t size) override {
      if (const auto answer = Ask(FileOp::kAllocate, 0, size)) return *answer;
      return target_->Allocate(size);
    }
    IoResult DropCache() override {
      if (const auto answer = Ask(FileOp::kDropCache)) return *answer;
      return target_->DropCache();
    }
    IoResult Stat(FileInfo* info) override {
      if (const auto answer = Ask(FileOp::kStat)) return *answer;
      return target_->Stat(info);
    }
    IoResult TryLock(LockMode mode) override {
      if (const auto answer = Ask(FileOp::kLock)) return *answer;
      return target_->TryLock(mode);
    }

   private:
    std::optional<IoResult> Ask(FileOp op, uint64_t offset = 0, uint64_t bytes = 0) {
      return owner_->intercept_({.op = op, .name = name_, .offset = offset, .bytes = bytes});
    }

    ForwardingFileSystem* const owner_;
    const std::string name_;
    const std::unique_ptr<File> target_;
  };

  class Entries final : public Directory {
   public:
    Entries(ForwardingFileSystem* owner, std::unique_ptr<Directory> target)
        : owner_(owner), target_(std::move(target)) {}

    IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) override {
      const bool may_create = mode == OpenMode::kCreate || mode == OpenMode::kCreateExclusive;
      if (const auto answer = Ask(may_create ? FileOp::kCreate : FileOp::kOpen, name)) {
        return *answer;
      }
      std::unique_ptr<File> opened;
      const IoResult result = target_->Open(name, mode, &opened);
      if (result >= 0) *file = std::make_unique<Bytes>(owner_, name, std::move(opened));
      return result;
    }
    IoResult List(std::vector<std::string>* names) override {
      if (const auto answer = Ask(FileOp::kList, ".")) return *answer;
      return target_->List(names);
    }
    IoResult Rename(std::string_view from, std::string_view to) override {
      if (const auto answer = Ask(FileOp::kRename, from)) return *answer;
      return target_->Rename(from, to);
    }
    IoResult Unlink(std::string_view name) override {
      if (const auto answer = Ask(FileOp::kUnlink, name)) return *answer;
      return target_->Unlink(name);
    }
    IoResult Sync() override {
      if (const auto answer = Ask(FileOp::kDirectorySync, ".")) return *answer;
      return target_->Sync();
    }
    bool OverwritesInPlace() override { return target_->OverwritesInPlace(); }
    uint64_t FileSystemType() override { return target_->FileSystemType(); }

   private:
    std::optional<IoResult> Ask(FileOp op, std::string_view name) {
      return owner_->intercept_({.op = op, .name = name});
    }

    ForwardingFileSystem* const owner_;
    const std::unique_ptr<Directory> target_;
  };

  FileSystem* const target_;
  const Intercept intercept_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTING_FORWARDING_FILE_SYSTEM_H_
