#ifndef MILLRACE_SEQUENCE_H_
#define MILLRACE_SEQUENCE_H_

#include <cstdint>

#include "millrace/language.h"

namespace millrace {

// The number of a record in its log. Dense: the first record is 1, and every
// record is one more than the one before it. 0 means "no record".
using SequenceNumber = uint64_t;

inline constexpr SequenceNumber kNoSequence = 0;

// The largest number a log will give out; appends past it are refused.
inline constexpr SequenceNumber kMaxSequence = (uint64_t{1} << 56) - 1;

}  // namespace millrace

#endif  // MILLRACE_SEQUENCE_H_
