#ifndef MILLRACE_SYSCALL_KILL_CHILD_H_
#define MILLRACE_SYSCALL_KILL_CHILD_H_

#include <cstdint>
#include <string>

namespace millrace {

struct SyscallKillArguments {
  std::string directory;  // of the log
  std::string oracle;     // see MapKillOracle
  uint64_t seed = 0;
  uint32_t generation = 1;
};

// The process that is killed at one of its system calls: opens the log, appends at several
// durabilities, alone and in groups, through several segments, commits a cursor, trims, and closes.
// Notes in the oracle what it was told. Makes the same calls, up to the threads' timing, whenever
// it runs on a log of the same generation. Ends the process: 0, or 3 with a message on stderr.
[[noreturn]] void RunSyscallKillChild(const SyscallKillArguments& arguments);

}  // namespace millrace

#endif  // MILLRACE_SYSCALL_KILL_CHILD_H_
