#ifndef MILLRACE_WAL_CURSOR_CONTEXT_H_
#define MILLRACE_WAL_CURSOR_CONTEXT_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <thread>

#include "millrace/file_system.h"
#include "millrace/sequence.h"
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

  // Known before any file goes, so who finds a file gone finds why; and as early as the chain
  // shows it, which is before the watermark does.
  RecordReader::FirstRetained first_retained() const {
    return [watermark = watermark, segments = segments] {
      return std::max(watermark->first_retained(), segments->dropped_before());
    };
  }

  // Where record `s` is looked for, and where the chain begins. Who compares
  // Watermark::truncations() after reading on from there learns of every truncation that the
  // chain shows.
  std::shared_ptr<SegmentNode> FindSegment(SequenceNumber s) const {
    std::shared_ptr<SegmentNode> node = segments->Find(s);
    AwaitPublished();
    return node;
  }
  std::shared_ptr<SegmentNode> FirstSegment() const {
    std::shared_ptr<SegmentNode> node = segments->First();
    AwaitPublished();
    return node;
  }
  // The writer publishes a truncation at once after the chain: there is no call in between.
  void AwaitPublished() const {
    const uint64_t replacements = segments->replacements();
    while (watermark->truncations() < replacements) std::this_thread::yield();
  }
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_CONTEXT_H_
