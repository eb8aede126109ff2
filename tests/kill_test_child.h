#ifndef MILLRACE_KILL_TEST_CHILD_H_
#define MILLRACE_KILL_TEST_CHILD_H_

#include <cstdint>
#include <string>

namespace millrace {

struct KillChildArguments {
  std::string directory;  // of the log
  std::string oracle;     // the path of its file
  uint64_t seed = 0;
  uint32_t generation = 1;
};

// The process that is killed: opens the log, checks all of it against the oracle,
// then appends from eight threads, reads with a cursor, trims and recycles until
// it is killed. Leaves with a message and an exit code other than 0 if anything is
// not as promised.
[[noreturn]] void RunKillChild(const KillChildArguments& arguments);

}  // namespace millrace

#endif  // MILLRACE_KILL_TEST_CHILD_H_
