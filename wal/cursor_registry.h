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
  void Set(std::string_view name, SequenceNumber committed) {
    MutexLock lock(&mu_);
    const auto found = checkpoints_.find(name);
    if (found != checkpoints_.end()) {
      found->second = committed;
    } else {
      checkpoints_.emplace(std::string(name), committed);
    }
  }

  // As Set, for a name that is new; one that is known keeps what it has. True if
  // it was new.
  bool Add(std::string_view name, SequenceNumber committed) {
    MutexLock lock(&mu_);
    return checkpoints_.emplace(std::string(name), committed).second;
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
    for (const auto& [name, committed] : checkpoints_) {
      if (!lowest.has_value() || committed < lowest->committed) lowest = {name, committed};
    }
    return lowest;
  }

 private:
  mutable Mutex mu_;
  std::map<std::string, SequenceNumber, std::less<>> checkpoints_ ABSL_GUARDED_BY(mu_);
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_REGISTRY_H_
