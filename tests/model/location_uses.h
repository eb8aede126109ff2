#ifndef MILLRACE_TESTS_MODEL_LOCATION_USES_H_
#define MILLRACE_TESTS_MODEL_LOCATION_USES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/model/weak_memory.h"

namespace millrace::model {

enum class Access { kRead, kWrite };

// Learns, over all executions of a scenario, which locations two threads use and at least one of
// them writes. A location is known again by its offset in the scenario; one that lies elsewhere is
// taken to be shared.
class LocationUses {
 public:
  // Forgets everything; the scenario lies in `storage`.
  void Clear(const std::vector<char>& storage) {
    storage_ = storage.data();
    uses_.assign(storage.size(), Use());
    guessed_wrong_ = false;
  }

  void Create(std::size_t location, const void* address) {
    std::size_t offset = static_cast<std::size_t>(static_cast<const char*>(address) - storage_);
    offset_[location] = offset < uses_.size() ? offset : kElsewhere;
  }

  // Records an access. Returns whether it may conflict with another thread's.
  bool Mark(std::size_t location, std::size_t thread, Access access) {
    if (offset_[location] == kElsewhere) return true;
    Use& use = uses_[offset_[location]];
    use.threads |= uint32_t{1} << thread;
    use.written = use.written || access == Access::kWrite;
    bool shared = use.written && (use.threads & (use.threads - 1)) != 0;
    guessed_wrong_ = guessed_wrong_ || shared != use.shared;
    use.shared = shared;
    return shared;
  }

  // True if a location turned out to be shared after it was taken not to be: what was explored so
  // far may lack executions.
  bool guessed_wrong() const { return guessed_wrong_; }
  void GuessAgain() { guessed_wrong_ = false; }

 private:
  struct Use {
    uint32_t threads = 0;  // a bit each
    bool written = false;
    bool shared = false;
  };
  static constexpr std::size_t kElsewhere = ~std::size_t{0};

  const char* storage_ = nullptr;
  std::vector<Use> uses_;  // by offset
  std::array<std::size_t, kMostLocations> offset_{};
  bool guessed_wrong_ = false;
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_LOCATION_USES_H_
