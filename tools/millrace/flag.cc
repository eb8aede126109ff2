#include "tools/millrace/flag.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace millrace {
namespace {

std::string Joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

// Splits "64KiB" into 64 and "KiB".
std::pair<std::string, std::string> SplitUnit(const std::string& text) {
  const size_t unit = std::min(text.find_first_not_of("0123456789."), text.size());
  return {text.substr(0, unit), text.substr(unit)};
}

absl::Status Within(const Flag& flag, uint64_t value) {
  if (value >= flag.least && value <= flag.most) return absl::OkStatus();
  return absl::InvalidArgumentError("");
}

}  // namespace

std::string Flag::Dashed() const { return (name.size() == 1 ? "-" : "--") + std::string(name); }

std::string Flag::Usage() const {
  if (kind == Kind::kSwitch) return Dashed();
  const std::string value(argument);
  if (!implied.empty()) return Dashed() + "[=" + value + "]";
  return Dashed() + (name.size() == 1 ? " " : "=") + value;
}

std::string Flag::Domain() const {
  switch (kind) {
    case Kind::kSwitch:
      return "no value";
    case Kind::kText:
      return "any text";
    case Kind::kNumber:
      if (most == std::numeric_limits<uint64_t>::max()) {
        return least == 0 ? std::string("a number") : absl::StrFormat("a number from %d on", least);
      }
      return absl::StrFormat("a number from %d to %d", least, most);
    case Kind::kReal:
      return "a number";
    case Kind::kBytes:
      return least == 0 ? std::string("bytes, as 8192, 64KiB or 10MB")
                        : absl::StrFormat("%d or more bytes, as 8192, 64KiB or 10MB", least);
    case Kind::kDuration:
      return "a duration, as 90s, 1h30m or 7d";
    case Kind::kChoice:
      return "one of: " + Joined(choices);
  }
  return "";
}

absl::Status Flag::Check(const std::string& value) const {
  absl::Status status;
  switch (kind) {
    case Kind::kSwitch:
    case Kind::kText:
      break;
    case Kind::kNumber: {
      const absl::StatusOr<uint64_t> number = ParseNumber(value);
      status = number.ok() ? Within(*this, *number) : number.status();
      break;
    }
    case Kind::kBytes: {
      const absl::StatusOr<uint64_t> bytes = ParseBytes(value);
      status = bytes.ok() ? Within(*this, *bytes) : bytes.status();
      break;
    }
    case Kind::kReal:
      status = ParseReal(value).status();
      break;
    case Kind::kDuration:
      status = ParseDuration(value).status();
      break;
    case Kind::kChoice:
      if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
        status = absl::InvalidArgumentError("");
      }
      break;
  }
  if (status.ok()) return status;
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is \"%s\"; it takes %s", Dashed(), value, Domain()));
}

absl::StatusOr<uint64_t> ParseNumber(const std::string& text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stopped == end) return number;
  return absl::InvalidArgumentError("a number");
}

absl::StatusOr<double> ParseReal(const std::string& text) {
  double number = 0;
  if (absl::SimpleAtod(text, &number) && std::isfinite(number)) return number;
  return absl::InvalidArgumentError("a number");
}

absl::StatusOr<uint64_t> ParseBytes(const std::string& text) {
  static constexpr std::array kUnits = {
      std::pair{"", 1.0},       std::pair{"B", 1.0},      std::pair{"K", 1024.0},
      std::pair{"KiB", 1024.0}, std::pair{"kB", 1e3},     std::pair{"KB", 1e3},
      std::pair{"M", 0x1p20},   std::pair{"MiB", 0x1p20}, std::pair{"MB", 1e6},
      std::pair{"G", 0x1p30},   std::pair{"GiB", 0x1p30}, std::pair{"GB", 1e9},
      std::pair{"T", 0x1p40},   std::pair{"TiB", 0x1p40}, std::pair{"TB", 1e12}};
  const auto [digits, unit] = SplitUnit(text);
  for (const auto& [name, factor] : kUnits) {
    if (unit != name) continue;
    if (factor == 1.0) return ParseNumber(digits);
    const absl::StatusOr<double> number = ParseReal(digits);
    if (!number.ok() || *number * factor >= 0x1p63) break;
    return static_cast<uint64_t>(*number * factor);
  }
  return absl::InvalidArgumentError("bytes");
}

absl::StatusOr<absl::Duration> ParseDuration(const std::string& text) {
  const auto [digits, unit] = SplitUnit(text);
  absl::Duration duration = absl::ZeroDuration();
  bool ok = false;
  // Abseil knows of no unit beyond the hour.
  if (unit.empty() || unit == "d" || unit == "w") {
    const absl::StatusOr<double> number = ParseReal(digits);
    const int hours = unit == "w" ? 7 * 24 : 24;
    ok = number.ok();
    if (ok) duration = *number * (unit.empty() ? absl::Seconds(1) : absl::Hours(hours));
  } else {
    ok = absl::ParseDuration(text, &duration);
  }
  if (!ok || duration < absl::ZeroDuration() || duration == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError("a duration");
  }
  return duration;
}

Flag JsonFlag() {
  return {.name = "json", .help = "print JSON, one object on each line; its keys are listed below"};
}

Flag ApplyFlag() {
  return {.name = "apply",
          .help = "do it; without this flag the command only says what it would do"};
}

Flag FramingFlag(std::string_view help) {
  return {.kind = Flag::Kind::kChoice,
          .name = "framing",
          .argument = "HOW",
          .standard = "lines",
          .help = help,
          .choices = {"lines", "length"}};
}

Flag WithSequenceFlag() {
  return {.name = "with-sequence",
          .help = "print the sequence number and a tab before each payload"};
}

}  // namespace millrace
