#include "wal/io_status.h"

#include <errno.h>
#include <string.h>

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "wal/check.h"
#include "wal/strings.h"

namespace millrace {
namespace {

constexpr char kErrnoPayload[] = "millrace.errno";
constexpr char kPassingPayload[] = "millrace.passing";

absl::StatusCode CodeOf(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EMLINK:
      return absl::StatusCode::kResourceExhausted;
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO:
      return absl::StatusCode::kInvalidArgument;
    case EOPNOTSUPP:
    case ENOSYS:
      return absl::StatusCode::kUnimplemented;
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case ETXTBSY:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

// What whoever reads the message can do.
std::string_view RemedyFor(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free space, or raise the quota";
    case EFBIG:
      return "raise the limit on the size of files";
    case ENOMEM:
      return "free memory";
    case EMFILE:
    case ENFILE:
      return "raise the limit on open files, or close some";
    case ENOENT:
      return "check that it exists";
    case EEXIST:
      return "move away what bears that name";
    case EACCES:
    case EPERM:
      return "give this process the right to do it";
    case EROFS:
      return "mount the file system for writing";
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO:
    case EMLINK:
      return "check what stands at that path";
    case EOPNOTSUPP:
    case ENOSYS:
      return "use a file system that can do it";
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case ETXTBSY:
      return "try again";
    default:
      return "check the device and the kernel's log";
  }
}

absl::Status MakeStatus(std::string_view where, int error_number) {
  // Not strerror(), which depends on the locale and is not thread-safe.
  const char* description = strerrordesc_np(error_number);
  if (description == nullptr) description = "unknown error";
  const std::string text = absl::StrFormat("%s: %s (%s); %s", where,
                                           strerrorname_np(error_number) == nullptr
                                               ? absl::StrFormat("errno %d", error_number)
                                               : std::string(ErrnoName(error_number)),
                                           description, RemedyFor(error_number));
  absl::Status status(CodeOf(error_number), text);
  status.SetPayload(kErrnoPayload, absl::Cord(absl::StrFormat("%d", error_number)));
  return status;
}

}  // namespace

absl::Status IoError(std::string_view operation, std::string_view path, IoResult error) {
  WAL_CHECK_LT(error, 0);
  return MakeStatus(absl::StrFormat("%s %s", operation, path), static_cast<int>(-error));
}

absl::Status IoErrorAt(std::string_view operation, std::string_view path, uint64_t offset,
                       IoResult error) {
  WAL_CHECK_LT(error, 0);
  return MakeStatus(absl::StrFormat("%s %s at %d", operation, path, offset),
                    static_cast<int>(-error));
}

absl::Status InFront(std::string_view where, const absl::Status& status) {
  if (status.ok()) return status;
  absl::Status named(status.code(),
                     absl::StrFormat("%s: %s", where, std::string(status.message())));
  status.ForEachPayload([&named](absl::string_view url, const absl::Cord& payload) {
    named.SetPayload(url, payload);
  });
  return named;
}

int ErrnoOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrnoPayload);
  int error_number = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &error_number)) return 0;
  return error_number;
}

std::string_view ErrnoName(int error_number) {
  const char* name = strerrorname_np(error_number);
  return name == nullptr ? "errno" : name;
}

bool IsOutOfSpace(IoResult error) {
  return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

absl::Status Passing(absl::Status status) {
  if (!status.ok()) status.SetPayload(kPassingPayload, absl::Cord());
  return status;
}

absl::Status Final(absl::Status status) {
  status.ErasePayload(kPassingPayload);
  return status;
}

bool IsPassing(const absl::Status& status) {
  return !status.ok() && status.GetPayload(kPassingPayload).has_value();
}

}  // namespace millrace
