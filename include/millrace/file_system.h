#ifndef MILLRACE_FILE_SYSTEM_H_
#define MILLRACE_FILE_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/language.h"

namespace millrace {

// The file-system seam: every byte that a log reads or writes passes through
// these three classes, one method for one system call. `PosixFileSystem()` is
// what runs in production; tests put a simulated or a failing one in its place,
// so that what is tested is the code that ships.
//
// Results are those of the system calls: a value >= 0, or a negated errno
// (-EIO). Short counts and -EINTR are passed on as they are; the caller loops.
// (Not absl::Status: the log's decisions turn on the exact errno, and a status
// with text would allocate on paths where memory may be what is missing.)
//
// Implementations are thread-safe unless a method says otherwise.
using IoResult = int64_t;

struct FileInfo {
  enum class Kind : uint8_t { kRegular, kDirectory, kOther };
  Kind kind = Kind::kOther;
  uint64_t size = 0;        // bytes
  uint64_t link_count = 0;  // hard links
  uint64_t device = 0;      // with `inode`, the identity of the file
  uint64_t inode = 0;
};

enum class OpenMode : uint8_t {
  kRead,             // read only; must exist
  kReadWrite,        // must exist
  kCreate,           // read and write; created with mode 0600 if absent
  kCreateExclusive,  // read and write; -EEXIST if present
};

enum class LockMode : uint8_t { kExclusive, kShared };

// One open file. Closed by the destructor, which ignores errors: data whose
// fate matters has been synced before.
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  // Reads up to out.size() bytes at `offset`. 0 at or past the end of the file.
  virtual IoResult Read(uint64_t offset, std::span<char> out) = 0;

  // Writes the pieces, one after the other, at `offset` (pwritev). Returns the
  // bytes written, possibly fewer than asked. At most 1024 pieces.
  virtual IoResult Write(uint64_t offset, std::span<const std::string_view> pieces) = 0;

  // Begins to send [offset, offset + bytes) to the device, so that a Sync later has less to wait
  // for (sync_file_range). Promises nothing: what fails shows at that Sync. May wait for room in
  // the device's queue.
  virtual IoResult StartWriteBack(uint64_t /*offset*/, uint64_t /*bytes*/) { return 0; }

  // Makes data, and the size needed to read it, durable (fdatasync).
  virtual IoResult Sync() = 0;

  // Sets the size; what is added reads as zeros (ftruncate).
  virtual IoResult Truncate(uint64_t size) = 0;

  // Reserves blocks for [0, size) and raises the size to at least `size`
  // (fallocate). -EOPNOTSUPP where the file system cannot.
  virtual IoResult Allocate(uint64_t size) = 0;

  // Drops clean cached pages, so that the next Read asks the device
  // (posix_fadvise DONTNEED). Advisory.
  virtual IoResult DropCache() = 0;

  virtual IoResult Stat(FileInfo* info) = 0;

  // Takes a lock on the whole file, held until this File is closed, exclusive
  // between any two opens in one or several processes (F_OFD_SETLK). Does not
  // wait: -EAGAIN when another holder is in the way.
  virtual IoResult TryLock(LockMode mode) = 0;
};

// One open directory. All names are single components, without '/'. Symbolic
// links are never followed, and opening never blocks on a FIFO.
class Directory {
 public:
  Directory() = default;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  virtual ~Directory() = default;

  // -ELOOP for a symbolic link, -EINVAL for anything else that is not a regular
  // file, and for a name that is not a single component.
  virtual IoResult Open(std::string_view name, OpenMode mode, std::unique_ptr<File>* file) = 0;

  // The names of all entries but "." and "..", in no particular order.
  virtual IoResult List(std::vector<std::string>* names) = 0;

  // Replaces `to` if it exists.
  virtual IoResult Rename(std::string_view from, std::string_view to) = 0;
  virtual IoResult Unlink(std::string_view name) = 0;

  // Makes creations, renames and removals of entries durable (fsync).
  virtual IoResult Sync() = 0;

  // True if an overwrite goes to the blocks that hold the data now. False on
  // copy-on-write file systems (btrfs, zfs, bcachefs, overlay) and on unknown
  // ones, where recycling a file gains nothing.
  virtual bool OverwritesInPlace() = 0;

  // Which file system it is, as statfs(2) numbers them (f_type); 0 if unknown.
  virtual uint64_t FileSystemType() { return 0; }
};

enum class DirectoryMode : uint8_t {
  kMustExist,
  kCreate,  // created with mode 0700 if absent, and its parent synced
};

class FileSystem {
 public:
  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  virtual IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                                 std::unique_ptr<Directory>* directory) = 0;

  // Fills `out` with bytes that no other log will have drawn (getrandom).
  virtual IoResult Random(std::span<char> out) = 0;

  // A number that differs from boot to boot of this machine.
  virtual uint64_t BootId() = 0;
};

// The operating system's. One instance, never destroyed.
FileSystem* PosixFileSystem();

}  // namespace millrace

#endif  // MILLRACE_FILE_SYSTEM_H_
