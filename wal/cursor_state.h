#ifndef MILLRACE_WAL_CURSOR_STATE_H_
#define MILLRACE_WAL_CURSOR_STATE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/file_system.h"
#include "millrace/sequence.h"
#include "wal/cursor_file.h"
#include "wal/cursor_registry.h"
#include "wal/fork_guard.h"
#include "wal/format.h"
#include "wal/record_reader.h"
#include "wal/segment_list.h"
#include "wal/watermark.h"

namespace millrace {

// What a cursor knows of its log: never the committer. Everything is shared, so
// that a cursor may outlive the Log.
struct CursorContext {
  std::shared_ptr<Directory> directory;
  LogId log_id = {};
  uint64_t epoch = 1;
  std::shared_ptr<const SegmentList> segments;
  std::shared_ptr<const Watermark> watermark;
  std::shared_ptr<CursorRegistry> registry;
  std::shared_ptr<const ForkGuard> process;
};

// Enters the checkpoints of all of the log's cursors into `registry`. For opening
// a log, before anything is trimmed. A cursor whose file is damaged holds
// everything back; files of other logs do not count. Of a checkpoint beyond `end`, the
// last number given so far, only what lies up to there counts: the numbers behind it
// will be given to other records.
absl::Status RegisterCursors(Directory& directory, const LogId& log_id, SequenceNumber end,
                             CursorRegistry& registry);

// Errors: as Log::OpenCursor.
absl::StatusOr<std::unique_ptr<Cursor>> OpenCursor(const CursorContext& context,
                                                   std::string_view name,
                                                   const CursorOptions& options);

// What is behind a Cursor.
class CursorState {
 public:
  // `file` holds the checkpoint from which reading goes on.
  CursorState(const CursorContext& context, const CursorOptions& options,
              std::unique_ptr<CursorFile> file);
  CursorState(const CursorState&) = delete;
  CursorState& operator=(const CursorState&) = delete;
  ~CursorState();

  absl::StatusOr<Entry> Next(absl::Duration timeout);
  absl::Status Commit(SequenceNumber through);
  absl::Status Checkpoint();

  const std::string& name() const { return file_->name(); }
  SequenceNumber delivered() const { return delivered_; }
  SequenceNumber committed() const { return committed_; }
  SequenceNumber checkpointed() const { return file_->checkpoint().committed; }

 private:
  absl::StatusOr<Entry> RecordEntry();
  Entry LostEntry();
  absl::Status EndOfWait(Watermark::Wait wait) const;
  absl::Status CheckProcess() const;

  const CursorContext context_;
  const CursorOptions options_;
  const std::unique_ptr<CursorFile> file_;
  RecordReader reader_;
  SequenceNumber delivered_;
  SequenceNumber committed_;
  ReadPosition position_;  // from which committed_ + 1 is found by reading on
  absl::Time last_checkpoint_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_STATE_H_
