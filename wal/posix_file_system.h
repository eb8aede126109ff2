#ifndef MILLRACE_POSIX_FILE_SYSTEM_H_
#define MILLRACE_POSIX_FILE_SYSTEM_H_

#include <cstdint>
#include <string_view>

#include "millrace/file_system.h"

// The production file system is `PosixFileSystem()`, declared in
// millrace/file_system.h. Here stand those decisions of it that tests want to
// ask without a disk of each kind.

namespace millrace {

// Whether a file system, by its statfs(2) type, writes over the blocks that hold
// the data. True for ext2, ext3, ext4, xfs and tmpfs. On xfs a reflinked file is
// the exception and cannot be told by its type; a log's own segments are
// reflinked only by somebody copying them, and then an overwrite is slower, not
// wrong.
bool TypeOverwritesInPlace(uint64_t statfs_type);

// The name of a file system, by its statfs(2) type, on which a log's promises are not ours to give:
// those over a network, those of a FUSE server, which may be anything, and overlays. Empty for all
// others.
std::string_view DoubtfulFileSystem(uint64_t statfs_type);

// Folds the text of a boot id (a UUID) into 64 bits; 0 if there is no digit.
uint64_t FoldBootId(std::string_view text);

}  // namespace millrace

#endif  // MILLRACE_POSIX_FILE_SYSTEM_H_
