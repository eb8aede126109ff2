#ifndef MILLRACE_WAL_CURSOR_STATE_H_
#define MILLRACE_WAL_CURSOR_STATE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/file_system.h"
#include "millrace/sequence.h"
#include "wal/cursor_commit.h"
#include "wal/cursor_context.h"
#include "wal/cursor_peek.h"
#include "wal/cursor_registry.h"
#include "wal/format.h"
#include "wal/record_reader.h"
#include "wal/watermark.h"

namespace millrace {

// How far a log goes that is being opened.
struct LogExtent {
  SequenceNumber last = kNoSequence;        // the last number given
  uint64_t epoch = 1;                       // the live one
  SequenceNumber epoch_base = kNoSequence;  // what checkpoints of older ones count up to
};

// Enters the checkpoints of all of the log's cursors into `registry`. For opening
// a log, before anything is trimmed. A cursor whose file is damaged holds
// everything back; files of other logs do not count. Of a checkpoint beyond the end, or
// of an older epoch and beyond its base, only what lies up to there counts: the numbers behind
// it were given to other records, or will be. `directory` outlives the registry's use.
absl::Status RegisterCursors(Directory& directory, const LogId& log_id, const LogExtent& extent,
                             CursorRegistry& registry, SharedCheckpoints* shared = nullptr);

// Errors: as Log::OpenCursor.
absl::StatusOr<std::unique_ptr<Cursor>> OpenCursor(const CursorContext& context,
                                                   std::string_view name,
                                                   const CursorOptions& options);

// What is behind a Cursor.
//
// Reads up to a limit that was durable while the log had been truncated `seen_` times. What
// was read counts only if that is still so afterwards: else it may be of dropped records, or of
// files that are gone, and reading begins anew in the present chain.
class CursorState {
 public:
  // Goes on from what `commit` says. `seen` is of before that was read.
  CursorState(CursorContext context, const CursorOptions& options,
              std::shared_ptr<CursorCommit> commit, const Watermark::Truncations& seen);
  CursorState(const CursorState&) = delete;
  CursorState& operator=(const CursorState&) = delete;
  ~CursorState();

  // As in Cursor.
  absl::StatusOr<Entry> Next(absl::Duration timeout);
  absl::StatusOr<size_t> NextBatch(std::span<char> memory, std::vector<Entry>* entries,
                                   absl::Duration timeout);
  absl::StatusOr<std::span<const Entry>> Peek(size_t n);
  absl::Status Seek(SequenceNumber next);
  absl::Status Rewind();
  absl::Status SeekToTime(absl::Time time);
  absl::Status Reset(SequenceNumber next);
  absl::Status Commit(SequenceNumber through);
  absl::Status Checkpoint();
  absl::StatusOr<CursorLag> Lag();

  const std::string& name() const { return commit_->name(); }
  SequenceNumber delivered() const { return delivered_; }
  SequenceNumber committed() const { return committed_; }
  SequenceNumber checkpointed() const { return commit_->checkpointed(); }

 private:
  enum class Step : uint8_t {
    kEntry,    // read_ says which
    kAgain,    // the limit was raised, or the log truncated
    kNothing,  // no more is durable
    kError,    // see reader_->status()
  };

  absl::Status CheckProcess() const;
  absl::Status Named(const absl::Status& status) const;
  absl::Status CheckTarget(std::string_view operation, SequenceNumber next) const;
  absl::Status EndOfWait(Watermark::Wait wait) const;

  void FollowTruncation();
  Step ReadOne();
  absl::StatusOr<bool> Look();
  absl::Status Await(absl::Duration timeout);
  void ShowRead(Entry* entry) const;
  void Show(Entry* entry) const;
  size_t TakePlain(std::span<char>* memory, std::vector<Entry>* entries);
  void Take(const Entry& entry);

  void ReadFrom(SequenceNumber next, const ReadPosition& from);
  void MoveTo(SequenceNumber next, const ReadPosition& from);
  void ForgetPeeked();
  bool CheckpointIsDue(SequenceNumber checkpointed) const;
  SequenceNumber Post();

  const CursorContext context_;
  const CursorOptions options_;
  const std::shared_ptr<CursorCommit> commit_;

  uint64_t seen_;             // truncations that were followed
  uint64_t epoch_;            // that the last of them began
  SequenceNumber limit_ = 0;  // was durable then
  SequenceNumber shown_;      // the highest number that anybody was shown
  SequenceNumber delivered_;
  SequenceNumber committed_;
  ReadPosition place_;     // from which delivered_ + 1 is found by reading on
  ReadPosition position_;  // the same of committed_ + 1

  PeekedEntries peeked_;  // what comes next,
  std::optional<RecordReader> reader_;
  std::optional<RecordReader::Kind> read_;         // and then what reader_ has read, if anything
  std::array<RecordReader::PlainRecord, 64> run_;  // of TakePlain
  // By a clock that is never set: after a jump back the interval would not pass for as long.
  std::chrono::steady_clock::time_point last_checkpoint_;

  // To be copied: GCC clears a new Entry with a string instruction, which takes as long as checking
  // the record that is to be shown in it.
  const Entry blank_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_STATE_H_
