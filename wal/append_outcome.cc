#include "wal/append_outcome.h"

#include "absl/strings/cord.h"
#include "millrace/options.h"

namespace millrace {
namespace {

// The payload says it by being there; it has no content.
constexpr char kAccepted[] = "millrace/may-have-been-appended";

}  // namespace

absl::Status AfterAcceptance(absl::Status error) {
  error.SetPayload(kAccepted, absl::Cord());
  return error;
}

bool MayHaveBeenAppended(const absl::Status& error) {
  return error.GetPayload(kAccepted).has_value();
}

}  // namespace millrace
