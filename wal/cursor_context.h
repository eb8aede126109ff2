#ifndef MILLRACE_WAL_CURSOR_CONTEXT_H_
#define MILLRACE_WAL_CURSOR_CONTEXT_H_

#include <memory>

#include "millrace/file_system.h"
#include "wal/cursor_events.h"
#include "wal/cursor_registry.h"
#include "wal/fork_guard.h"
#include "wal/format.h"
#include "wal/record_reader.h"
#include "wal/segment_list.h"
#include "wal/shared_checkpoints.h"
#include "wal/watermark.h"

namespace millrace {

// What a cursor knows of its log: never the committer. Everything is shared, so
// that a cursor may outlive the Log.
struct CursorContext {
  std::shared_ptr<Directory> directory;
  LogId log_id = {};
  std::shared_ptr<const SegmentList> segments;
  std::shared_ptr<const Watermark> watermark;
  std::shared_ptr<CursorRegistry> registry;
  std::shared_ptr<const ForkGuard> process;
  std::shared_ptr<SharedCheckpoints> shared;  // null: each cursor writes its own file
  std::shared_ptr<CursorEvents> events;       // null: none

  // Published before any file goes, so who finds a file gone finds why.
  RecordReader::FirstRetained first_retained() const {
    return [watermark = watermark] { return watermark->first_retained(); };
  }
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_CONTEXT_H_
