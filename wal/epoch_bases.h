#ifndef MILLRACE_WAL_EPOCH_BASES_H_
#define MILLRACE_WAL_EPOCH_BASES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "millrace/sequence.h"

namespace millrace {

// Where the latest epochs of a log began: of what was written in an older epoch, only the
// records up to the lowest base of all later epochs are in the log. A base that a later one
// goes below says nothing any more and is left out, so that few entries tell of many epochs.
struct EpochBases {
  struct Entry {
    uint64_t epoch = 0;  // 0: no entry
    SequenceNumber base = 0;

    bool operator==(const Entry&) const = default;
  };
  static constexpr size_t kEntries = 5;

  std::array<Entry, kEntries> entries = {};  // both fields ascend; behind them, no entries

  // Epoch `epoch`, later than all others, began behind record `base`. If there is no room
  // the oldest entry goes.
  void Push(uint64_t epoch, SequenceNumber base) {
    const auto end = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.epoch == 0 || entry.epoch >= epoch || entry.base >= base;
    });
    size_t count = static_cast<size_t>(end - entries.begin());
    if (count == kEntries) {
      std::move(entries.begin() + 1, entries.end(), entries.begin());
      --count;
    }
    entries[count] = {epoch, base};
    std::fill(entries.begin() + count + 1, entries.end(), Entry{});
  }

  // The highest number that counts of what was written in `epoch`, as far as this tells.
  SequenceNumber HighestOf(uint64_t epoch) const {
    SequenceNumber highest = kMaxSequence;
    for (const Entry& entry : entries) {
      if (entry.epoch > epoch) highest = std::min(highest, entry.base);
    }
    return highest;
  }

  bool operator==(const EpochBases&) const = default;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_EPOCH_BASES_H_
