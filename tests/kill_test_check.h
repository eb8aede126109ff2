#ifndef MILLRACE_KILL_TEST_CHECK_H_
#define MILLRACE_KILL_TEST_CHECK_H_

#include <cstdint>
#include <string>

#include "millrace/sequence.h"
#include "tests/kill_test_oracle.h"
#include "tests/log_oracle.h"

namespace millrace {

// What a reader from outside finds in the log, held against the oracle.
struct KillCheck {
  OracleVerdict verdict;
  SequenceNumber first = 1;           // the oldest record
  SequenceNumber last = kNoSequence;  // the newest one
};

// Reads the log in `directory` through LogReader, which changes nothing. No log at
// all is fine while nothing has been acknowledged.
KillCheck CheckLog(const std::string& directory, const KillOracle& oracle, uint64_t seed);

}  // namespace millrace

#endif  // MILLRACE_KILL_TEST_CHECK_H_
