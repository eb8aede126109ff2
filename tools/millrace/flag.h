#ifndef MILLRACE_TOOLS_MILLRACE_FLAG_H_
#define MILLRACE_TOOLS_MILLRACE_FLAG_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace millrace {

// One flag of a command: what its parser, its help, its completion and its page of the manual are
// made of.
struct Flag {
  enum class Kind : uint8_t {
    kSwitch,    // on if it is given
    kText,      // any bytes
    kNumber,    // `least` to `most`
    kReal,      // a decimal fraction
    kBytes,     // 8192, 64KiB, 1.5GiB, 10MB
    kDuration,  // 90s, 1h30m, 7d; a number alone is in seconds
    kChoice,    // one of `choices`
  };
  Kind kind = Kind::kSwitch;
  std::string_view name = {};      // without dashes; one letter is written with one dash
  std::string_view argument = {};  // what help calls its value
  std::string_view standard = {};  // its value where it is not given; "": it has none
  std::string_view help = {};      // what it does, on one line, which is wrapped where it is shown
  std::vector<std::string_view> choices = {};
  uint64_t least = 0;
  uint64_t most = std::numeric_limits<uint64_t>::max();
  std::string_view implied = {};  // its value where it is given without one; "": it needs one

  // "--from", "-n".
  std::string Dashed() const;
  // "--from=N", "-n N", "--watch[=INTERVAL]", "--json".
  std::string Usage() const;
  // The values it takes, for a person: "one of: lines, length".
  std::string Domain() const;

  // Errors: InvalidArgument (not a value of this flag: names it, the value and what it takes).
  absl::Status Check(const std::string& value) const;
};

// The values that `text` stands for, by kind.
//
// Errors: InvalidArgument (it stands for none; the message says only what is taken).
absl::StatusOr<uint64_t> ParseNumber(const std::string& text);
absl::StatusOr<double> ParseReal(const std::string& text);
absl::StatusOr<uint64_t> ParseBytes(const std::string& text);
absl::StatusOr<absl::Duration> ParseDuration(const std::string& text);

// Flags that several commands have.
Flag JsonFlag();
Flag ApplyFlag();
Flag FramingFlag(std::string_view help);
Flag WithSequenceFlag();

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_FLAG_H_
