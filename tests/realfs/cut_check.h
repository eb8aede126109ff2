#ifndef MILLRACE_CUT_CHECK_H_
#define MILLRACE_CUT_CHECK_H_

#include <cstdint>
#include <string>

#include "millrace/file_system.h"
#include "tests/log_oracle.h"
#include "tests/realfs/cut_oracle.h"

namespace millrace {

// What is found in a log after a power cut, held against what was promised.
struct CutCheck {
  OracleVerdict verdict;
  uint64_t silent = 0;                // losses that no report names
  SequenceNumber first = 1;           // the oldest record
  SequenceNumber last = kNoSequence;  // the newest one
};

// Reads the log as LogReader shows it, then opens it as its next owner would, appends, closes it
// and reads it again; all of it through `file_system`.
CutCheck CheckAfterCut(const std::string& directory, FileSystem* file_system,
                       const CutExpectation& expected, uint64_t seed);

}  // namespace millrace

#endif  // MILLRACE_CUT_CHECK_H_
