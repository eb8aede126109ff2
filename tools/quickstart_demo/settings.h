#ifndef MILLRACE_TOOLS_QUICKSTART_DEMO_SETTINGS_H_
#define MILLRACE_TOOLS_QUICKSTART_DEMO_SETTINGS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace millrace {

// A fault put in on purpose, so that a test can see each check fail. All but the last change what
// the first consumer is given, not the log.
enum class Sabotage : uint8_t {
  kNone,
  kDropRecord,
  kRepeatRecord,
  kAlterRecord,
  kSwapRecords,
  kInventRecord,
  kDamageLog,  // one byte of an acknowledged record, on disk
};

struct Settings {
  std::string input;  // a file, "-" for standard input, empty for the package manager's log
  std::string base;   // where the directory of this run is made
  uint32_t producers = 8;
  uint64_t records = 0;  // in all; 0: as fits the input and the device
  Sabotage sabotage = Sabotage::kNone;
};

// From the command line. Prints the help and ends the process where it is asked for.
//
// Errors: InvalidArgument (naming the flag, its value and what it takes).
absl::StatusOr<Settings> ParseSettings(int argc, char** argv);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_QUICKSTART_DEMO_SETTINGS_H_
