#include "wal/recovery_losses.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace millrace {

void LossReporter::Add(const LostRange& range, Acknowledgement above, SequenceNumber mark) {
  LostRange part = range;
  if (range.first <= mark) {
    part.last = std::min(range.last, mark);
    part.acknowledgement = Acknowledgement::kAcknowledged;
    report_->lost.push_back(part);
  }
  if (range.last > mark) {
    part.first = std::max(range.first, mark + 1);
    part.last = range.last;
    part.acknowledgement = above;
    report_->lost.push_back(part);
  }
}

absl::Status LossReporter::Refusal() const {
  return absl::DataLossError(
      absl::StrCat(report_->lost.back().ToString(),
                   "; nothing was changed: restore the files, or open with kSalvage (keeps all "
                   "else) or kStopAtFirstLoss (keeps what comes before)"));
}

}  // namespace millrace
