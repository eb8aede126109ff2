#include "bench/compare/raw_device.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "bench/compare/raw_file.h"

namespace millrace {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kReadBlock = size_t{1} << 20;

uint64_t NanosecondsSince(Clock::time_point from) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - from).count());
}

absl::Status WriteOne(const RawWork& work, int fd, const char* block, uint64_t i) {
  const uint64_t offset = OffsetOf(work, i);
  const ssize_t written = pwrite(fd, block, work.block_bytes, static_cast<off_t>(offset));
  if (written < 0) return absl::ErrnoToStatus(errno, "pwrite");
  if (static_cast<size_t>(written) != work.block_bytes) return absl::DataLossError("short write");
  bool sync = work.way == RawWork::Way::kSynced;
  if (work.unsynced_bytes != 0) {
    // Advice: where it is not taken the sync has more to do.
    sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(work.block_bytes),
                    SYNC_FILE_RANGE_WRITE);
    sync = (i + 1) % (work.unsynced_bytes / work.block_bytes) == 0;
  }
  if (sync && fdatasync(fd) != 0) return absl::ErrnoToStatus(errno, "fdatasync");
  return absl::OkStatus();
}

absl::StatusOr<RawResult> MeasureLoop(const RawWork& work, int fd) {
  const Block block = MakeBlock(work.block_bytes);
  const uint64_t wanted = work.total_bytes / work.block_bytes;
  // The first few allocate what later ones find.
  const uint64_t warm_up = work.total_bytes != 0 ? wanted / 8 : 8;
  uint64_t i = 0;
  for (; i < warm_up; ++i) {
    if (absl::Status status = WriteOne(work, fd, block.get(), i); !status.ok()) return status;
  }
  RawResult result;
  const Clock::time_point begin = Clock::now();
  const auto enough = [&] {
    if (work.total_bytes != 0) return result.writes >= wanted;
    return static_cast<double>(NanosecondsSince(begin)) >= work.seconds * 1e9;
  };
  do {
    const Clock::time_point start = Clock::now();
    if (absl::Status status = WriteOne(work, fd, block.get(), i++); !status.ok()) return status;
    result.latency.Record(NanosecondsSince(start));
    ++result.writes;
  } while (!enough());
  result.seconds = static_cast<double>(NanosecondsSince(begin)) / 1e9;
  result.bytes = result.writes * work.block_bytes;
  return result;
}

absl::Status FillFile(const RawWork& work, int fd) {
  const Block block = MakeBlock(kReadBlock);
  for (uint64_t at = 0; at < work.file_bytes; at += kReadBlock) {
    const size_t bytes = std::min<uint64_t>(kReadBlock, work.file_bytes - at);
    const ssize_t written = pwrite(fd, block.get(), bytes, static_cast<off_t>(at));
    if (written < 0) return absl::ErrnoToStatus(errno, "pwrite");
    if (static_cast<size_t>(written) != bytes) return absl::DataLossError("short write");
  }
  return absl::OkStatus();
}

template <class Visit>
absl::Status ForEachFile(const std::string& directory, Visit visit) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  }
  if (error) return absl::UnavailableError("cannot list " + directory + ": " + error.message());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    const RawFile file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd() < 0) return absl::ErrnoToStatus(errno, "open " + path);
    if (absl::Status status = visit(file.fd()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

RawFile::~RawFile() {
  if (fd_ >= 0) close(fd_);
}

Block MakeBlock(size_t bytes) {
  constexpr size_t kAlignment = 4096;
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  Block block(static_cast<char*>(std::aligned_alloc(kAlignment, rounded)));
  std::memset(block.get(), 'b', rounded);
  return block;
}

uint64_t OffsetOf(const RawWork& work, uint64_t i) {
  const uint64_t offset = i * work.block_bytes;
  return work.place == RawWork::Place::kOverwrite ? offset % work.file_bytes : offset;
}

absl::StatusOr<RawFile> PrepareRawFile(const RawWork& work, const std::string& path) {
  RawFile made(open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
  if (made.fd() < 0) return absl::ErrnoToStatus(errno, "create " + path);
  if (work.place == RawWork::Place::kOverwrite) {
    if (absl::Status status = FillFile(work, made.fd()); !status.ok()) return status;
  }
  if (work.place == RawWork::Place::kAllocated &&
      fallocate(made.fd(), 0, 0, static_cast<off_t>(work.file_bytes)) != 0) {
    return absl::UnimplementedError("the file system has no fallocate");
  }
  if (fsync(made.fd()) != 0) return absl::ErrnoToStatus(errno, "fsync");
  int flags = O_RDWR | O_CLOEXEC;
  if (work.way == RawWork::Way::kDirect) flags |= O_DIRECT | O_DSYNC;
  if (work.way == RawWork::Way::kDirectRing) flags |= O_DIRECT;
  RawFile file(open(path.c_str(), flags));
  if (file.fd() < 0 && errno == EINVAL) {
    return absl::UnimplementedError("the file system has no O_DIRECT");
  }
  if (file.fd() < 0) return absl::ErrnoToStatus(errno, "open " + path);
  return file;
}

absl::StatusOr<RawResult> MeasureRaw(const RawWork& work, const std::string& path) {
  absl::StatusOr<RawFile> file = PrepareRawFile(work, path);
  if (!file.ok()) return file.status();
  if (work.way == RawWork::Way::kDirectRing) return MeasureRing(work, file->fd());
  return MeasureLoop(work, file->fd());
}

absl::StatusOr<RawResult> ReadFiles(const std::string& directory,
                                    const std::function<void(std::string_view)>& look) {
  const Block block = MakeBlock(kReadBlock);
  RawResult result;
  const Clock::time_point begin = Clock::now();
  absl::Status status = ForEachFile(directory, [&](int fd) -> absl::Status {
    while (true) {
      const ssize_t bytes = read(fd, block.get(), kReadBlock);
      if (bytes < 0) return absl::ErrnoToStatus(errno, "read");
      if (bytes == 0) return absl::OkStatus();
      look({block.get(), static_cast<size_t>(bytes)});
      result.bytes += static_cast<uint64_t>(bytes);
    }
  });
  if (!status.ok()) return status;
  result.seconds = static_cast<double>(NanosecondsSince(begin)) / 1e9;
  return result;
}

absl::Status DropCached(const std::string& directory) {
  return ForEachFile(directory, [](int fd) -> absl::Status {
    if (fdatasync(fd) != 0) return absl::ErrnoToStatus(errno, "fdatasync");
    if (const int error = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); error != 0) {
      return absl::ErrnoToStatus(error, "posix_fadvise");
    }
    return absl::OkStatus();
  });
}

}  // namespace millrace
