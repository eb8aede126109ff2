#include "wal/recovery_unsynced.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "wal/recovery_losses.h"

namespace millrace {
namespace {

using Holds = FileFateTable::Holds;
using Place = FileFateTable::Place;

// The most that is copied: it goes into one segment, so that all of it counts at once.
constexpr uint64_t kMaxCopiedBytes = kMaxScanBytes / 2;

size_t IndexOf(const RecoveryChain& chain, uint64_t number) {
  const auto link = std::lower_bound(chain.links.begin(), chain.links.end(), number,
                                     [](const ChainLink& l, uint64_t n) { return l.number < n; });
  return static_cast<size_t>(link - chain.links.begin());
}

LostRange NoteOf(const ChainLink& link) {
  LostRange note{.segment = link.number, .begin = link.end(), .cause = LossCause::kUnreadable};
  note.end = std::max(note.begin, link.file->bytes);
  note.first = link.last() + 1;
  note.last = link.last();
  return note;
}

bool Copyable(const std::vector<UnsyncedRun>& runs, SequenceNumber next) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    bytes += runs[i].end - runs[i].begin;
    const SequenceNumber follows = i + 1 < runs.size() ? runs[i + 1].first : next;
    if (runs[i].last + 1 != follows) return false;
  }
  return bytes <= kMaxCopiedBytes;
}

}  // namespace

absl::Status TakeUnsynced(const RecoveryChain& chain, RecoveryPolicy policy,
                          RecoveryVerdict* verdict, RecoveryReport* report) {
  LossReporter losses(chain.mark, report);
  bool withheld = false;
  for (const ChainLink& link : chain.links) {
    if (!link.sync_failed) continue;
    losses.Note(NoteOf(link));
    withheld = withheld || link.trusted.has_value();
    if (withheld && policy == RecoveryPolicy::kStrict) return losses.Refusal();
  }
  std::vector<ChainSegment>& kept = verdict->kept;
  const auto first = std::find_if(kept.begin(), kept.end(), [&](const ChainSegment& segment) {
    const ChainLink& link = chain.links[IndexOf(chain, segment.number)];
    return link.trusted.has_value() && segment.last_sequence >= link.trusted->next;
  });
  if (!withheld || first == kept.end()) return absl::OkStatus();

  std::vector<UnsyncedRun>& runs = verdict->unsynced;
  for (auto segment = first; segment != kept.end(); ++segment) {
    runs.push_back({segment->number, segment->incarnation, kFramesOffset, segment->end,
                    segment->first_sequence, segment->last_sequence});
    verdict->links[IndexOf(chain, segment->number)] = {Place::kOffChain, Holds::kSomething};
  }
  const SegmentScan& trusted = *chain.links[IndexOf(chain, first->number)].trusted;
  const SequenceNumber next = std::max(trusted.next, first->first_sequence);
  runs.front().begin = trusted.end;
  runs.front().first = next;
  runs.front().time_ns = trusted.time_ns;
  if (next > first->first_sequence) {
    first->last_sequence = next - 1;
    first->end = trusted.end;
    first->digest = trusted.digest;
    verdict->links[IndexOf(chain, first->number)].place = Place::kKept;
    kept.erase(first + 1, kept.end());
  } else {
    kept.erase(first, kept.end());
  }
  verdict->predecessor = verdict->below;
  if (!kept.empty()) {
    const ChainSegment& last = kept.back();
    verdict->predecessor = {last.number, last.incarnation, last.last_sequence, last.end,
                            last.digest};
  }
  if (Copyable(runs, verdict->next_sequence)) return absl::OkStatus();
  losses.Add({.first = next,
              .last = verdict->next_sequence - 1,
              .segment = runs.front().number,
              .begin = runs.front().begin,
              .end = runs.front().end,
              .cause = LossCause::kUnreadable},
             Acknowledgement::kUnknown);
  verdict->withheld = true;
  verdict->last_recovered = std::min(verdict->last_recovered, next - 1);
  runs.clear();
  return absl::OkStatus();
}

}  // namespace millrace
