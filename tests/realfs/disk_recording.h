#ifndef MILLRACE_DISK_RECORDING_H_
#define MILLRACE_DISK_RECORDING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace millrace {

// One call that a disk was given: bytes to write, or to make all earlier writes durable.
struct RecordedCall {
  enum class Kind : uint32_t { kWrite, kFlush };
  Kind kind = Kind::kFlush;
  uint32_t bytes = 0;
  uint64_t offset = 0;  // on the disk
  uint64_t data = 0;    // where the bytes begin in the recording's data
};

// What a disk was given, in order. Lies in memory that the process which serves the disk
// shares with the one that uses it: the first writes, the second reads.
class DiskRecording {
 public:
  static constexpr uint64_t kMaxCalls = 1 << 16;
  static constexpr uint64_t kMaxDataBytes = uint64_t{192} << 20;
  static constexpr uint64_t kSectorBytes = 512;

  // Calls so far. What was acknowledged when this was N is covered by the first N calls: the disk
  // answers none that it has not recorded.
  uint64_t position() const {
    // acquire: the calls below it and their data are seen; pairs with the release in Append().
    return position_.load(std::memory_order_acquire);
  }
  const RecordedCall& call(uint64_t i) const { return calls_[i]; }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
  // Whether it has room for much more; a workload ends when it has not.
  bool HasRoom() const {
    const uint64_t calls = position();
    return calls < kMaxCalls * 3 / 4 && (calls == 0 || DataEnd(calls) < kMaxDataBytes * 3 / 4);
  }
  // Only while nobody uses the disk.
  void Clear() {
    // release: as in Append().
    position_.store(0, std::memory_order_release);
  }

  // By the serving process. False if there is no room left: the disk then answers EIO, so that
  // nothing is acknowledged that was not recorded.
  bool Append(RecordedCall::Kind kind, uint64_t offset, const char* bytes, uint32_t count);

 private:
  uint64_t DataEnd(uint64_t calls) const {
    return calls_[calls - 1].data + calls_[calls - 1].bytes;
  }

  std::atomic<uint64_t> position_{0};
  RecordedCall calls_[kMaxCalls];
  // kMaxDataBytes follow.
};

static_assert(std::atomic<uint64_t>::is_always_lock_free, "two processes share it");

// Which writes a disk refuses with EIO, set by the process that uses it: those that touch
// [begin, end) while `begin` < `end`.
struct DiskFault {
  std::atomic<uint64_t> begin{0};
  std::atomic<uint64_t> end{0};
  std::atomic<uint64_t> refused{0};  // writes, by the serving process
};

// All that the two processes share but the disk's bytes.
struct SharedDisk {
  static constexpr size_t kFaults = 64;
  DiskFault faults[kFaults];
  DiskRecording recording;
};

}  // namespace millrace

#endif  // MILLRACE_DISK_RECORDING_H_
