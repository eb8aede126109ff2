#ifndef MILLRACE_IMAGE_SET_H_
#define MILLRACE_IMAGE_SET_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace millrace {

// The hashes of crash images that were seen. Takes 8 to 16 bytes for each: a campaign sees
// tens of millions.
class ImageSet {
 public:
  // Whether `hash` was not in it.
  bool Insert(uint64_t hash) {
    if (hash == 0) hash = 1;  // marks a free slot
    if (4 * (size_ + 1) > 3 * slots_.size()) Grow();
    if (!Place(hash)) return false;
    ++size_;
    return true;
  }
  size_t size() const { return size_; }
  void Clear() {
    slots_.clear();
    size_ = 0;
  }

 private:
  bool Place(uint64_t hash) {
    const size_t mask = slots_.size() - 1;
    for (size_t i = (hash ^ (hash >> 32)) & mask;; i = (i + 1) & mask) {
      if (slots_[i] == hash) return false;
      if (slots_[i] != 0) continue;
      slots_[i] = hash;
      return true;
    }
  }
  void Grow() {
    std::vector<uint64_t> old = std::exchange(slots_, {});
    slots_.resize(old.empty() ? 1024 : 2 * old.size());
    for (const uint64_t hash : old) {
      if (hash != 0) Place(hash);
    }
  }

  std::vector<uint64_t> slots_;  // a power of two of them
  size_t size_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_IMAGE_SET_H_
