#ifndef MILLRACE_MAKE_EXT4_H_
#define MILLRACE_MAKE_EXT4_H_

#include "absl/status/status.h"

namespace millrace {

inline constexpr char kMakeExt4[] = "/usr/sbin/mkfs.ext4";

// Makes an ext4 with a journal, in blocks of 4 KiB, of the whole of an open file.
absl::Status MakeExt4(int file);

}  // namespace millrace

#endif  // MILLRACE_MAKE_EXT4_H_
