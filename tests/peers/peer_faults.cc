// The same faults of the disk against Millrace, LevelDB and RocksDB, and what each loses.
//
// In a child process 1000 records are appended, each synced. One system call on the log's file
// fails once, or nothing does; the child dies without closing. Then the file is brought to what the
// disk holds: what a failed sync did not bring there is zeros, or a byte is flipped. Then the log
// is opened again and its records are counted. Prints one line for each log and fault.

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "tests/temp_directory.h"

#ifdef MILLRACE_HAS_LEVELDB
#include "leveldb/db.h"
#endif
#ifdef MILLRACE_HAS_ROCKSDB
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#endif

namespace {

constexpr int kRecords = 1000;

// The fault, and what the calls on log files came to. In memory that parent and child share.
struct Shared {
  enum class Call : uint8_t { kNone, kWrite, kSync } call;
  int error;
  int countdown;  // calls until the one that fails
  bool armed;

  // Bytes written and not synced, of one file; and those that a failed sync left behind.
  struct Range {
    char path[256];
    uint64_t begin, end;
  } dirty[64], dropped[64];
  int dirty_count, dropped_count;

  bool acknowledged[kRecords];
};
Shared* shared = nullptr;

// Only files that hold the log's records are disturbed.
bool IsLog(int fd, char* path, size_t size) {
  const std::string link = absl::StrCat("/proc/self/fd/", fd);
  const ssize_t got = readlink(link.c_str(), path, size - 1);
  if (got <= 0) return false;
  path[got] = '\0';
  const std::string_view name(path, static_cast<size_t>(got));
  return name.ends_with(".log") || name.ends_with(".seg");
}

bool FailsNow(Shared::Call call) {
  return shared->call == call && shared->countdown > 0 && --shared->countdown == 0;
}

bool NoteWrite(int fd, uint64_t begin, uint64_t bytes) {
  char path[256];
  if (shared == nullptr || !shared->armed || !IsLog(fd, path, sizeof path)) return false;
  if (FailsNow(Shared::Call::kWrite)) return true;
  if (shared->dirty_count < 64) {
    Shared::Range& range = shared->dirty[shared->dirty_count++];
    std::strcpy(range.path, path);
    range.begin = begin;
    range.end = begin + bytes;
  }
  return false;
}

int Sync(int fd, long call) {
  char path[256];
  if (shared != nullptr && shared->armed && IsLog(fd, path, sizeof path)) {
    const bool fails = FailsNow(Shared::Call::kSync);
    int kept = 0;
    for (int i = 0; i < shared->dirty_count; ++i) {
      const Shared::Range range = shared->dirty[i];
      if (std::strcmp(range.path, path) != 0) {
        shared->dirty[kept++] = range;
      } else if (fails && shared->dropped_count < 64) {
        shared->dropped[shared->dropped_count++] = range;
      }
    }
    shared->dirty_count = kept;
    if (fails) {
      errno = shared->error;
      return -1;
    }
  }
  return static_cast<int>(syscall(call, fd));
}

}  // namespace

// In the place of the C library's, for this program and the libraries that it loads.
extern "C" {
ssize_t write(int fd, const void* bytes, size_t count) {
  if (NoteWrite(fd, static_cast<uint64_t>(lseek(fd, 0, SEEK_CUR)), count)) {
    errno = shared->error;
    return -1;
  }
  return syscall(SYS_write, fd, bytes, count);
}
ssize_t pwritev(int fd, const iovec* pieces, int count, off_t offset) {
  uint64_t total = 0;
  for (int i = 0; i < count; ++i) total += pieces[i].iov_len;
  if (NoteWrite(fd, static_cast<uint64_t>(offset), total)) {
    errno = shared->error;
    return -1;
  }
  return syscall(SYS_pwritev, fd, pieces, count, offset, 0);
}
int fdatasync(int fd) { return Sync(fd, SYS_fdatasync); }
int fsync(int fd) { return Sync(fd, SYS_fsync); }
}

