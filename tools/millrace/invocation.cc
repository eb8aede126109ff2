#include "tools/millrace/invocation.h"

#include <algorithm>
#include <utility>

namespace millrace {
namespace {

const Flag* Find(const std::vector<Flag>& flags, std::string_view name) {
  const auto found =
      std::find_if(flags.begin(), flags.end(), [&](const Flag& flag) { return flag.name == name; });
  return found == flags.end() ? nullptr : &*found;
}

}  // namespace

absl::StatusOr<Invocation> Invocation::Parse(const std::vector<Flag>& flags,
                                             const std::vector<std::string>& arguments) {
  Invocation invocation;
  for (const Flag& flag : flags) {
    if (!flag.standard.empty()) invocation.standard_.emplace(flag.name, flag.standard);
  }
  bool only_words = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (only_words || argument.size() < 2 || argument[0] != '-') {
      invocation.words_.push_back(argument);
    } else if (argument == "--") {
      only_words = true;
    } else if (absl::Status status = invocation.TakeFlag(flags, arguments, &i); !status.ok()) {
      return status;
    }
  }
  return invocation;
}

absl::Status Invocation::TakeFlag(const std::vector<Flag>& flags,
                                  const std::vector<std::string>& arguments, size_t* i) {
  const std::string& argument = arguments[*i];
  const size_t dashes = argument[1] == '-' ? 2 : 1;
  const size_t equals = argument.find('=');
  std::string name =
      argument.substr(dashes, equals == std::string::npos ? equals : equals - dashes);
  std::replace(name.begin(), name.end(), '_', '-');
  const Flag* flag = Find(flags, name);
  if (flag == nullptr && dashes == 1) {
    // -n5 is -n 5.
    flag = Find(flags, argument.substr(1, 1));
    if (flag != nullptr && flag->kind != Flag::Kind::kSwitch) {
      return Set(*flag, argument.substr(2));
    }
    flag = nullptr;
  }
  if (flag == nullptr) {
    return absl::InvalidArgumentError("there is no flag " + argument.substr(0, equals) + " here");
  }
  if (equals != std::string::npos) {
    if (flag->kind == Flag::Kind::kSwitch) {
      return absl::InvalidArgumentError(flag->Dashed() + " takes no value");
    }
    return Set(*flag, argument.substr(equals + 1));
  }
  if (flag->kind == Flag::Kind::kSwitch) return Set(*flag, "");
  if (!flag->implied.empty()) return Set(*flag, std::string(flag->implied));
  if (*i + 1 == arguments.size()) {
    return absl::InvalidArgumentError(flag->Dashed() + " needs a value: " + flag->Domain());
  }
  return Set(*flag, arguments[++*i]);
}

absl::Status Invocation::Set(const Flag& flag, std::string value) {
  absl::Status status = flag.Check(value);
  if (status.ok()) given_.insert_or_assign(std::string(flag.name), std::move(value));
  return status;
}

std::string Invocation::Text(std::string_view flag) const {
  if (const auto given = given_.find(flag); given != given_.end()) return given->second;
  if (const auto found = standard_.find(flag); found != standard_.end()) return found->second;
  return "";
}

// Values were checked when they were given; standard ones are checked by cli_help_test.
uint64_t Invocation::Number(std::string_view flag) const {
  return ParseNumber(Text(flag)).value_or(0);
}
uint64_t Invocation::Bytes(std::string_view flag) const {
  return ParseBytes(Text(flag)).value_or(0);
}
double Invocation::Real(std::string_view flag) const { return ParseReal(Text(flag)).value_or(0); }
absl::Duration Invocation::Duration(std::string_view flag) const {
  return ParseDuration(Text(flag)).value_or(absl::ZeroDuration());
}

}  // namespace millrace
