#include <errno.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/cursor.h"
#include "wal/cursor_commit.h"
#include "wal/cursor_context.h"
#include "wal/cursor_file.h"
#include "wal/cursor_registry.h"
#include "wal/cursor_state.h"
#include "wal/cursor_time.h"
#include "wal/io.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

bool IsThere(Directory& directory, std::string_view name) {
  std::unique_ptr<File> probe;
  return OpenFile(directory, CursorFileName(name), OpenMode::kRead, &probe) != -ENOENT;
}

// What a new cursor counts as consumed.
absl::StatusOr<CursorCheckpoint> FirstCheckpoint(const CursorContext& context,
                                                 std::string_view name, const CursorStart& start,
                                                 uint64_t epoch) {
  CursorCheckpoint first;
  first.epoch = epoch;
  switch (start.kind) {
    case CursorStart::Kind::kEarliest:
      first.committed = context.watermark->first_retained() - 1;
      break;
    case CursorStart::Kind::kLatest:
      first.committed = context.watermark->last_durable();
      break;
    case CursorStart::Kind::kSequence:
      first.committed = std::max(start.sequence, SequenceNumber{1}) - 1;
      break;
    case CursorStart::Kind::kTime: {
      // It costs a look at the log, which one that exists does not need.
      if (IsThere(*context.directory, name)) {
        return absl::AbortedError(absl::StrFormat(
            "cursor %s was removed by somebody else while it was opened: open it again", name));
      }
      const absl::StatusOr<TimePosition> found = FindTime(context, start.time);
      if (!found.ok()) return found.status();
      first = {epoch, found->next - 1, found->from.segment, found->from.incarnation,
               found->from.offset};
      break;
    }
  }
  // On disk a checkpoint says that its record is durable.
  const SequenceNumber durable = context.watermark->last_durable();
  if (first.committed <= durable) return first;
  return absl::OutOfRangeError(absl::StrFormat(
      "cursor %s: cannot start at record %d, the next to become durable is %d; start at that or at "
      "an earlier one",
      name, first.committed + 1, durable + 1));
}

// With a checkpoint that counts as it stands.
absl::StatusOr<std::unique_ptr<CursorFile>> OpenFileOf(
    const CursorContext& context, std::string_view name,
    const absl::StatusOr<CursorCheckpoint>& first, uint64_t epoch) {
  absl::StatusOr<std::unique_ptr<CursorFile>> file =
      CursorFile::Open(*context.directory, context.log_id, name, first, context.shared.get());
  if (!file.ok()) return file;
  // Beyond the end: the records that were consumed are gone, and their numbers were
  // given to others since the log was opened, or will be. It goes on at the end that
  // the log had then; for a file that was not yet there then, at the end there is.
  const CursorCheckpoint written = (*file)->checkpoint();
  const CursorCheckpoint counted = context.registry->Counted(name, written);
  const SequenceNumber end = std::min(context.watermark->last_durable(), counted.committed);
  // One of an epoch to come would be lowered by no truncation.
  if (written.committed <= end && written.epoch <= epoch) return file;
  CursorCheckpoint checkpoint = written;
  if (written.committed > end) checkpoint = CursorCheckpoint{.committed = end};
  checkpoint.epoch = epoch;
  if (absl::Status status = (*file)->Write(checkpoint); !status.ok()) return status;
  return file;
}

// A crash may have come between a truncation and the checkpoints that it lowers. They are lowered
// durably before another epoch begins, which would not know where this one began. False if that
// failed: it counts as lowered all the same, and each truncation tries again.
bool LowerFile(Directory& directory, const LogId& log_id, std::string_view name,
               const CursorCheckpoint& to, SharedCheckpoints* shared) {
  // Never made here.
  absl::StatusOr<std::unique_ptr<CursorFile>> file = CursorFile::Open(
      directory, log_id, name, absl::NotFoundError("the file was removed"), shared);
  return file.ok() && (*file)->Write(to).ok();
}

// What can be read may be in memory only: the process that wrote it is gone, and so is the error of
// a sync that failed.
absl::Status MakeDurable(Directory& directory, const std::vector<StoredCursor>& cursors) {
  for (const StoredCursor& cursor : cursors) {
    const std::string name = CursorFileName(cursor.name);
    std::unique_ptr<File> file;
    // One that cannot be opened holds nothing that counts.
    if (OpenFile(directory, name, OpenMode::kReadWrite, &file) < 0) continue;
    const IoResult synced = SyncFile(*file);
    // The next read then asks the device, not the memory.
    file->DropCache();
    if (synced < 0) return IoError("sync", name, synced);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RegisterCursors(Directory& directory, const LogId& log_id, const LogExtent& extent,
                             CursorRegistry& registry, SharedCheckpoints* shared) {
  absl::StatusOr<std::vector<StoredCursor>> cursors = ReadCursors(directory);
  if (!cursors.ok()) return cursors.status();
  if (absl::Status status = MakeDurable(directory, *cursors); !status.ok()) return status;
  cursors = ReadCursors(directory);
  if (!cursors.ok()) return cursors.status();
  registry.SetLog(&directory, log_id, shared);
  registry.AddEpoch(extent.epoch, extent.epoch_base);
  for (const StoredCursor& cursor : *cursors) {
    if (cursor.BelongsTo(log_id)) {
      const SequenceNumber written = cursor.checkpoint.committed;
      const SequenceNumber counted =
          std::min(registry.Counted(cursor.name, cursor.checkpoint).committed, extent.last);
      const bool is_lowered =
          counted < written && LowerFile(directory, log_id, cursor.name,
                                         {.epoch = extent.epoch, .committed = counted}, shared);
      registry.Set(cursor.name, counted, is_lowered ? counted : written);
    } else if (cursor.status != HeaderStatus::kValid) {
      registry.Set(cursor.name, kNoSequence);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Cursor>> OpenCursor(const CursorContext& context,
                                                   std::string_view name,
                                                   const CursorOptions& options) {
  if (absl::Status status = CheckCursorName(name); !status.ok()) return status;
  CursorRegistry& registry = *context.registry;
  // First: of what happens from here on the cursor hears.
  const Watermark::Truncations seen = context.watermark->TruncationsSince(0);
  // So that nothing is trimmed from under a cursor that is being made.
  registry.BeginOpen(name);
  const absl::StatusOr<CursorCheckpoint> first =
      FirstCheckpoint(context, name, options.start, seen.epoch);
  std::shared_ptr<CursorCommit> commit;
  {
    MutexLock files(&registry.files_mu());
    absl::StatusOr<std::unique_ptr<CursorFile>> file = OpenFileOf(context, name, first, seen.epoch);
    if (file.ok()) commit = std::make_shared<CursorCommit>(std::move(*file), context.events);
    registry.EndOpen(name, commit);
    if (!file.ok()) return file.status();
  }
  return std::make_unique<Cursor>(
      std::make_unique<CursorState>(context, options, std::move(commit), seen));
}

}  // namespace millrace
