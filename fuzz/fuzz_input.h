#ifndef MILLRACE_FUZZ_FUZZ_INPUT_H_
#define MILLRACE_FUZZ_FUZZ_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace millrace {

// Hands out a fuzzer's input piece by piece; zeros at its end.
class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool empty() const { return size_ == 0; }
  // The next `bytes`, up to 8, little-endian.
  uint64_t Number(size_t bytes) {
    uint64_t value = 0;
    const size_t taken = std::min(bytes, size_);
    std::memcpy(&value, data_, taken);
    Skip(taken);
    return value;
  }
  std::string Bytes(size_t bytes) {
    const size_t taken = std::min(bytes, size_);
    std::string out(reinterpret_cast<const char*>(data_), taken);
    Skip(taken);
    return out;
  }

 private:
  void Skip(size_t bytes) {
    data_ += bytes;
    size_ -= bytes;
  }

  const uint8_t* data_;
  size_t size_;
};

}  // namespace millrace

#endif  // MILLRACE_FUZZ_FUZZ_INPUT_H_
