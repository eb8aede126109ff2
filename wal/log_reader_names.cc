#include <string_view>

#include "millrace/log_reader.h"

namespace millrace {

std::string_view SegmentStateName(SegmentInfo::State state) {
  switch (state) {
    case SegmentInfo::State::kSealed:
      return "sealed";
    case SegmentInfo::State::kClosed:
      return "closed";
    case SegmentInfo::State::kOpen:
      return "open";
    case SegmentInfo::State::kEmpty:
      return "empty";
    case SegmentInfo::State::kPrepared:
      return "prepared";
    case SegmentInfo::State::kDead:
      return "dead";
    case SegmentInfo::State::kMissing:
      return "missing";
  }
  return "";
}

std::string_view CursorFileStateName(CursorInfo::State state) {
  switch (state) {
    case CursorInfo::State::kValid:
      return "valid";
    case CursorInfo::State::kDamaged:
      return "damaged";
    case CursorInfo::State::kForeign:
      return "foreign";
    case CursorInfo::State::kNewer:
      return "newer";
  }
  return "";
}

}  // namespace millrace
