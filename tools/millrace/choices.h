#ifndef MILLRACE_TOOLS_MILLRACE_CHOICES_H_
#define MILLRACE_TOOLS_MILLRACE_CHOICES_H_

#include <cstdint>

#include "millrace/log_reader.h"
#include "millrace/options.h"
#include "tools/millrace/invocation.h"

namespace millrace {

// How records stand in a stream of bytes.
enum class Framing : uint8_t {
  kLines,   // each ends with a newline, which is not part of it
  kLength,  // each begins with its length, 4 bytes, little-endian
};

// What the words given to --framing, --durability, --policy and --upto stand for; a word that is
// not one of those was refused before.
Framing FramingOf(const Invocation& invocation);
Durability DurabilityOf(const Invocation& invocation);
RecoveryPolicy PolicyOf(const Invocation& invocation);
LogReaderOptions::Limit LimitOf(const Invocation& invocation);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_CHOICES_H_
