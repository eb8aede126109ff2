#ifndef MILLRACE_IO_H_
#define MILLRACE_IO_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "millrace/file_system.h"

namespace millrace {

// The loops above the file-system seam: what a caller of read(2) or write(2)
// must do about short counts, EINTR and EAGAIN is done here, once. Nothing
// allocates, and no loop runs forever: a file system that makes no progress
// gets its last error returned.

// Reads until `out` is full or the file ends. Returns the bytes read, fewer
// than out.size() only at the end of the file, or a negated errno (what had been
// read before the error is not reported).
IoResult ReadFully(File& file, uint64_t offset, std::span<char> out);

struct WriteOutcome {
  IoResult error = 0;    // 0, or the negated errno that stopped the write
  uint64_t written = 0;  // bytes that went out, from the first piece on
};

// Writes all pieces, one after the other, at `offset`; any number of them. After
// an error the first `written` bytes are in the file, and some of those after
// them may be, too.
[[nodiscard]] WriteOutcome WriteFully(File& file, uint64_t offset,
                                      std::span<const std::string_view> pieces);
[[nodiscard]] WriteOutcome WriteFully(File& file, uint64_t offset, std::string_view bytes);

// The calls below are repeated for EINTR and for nothing else. Least of all a
// sync: the kernel reports a failed write-back once, drops the pages, and
// answers the next sync with success.
IoResult SyncFile(File& file);
IoResult SyncDirectory(Directory& directory);
IoResult AllocateFile(File& file, uint64_t size);
IoResult TruncateFile(File& file, uint64_t size);
IoResult OpenFile(Directory& directory, std::string_view name, OpenMode mode,
                  std::unique_ptr<File>* file);

}  // namespace millrace

#endif  // MILLRACE_IO_H_
