#include "tests/realfs/disk_recording.h"

#include <cstring>

namespace millrace {

bool DiskRecording::Append(RecordedCall::Kind kind, uint64_t offset, const char* bytes,
                           uint32_t count) {
  // relaxed: this process alone writes it while the disk is used.
  const uint64_t position = position_.load(std::memory_order_relaxed);
  const uint64_t data = position == 0 ? 0 : DataEnd(position);
  if (position == kMaxCalls || data + count > kMaxDataBytes) return false;
  if (count > 0) std::memcpy(const_cast<char*>(this->data()) + data, bytes, count);
  calls_[position] = {.kind = kind, .bytes = count, .offset = offset, .data = data};
  // release: publishes the call and its data; pairs with the acquire in position().
  position_.store(position + 1, std::memory_order_release);
  return true;
}

}  // namespace millrace
