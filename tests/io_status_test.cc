// Goal: a file-system error reaches the caller with operation, file, place and
// errno, and with the status code that the header promises.
// Method: each class of errno by example; the exact text of one of them.

#include "wal/io_status.h"

#include <errno.h>

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(IoStatusTest, NamesOperationFilePlaceAndErrno) {
  const absl::Status status = IoErrorAt("write", "00000000000000000003.seg", 8192, -EIO);
  EXPECT_EQ(
      status.message(),
      "write 00000000000000000003.seg at 8192: EIO (Input/output error); check the device and the "
      "kernel's log");
  EXPECT_EQ(IoError("open", "LOG", -ENOENT).message(),
            "open LOG: ENOENT (No such file or directory); check that it exists");
}

TEST(IoStatusTest, ErrnoCanBeReadBack) {
  for (const int error : {EIO, ENOSPC, ENOENT, EROFS, 4000}) {
    EXPECT_EQ(ErrnoOf(IoError("sync", "f", -error)), error);
  }
  // Statuses that no file-system call caused have none, whatever their code.
  EXPECT_EQ(ErrnoOf(absl::OkStatus()), 0);
  EXPECT_EQ(ErrnoOf(absl::InternalError("EIO")), 0);
}

TEST(IoStatusTest, ErrnoSurvivesCopyOfStatus) {
  absl::Status copy;
  {
    const absl::Status status = IoError("sync", "f", -EDQUOT);
    copy = status;
  }
  EXPECT_EQ(ErrnoOf(copy), EDQUOT);
}

TEST(IoStatusTest, EachErrnoHasThePromisedCode) {
  using Code = absl::StatusCode;
  const std::vector<std::pair<int, Code>> table = {
      {ENOSPC, Code::kResourceExhausted},
      {EDQUOT, Code::kResourceExhausted},
      {EFBIG, Code::kResourceExhausted},
      {ENOMEM, Code::kResourceExhausted},
      {EMFILE, Code::kResourceExhausted},
      {ENFILE, Code::kResourceExhausted},
      {EMLINK, Code::kResourceExhausted},
      {ENOENT, Code::kNotFound},
      {EEXIST, Code::kAlreadyExists},
      {EACCES, Code::kPermissionDenied},
      {EPERM, Code::kPermissionDenied},
      {EROFS, Code::kPermissionDenied},
      {EINVAL, Code::kInvalidArgument},
      {EISDIR, Code::kInvalidArgument},
      {ENOTDIR, Code::kInvalidArgument},
      {ELOOP, Code::kInvalidArgument},
      {ENAMETOOLONG, Code::kInvalidArgument},
      {ENXIO, Code::kInvalidArgument},
      {EOPNOTSUPP, Code::kUnimplemented},
      {ENOSYS, Code::kUnimplemented},
      {EAGAIN, Code::kUnavailable},
      {EINTR, Code::kUnavailable},
      {EBUSY, Code::kUnavailable},
      {ETXTBSY, Code::kUnavailable},
      {EIO, Code::kInternal},
      {EBADF, Code::kInternal},
      {4000, Code::kInternal},
  };
  for (const auto& [error, code] : table) {
    EXPECT_EQ(IoError("x", "y", -error).code(), code) << ErrnoName(error);
  }
}

TEST(IoStatusTest, NumberWithoutNameStillFormats) {
  EXPECT_EQ(IoError("x", "y", -4000).message(),
            "x y: errno 4000 (unknown error); check the device and the kernel's log");
}

TEST(IoStatusTest, OnlyTheThreeFullDiskErrorsAreOutOfSpace) {
  EXPECT_TRUE(IsOutOfSpace(-ENOSPC));
  EXPECT_TRUE(IsOutOfSpace(-EDQUOT));
  EXPECT_TRUE(IsOutOfSpace(-EFBIG));
  EXPECT_FALSE(IsOutOfSpace(-EIO));
  EXPECT_FALSE(IsOutOfSpace(-ENOMEM));
  EXPECT_FALSE(IsOutOfSpace(0));
}

TEST(IoStatusDeathTest, SuccessIsNoError) {
  EXPECT_DEATH((void)IoError("write", "f", 0), "check failed: error < 0 \\(0 against 0\\)");
}

TEST(IoStatusTest, PassingIsAMarkThatFinalTakesAway) {
  const absl::Status status = IoError("write", "file", -ENOSPC);
  EXPECT_FALSE(IsPassing(status));
  EXPECT_TRUE(IsPassing(Passing(status)));
  EXPECT_FALSE(IsPassing(Passing(absl::OkStatus())));
  EXPECT_EQ(Final(Passing(status)), status);
  EXPECT_EQ(ErrnoOf(Passing(status)), ENOSPC);
}

}  // namespace
}  // namespace millrace
