#ifndef MILLRACE_IO_STATUS_H_
#define MILLRACE_IO_STATUS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "millrace/file_system.h"

namespace millrace {

// Turns the negated errno of a file-system call into a status that names the
// operation, the file, the place, the error, and what to do about it:
//
//   write 00000000000000000003.seg at 8192: EIO (Input/output error); check the device and the
//   kernel's log
//
// The errno itself travels along as a payload; `ErrnoOf` reads it back. Code
// that decides something decides on the errno; the status code is for callers.
//
// Which code stands for which errno:
//   ResourceExhausted   ENOSPC EDQUOT EFBIG ENOMEM EMFILE ENFILE EMLINK
//   NotFound            ENOENT
//   AlreadyExists       EEXIST
//   PermissionDenied    EACCES EPERM EROFS
//   InvalidArgument     EINVAL EISDIR ENOTDIR ELOOP ENAMETOOLONG ENXIO
//   Unimplemented       EOPNOTSUPP ENOSYS
//   Unavailable         EAGAIN EINTR EBUSY ETXTBSY: nothing is wrong with the file
//   Internal            EIO and everything else
//
// EIO is not Unavailable, which invites a retry: after a failed sync a retry
// returns success for data that the kernel has already thrown away. It is not
// DataLoss either: this library keeps that code for acknowledged records that
// are found damaged, and an EIO while writing has acknowledged nothing.
absl::Status IoError(std::string_view operation, std::string_view path, IoResult error);
absl::Status IoErrorAt(std::string_view operation, std::string_view path, uint64_t offset,
                       IoResult error);

// `status` with `where` and a colon in front of its message. What travels along stays.
absl::Status InFront(std::string_view where, const absl::Status& status);

// The errno (positive) behind `status`, or 0 if no file-system call caused it.
int ErrnoOf(const absl::Status& status);

// "ENOSPC" for ENOSPC; "errno" for a number that has no name.
std::string_view ErrnoName(int error_number);

// True for the errors which freeing space, or raising a limit, takes away:
// ENOSPC, EDQUOT, EFBIG. Such a write may be tried again; any other may not.
bool IsOutOfSpace(IoResult error);

// Marks an error that left everything as it was, so that the same call can be made again when
// its cause has passed: want of space, of descriptors, of memory. Only who met the error knows
// that; a sync that failed for want of space, for one, must not be repeated.
absl::Status Passing(absl::Status status);
// Whether `status` was marked so.
bool IsPassing(const absl::Status& status);
// `status` without that mark: there will be no other attempt.
absl::Status Final(absl::Status status);

}  // namespace millrace

#endif  // MILLRACE_IO_STATUS_H_
