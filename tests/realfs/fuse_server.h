#ifndef MILLRACE_FUSE_SERVER_H_
#define MILLRACE_FUSE_SERVER_H_

#include <span>

#include "tests/realfs/disk_recording.h"

namespace millrace {

// Serves one regular file, whose bytes are `content`, as the root of a FUSE file system:
// answers the kernel's requests on `fuse`, an open /dev/fuse, one after the other, and records
// each write and sync before it answers. Returns when the file system is unmounted, or its
// connection broken.
void ServeDisk(int fuse, std::span<char> content, SharedDisk* shared);

}  // namespace millrace

#endif  // MILLRACE_FUSE_SERVER_H_
