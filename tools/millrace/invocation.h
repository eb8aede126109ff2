#ifndef MILLRACE_TOOLS_MILLRACE_INVOCATION_H_
#define MILLRACE_TOOLS_MILLRACE_INVOCATION_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/millrace/flag.h"

namespace millrace {

// What one call of a command was given, each value checked against its flag.
class Invocation {
 public:
  // `arguments` are those behind the command's name. Words and flags may stand in any order; `--`
  // ends the flags. A value stands behind a `=` or in the next argument, and an underscore in a
  // name counts as a dash.
  //
  // Errors: InvalidArgument (a flag that is not in `flags`, one without its value, a value that
  //   its flag does not take).
  static absl::StatusOr<Invocation> Parse(const std::vector<Flag>& flags,
                                          const std::vector<std::string>& arguments);

  const std::vector<std::string>& words() const { return words_; }
  // Of commands whose first word is the log's.
  const std::string& directory() const { return words_[0]; }

  bool Given(std::string_view flag) const { return given_.contains(flag); }

  // The values of flags, or their standard ones. The flag must be one of the command's and of that
  // kind; bytes and durations without a standard value must have been given.
  bool On(std::string_view flag) const { return Given(flag); }
  std::string Text(std::string_view flag) const;
  uint64_t Number(std::string_view flag) const;
  uint64_t Bytes(std::string_view flag) const;
  double Real(std::string_view flag) const;
  absl::Duration Duration(std::string_view flag) const;

 private:
  // Takes arguments[*i], which begins with a dash, and its value. Leaves *i at the last one taken.
  absl::Status TakeFlag(const std::vector<Flag>& flags, const std::vector<std::string>& arguments,
                        size_t* i);
  absl::Status Set(const Flag& flag, std::string value);

  std::vector<std::string> words_;
  std::map<std::string, std::string, std::less<>> given_;
  std::map<std::string, std::string, std::less<>> standard_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_INVOCATION_H_
