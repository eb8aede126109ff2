#ifndef MILLRACE_FUZZ_MUTATOR_H_
#define MILLRACE_FUZZ_MUTATOR_H_

#include <cstddef>
#include <cstdint>

// libFuzzer's; absent where a corpus is only replayed.
extern "C" __attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t* data, size_t size,
                                                         size_t max_size);

namespace millrace {

// One of libFuzzer's own mutations; for a LLVMFuzzerCustomMutator to begin with.
inline size_t Mutate(uint8_t* data, size_t size, size_t max_size) {
  return LLVMFuzzerMutate == nullptr ? size : LLVMFuzzerMutate(data, size, max_size);
}

}  // namespace millrace

#endif  // MILLRACE_FUZZ_MUTATOR_H_
