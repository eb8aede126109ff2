#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "millrace/log.h"
#include "wal/backup.h"
#include "wal/cursor_context.h"
#include "wal/log_copy.h"
#include "wal/log_core.h"
#include "wal/trim_holds.h"

namespace millrace {
namespace {

// What there is to copy of an open log at this moment. `hold` keeps it there.
CopySource SourceOf(LogCore& core, const CursorContext& context, TrimHolds::Hold hold) {
  const Watermark& watermark = *context.watermark;
  core.trim_holds().Reset(hold);
  CopySource source;
  source.path = core.directory();
  source.file_system = &core.file_system();
  source.directory = context.directory.get();
  source.log_id = context.log_id;
  // In this order: what is true of the watermark stays so until the count changes.
  source.limit = source.mark = watermark.last_durable();
  source.version = watermark.truncations();
  source.version_now = [&watermark] { return watermark.truncations(); };
  source.first = watermark.first_retained();
  source.start = context.FindSegment(source.first);
  source.next = std::max(source.limit + 1, source.first);
  source.first_retained = [&context] { return context.first_retained()(); };
  source.counted = [&context](std::string_view name, const CursorCheckpoint& checkpoint) {
    return context.registry->Counted(name, checkpoint).committed;
  };
  source.passed = [&core, hold](SequenceNumber next) { core.trim_holds().Raise(hold, next); };
  return source;
}

}  // namespace

absl::StatusOr<BackupResult> Log::Backup(const std::string& directory,
                                         const BackupOptions& options) {
  absl::Status status = core_->CheckProcess();
  if (!status.ok()) return status;
  // A log that has failed can still be copied; in the directory of one that is closed another may
  // be at work.
  status = core_->EndError();
  if (options.flush == BackupOptions::Flush::kFirst && status.ok()) status = Flush();
  const bool wanted = options.flush == BackupOptions::Flush::kFirst || absl::IsCancelled(status);
  if (wanted && !status.ok()) return status;
  const CursorContext context = LogCore::ContextFor(core_);
  const TrimHolds::Hold hold = core_->trim_holds().Add();
  const absl::Cleanup remove = [&] { core_->trim_holds().Remove(hold); };
  const auto source = [&]() -> absl::StatusOr<CopySource> {
    return SourceOf(*core_, context, hold);
  };
  absl::StatusOr<BackupResult> result = BackUp(source, directory, options);
  if (!result.ok()) return core_->Named(result.status());
  return result;
}

}  // namespace millrace
