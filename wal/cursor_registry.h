#ifndef MILLRACE_WAL_CURSOR_REGISTRY_H_
#define MILLRACE_WAL_CURSOR_REGISTRY_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "millrace/sequence.h"
#include "wal/mutex.h"

namespace millrace {

// The durable checkpoint of every cursor of a log, open or not, so that trimming
// can respect them.
//
// Thread-safe.
class CursorRegistry {
 public:
  struct Checkpoint {
    std::string name;
    SequenceNumber committed = kNoSequence;
  };

  // `committed` is durable. kNoSequence holds everything back.
  void Set(std::string_view name, SequenceNumber committed) { Set(name, committed, committed); }

  // As Set, for a cursor whose file says `written`, of which only `committed` counts.
  void Set(std::string_view name, SequenceNumber committed, SequenceNumber written) {
    MutexLock lock(&mu_);
    const auto found = checkpoints_.find(name);
    if (found != checkpoints_.end()) {
      found->second = {committed, written};
    } else {
      checkpoints_.emplace(std::string(name), Entry{committed, written});
    }
  }

  // What counts of a file that says `written`: all of it, unless Set said otherwise of
  // that very file. (It may have been removed and made anew since.)
  SequenceNumber Counted(std::string_view name, SequenceNumber written) const {
    MutexLock lock(&mu_);
    const auto found = checkpoints_.find(name);
    const bool known = found != checkpoints_.end() && found->second.written == written;
    return known ? found->second.committed : written;
  }

  // As Set, for a name that is new; one that is known keeps what it has. True if
  // it was new.
  bool Add(std::string_view name, SequenceNumber committed) {
    MutexLock lock(&mu_);
    return checkpoints_.emplace(std::string(name), Entry{committed, committed}).second;
  }

  void Remove(std::string_view name) {
    MutexLock lock(&mu_);
    const auto found = checkpoints_.find(name);
    if (found != checkpoints_.end()) checkpoints_.erase(found);
  }

  // The cursor that is furthest behind; nullopt if there is no cursor.
  std::optional<Checkpoint> Lowest() const {
    MutexLock lock(&mu_);
    std::optional<Checkpoint> lowest;
    for (const auto& [name, entry] : checkpoints_) {
      if (!lowest.has_value() || entry.committed < lowest->committed) {
        lowest = {name, entry.committed};
      }
    }
    return lowest;
  }

 private:
  struct Entry {
    SequenceNumber committed;
    SequenceNumber written;
  };

  mutable Mutex mu_;
  std::map<std::string, Entry, std::less<>> checkpoints_ ABSL_GUARDED_BY(mu_);
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_REGISTRY_H_
