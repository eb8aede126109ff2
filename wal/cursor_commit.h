#ifndef MILLRACE_WAL_CURSOR_COMMIT_H_
#define MILLRACE_WAL_CURSOR_COMMIT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "millrace/sequence.h"
#include "wal/cursor_events.h"
#include "wal/cursor_file.h"
#include "wal/mutex.h"

namespace millrace {

// What an open cursor shares with its log: its file and its last commit, so that the log can
// checkpoint it while the cursor's own thread reads on.
//
// Post() and what reads are thread-safe. The file is used by one thread at a time, in its turn,
// which also covers telling the registry what was written: a mutex would do, but
// checkpointing all cursors with one sync takes the turns of all of them.
class CursorCommit {
 public:
  CursorCommit(std::unique_ptr<CursorFile> file, std::shared_ptr<CursorEvents> events)
      : name_(file->name()),
        events_(std::move(events)),
        file_(std::move(file)),
        posted_(file_->checkpoint()),
        checkpointed_(posted_.committed) {}
  CursorCommit(const CursorCommit&) = delete;
  CursorCommit& operator=(const CursorCommit&) = delete;

  const std::string& name() const { return name_; }
  CursorEvents* events() const { return events_.get(); }  // null: none

  // What the cursor has committed. Returns what is checkpointed.
  SequenceNumber Post(const CursorCheckpoint& commit) {
    MutexLock lock(&mu_);
    posted_ = commit;
    return checkpointed_;
  }
  CursorCheckpoint posted() const {
    MutexLock lock(&mu_);
    return posted_;
  }
  // As the file says.
  SequenceNumber checkpointed() const {
    MutexLock lock(&mu_);
    return checkpointed_;
  }

  void BeginTurn() {
    // acquire: shows what was done in the turn before; pairs with the release in EndTurn().
    while (taken_.exchange(1, std::memory_order_acquire) != 0) {
      // relaxed: the exchange acquires.
      taken_.wait(1, std::memory_order_relaxed);
    }
  }
  void EndTurn() {
    // release: passes on what was done in this turn; pairs with the acquire in BeginTurn().
    taken_.store(0, std::memory_order_release);
    taken_.notify_one();
  }

  // These in one's turn.
  CursorFile* file() { return file_.get(); }  // null once the cursor is closed
  void CloseFile() { file_.reset(); }
  // After the file was written.
  void Wrote() {
    const SequenceNumber committed = file_->checkpoint().committed;
    MutexLock lock(&mu_);
    checkpointed_ = committed;
  }

 private:
  const std::string name_;
  const std::shared_ptr<CursorEvents> events_;
  std::unique_ptr<CursorFile> file_;  // in one's turn

  std::atomic<int32_t> taken_{0};

  mutable Mutex mu_;
  CursorCheckpoint posted_ ABSL_GUARDED_BY(mu_);
  SequenceNumber checkpointed_ ABSL_GUARDED_BY(mu_);
};

// One turn, for a scope.
class CursorTurn {
 public:
  explicit CursorTurn(CursorCommit* commit) : commit_(commit) { commit_->BeginTurn(); }
  CursorTurn(const CursorTurn&) = delete;
  CursorTurn& operator=(const CursorTurn&) = delete;
  ~CursorTurn() { commit_->EndTurn(); }

 private:
  CursorCommit* const commit_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_COMMIT_H_
