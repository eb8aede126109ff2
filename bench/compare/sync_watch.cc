#include "bench/compare/sync_watch.h"

#include <utility>

#include "bench/compare/ticks.h"

namespace millrace {
namespace {

class WatchedFile : public File {
 public:
  WatchedFile(std::unique_ptr<File> target, SyncWatch* watch)
      : target_(std::move(target)), watch_(watch) {}

  IoResult Read(uint64_t offset, std::span<char> out) override {
    return target_->Read(offset, out);
  }
  IoResult Write(uint64_t offset, std::span<const std::string_view> pieces) override {
    return target_->Write(offset, pieces);
  }
  IoResult Sync() override {
    const IoResult result = target_->Sync();
    watch_->NoteSync();
    return result;
  }
  IoResult Truncate(uint64_t size) override { return target_->Truncate(size); }
  IoResult Allocate(uint64_t size) override { return target_->Allocate(size); }
  IoResult DropCache() override { return target_->DropCache(); }
  IoResult Stat(FileInfo* info) override { return target_->Stat(info); }
  IoResult TryLock(LockMode mode) override { return target_->TryLock(mode); }

 private:
  const std::unique_ptr<File> target_;
  SyncWatch* const watch_;
};

class WatchedDirectory : public Directory {
 public:
  WatchedDirectory(std::unique_ptr<Directory> target, SyncWatch* watch)
      : target_(std::move(target)), watch_(watch) {}

  IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) override {
    std::unique_ptr<File> opened;
    const IoResult result = target_->Open(name, mode, &opened);
    if (result >= 0) *file = std::make_unique<WatchedFile>(std::move(opened), watch_);
    return result;
  }
  IoResult List(std::vector<std::string>* names) override { return target_->List(names); }
  IoResult Rename(std::string_view from, std::string_view to) override {
    return target_->Rename(from, to);
  }
  IoResult Unlink(std::string_view name) override { return target_->Unlink(name); }
  IoResult Sync() override { return target_->Sync(); }
  bool OverwritesInPlace() override { return target_->OverwritesInPlace(); }
  uint64_t FileSystemType() override { return target_->FileSystemType(); }

 private:
  const std::unique_ptr<Directory> target_;
  SyncWatch* const watch_;
};

}  // namespace

IoResult SyncWatch::OpenDirectory(const std::string& path, DirectoryMode mode,
                                  std::unique_ptr<Directory>* directory) {
  std::unique_ptr<Directory> opened;
  const IoResult result = target_->OpenDirectory(path, mode, &opened);
  if (result >= 0) *directory = std::make_unique<WatchedDirectory>(std::move(opened), this);
  return result;
}

void SyncWatch::NoteSync() {
  // relaxed: see last_sync().
  last_sync_.store(TickClock::Now(), std::memory_order_relaxed);
}

}  // namespace millrace
