#include "wal/io.h"

#include <errno.h>

#include <algorithm>
#include <cstddef>
#include <memory>

#include "queue/sabotage.h"
#include "wal/check.h"

namespace millrace {
namespace {

// The writer thread blocks all signals, so that even one EINTR is rare; the
// bound is for a file system gone mad, against which a loop must still end.
constexpr int kMaxInterrupts = 100'000;

// Calls in a row that moved no byte (a result of 0, or EAGAIN).
constexpr int kMaxIdleCalls = 1000;

// What pwritev takes in one call (IOV_MAX).
constexpr size_t kMaxPieces = 1024;

template <typename Call>
IoResult RetryInterrupted(Call call) {
  IoResult result = -EINTR;
  for (int i = 0; i < kMaxInterrupts && result == -EINTR; ++i) {
    result = call();
    if (MILLRACE_SABOTAGE(give_up_when_interrupted)) return result;
  }
  return result;
}

}  // namespace

IoResult ReadFully(File& file, uint64_t offset, std::span<char> out) {
  size_t done = 0;
  int idle_calls = 0;
  while (done < out.size()) {
    const IoResult result =
        RetryInterrupted([&] { return file.Read(offset + done, out.subspan(done)); });
    if (result == 0) break;
    if (result < 0) {
      if (result == -EAGAIN && ++idle_calls < kMaxIdleCalls) continue;
      return result;
    }
    WAL_CHECK_LE(static_cast<uint64_t>(result), out.size() - done);
    done += static_cast<size_t>(result);
    idle_calls = 0;
  }
  return static_cast<IoResult>(done);
}

WriteOutcome WriteFully(File& file, uint64_t offset, std::span<const std::string_view> pieces) {
  WriteOutcome outcome;
  size_t index = 0;   // the first piece not yet written completely,
  size_t inside = 0;  // and how many of its bytes are out
  int idle_calls = 0;
  while (true) {
    // A call always starts with a byte to write, so that 0 means no progress.
    while (index < pieces.size() && inside == pieces[index].size()) {
      ++index;
      inside = 0;
    }
    if (index == pieces.size()) return outcome;

    // The rest of a piece that a short write cut goes out in a call of its own:
    // that needs no second list of pieces, and short writes are rare.
    std::string_view rest = pieces[index].substr(inside);
    std::span<const std::string_view> window(&rest, 1);
    if (inside == 0) window = pieces.subspan(index, std::min(kMaxPieces, pieces.size() - index));
    const IoResult result =
        RetryInterrupted([&] { return file.Write(offset + outcome.written, window); });
    if (result <= 0) {
      if ((result == 0 || result == -EAGAIN) && ++idle_calls < kMaxIdleCalls) continue;
      outcome.error = result == 0 ? -EIO : result;
      return outcome;
    }
    idle_calls = 0;
    outcome.written += static_cast<uint64_t>(result);
    if (MILLRACE_SABOTAGE(ignore_short_write)) return outcome;
    for (uint64_t left = static_cast<uint64_t>(result); left > 0;) {
      WAL_CHECK_LT(index, pieces.size());
      const uint64_t step = std::min<uint64_t>(left, pieces[index].size() - inside);
      left -= step;
      inside += step;
      if (inside == pieces[index].size()) {
        ++index;
        inside = 0;
      }
    }
  }
}

WriteOutcome WriteFully(File& file, uint64_t offset, std::string_view bytes) {
  return WriteFully(file, offset, std::span<const std::string_view>(&bytes, 1));
}

IoResult SyncFile(File& file) {
  if (MILLRACE_SABOTAGE(skip_sync)) return 0;
  const IoResult result = RetryInterrupted([&] { return file.Sync(); });
  if (MILLRACE_SABOTAGE(retry_failed_sync) && result < 0) return file.Sync();
  return result;
}

IoResult SyncDirectory(Directory& directory) {
  if (MILLRACE_SABOTAGE(skip_directory_sync)) return 0;
  return RetryInterrupted([&] { return directory.Sync(); });
}

IoResult AllocateFile(File& file, uint64_t size) {
  return RetryInterrupted([&] { return file.Allocate(size); });
}

IoResult TruncateFile(File& file, uint64_t size) {
  return RetryInterrupted([&] { return file.Truncate(size); });
}

IoResult OpenFile(Directory& directory, std::string_view name, OpenMode mode,
                  std::unique_ptr<File>* file) {
  return RetryInterrupted([&] { return directory.Open(name, mode, file); });
}

}  // namespace millrace
