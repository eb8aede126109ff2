#include "wal/recovery_judge.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "wal/recovery_losses.h"

namespace millrace {
namespace {

using Action = GapTable::Action;
using Behind = GapTable::Behind;
using Boot = GapTable::Boot;
using Holds = FileFateTable::Holds;
using Known = GapTable::Known;
using Numbers = GapTable::Numbers;
using Place = FileFateTable::Place;

// Missing numbers, and the end of what stands before them in the same segment.
struct Gap {
  LostRange range;
  Behind behind = Behind::kNothing;
  Known known = Known::kNew;
  SequenceNumber known_mark = 0;  // kSettled: of the header that tells of it
  Boot boot = Boot::kOther;
};

class ChainJudge {
 public:
  ChainJudge(const RecoveryChain& chain, const RecoveryOptions& options, uint64_t boot_id,
             RecoveryReport* report)
      : chain_(chain),
        policy_(options.policy),
        notes_(options.scan == Scan::kAll),
        boot_id_(boot_id),
        report_(report),
        losses_(chain.mark, report),
        expected_(std::max<SequenceNumber>(chain.first_retained, 1)) {
    verdict_.links.resize(chain.links.size());
    if (chain.below_is_trimmed) verdict_.predecessor = verdict_.below = chain.below;
  }

  absl::StatusOr<RecoveryVerdict> Walk();

 private:
  enum class Mode : uint8_t {
    kKeeping,
    kAside,     // behind the first loss (kStopAtFirstLoss)
    kDropping,  // behind a gap above the mark
  };

  absl::Status JudgeLink(size_t index);
  absl::Status JudgeInside(size_t index);
  absl::Status JudgeFront(size_t index);
  absl::Status JudgeEnd();
  absl::Status JudgeLostNewest();
  absl::Status Meet(Gap gap);
  absl::Status MeetAbove(Gap gap);
  void Keep(size_t index, SequenceNumber last, SequenceNumber last_valid, uint64_t end,
            uint64_t digest);
  void SetRunAside(const ChainLink& link, SequenceNumber last, uint64_t begin, uint64_t end);
  void NoteDamage(const ChainLink& link);
  void FinishDropped();
  bool RecordsFollow(size_t index) const;
  static Behind BehindOf(bool records, LossCause cause);
  Boot BootOf(const ChainLink& link) const {
    return link.header != nullptr && link.header->boot_id == boot_id_ ? Boot::kSame : Boot::kOther;
  }

  const RecoveryChain& chain_;
  const RecoveryPolicy policy_;
  const bool notes_;  // report damage that costs no record
  const uint64_t boot_id_;
  RecoveryReport* const report_;
  LossReporter losses_;
  RecoveryVerdict verdict_;

