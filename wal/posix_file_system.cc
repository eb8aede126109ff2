#include "wal/posix_file_system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wal/check.h"
#include "wal/thread.h"

namespace millrace {
namespace {

constexpr size_t kMaxPieces = 1024;
static_assert(kMaxPieces <= IOV_MAX);

IoResult Negated(int result) { return result < 0 ? -errno : result; }

// One name, checked and terminated: the calls below take C strings, and a name
// with '/' in it would leave the directory.
class EntryName {
 public:
  explicit EntryName(std::string_view name) {
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
      error_ = -EINVAL;
    } else if (name.size() > NAME_MAX) {
      error_ = -ENAMETOOLONG;
    } else {
      memcpy(text_.data(), name.data(), name.size());
      text_[name.size()] = '\0';
    }
  }
  IoResult error() const { return error_; }
  const char* c_str() const { return text_.data(); }

 private:
  IoResult error_ = 0;
  std::array<char, NAME_MAX + 1> text_;
};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

FileInfo ToFileInfo(const struct stat& st) {
  FileInfo info;
  info.kind = S_ISREG(st.st_mode)   ? FileInfo::Kind::kRegular
              : S_ISDIR(st.st_mode) ? FileInfo::Kind::kDirectory
                                    : FileInfo::Kind::kOther;
  info.size = static_cast<uint64_t>(st.st_size);
  info.link_count = st.st_nlink;
  info.device = st.st_dev;
  info.inode = st.st_ino;
  return info;
}

// A call that would make a file larger than RLIMIT_FSIZE fails with EFBIG, and raises SIGXFSZ
// in its thread, whose default ends the process: a log that is opened, or a cursor that commits,
// would end its owner. So the signal is blocked meanwhile and taken back; whatever the program does
// about signals stays as it is. The log's own threads block all signals anyway.
template <class Call>
IoResult WithoutSizeSignal(Call call) {
  if (Thread::IsOurs()) return call();
  sigset_t size_signal;
  sigset_t before;
  sigemptyset(&size_signal);
  sigaddset(&size_signal, SIGXFSZ);
  WAL_CHECK_EQ(pthread_sigmask(SIG_BLOCK, &size_signal, &before), 0);
  const IoResult result = call();
  if (sigismember(&before, SIGXFSZ) == 1) return result;
  if (result == -EFBIG) {
    const timespec at_once = {};
    sigtimedwait(&size_signal, nullptr, &at_once);
  }
  WAL_CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  return result;
}

class PosixFile final : public File {
 public:
  explicit PosixFile(Descriptor fd) : fd_(std::move(fd)) {}

  IoResult Read(uint64_t offset, std::span<char> out) override {
    const ssize_t result = pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    return result < 0 ? -errno : result;
  }

  IoResult Write(uint64_t offset, std::span<const std::string_view> pieces) override {
    if (pieces.size() > kMaxPieces) return -EINVAL;
    std::array<iovec, kMaxPieces> vectors;
    for (size_t i = 0; i < pieces.size(); ++i) {
      vectors[i].iov_base = const_cast<char*>(pieces[i].data());
      vectors[i].iov_len = pieces[i].size();
    }
    return WithoutSizeSignal([&]() -> IoResult {
      const ssize_t result = pwritev(fd_.get(), vectors.data(), static_cast<int>(pieces.size()),
                                     static_cast<off_t>(offset));
      return result < 0 ? -errno : result;
    });
  }

  IoResult StartWriteBack(uint64_t offset, uint64_t bytes) override {
    return Negated(sync_file_range(fd_.get(), static_cast<off64_t>(offset),
                                   static_cast<off64_t>(bytes), SYNC_FILE_RANGE_WRITE));
  }

  IoResult Sync() override { return Negated(fdatasync(fd_.get())); }

  IoResult Truncate(uint64_t size) override {
    return WithoutSizeSignal(
        [&] { return Negated(ftruncate(fd_.get(), static_cast<off_t>(size))); });
  }

