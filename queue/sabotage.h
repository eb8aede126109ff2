#ifndef MILLRACE_QUEUE_SABOTAGE_H_
#define MILLRACE_QUEUE_SABOTAGE_H_

// Faults that tests/canary/run.py puts in, one at a time, to see that the ordinary tests find
// them:
//
//   if (MILLRACE_SABOTAGE(skip_sync)) return 0;
//
// In every build but that script's this is the constant false: no code and no symbol. There
// it is true for the fault that the environment variable MILLRACE_SABOTAGE names.

#ifdef MILLRACE_CANARIES

#include <cstdlib>
#include <string_view>

namespace millrace {

inline bool IsSabotaged(std::string_view fault) {
  const char* const chosen = std::getenv("MILLRACE_SABOTAGE");
  return chosen != nullptr && fault == chosen;
}

}  // namespace millrace

#define MILLRACE_SABOTAGE(fault) ::millrace::IsSabotaged(#fault)
// For a constant on which a fault depends.
#define MILLRACE_SABOTAGED_CONSTANT inline const

#else

#define MILLRACE_SABOTAGE(fault) false
#define MILLRACE_SABOTAGED_CONSTANT constexpr

#endif

#endif  // MILLRACE_QUEUE_SABOTAGE_H_
