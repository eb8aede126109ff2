#include "wal/unfinished.h"

#include <cerrno>
#include <memory>

#include "wal/io.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

// More than any exchange of files takes to describe.
constexpr size_t kMaxUnfinishedBytes = size_t{64} << 20;

}  // namespace

absl::Status BeginCopy(Directory& directory) {
  std::unique_ptr<File> file;
  IoResult result = OpenFile(directory, kUnfinishedName, OpenMode::kCreateExclusive, &file);
  if (result < 0) return IoError("create", kUnfinishedName, result);
  const WriteOutcome outcome = WriteFully(*file, 0, kCopyLine);
  if (outcome.error < 0) return IoErrorAt("write", kUnfinishedName, outcome.written, outcome.error);
  result = SyncFile(*file);
  if (result < 0) return IoError("sync", kUnfinishedName, result);
  result = SyncDirectory(directory);
  return result < 0 ? IoError("sync", "the copy's directory", result) : absl::OkStatus();
}

absl::Status RemoveUnfinished(Directory& directory) {
  IoResult result = directory.Unlink(kUnfinishedName);
  if (result < 0 && result != -ENOENT) return IoError("unlink", kUnfinishedName, result);
  result = SyncDirectory(directory);
  return result < 0 ? IoError("sync", "the copy's directory", result) : absl::OkStatus();
}

absl::StatusOr<std::string> ReadUnfinished(Directory& directory) {
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(directory, kUnfinishedName, OpenMode::kRead, &file);
  if (opened == -ENOENT) return std::string();
  if (opened < 0) return IoError("open", kUnfinishedName, opened);
  std::string content;
  char chunk[4096];
  while (content.size() < kMaxUnfinishedBytes) {
    const IoResult got = ReadFully(*file, content.size(), chunk);
    if (got < 0) return IoErrorAt("read", kUnfinishedName, content.size(), got);
    content.append(chunk, static_cast<size_t>(got));
    if (got < static_cast<IoResult>(sizeof chunk)) break;
  }
  return content;
}

absl::Status UnfinishedError(Directory& directory) {
  const absl::StatusOr<std::string> content = ReadUnfinished(directory);
  if (!content.ok()) return content.status();
  if (content->starts_with(kExchangeLine)) {
    return absl::FailedPreconditionError(
        "a salvage of the log in place was interrupted while it exchanged the files (UNFINISHED); "
        "run it again to finish: millrace salvage --apply");
  }
  return absl::FailedPreconditionError(
      "the directory holds a part of a log, of which a copy was begun and not finished "
      "(UNFINISHED); if nobody is at work on it, delete the directory and copy anew");
}

}  // namespace millrace
