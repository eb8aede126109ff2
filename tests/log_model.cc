#include "tests/log_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace millrace {

SequenceNumber LogModel::Accept(std::span<const ModelContent> contents) {
  const SequenceNumber first = last() + 1;
  const uint32_t count = static_cast<uint32_t>(contents.size());
  for (uint32_t i = 0; i < count; ++i) {
    entries_.push_back({.content = contents[i], .batch_before = i, .batch_after = count - 1 - i});
  }
  return first;
}

void LogModel::Withdraw(SequenceNumber first, uint32_t count) {
  const auto begin = entries_.begin() + static_cast<ptrdiff_t>(first - 1);
  entries_.erase(begin, begin + count);
}

void LogModel::Truncate(SequenceNumber last_to_keep) {
  entries_.resize(last_to_keep);
  durable_ = written_ = last_to_keep;
}

void LogModel::TruncationInDoubt(SequenceNumber last_to_keep) {
  truncation_in_doubt_ = last_to_keep;
}

void LogModel::TrimInDoubt(SequenceNumber first_to_keep) {
  trim_in_doubt_ = std::max(trim_in_doubt_, first_to_keep);
}

std::optional<std::string> LogModel::Judge(const Record& record) {
  const SequenceNumber s = record.sequence;
  if (s < 1 || s > last()) {
    return absl::StrCat("record ", s, " was never accepted; the last is ", last());
  }
  bytes_.Make(at(s).content);
  if (!bytes_.Equals(record)) {
    return absl::StrCat("record ", s, " should be ", at(s).content.payload_bytes,
                        " bytes of record id ", at(s).content.id, "; found ", record.payload.size(),
                        " bytes that differ in payload, key or attributes");
  }
  if (at(s).time_may_be_lost) return std::nullopt;
  absl::Time& time = entries_[s - 1].time;
  if (time != absl::InfinitePast() && time != record.time) {
    return absl::StrCat("record ", s, " had the time ", absl::FormatTime(time), ", and now has ",
                        absl::FormatTime(record.time));
  }
  time = record.time;
  return std::nullopt;
}

std::optional<std::string> LogModel::JudgeEnd(Survivors survivors,
                                              const RecoveryReport& report) const {
  const SequenceNumber end = report.next_sequence - 1;
  if (truncation_in_doubt_ == end) return std::nullopt;
  SequenceNumber least = durable_;
  if (survivors == Survivors::kWritten) least = written_;
  if (survivors == Survivors::kAll || survivors == Survivors::kSynced) least = last();
  if (survivors == Survivors::kNamed) {
    for (const LostRange& lost : report.lost) {
      if (lost.first <= end + 1 && lost.last >= durable_) least = std::min(least, end);
    }
  }
  if (end < least || end > last()) {
    return absl::StrCat("the log should end between ", least, " and ", last(), "; it ends at ",
                        end);
  }
  if (end >= first_retained_ && InsideBatch(end)) {
    return absl::StrCat("the log ends at ", end, ", inside the batch ", end - at(end).batch_before,
                        "..", end + at(end).batch_after);
  }
  return std::nullopt;
}

std::optional<std::string> LogModel::JudgeReport(Survivors survivors,
                                                 const RecoveryReport& report) const {
  for (const LostRange& lost : report.lost) {
    if (lost.records() == 0) continue;
    // A cut that shows later frames behind it is told, as nobody's loss.
    const bool unknown = lost.first >= report.next_sequence &&
                         lost.acknowledgement != Acknowledgement::kAcknowledged;
    if (unknown && survivors == Survivors::kNamed) continue;
    if (unknown && survivors == Survivors::kDurable && lost.first > durable_) continue;
    return absl::StrCat("nothing acknowledged should be lost, up to ", durable_,
                        "; reported: ", lost.ToString());
  }
  using Outcome = RecoveryReport::Outcome;
  if (survivors == Survivors::kAll && report.outcome == Outcome::kRecovered) {
    return "a log that was closed in order is reported as recovered";
  }
  if (report.outcome == Outcome::kCreated && durable_ > 0) {
    return absl::StrCat("a log with ", durable_, " durable records is reported as created");
  }
  return std::nullopt;
}

std::optional<std::string> LogModel::Reopen(Survivors survivors, const RecoveryReport& report) {
  const SequenceNumber end = report.next_sequence - 1;
  if (auto wrong = JudgeEnd(survivors, report)) return wrong;
  if (auto wrong = JudgeReport(survivors, report)) return wrong;
  const SequenceNumber trimmed = report.first_retained;
  const SequenceNumber most = std::max(first_retained_, trim_in_doubt_);
  if (trimmed < first_retained_ || trimmed > most) {
    return absl::StrCat("the first record retained should be between ", first_retained_, " and ",
                        most, "; it is ", trimmed);
  }
  entries_.resize(end);
  for (SequenceNumber s = durable_ + 1; s <= end; ++s) entries_[s - 1].time_may_be_lost = true;
  // Opening has made durable what it found.
  durable_ = written_ = end;
  first_retained_ = trimmed;
  truncation_in_doubt_.reset();
  trim_in_doubt_ = 1;
  return std::nullopt;
}

void ModelCursor::Truncate(SequenceNumber last_to_keep) {
  lowest = std::min(lowest, last_to_keep);
  highest = std::min(highest, last_to_keep);
  if (untold_truncation.has_value()) {
    untold_truncation = std::min(last_to_keep, *untold_truncation);
  } else if (std::max({shown, delivered, committed}) > last_to_keep) {
    untold_truncation = last_to_keep;
  }
  shown = std::min(shown, last_to_keep);
  delivered = std::min(delivered, last_to_keep);
  committed = std::min(committed, last_to_keep);
  checkpointed = std::min(checkpointed, last_to_keep);
}

}  // namespace millrace
