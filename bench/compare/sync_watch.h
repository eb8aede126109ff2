#ifndef MILLRACE_BENCH_COMPARE_SYNC_WATCH_H_
#define MILLRACE_BENCH_COMPARE_SYNC_WATCH_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/file_system.h"

namespace millrace {

// Passes everything on to the operating system's file system, and notes when the last sync of a
// file ended: the moment from which what was written before is durable.
class SyncWatch : public FileSystem {
 public:
  SyncWatch() = default;
  ~SyncWatch() override = default;

  IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                         std::unique_ptr<Directory>* directory) override;
  IoResult Random(std::span<char> out) override { return target_->Random(out); }
  uint64_t BootId() override { return target_->BootId(); }

  // By TickClock; 0 if there was none.
  // relaxed: a time; what was synced is seen through the log.
  uint64_t last_sync() const { return last_sync_.load(std::memory_order_relaxed); }
  void NoteSync();

 private:
  FileSystem* const target_ = PosixFileSystem();
  std::atomic<uint64_t> last_sync_{0};
};

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_SYNC_WATCH_H_
