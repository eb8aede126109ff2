#ifndef MILLRACE_WAL_CURSOR_FILE_H_
#define MILLRACE_WAL_CURSOR_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/log.h"
#include "millrace/sequence.h"
#include "wal/format.h"
#include "wal/mutex.h"
#include "wal/shared_checkpoints.h"
#include "wal/slot_file.h"
#include "wal/stored_cursor.h"

namespace millrace {

// The checkpoint of one cursor, in a file that is locked against any second opener (its
// home), and in an entry of CURSORS while other cursors are open, too.
//
// A checkpoint that goes back is written to both slots of the home, so that no
// damage to one, or to CURSORS, can bring the former one back.
//
// Thread-safe.
class CursorFile final : public SharedCheckpoints::Member {
 public:
  struct Pending {
    CursorFile* file = nullptr;
    CursorCheckpoint checkpoint;
  };

  // Opens the file, or makes it with `first` as its checkpoint, durable with its
  // directory entry before this returns. If `first` is an error, a new cursor
  // cannot be made, and the error is returned. Without `shared`, which outlives this,
  // CURSORS is not written.
  //
  // Errors: InvalidArgument (name); Aborted (open elsewhere); DataLoss (neither
  //   slot is valid); FailedPrecondition (another log's or another cursor's);
  //   Unimplemented (a newer version's); I/O errors.
  static absl::StatusOr<std::unique_ptr<CursorFile>> Open(
      Directory& directory, const LogId& log_id, std::string_view name,
      const absl::StatusOr<CursorCheckpoint>& first, SharedCheckpoints* shared = nullptr);

  // Removes the named cursor's file, durably. Its entries in CURSORS count no longer, as no
  // later cursor of that name has its incarnation. After an error it may be gone until a
  // power cut, or for good; call it again.
  //
  // Errors: InvalidArgument (name); NotFound; Aborted (open); with kIfValid DataLoss,
  //   FailedPrecondition, Unimplemented as Open; I/O errors.
  static absl::Status Delete(Directory& directory, const LogId& log_id, std::string_view name,
                             DeleteMode mode);

  // Moves what stands in CURSORS only to the home; not in a forked child.
  ~CursorFile() override;

  const std::string& name() const { return name_; }
  // The last that is durable. Does not wait for one that is under way.
  CursorCheckpoint checkpoint() const ABSL_LOCKS_EXCLUDED(published_mu_);

  // Makes it durable. After an error the former checkpoint still holds; but for
  // want of space the home is not written again, and every later call that must
  // write it returns the first error.
  absl::Status Write(const CursorCheckpoint& checkpoint) ABSL_LOCKS_EXCLUDED(mu_);

  // Writes many, each of another file, with one sync where they can share it. Returns the
  // first error, after trying all; which are durable, checkpoint() tells.
  static absl::Status WriteAll(std::span<const Pending> pending);

  // The records above `last` are gone, and `epoch` has begun: durably lowers the
  // checkpoint to `last`, unless it is not above, and sets its epoch. A checkpoint of an
  // older epoch that is written later is lowered in the same way, after an error, too.
  // Epochs rise from call to call.
  absl::Status Clamp(uint64_t epoch, SequenceNumber last) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Truncation {
    uint64_t epoch = 0;
    SequenceNumber last = kNoSequence;
  };

  CursorFile(const LogId& log_id, std::unique_ptr<SlotFile> home, const StoredCursor& stored,
             SharedCheckpoints* shared);

  // The name is not yet durable.
  static absl::Status Create(Directory& directory, const LogId& log_id, std::string_view name,
                             const CursorCheckpoint& first, SharedCheckpoints* shared);
  // Locks `file_name` of a cursor; null if that is another file by now.
  static absl::StatusOr<std::unique_ptr<SlotFile>> OpenLocked(Directory& directory,
                                                              const std::string& file_name,
                                                              std::string_view name, OpenMode mode);
  // Of which the files are locked.
  static absl::Status WriteLocked(std::span<Pending> pending);

  bool GoHome() override ABSL_LOCKS_EXCLUDED(mu_);
  bool GoHomeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // What `checkpoint` has become by truncations.
  CursorCheckpoint Truncated(CursorCheckpoint checkpoint) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool GoesBack(const CursorCheckpoint& checkpoint) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The block that makes `checkpoint` durable in CURSORS; nullopt if it belongs home.
  std::optional<SharedCheckpoints::Request> RequestFor(const CursorCheckpoint& checkpoint)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EntryWritten(const CursorCheckpoint& checkpoint, int slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status WriteHome(const CursorCheckpoint& checkpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  enum class EntryUse : uint8_t { kNone, kInUse };
  absl::Status WriteHomeSlot(const CursorCheckpoint& checkpoint, EntryUse use)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Publish(const CursorCheckpoint& checkpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  CursorSlot Block(const CursorCheckpoint& checkpoint) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string name_;
  const LogId log_id_;
  const uint64_t incarnation_;  // of the cursor; 0: it has no entry
  SharedCheckpoints* const shared_;

  mutable Mutex mu_;
  const std::unique_ptr<SlotFile> home_ ABSL_PT_GUARDED_BY(mu_);
  uint64_t generation_ ABSL_GUARDED_BY(mu_);                  // the highest that was tried
  CursorCheckpoint checkpoint_ ABSL_GUARDED_BY(mu_);          // changed by Publish only
  std::vector<Truncation> truncations_ ABSL_GUARDED_BY(mu_);  // rising in both

  // What the home says:
  int home_slot_ ABSL_GUARDED_BY(mu_);  // in this slot
  bool home_is_newest_ ABSL_GUARDED_BY(mu_);
  bool home_names_entry_ ABSL_GUARDED_BY(mu_);
  bool home_names_incarnation_ ABSL_GUARDED_BY(mu_);
  SequenceNumber home_highest_ ABSL_GUARDED_BY(mu_);  // committed in either slot

  std::optional<uint32_t> entry_ ABSL_GUARDED_BY(mu_);
  int entry_slot_ ABSL_GUARDED_BY(mu_) = -1;  // the newer one; -1: neither is its

  // The same as checkpoint_: mu_ is held during I/O.
  mutable Mutex published_mu_ ABSL_ACQUIRED_AFTER(mu_);
  CursorCheckpoint published_ ABSL_GUARDED_BY(published_mu_);
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_FILE_H_