  Mode mode_ = Mode::kKeeping;
  SequenceNumber expected_;       // everything below is accounted for
  SequenceNumber last_seen_ = 0;  // intact, kept or not
  SequenceNumber settled_ = 0;    // the last number that an earlier open left out
  // kDropping: what was cut, and whether it is a loss. If not it was a torn write.
  LostRange dropped_;
  bool dropped_is_lost_ = false;
};

// Decides about one gap. What is to be kept before it has not been kept yet when
// this returns with another mode: the caller does that.
absl::Status ChainJudge::Meet(Gap gap) {
  gap.range.first = std::max(gap.range.first, expected_);
  Numbers numbers = Numbers::kNone;
  if (gap.range.records() > 0) {
    numbers = gap.range.last <= chain_.mark   ? Numbers::kBelowMark
              : gap.range.first > chain_.mark ? Numbers::kAboveMark
                                              : Numbers::kAcrossMark;
    expected_ = gap.range.last + 1;
  }
  switch (GapTable::Decide(numbers, gap.behind, gap.known, gap.boot, policy_)) {
    case Action::kNote:
      if (notes_) losses_.Note(gap.range);
      return absl::OkStatus();
    case Action::kReport:
      losses_.Add(gap.range, Acknowledgement::kUnknown,
                  gap.known == Known::kSettled ? gap.known_mark : chain_.mark);
      if (gap.known == Known::kSettled) settled_ = gap.range.last;
      return absl::OkStatus();
    case Action::kStop:
      losses_.Add(gap.range, Acknowledgement::kUnknown);
      if (mode_ == Mode::kKeeping) mode_ = Mode::kAside;
      verdict_.stopped = true;
      return absl::OkStatus();
    case Action::kRefuse:
      losses_.Add(gap.range,
                  gap.boot == Boot::kSame ? Acknowledgement::kWritten : Acknowledgement::kUnknown);
      return losses_.Refusal();
    case Action::kReportAndCut: {
      LostRange acknowledged = gap.range;
      acknowledged.last = chain_.mark;
      losses_.Add(acknowledged, Acknowledgement::kUnknown);
      gap.range.first = chain_.mark + 1;
      return MeetAbove(gap);
    }
    case Action::kCutTail:
    case Action::kCutWritten:
    case Action::kCutUnknown:
      return MeetAbove(gap);
  }
  return absl::OkStatus();
}

absl::Status ChainJudge::MeetAbove(Gap gap) {
  const Action action =
      GapTable::Decide(Numbers::kAboveMark, gap.behind, gap.known, gap.boot, policy_);
  mode_ = Mode::kDropping;
  verdict_.cut = true;
  dropped_is_lost_ = gap.behind == Behind::kRecords;
  dropped_ = gap.range;
  dropped_.acknowledgement =
      action == Action::kCutWritten ? Acknowledgement::kWritten : Acknowledgement::kUnknown;
  report_->tail_segment = gap.range.segment;
  report_->tail_offset = gap.range.begin;
  return absl::OkStatus();
}

bool ChainJudge::RecordsFollow(size_t index) const {
  for (size_t i = index + 1; i < chain_.links.size(); ++i) {
    if (chain_.links[i].records() > 0) return true;
  }
  return false;
}

// A file that cannot be read, in part or at all, is no torn write either, with or without records
// behind it.
Behind ChainJudge::BehindOf(bool records, LossCause cause) {
  return records || cause == LossCause::kUnreadable ? Behind::kRecords : Behind::kNothing;
}

void ChainJudge::Keep(size_t index, SequenceNumber last, SequenceNumber last_valid, uint64_t end,
                      uint64_t digest) {
  const ChainLink& link = chain_.links[index];
  if (last < link.first) return;
  verdict_.kept.push_back({.number = link.number,
                           .incarnation = link.incarnation,
                           .first_sequence = link.first,
                           .last_sequence = last,
                           .end = end,
                           .digest = digest,
                           .file_bytes = link.file->bytes});
  verdict_.predecessor = {link.number, link.incarnation, last, end, digest};
  verdict_.last_recovered = std::max(verdict_.last_recovered, last_valid);
  verdict_.links[index].place = Place::kKept;
}

// The records from expected_ to `last` are intact, and behind the first loss.
void ChainJudge::SetRunAside(const ChainLink& link, SequenceNumber last, uint64_t begin,
                             uint64_t end) {
  if (mode_ == Mode::kAside && last >= expected_) {
    losses_.Add({.first = expected_,
                 .last = last,
                 .segment = link.number,
                 .begin = begin,
                 .end = end,
                 .cause = LossCause::kSetAside},
                Acknowledgement::kUnknown);
  }
  expected_ = std::max(expected_, last + 1);
}

void ChainJudge::NoteDamage(const ChainLink& link) {
  const bool header_lost = link.header == nullptr;
  if (!header_lost && (!notes_ || link.file->damaged_copies == 0)) return;
  losses_.Note({.first = link.first,
                .last = link.first - 1,
                .segment = link.number,
                .end = kFramesOffset,
                .cause = LossCause::kChecksum});
}

// What is missing before the link's first record.
absl::Status ChainJudge::JudgeFront(size_t index) {
  const ChainLink& link = chain_.links[index];
  if (link.first <= expected_) return absl::OkStatus();
  const ChainLink* lower = index > 0 ? &chain_.links[index - 1] : nullptr;
  Gap gap;
  gap.range = {.first = expected_, .last = link.first - 1, .cause = LossCause::kTruncated};
  gap.boot = BootOf(link);
  bool records = link.records() > 0 || RecordsFollow(index);
  const bool front_damaged = link.header == nullptr && link.scan.has_value() &&
                             !link.scan->holes.empty() &&
                             link.scan->holes.front().range.begin == kFramesOffset;
  if (link.lost_predecessor != 0) {
    gap.range.segment = link.lost_predecessor;
    gap.range.cause = link.lost_cause;
    // Its name was durable before it was used, and no crash takes it away.
    records |= link.lost_cause == LossCause::kMissingSegment;
  } else if (front_damaged) {
    const LostRange& hole = link.scan->holes.front().range;
    gap.range.segment = link.number;
    gap.range.begin = hole.begin;
    gap.range.end = hole.end;
    gap.range.cause = hole.cause;
  } else if (link.header == nullptr) {
    gap.range.cause = LossCause::kMissingSegment;
  } else {
    // The header tells of it: it was met, and reported, when this segment began.
    if (lower != nullptr) {
      gap.range.segment = lower->number;
      gap.range.begin = lower->end();
    }
    if (link.epoch > (lower == nullptr ? 1 : lower->epoch)) {
      gap.known = Known::kSettled;
      gap.known_mark = link.header->mark;
      gap.range.cause = LossCause::kSetAside;
    }
  }
  gap.behind = BehindOf(records, gap.range.cause);
  return Meet(gap);
}

// The gaps between the link's records, and behind them if the end is known.
absl::Status ChainJudge::JudgeInside(size_t index) {
  const ChainLink& link = chain_.links[index];
  const SegmentScan& scan = *link.scan;
  uint64_t run_begin = kFramesOffset;
  const auto meet = [&](const Gap& gap, const Hole& before) {
    SetRunAside(link, gap.range.first - 1, run_begin, gap.range.begin);
    const Mode mode = mode_;
    absl::Status status = Meet(gap);
    if (mode == Mode::kKeeping && mode_ != mode) {
      Keep(index, gap.range.first - 1, before.last_valid, gap.range.begin, before.digest);
    }
    if (mode_ == Mode::kDropping) {
      report_->tail_records_dropped += scan.records - before.records;
      report_->tail_bytes += scan.end - gap.range.begin + scan.end_nonzero_bytes;
    }
    run_begin = gap.range.end;
    return status;
  };
  for (const Hole& hole : scan.holes) {
    Gap gap{.range = hole.range, .boot = BootOf(link)};
    gap.behind = BehindOf(scan.records > hole.records || RecordsFollow(index), hole.range.cause);
    absl::Status status = meet(gap, hole);
    if (!status.ok() || mode_ == Mode::kDropping) return status;
  }
  if (link.named_end.has_value() && scan.next <= link.named_end->last_sequence) {
    Gap gap;
    gap.range = {.first = scan.next,
                 .last = link.named_end->last_sequence,
                 .segment = link.number,
                 .begin = scan.end,
                 .end = link.named_end->cut,
                 .cause = scan.end_cause};
    gap.behind = BehindOf(RecordsFollow(index), scan.end_cause);
    gap.boot = BootOf(link);
    const Hole before{gap.range, scan.digest, scan.records, scan.last_valid};
    return meet(gap, before);
  }
  SetRunAside(link, scan.next - 1, run_begin, scan.end);
  return absl::OkStatus();
}

absl::Status ChainJudge::JudgeLink(size_t index) {
  const ChainLink& link = chain_.links[index];
  RecoveryVerdict::Fate& fate = verdict_.links[index];
  last_seen_ = std::max(last_seen_, link.last_valid());
  const bool empty = link.last() < link.first;
  if (!empty && link.last() < chain_.first_retained) {
    fate.place = Place::kTrimmed;
    verdict_.predecessor = {link.number, link.incarnation, link.last(), link.end(), link.digest()};
    verdict_.below = verdict_.predecessor;
    return absl::OkStatus();
  }
  if (mode_ != Mode::kDropping) {
    absl::Status status = JudgeFront(index);
    if (!status.ok()) return status;
  }
  if (!empty) NoteDamage(link);
  const Mode mode = mode_;
  if (mode != Mode::kDropping && link.scan.has_value()) {
    absl::Status status = JudgeInside(index);
    if (!status.ok()) return status;
  } else if (mode != Mode::kDropping) {
    SetRunAside(link, link.last(), kFramesOffset, link.end());
  }
  if (mode == Mode::kKeeping && mode_ == mode) {
    Keep(index, link.last(), link.last_valid(), link.end(), link.digest());
  }
  if (mode == Mode::kDropping) report_->tail_records_dropped += link.records();
  if (fate.place == Place::kKept) return absl::OkStatus();
  fate.place = mode_ == Mode::kAside ? Place::kStopped : Place::kOffChain;
  if (link.scan.has_value()) {
    fate.holds = HoldsOf(*link.scan);
  } else if (!empty) {
    fate.holds = Holds::kSomething;
  }
  return absl::OkStatus();
}

// What the mark says there should be behind the newest segment's end.
absl::Status ChainJudge::JudgeEnd() {
  const ChainLink* top = chain_.links.empty() ? nullptr : &chain_.links.back();
  const bool closed = top != nullptr && (!top->scan.has_value() || top->scan->ends_with_footer);
  if (mode_ == Mode::kDropping) return JudgeLostNewest();
  if (chain_.mark >= expected_) {
    Gap gap;
    gap.range = {.first = expected_, .last = chain_.mark, .cause = LossCause::kMissingSegment};
    if (chain_.lost_newest != 0) {
      gap.range.segment = chain_.lost_newest;
      gap.range.cause = chain_.lost_newest_cause;
    } else if (top != nullptr && !closed) {
      gap.range.segment = top->number;
      gap.range.begin = top->end();
      gap.range.end = std::max(top->file->bytes, top->end());
      gap.range.cause = top->scan->end_cause;
    }
    verdict_.lost_at_end = true;
    return Meet(gap);
  }
  if (chain_.lost_newest != 0 && !chain_.lost_newest_is_counted) return JudgeLostNewest();
  if (top == nullptr || closed) return absl::OkStatus();
  if (top->scan->end_cause == LossCause::kUnreadable) {
    // No torn write: nobody knows what stands there.
    losses_.Note({.first = expected_,
                  .last = expected_ - 1,
                  .segment = top->number,
                  .begin = top->end(),
                  .end = top->file->bytes,
                  .cause = LossCause::kUnreadable});
    if (policy_ == RecoveryPolicy::kStrict) return losses_.Refusal();
  }
  if (top->scan->end_nonzero_bytes > 0) {
    report_->tail_segment = top->number;
    report_->tail_offset = top->end();
    report_->tail_bytes = top->scan->end_nonzero_bytes;
  }
  return absl::OkStatus();
}

// A segment that was begun and is lost: how many records stood in it nobody knows.
absl::Status ChainJudge::JudgeLostNewest() {
  if (chain_.lost_newest == 0 || chain_.lost_newest_is_counted) return absl::OkStatus();
  losses_.Note({.first = expected_,
                .last = expected_ - 1,
                .segment = chain_.lost_newest,
                .cause = chain_.lost_newest_cause});
  verdict_.lost_at_end = true;
  return policy_ == RecoveryPolicy::kStrict ? losses_.Refusal() : absl::OkStatus();
}

void ChainJudge::FinishDropped() {
  if (mode_ != Mode::kDropping || !dropped_is_lost_) return;
  dropped_.last = std::max(dropped_.last, last_seen_);
  losses_.Add(dropped_, dropped_.acknowledgement);
}

absl::StatusOr<RecoveryVerdict> ChainJudge::Walk() {
  for (size_t i = 0; i < chain_.links.size(); ++i) {
    absl::Status status = JudgeLink(i);
    if (!status.ok()) return status;
  }
  absl::Status status = JudgeEnd();
  if (!status.ok()) return status;
  FinishDropped();
  SequenceNumber last = std::max({chain_.mark, verdict_.predecessor.last_sequence, settled_});
  if (verdict_.stopped) last = std::max(last, last_seen_);
  // Numbers below first_retained have been given, whatever is left of them.
  verdict_.next_sequence = std::max(last + 1, chain_.first_retained);
  return std::move(verdict_);
}

}  // namespace

absl::StatusOr<RecoveryVerdict> JudgeChain(const RecoveryChain& chain,
                                           const RecoveryOptions& options, uint64_t boot_id,
                                           RecoveryReport* report) {
  return ChainJudge(chain, options, boot_id, report).Walk();
}

}  // namespace millrace
