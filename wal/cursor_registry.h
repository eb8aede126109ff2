#ifndef MILLRACE_WAL_CURSOR_REGISTRY_H_
#define MILLRACE_WAL_CURSOR_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "millrace/file_system.h"
#include "millrace/log.h"
#include "millrace/sequence.h"
#include "wal/cursor_commit.h"
#include "wal/cursor_file.h"
#include "wal/format.h"
#include "wal/mutex.h"
#include "wal/shared_checkpoints.h"

namespace millrace {

// All cursors of a log, open or not: the durable checkpoint of each, so that trimming can
// respect them, and the last commits of those that are open. Whatever is written to a cursor's
// file goes through here, so that the two never disagree where it would harm: a checkpoint counts
// for trimming only once it is durable, and one that goes back counts before it is.
//
// Thread-safe.
class CursorRegistry {
 public:
  struct Checkpoint {
    std::string name;
    SequenceNumber committed = kNoSequence;
  };
  struct Listed {
    std::string name;
    bool open = false;
    SequenceNumber checkpointed = kNoSequence;
  };

  // --- While a log is opened --------------------------------------------------------

  // Whose cursors these are. `directory` and `shared` outlive every call of Truncate. Without
  // `shared` each cursor writes its own file.
  void SetLog(Directory* directory, const LogId& log_id, SharedCheckpoints* shared = nullptr);

  // From `epoch` on the numbers after `base` belong to other records than before.
  void AddEpoch(uint64_t epoch, SequenceNumber base);

  // `committed` is durable. kNoSequence holds everything back.
  void Set(std::string_view name, SequenceNumber committed) { Set(name, committed, committed); }
  // As Set, for a cursor whose file says `written`, of which only `committed` counts.
  void Set(std::string_view name, SequenceNumber committed, SequenceNumber written);

  // --- Opening and closing a cursor -------------------------------------------------

  // Held while files are opened, deleted, or rewritten unopened; what is open is attached or
  // closed under it.
  Mutex& files_mu() ABSL_LOCK_RETURNED(files_mu_) { return files_mu_; }

  // Holds trimming back if the name is new, until EndOpen says what came of it (null: nothing).
  // Waits for a trim that is under way.
  void BeginOpen(std::string_view name);
  void EndOpen(std::string_view name, std::shared_ptr<CursorCommit> commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_mu_);

  // What counts of a file that says `written`: of a file that was there when the log was
  // opened, what was said of it then; of an older epoch, what later ones left of it.
  CursorCheckpoint Counted(std::string_view name, const CursorCheckpoint& written) const;

  // Gives the file free. The cursor is used no more.
  void Close(CursorCommit& commit);

  // As Log::DeleteCursor.
  absl::Status Delete(Directory& directory, const LogId& log_id, std::string_view name,
                      DeleteMode mode);

  // --- Checkpoints ------------------------------------------------------------------

  // Makes the last commit posted durable.
  absl::Status Write(CursorCommit& commit);
  // The same for all open cursors, with one sync. The first error, in order of name.
  absl::Status WriteAll();

  // Makes `to` the last commit, durably, also where it lies below the present one. Waits for a trim
  // that is under way. Errors: OutOfRange (trimmed: nothing was changed); I/O errors.
  absl::Status Reset(CursorCommit& commit, const CursorCheckpoint& to,
                     absl::FunctionRef<SequenceNumber()> first_retained);

  // Log::TruncateAfter has durably dropped the records after `last` and begun `epoch`. Lowers every
  // checkpoint to `last`, and says so durably in the file of each that was above, before
  // it returns. Files that hold no checkpoint of this log are left alone. For the writer thread.
  //
  // Errors: the first one, after all were tried; what counts here is lowered all the same.
  //   Aborted: a cursor of an earlier Log is still open.
  absl::Status Truncate(SequenceNumber last, uint64_t epoch);

  // --- Looking ----------------------------------------------------------------------

  // The cursor that is furthest behind; nullopt if there is no cursor.
  std::optional<Checkpoint> Lowest() const;
  // The same, and until EndTrim it stays so: no checkpoint goes back, and no cursor is begun. In
  // between what is trimmed is published.
  std::optional<Checkpoint> BeginTrim();
  void EndTrim();
  // In order of name.
  std::vector<Listed> List() const;

 private:
  struct Entry {
    SequenceNumber committed = kNoSequence;
    SequenceNumber written = kNoSequence;
    bool on_disk = false;  // false: it is being made
    int opening = 0;       // threads between BeginOpen and EndOpen
    std::shared_ptr<CursorCommit> open;
  };
  struct Epoch {
    uint64_t epoch;
    SequenceNumber base;
  };

  Entry& EntryOf(std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<Checkpoint> LowestLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AwaitTrim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  CursorCheckpoint Lowered(const CursorCheckpoint& checkpoint) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetLowered(std::string_view name, const CursorCheckpoint& written)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<CursorCheckpoint> ToWrite(CursorCommit& commit) const;
  void AfterWrite(CursorCommit& commit);
  absl::Status ClampOpen(CursorCommit& commit, uint64_t epoch);
  absl::Status ClampFile(const Checkpoint& to, uint64_t epoch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_mu_);

  // Taken in this order: files_mu_, turns in order of name, mu_.
  Mutex files_mu_;
  mutable Mutex mu_;
  bool trimming_ ABSL_GUARDED_BY(mu_) = false;
  Condition trim_ended_;
  std::map<std::string, Entry, std::less<>> entries_ ABSL_GUARDED_BY(mu_);
  std::vector<Epoch> epochs_ ABSL_GUARDED_BY(mu_);  // both numbers rise
  Directory* directory_ ABSL_GUARDED_BY(mu_) = nullptr;
  LogId log_id_ ABSL_GUARDED_BY(mu_) = {};
  SharedCheckpoints* shared_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_REGISTRY_H_
