#ifndef MILLRACE_FUZZ_CHOICE_H_
#define MILLRACE_FUZZ_CHOICE_H_

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "fuzz/mutator.h"

namespace millrace {

// Which of the dear checks an input gets: its bytes say, so that they are always the same. It gets
// all of them where a corpus is replayed, and with MILLRACE_ALL_CHECKS=1 in the environment.
class Choice {
 public:
  explicit Choice(std::string_view input)
      : all_(LLVMFuzzerMutate == nullptr || AskedForAll()),
        random_(std::hash<std::string_view>()(input)) {}

  bool all() const { return all_; }
  bool OneIn(uint64_t n) { return Below(n) == 0 || all_; }
  // Uniform over [0, n).
  uint64_t Below(uint64_t n) {
    random_ = random_ * 6364136223846793005 + 1442695040888963407;
    return (random_ >> 33) % n;
  }

 private:
  static bool AskedForAll() {
    static const bool asked = std::getenv("MILLRACE_ALL_CHECKS") != nullptr;
    return asked;
  }

  const bool all_;
  uint64_t random_;
};

}  // namespace millrace

#endif  // MILLRACE_FUZZ_CHOICE_H_