namespace {

std::string Key(int i) { return absl::StrCat(1'000'000 + i); }
std::string Value(int i) { return absl::StrCat("value of ", i, std::string(80, 'v')); }

// What is left of a log.
struct Left {
  std::vector<bool> present = std::vector<bool>(kRecords);
  uint64_t named = 0;  // records that it says are lost
  std::string opened = "ok";
};

struct Peer {
  const char* name;
  // Appends all records, noting which were acknowledged.
  std::function<void(const std::string& directory)> append;
  std::function<Left(const std::string& directory)> read;
};

Peer Millrace() {
  Peer peer;
  peer.name = "Millrace";
  peer.append = [](const std::string& directory) {
    millrace::Options options;
    options.idle_mark_delay = absl::Hours(1);
    auto log = millrace::Log::Open(directory, options);
    if (!log.ok()) return;
    shared->armed = true;
    for (int i = 0; i < kRecords; ++i) {
      millrace::AppendOptions record;
      const std::string key = Key(i);
      record.key = key;
      record.timeout = absl::Seconds(5);
      shared->acknowledged[i] = (*log)->Append(Value(i), record).ok();
    }
    _exit(0);
  };
  peer.read = [](const std::string& directory) {
    Left left;
    const auto log = millrace::Log::Open(directory);
    if (!log.ok()) {
      left.opened = log.status().ToString();
      return left;
    }
    auto cursor = (*log)->OpenCursor("scoreboard").value();
    for (auto entry = cursor->Next(absl::ZeroDuration()); entry.ok();
         entry = cursor->Next(absl::ZeroDuration())) {
      if (entry->kind == millrace::Entry::Kind::kLost) {
        left.named += entry->lost.records();
        continue;
      }
      const int i = std::atoi(std::string(entry->record.key.value_or("")).c_str()) - 1'000'000;
      if (i >= 0 && i < kRecords) left.present[i] = entry->record.payload == Value(i);
    }
    return left;
  };
  return peer;
}

#if defined(MILLRACE_HAS_LEVELDB) || defined(MILLRACE_HAS_ROCKSDB)
// LevelDB's and RocksDB's interfaces are alike.
template <class Db, class DbOptions, class WriteOptions, class ReadOptions>
Peer KeyValueStore(const char* name) {
  Peer peer;
  peer.name = name;
  peer.append = [](const std::string& directory) {
    DbOptions options;
    options.create_if_missing = true;
    Db* db = nullptr;
    if (!Db::Open(options, directory, &db).ok()) return;
    shared->armed = true;
    WriteOptions write;
    write.sync = true;
    for (int i = 0; i < kRecords; ++i) {
      shared->acknowledged[i] = db->Put(write, Key(i), Value(i)).ok();
    }
    _exit(0);
  };
  peer.read = [](const std::string& directory) {
    Left left;
    Db* db = nullptr;
    const auto status = Db::Open(DbOptions(), directory, &db);
    if (!status.ok()) {
      left.opened = status.ToString();
      return left;
    }
    const std::unique_ptr<Db> owner(db);
    for (int i = 0; i < kRecords; ++i) {
      std::string value;
      left.present[i] = db->Get(ReadOptions(), Key(i), &value).ok() && value == Value(i);
    }
    return left;
  };
  return peer;
}
#endif

struct Fault {
  const char* name;
  Shared::Call call = Shared::Call::kNone;
  int error = 0;
  bool flip = false;
};

void PatchFile(const std::string& path, uint64_t begin, const std::string& bytes) {
  const int fd = open(path.c_str(), O_WRONLY);
  if (fd < 0) return;
  lseek(fd, static_cast<off_t>(begin), SEEK_SET);
  if (write(fd, bytes.data(), bytes.size()) < 0) std::perror(path.c_str());
  close(fd);
}

// Flips one byte of the 130th record.
void FlipByte(const std::string& directory) {
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    const std::string path = file.path().string();
    if (!path.ends_with(".log") && !path.ends_with(".seg")) continue;
    std::string bytes(std::filesystem::file_size(file.path()), '\0');
    const int fd = open(path.c_str(), O_RDONLY);
    if (read(fd, bytes.data(), bytes.size()) < 0) std::perror(path.c_str());
    close(fd);
    const size_t at = bytes.find(Value(129).substr(0, 12));
    if (at != std::string::npos) PatchFile(path, at + 40, "!");
  }
}

void Try(const Peer& peer, const Fault& fault) {
  millrace::TempDirectory temp;
  const std::string directory = temp.Sub("log");
  std::memset(static_cast<void*>(shared), 0, sizeof *shared);
  shared->call = fault.call;
  shared->error = fault.error;
  shared->countdown = 141;
  const pid_t child = fork();
  if (child == 0) {
    peer.append(directory);
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  shared->armed = false;
  for (int i = 0; i < shared->dropped_count; ++i) {
    const Shared::Range& range = shared->dropped[i];
    PatchFile(range.path, range.begin, std::string(range.end - range.begin, '\0'));
  }
  if (fault.flip) FlipByte(directory);
  const Left left = peer.read(directory);
  int acknowledged = 0;
  int lost = 0;
  for (int i = 0; i < kRecords; ++i) {
    acknowledged += shared->acknowledged[i];
    lost += shared->acknowledged[i] && !left.present[i];
  }
  std::printf("%-10s %-26s acknowledged %4d  lost %4d  named %4llu  open: %s\n", peer.name,
              fault.name, acknowledged, lost, static_cast<unsigned long long>(left.named),
              left.opened.c_str());
}

}  // namespace

int main() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  shared = static_cast<Shared*>(memory);
  std::vector<Peer> peers = {Millrace()};
#ifdef MILLRACE_HAS_LEVELDB
  peers.push_back(
      KeyValueStore<leveldb::DB, leveldb::Options, leveldb::WriteOptions, leveldb::ReadOptions>(
          "LevelDB"));
#endif
#ifdef MILLRACE_HAS_ROCKSDB
  peers.push_back(
      KeyValueStore<rocksdb::DB, rocksdb::Options, rocksdb::WriteOptions, rocksdb::ReadOptions>(
          "RocksDB"));
#endif
  for (const Fault& fault : {Fault{"none"}, Fault{"one ENOSPC", Shared::Call::kWrite, ENOSPC},
                             Fault{"one failed sync", Shared::Call::kSync, EIO},
                             Fault{"one flipped byte", Shared::Call::kNone, 0, true}}) {
    for (const Peer& peer : peers) Try(peer, fault);
  }
  return 0;
}
