#ifndef MILLRACE_WAL_LAGGING_CURSOR_WATCH_H_
#define MILLRACE_WAL_LAGGING_CURSOR_WATCH_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "millrace/stats.h"

namespace millrace {

// Decides when it is said that a cursor is far behind: when its lag passes `bytes`, and again
// each time it has doubled. Once it is within the bound it begins anew.
//
// Not thread-safe.
class LaggingCursorWatch {
 public:
  // `bytes` of 0: it is never said.
  explicit LaggingCursorWatch(uint64_t bytes) : bytes_(bytes) {}

  // Of all the log's cursors, those of which it is to be said.
  std::vector<CursorStatus> Look(const std::vector<CursorStatus>& cursors) {
    std::vector<CursorStatus> lagging;
    if (bytes_ == 0) return lagging;
    std::map<std::string, uint64_t> said;
    for (const CursorStatus& cursor : cursors) {
      if (cursor.lag_bytes <= bytes_) continue;
      const auto before = said_.find(cursor.name);
      const bool known = before != said_.end();
      // Half of the new one, since twice the old one may not fit.
      const bool again = known && before->second <= cursor.lag_bytes / 2;
      if (!known || again) lagging.push_back(cursor);
      said.emplace(cursor.name, known && !again ? before->second : cursor.lag_bytes);
    }
    // Those that caught up, or are gone, are forgotten.
    said_ = std::move(said);
    return lagging;
  }

 private:
  const uint64_t bytes_;
  std::map<std::string, uint64_t> said_;  // by name, the lag that was said last
};

}  // namespace millrace

#endif  // MILLRACE_WAL_LAGGING_CURSOR_WATCH_H_