  IoResult Allocate(uint64_t size) override {
    return WithoutSizeSignal(
        [&] { return Negated(fallocate(fd_.get(), 0, 0, static_cast<off_t>(size))); });
  }

  IoResult DropCache() override {
    // Unlike its neighbours this call returns the error number itself.
    return -posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
  }

  IoResult Stat(FileInfo* info) override {
    struct stat st;
    if (fstat(fd_.get(), &st) != 0) return -errno;
    *info = ToFileInfo(st);
    return 0;
  }

  // An "open file description" lock: unlike F_SETLK it excludes a second open in
  // the same process, and closing another descriptor of the file does not drop
  // it. A forked child shares the description, so that the lock outlives the
  // child's exit, and also ours while such a child lives on without exec.
  IoResult TryLock(LockMode mode) override {
    struct flock lock = {};
    lock.l_type = mode == LockMode::kExclusive ? F_WRLCK : F_RDLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0) return 0;
    return errno == EACCES ? -EAGAIN : -errno;  // POSIX allows either
  }

 private:
  const Descriptor fd_;
};

int OpenFlags(OpenMode mode) {
  // O_NONBLOCK, so that a FIFO in a segment's place does not hold the open up
  // forever; on the regular files that we keep it has no effect.
  constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  switch (mode) {
    case OpenMode::kRead:
      return kAlways | O_RDONLY;
    case OpenMode::kReadWrite:
      return kAlways | O_RDWR;
    case OpenMode::kCreate:
      return kAlways | O_RDWR | O_CREAT;
    case OpenMode::kCreateExclusive:
      return kAlways | O_RDWR | O_CREAT | O_EXCL;
  }
  return -1;
}

class PosixDirectory final : public Directory {
 public:
  explicit PosixDirectory(Descriptor fd) : fd_(std::move(fd)) {}

  IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) override {
    const EntryName entry(name);
    if (entry.error() != 0) return entry.error();
    Descriptor fd(openat(fd_.get(), entry.c_str(), OpenFlags(mode), 0600));
    if (!fd.valid()) {
      // A directory cannot be opened for writing, nor a socket at all; the caller
      // hears the same about everything that is not a regular file.
      return errno == EISDIR || errno == ENXIO ? -EINVAL : -errno;
    }
    struct stat st;
    if (fstat(fd.get(), &st) != 0) return -errno;
    if (!S_ISREG(st.st_mode)) return -EINVAL;
    *file = std::make_unique<PosixFile>(std::move(fd));
    return 0;
  }

  IoResult List(std::vector<std::string>* names) override {
    names->clear();
    // A descriptor of its own: the read position belongs to the description, and
    // two threads may list at the same time.
    Descriptor fd(openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return -errno;
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd.get()), closedir);
    if (stream == nullptr) return -errno;
    fd.Release();  // belongs to the stream now
    while (true) {
      errno = 0;
      // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this stream.
      const dirent* entry = readdir(stream.get());
      if (entry == nullptr) return -errno;
      const std::string_view name(entry->d_name);
      if (name != "." && name != "..") names->emplace_back(name);
    }
  }

  IoResult Rename(std::string_view from, std::string_view to) override {
    const EntryName from_entry(from);
    if (from_entry.error() != 0) return from_entry.error();
    const EntryName to_entry(to);
    if (to_entry.error() != 0) return to_entry.error();
    return Negated(renameat(fd_.get(), from_entry.c_str(), fd_.get(), to_entry.c_str()));
  }

  IoResult Unlink(std::string_view name) override {
    const EntryName entry(name);
    if (entry.error() != 0) return entry.error();
    return Negated(unlinkat(fd_.get(), entry.c_str(), 0));
  }

  IoResult Sync() override { return Negated(fsync(fd_.get())); }

  bool OverwritesInPlace() override { return TypeOverwritesInPlace(FileSystemType()); }

  uint64_t FileSystemType() override {
    struct statfs info;
    // The kernel has some of them with their sign: the lower half is what all agree on.
    return fstatfs(fd_.get(), &info) == 0 ? static_cast<uint32_t>(info.f_type) : 0;
  }

 private:
  const Descriptor fd_;
};

