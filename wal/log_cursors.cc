#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "millrace/log.h"
#include "wal/cursor_context.h"
#include "wal/cursor_lag.h"
#include "wal/log_core.h"

namespace millrace {

std::vector<CursorStatus> Log::ListCursors() const {
  // In a forked child a thread that is not there may hold the locks.
  if (!core_->CheckProcess().ok()) return {};
  const CursorContext context = LogCore::ContextFor(core_);
  return millrace::ListCursors(*context.registry, *context.segments, *context.watermark);
}

absl::Status Log::DeleteCursor(std::string_view name, DeleteMode mode) {
  absl::Status status = core_->CheckProcess();
  if (status.ok()) status = core_->EndError();
  if (!status.ok()) return status;
  const CursorContext context = LogCore::ContextFor(core_);
  return core_->Named(context.registry->Delete(*context.directory, context.log_id, name, mode));
}

absl::Status Log::CheckpointCursors() {
  // Also of a log that is closed: its cursors still are used.
  absl::Status status = core_->CheckProcess();
  if (!status.ok()) return status;
  return core_->Named(LogCore::ContextFor(core_).registry->WriteAll());
}

}  // namespace millrace
