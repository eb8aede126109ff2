#ifndef MILLRACE_WAL_SHARED_CHECKPOINTS_H_
#define MILLRACE_WAL_SHARED_CHECKPOINTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "wal/fork_guard.h"
#include "wal/format.h"
#include "wal/mutex.h"
#include "wal/slot_file.h"
#include "wal/stored_cursor.h"

namespace millrace {

// The file CURSORS, in which the cursors of one log that are open in one process
// checkpoint together: who comes first writes for all who came meanwhile, and one
// sync makes them durable.
//
// A cursor's own file stays its home. It is written when the cursor is closed, and
// whenever the file here cannot be used, which is never an error: losing it costs
// only that records are delivered again.
//
// Thread-safe.
class SharedCheckpoints {
 public:
  // A cursor that is open.
  class Member {
   public:
    virtual ~Member() = default;
    // Makes its home hold its newest checkpoint. False if that failed.
    virtual bool GoHome() = 0;
  };

  // One slot to be written.
  struct Request {
    uint32_t entry = 0;
    int slot = 0;
    SlotBytes bytes = {};
  };

  // What Open found.
  struct Report {
    uint64_t moved_home = 0;  // checkpoints that stood only in CURSORS
    // Cursors whose home says that newer checkpoints may stand in CURSORS, where there are
    // none: they were lost, and what they had made known is delivered again.
    std::vector<std::string> lost;
    // Torn by a power cut, or damaged.
    uint64_t invalid_blocks = 0;
    // Renamed to CURSORS.aside: another log's, a newer version's, or not to be read.
    bool set_aside = false;
    // Why the file is left alone, and every cursor writes its home; ok if it is not.
    absl::Status status;
  };

  // Moves what CURSORS holds to the cursors' homes, durably, and removes it. For who holds
  // the log's lock, before any cursor is opened. `file_system` and `directory` outlive this.
  //
  // Errors: the directory cannot be listed, or no file can be opened.
  static absl::StatusOr<std::unique_ptr<SharedCheckpoints>> Open(FileSystem& file_system,
                                                                 Directory& directory,
                                                                 const LogId& log_id);
  SharedCheckpoints(const SharedCheckpoints&) = delete;
  SharedCheckpoints& operator=(const SharedCheckpoints&) = delete;
  ~SharedCheckpoints();

  const Report& report() const { return report_; }

  // Has all cursors that are open go home, where they write from then on, and removes CURSORS.
  // To be called before the log's lock is given up. Idempotent.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

  // Not ok once CURSORS failed, or was found unusable: cursors go on without it.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mu_);

  // For cursor files.

  void Join(Member* member) ABSL_LOCKS_EXCLUDED(mu_);
  enum class Departure : uint8_t {
    kWentHome,   // its home holds its newest checkpoint
    kLeftEntry,  // that stands in CURSORS
  };
  // Waits until Close is done with it.
  void Leave(Member* member, Departure departure) ABSL_LOCKS_EXCLUDED(mu_);

  // True while two or more cursors are open and the file can be used.
  bool Sharing() const ABSL_LOCKS_EXCLUDED(mu_);
  // True if CURSORS may hold a checkpoint newer than the home's of a cursor not open here.
  bool MayHoldNewer() const ABSL_LOCKS_EXCLUDED(mu_);

  // nullopt if there are too many.
  std::optional<uint32_t> TakeEntry() ABSL_LOCKS_EXCLUDED(mu_);
  void ReturnEntry(uint32_t entry) ABSL_LOCKS_EXCLUDED(mu_);

  // Writes and syncs, together with what other threads ask for. False: some may not be
  // durable, and every checkpoint of `requests` belongs home.
  bool Write(std::span<const Request> requests) ABSL_LOCKS_EXCLUDED(mu_);

  // For a new cursor. 0 if there is no randomness: it then has no entry.
  uint64_t DrawIncarnation();

  // In a child of the process that opened this nothing may be written.
  bool Forked() const { return fork_guard_.Forked(); }

 private:
  // Those who are written and synced together.
  struct Batch {
    std::vector<Request> requests;
    bool done = false;
    bool durable = false;
  };
  struct Attendance {
    Member* member = nullptr;
    bool went_home = false;
  };

  SharedCheckpoints(FileSystem& file_system, Directory& directory);

  // What Open does.
  absl::Status MoveAllHome(const LogId& log_id, const SharedEntries& entries,
                           const std::vector<StoredCursor>& cursors);
  absl::Status MoveHome(const LogId& log_id, const SharedEntries& entries, const std::string& name);
  absl::Status RemoveFile(const LogId& log_id, const SharedEntries& entries);
  bool CanWrite() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Lead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool WriteBatch(const Batch& batch) ABSL_LOCKS_EXCLUDED(mu_);
  void Retire(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  FileSystem& file_system_;
  Directory& directory_;
  const ForkGuard fork_guard_;
  Report report_;  // constant once open

  mutable Mutex mu_;
  Condition changed_;
  // Why it is not used any more.
  absl::Status retired_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  bool may_hold_newer_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Attendance> members_ ABSL_GUARDED_BY(mu_);
  Member* going_home_ ABSL_GUARDED_BY(mu_) = nullptr;  // by Close
  std::vector<uint32_t> free_entries_ ABSL_GUARDED_BY(mu_);
  uint32_t entries_ ABSL_GUARDED_BY(mu_) = 0;
  // The batch that gathers; null if nobody waits for the leader.
  std::shared_ptr<Batch> gathering_ ABSL_GUARDED_BY(mu_);
  bool has_leader_ ABSL_GUARDED_BY(mu_) = false;

  // The leader's. Made by the first batch.
  std::unique_ptr<File> file_;
  bool directory_synced_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SHARED_CHECKPOINTS_H_