// The directory that holds the entry `path`, which has no trailing slash.
std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Makes the directory if it is absent, and its entry durable either way: it may
// stem from a process that died between its mkdir and its fsync.
IoResult CreateDirectory(const std::string& path) {
  const bool created = mkdir(path.c_str(), 0700) == 0;
  if (!created && errno != EEXIST) return -errno;
  const Descriptor parent(open(ParentOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid()) {
    // A parent that may be passed through but not read cannot be synced. That is
    // no reason to refuse a directory that was there before.
    return !created && errno == EACCES ? 0 : -errno;
  }
  return Negated(fsync(parent.get()));
}

class RealFileSystem final : public FileSystem {
 public:
  IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                         std::unique_ptr<Directory>* directory) override {
    const size_t last = path.find_last_not_of('/');
    if (path.empty()) return -ENOENT;
    const std::string trimmed = last == std::string::npos ? "/" : path.substr(0, last + 1);
    if (trimmed.find('\0') != std::string::npos) return -EINVAL;
    if (mode == DirectoryMode::kCreate && trimmed != "/") {
      const IoResult created = CreateDirectory(trimmed);
      if (created < 0) return created;
    }
    // The path itself may lead through symbolic links, as its owner set it up.
    Descriptor fd(open(trimmed.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return -errno;
    *directory = std::make_unique<PosixDirectory>(std::move(fd));
    return 0;
  }

  IoResult Random(std::span<char> out) override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t result = getrandom(out.data() + done, out.size() - done, 0);
      if (result < 0) return -errno;
      done += static_cast<size_t>(result);
    }
    return static_cast<IoResult>(done);
  }

  uint64_t BootId() override {
    const Descriptor fd(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return 0;
    std::array<char, 64> text;
    const ssize_t size = read(fd.get(), text.data(), text.size());
    if (size <= 0) return 0;
    return FoldBootId(std::string_view(text.data(), static_cast<size_t>(size)));
  }
};

}  // namespace

bool TypeOverwritesInPlace(uint64_t statfs_type) {
  constexpr uint64_t kExt2To4 = 0xEF53;
  constexpr uint64_t kXfs = 0x58465342;
  constexpr uint64_t kTmpfs = 0x01021994;
  return statfs_type == kExt2To4 || statfs_type == kXfs || statfs_type == kTmpfs;
}

std::string_view DoubtfulFileSystem(uint64_t statfs_type) {
  struct Named {
    uint64_t type;
    std::string_view name;
  };
  // As in linux/magic.h and statfs(2).
  static constexpr Named kDoubtful[] = {
      {0x6969, "nfs"},      {0xFF534D42, "cifs"},  {0xFE534D42, "smb"},    {0x517B, "smb"},
      {0x01021997, "9p"},   {0x65735546, "fuse"},  {0x65735543, "fuse"},   {0x00C36400, "ceph"},
      {0x5346414F, "afs"},  {0x6B414653, "afs"},   {0x73757245, "coda"},   {0x0BD00BD0, "lustre"},
      {0x01161970, "gfs2"}, {0x7461636F, "ocfs2"}, {0x786F4256, "vboxsf"}, {0x794C7630, "overlay"},
      {0xF15F, "ecryptfs"}, {0x61756673, "aufs"},
  };
  for (const Named& doubtful : kDoubtful) {
    if (doubtful.type == statfs_type) return doubtful.name;
  }
  return "";
}

uint64_t FoldBootId(std::string_view text) {
  uint64_t folded = 0;
  for (const char c : text) {
    uint64_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint64_t>(c - 'a') + 10;
    } else {
      continue;
    }
    // The two halves of the UUID lie over one another; each holds random bits.
    folded = std::rotl(folded, 4) ^ digit;
  }
  return folded;
}

FileSystem* PosixFileSystem() {
  static RealFileSystem* const file_system = new RealFileSystem;
  return file_system;
}

}  // namespace millrace
