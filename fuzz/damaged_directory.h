#ifndef MILLRACE_FUZZ_DAMAGED_DIRECTORY_H_
#define MILLRACE_FUZZ_DAMAGED_DIRECTORY_H_

#include <map>
#include <string>

#include "fuzz/fuzz_input.h"
#include "millrace/sequence.h"
#include "wal/format.h"

namespace millrace {

LogId DamagedLogId();
// Of the record with this number, in the log that is damaged.
std::string DamagedPayload(SequenceNumber s);

// What stands in a log's directory, by name.
struct DamagedDirectory {
  using Files = std::map<std::string, std::string>;
  Files files;
  bool honest = true;  // damage alone; nothing was forged
};

// Twelve records in three segments, with the edits that the input asks for. Its first byte says
// how the log ended.
DamagedDirectory DamageLog(FuzzInput& input);

}  // namespace millrace

#endif  // MILLRACE_FUZZ_DAMAGED_DIRECTORY_H_
