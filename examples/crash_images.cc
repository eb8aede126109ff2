// Tests a store of its own against power cuts, on the simulated disk of the log's own tests:
//
//   crash_images
//
// The store keeps a map in one file, which each change writes anew beside it and renames. Once
// without the sync that the renaming needs, which the crash images show to lose everything; and
// once with it.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "millrace/file_system.h"
#include "millrace/testing/sim_file_system.h"

namespace {

using millrace::File;
using millrace::OpenMode;
using millrace::SimFileSystem;

using Contents = std::map<std::string, std::string>;

// --- The store that is to be tested -------------------------------------------------

enum class SyncBeforeRename : uint8_t { kForgotten, kDone };

class TinyStore {
 public:
  // Takes any file system: in production millrace::PosixFileSystem().
  TinyStore(millrace::FileSystem& files, SyncBeforeRename sync) : sync_(sync) {
    Check(files.OpenDirectory("store", millrace::DirectoryMode::kCreate, &directory_) >= 0);
    std::unique_ptr<File> file;
    if (directory_->Open("data", OpenMode::kRead, &file) < 0) return;
    std::string key;
    std::string word;
    char byte = 0;
    for (uint64_t at = 0; file->Read(at, std::span(&byte, 1)) == 1; ++at) {
      if (byte == '=') {
        key = std::exchange(word, {});
      } else if (byte == '\n') {
        contents_[key] = std::exchange(word, {});
      } else {
        word += byte;
      }
    }
  }

  // Durable when it returns.
  void Put(const std::string& key, const std::string& value) {
    contents_[key] = value;
    std::string text;
    for (const auto& [k, v] : contents_) text += k + "=" + v + "\n";
    std::unique_ptr<File> file;
    Check(directory_->Open("data.new", OpenMode::kCreate, &file) >= 0);
    Check(file->Truncate(0) >= 0);
    const std::string_view piece = text;
    Check(file->Write(0, std::span(&piece, 1)) == static_cast<int64_t>(text.size()));
    if (sync_ == SyncBeforeRename::kDone) Check(file->Sync() >= 0);
    Check(directory_->Rename("data.new", "data") >= 0);
    Check(directory_->Sync() >= 0);
  }

  const Contents& contents() const { return contents_; }

 private:
  static void Check(bool good) {
    if (!good) std::abort();
  }

  const SyncBeforeRename sync_;
  std::unique_ptr<millrace::Directory> directory_;
  Contents contents_;
};

// --- The test -----------------------------------------------------------------------

struct Findings {
  uint64_t images = 0;
  uint64_t wrong = 0;
  std::string first;
};

Findings TryPowerCuts(SyncBeforeRename sync) {
  constexpr uint64_t kSeed = 1;
  Findings findings;
  Contents before;  // what was promised
  Contents after;   // and what may be there besides, while a Put is under way
  SimFileSystem disk(millrace::OptionsOf(millrace::SimProfile::kStrict, kSeed));

  // Draws what a power cut before this call could leave, and looks at it with the store itself.
  const auto draw = [&](const millrace::FileCall& call) {
    disk.ForEachCrashImage(64, kSeed, [&](SimFileSystem& image, millrace::ImageId id) {
      ++findings.images;
      const TinyStore store(image, sync);
      if (store.contents() == before || store.contents() == after) return;
      if (findings.wrong++ > 0) return;
      findings.first = "before call " + std::to_string(call.number) + " (" +
                       std::string(FileOpName(call.op)) + " " + std::string(call.name) +
                       "), image " + std::to_string(id) + ": " +
                       std::to_string(store.contents().size()) + " keys, not " +
                       std::to_string(before.size()) + " or " + std::to_string(after.size());
    });
  };
  {
    TinyStore store(disk, sync);
    disk.SetHook([&](const millrace::FileCall& call) {
      if (call.number != 0) draw(call);  // it changes the disk
      return millrace::SimVerdict::kProceed;
    });
    for (int i = 0; i < 8; ++i) {
      const std::string key = "key" + std::to_string(i % 5);
      after[key] = std::to_string(i);
      store.Put(key, after[key]);
      before = after;
    }
  }
  draw({});
  return findings;
}

}  // namespace

int main() {
  const Findings broken = TryPowerCuts(SyncBeforeRename::kForgotten);
  std::printf("without the sync: %d of %d images wrong\n  the first %s\n",
              static_cast<int>(broken.wrong), static_cast<int>(broken.images),
              broken.first.c_str());
  const Findings mended = TryPowerCuts(SyncBeforeRename::kDone);
  std::printf("with it: %d of %d images wrong\n", static_cast<int>(mended.wrong),
              static_cast<int>(mended.images));
  return broken.wrong > 0 && mended.wrong == 0 ? 0 : 1;
}
