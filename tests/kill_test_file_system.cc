#include "tests/kill_test_file_system.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace millrace {
namespace {

enum class FileKind : uint8_t { kSegment, kCursor, kOther };

FileKind KindOf(std::string_view name) {
  if (name.ends_with(".seg")) return FileKind::kSegment;
  // Also one that is being made: "<name>.cursor.new".
  return name.find(".cursor") != name.npos ? FileKind::kCursor : FileKind::kOther;
}

// The window of a call that changes such a file in a way that appending does not.
std::optional<KillWindow> WindowOf(FileKind kind) {
  switch (kind) {
    case FileKind::kSegment:
      return KillWindow::kRotation;
    case FileKind::kCursor:
      return KillWindow::kCheckpoint;
    case FileKind::kOther:
      return std::nullopt;
  }
  return std::nullopt;
}

// Around one call.
class CallNotes {
 public:
  CallNotes(KillOracle* oracle, std::optional<KillWindow> window) : oracle_(oracle) {
    const bool recovering = oracle->phase.Read() == static_cast<uint64_t>(KillPhase::kRecovering);
    if (recovering) window = KillWindow::kRecovery;
    if (!window.has_value()) return;
    index_ = static_cast<size_t>(*window);
    // Recovery is noted as one window by who opens the log.
    counted_ = recovering ? nullptr : &oracle->inside[*index_];
    if (counted_ != nullptr) counted_->Add(1);
    call_ = oracle->calls[*index_].Add(1);
    if (AimedAt() && oracle_->aim.after.Read() == 0) Stop();
  }
  CallNotes(const CallNotes&) = delete;
  CallNotes& operator=(const CallNotes&) = delete;
  ~CallNotes() {
    if (AimedAt() && oracle_->aim.after.Read() == 1) Stop();
    if (counted_ != nullptr) counted_->Add(~uint64_t{0});  // minus one
  }

 private:
  bool AimedAt() const {
    return index_.has_value() && oracle_->aim.window.Read() == *index_ &&
           oracle_->aim.call.Read() == call_;
  }

  void Stop() {
    oracle_->stopped.Write(1);
    // To be killed. A parent that has died itself must not leave this behind.
    std::this_thread::sleep_for(std::chrono::seconds(60));
  }

  KillOracle* const oracle_;
  std::optional<size_t> index_;
  KillNote* counted_ = nullptr;
  uint64_t call_ = 0;
};

class KillFile final : public File {
 public:
  KillFile(KillOracle* oracle, FileKind kind, std::unique_ptr<File> target)
      : oracle_(oracle), kind_(kind), target_(std::move(target)) {}

  IoResult Read(uint64_t offset, std::span<char> out) override {
    const CallNotes notes(oracle_, std::nullopt);
    return target_->Read(offset, out);
  }
  IoResult Write(uint64_t offset, std::span<const std::string_view> pieces) override {
    // Headers, and the zeros of a new file, begin at 0; appending never does.
    const bool appends = kind_ == FileKind::kSegment && offset != 0;
    if (!appends) changes_.Write(1);
    const CallNotes notes(oracle_, appends ? std::nullopt : WindowOf(kind_));
    return target_->Write(offset, pieces);
  }
  IoResult Sync() override {
    const bool appended = changes_.Read() == 0;
    const CallNotes notes(oracle_, appended ? std::nullopt : WindowOf(kind_));
    changes_.Write(0);
    return target_->Sync();
  }
  IoResult Truncate(uint64_t size) override {
    const CallNotes notes(oracle_, WindowOf(kind_));
    return target_->Truncate(size);
  }
  IoResult Allocate(uint64_t size) override {
    const CallNotes notes(oracle_, WindowOf(kind_));
    return target_->Allocate(size);
  }
  IoResult DropCache() override {
    const CallNotes notes(oracle_, std::nullopt);
    return target_->DropCache();
  }
  IoResult Stat(FileInfo* info) override { return target_->Stat(info); }
  IoResult TryLock(LockMode mode) override {
    const CallNotes notes(oracle_, std::nullopt);
    return target_->TryLock(mode);
  }

 private:
  KillOracle* const oracle_;
  const FileKind kind_;
  const std::unique_ptr<File> target_;
  KillNote changes_;  // 1: not only appended to since the last sync
};

class KillDirectory final : public Directory {
 public:
  KillDirectory(KillOracle* oracle, std::unique_ptr<Directory> target)
      : oracle_(oracle), target_(std::move(target)) {}

  IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) override {
    const FileKind kind = KindOf(name);
    const bool creates = mode == OpenMode::kCreateExclusive;
    if (creates && kind == FileKind::kSegment) new_segments_.Write(1);
    const CallNotes notes(oracle_, creates ? WindowOf(kind) : std::nullopt);
    std::unique_ptr<File> opened;
    const IoResult result = target_->Open(name, mode, &opened);
    if (result >= 0) *file = std::make_unique<KillFile>(oracle_, kind, std::move(opened));
    return result;
  }
  IoResult List(std::vector<std::string>* names) override {
    const CallNotes notes(oracle_, std::nullopt);
    return target_->List(names);
  }
  IoResult Rename(std::string_view from, std::string_view to) override {
    if (KindOf(to) == FileKind::kSegment) {
      new_segments_.Write(1);
      oracle_->recycled.Add(1);
    }
    const CallNotes notes(oracle_, WindowOf(KindOf(to)));
    return target_->Rename(from, to);
  }
  IoResult Unlink(std::string_view name) override {
    const CallNotes notes(oracle_, std::nullopt);
    return target_->Unlink(name);
  }
  IoResult Sync() override {
    const bool rotates = new_segments_.Read() == 1;
    const CallNotes notes(oracle_, rotates ? std::optional(KillWindow::kRotation) : std::nullopt);
    new_segments_.Write(0);
    return target_->Sync();
  }
  bool OverwritesInPlace() override { return true; }

 private:
  KillOracle* const oracle_;
  const std::unique_ptr<Directory> target_;
  KillNote new_segments_;  // 1: a segment got its name since the last sync
};

}  // namespace

IoResult KillFileSystem::OpenDirectory(const std::string& path, DirectoryMode mode,
                                       std::unique_ptr<Directory>* directory) {
  const CallNotes notes(oracle_, std::nullopt);
  std::unique_ptr<Directory> opened;
  const IoResult result = target_->OpenDirectory(path, mode, &opened);
  if (result >= 0) *directory = std::make_unique<KillDirectory>(oracle_, std::move(opened));
  return result;
}

}  // namespace millrace
