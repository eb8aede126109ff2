#ifndef MILLRACE_LOG_READER_H_
#define MILLRACE_LOG_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/backup.h"
#include "millrace/cursor.h"
#include "millrace/language.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"

namespace millrace {

class FileSystem;
struct CopySource;

// How a log's directory is read from outside.
struct LogReaderOptions {
  // Where the log lives. Not owned; null means PosixFileSystem().
  FileSystem* file_system = nullptr;

  enum class Scan : uint8_t {
    kUndecided,  // opening reads only what a crash can have left undecided
    kAll,        // opening reads every byte, so that recovery() names every loss
  } scan = Scan::kUndecided;

  enum class Limit : uint8_t {
    // The records that the log itself says are durable. It says so with the next
    // group, or when it has been idle for a moment.
    kDurable,
    // Also those after them that can be read; a power cut may undo them.
    kReadable,
  } limit = Limit::kDurable;
};

// One segment file, as a directory shows it.
struct SegmentInfo {
  enum class State : uint8_t {
    kSealed,    // followed by another segment
    kClosed,    // the last one with records, closed in order
    kOpen,      // the last one with records: being written, or left by a crash
    kEmpty,     // begun, without a record
    kPrepared,  // made ready for use, or left over from making ready
    kDead,      // no longer part of the log: trimmed, or of no use
    kMissing,   // its records are part of the log, its file is gone or another's
  };
  uint64_t number = 0;
  std::string file_name;
  State state = State::kSealed;
  SequenceNumber first = kNoSequence;  // of its records; first > last: none
  SequenceNumber last = kNoSequence;
  uint64_t incarnation = 0;
  uint64_t frames_end = 0;  // file offset where its frames end; 0: unknown
  uint64_t file_bytes = 0;
};
std::string_view SegmentStateName(SegmentInfo::State state);

// One cursor's checkpoint file.
struct CursorInfo {
  enum class State : uint8_t {
    kValid,
    kDamaged,  // neither of its two slots is valid
    kForeign,  // another log's, or a copy of another cursor's
    kNewer,    // of a newer version
  };
  std::string name;
  State state = State::kValid;
  SequenceNumber checkpointed = kNoSequence;
  uint64_t epoch = 0;
};
std::string_view CursorFileStateName(CursorInfo::State state);

// What a group, an idle mark and a footer say of the log.
struct GroupInfo {
  uint64_t epoch = 0;
  absl::Time time;
  SequenceNumber mark = kNoSequence;
  SequenceNumber first_retained = 1;
};

// One step through the bytes of a segment, for showing them to a person.
struct FrameInfo {
  enum class Kind : uint8_t {
    kHeader,  // one of the two copies of the segment's header
    kRecord,
    kBatch,
    kGroup,
    kIdleMark,
    kFooter,
    kPadding,
    kSkipped,  // of a type that this version does not know and may skip
    kUnknown,  // of a type that this version does not know and may not skip: the walk ends
    kDamaged,  // not what should stand there; frames go on behind it
    kEnd,      // no frame from here on
  };
  Kind kind = Kind::kEnd;
  uint64_t offset = 0;
  uint64_t bytes = 0;  // header, body and padding; of kEnd: those that are not zero
  // Frames; of those without records, the number of the next record.
  SequenceNumber sequence = kNoSequence;
  uint32_t records = 0;
  uint32_t body_bytes = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
  std::optional<GroupInfo> group;      // kGroup, kIdleMark, kFooter
  SequenceNumber first = kNoSequence;  // kFooter: of the segment's records
  SequenceNumber last = kNoSequence;   // kFooter
  std::optional<LostRange> lost;       // kDamaged
  std::string detail;                  // kHeader: its fields, or what is wrong with it
};
std::string_view FrameKindName(FrameInfo::Kind kind);

// Reads a log's directory without its lock and without writing anything, beside
// a live writer or not. For tools; an application that owns the log uses a Cursor.
//
//   auto reader = millrace::LogReader::Open("/var/lib/app/events");
//   if (!reader.ok()) return reader.status();
//   while (true) {
//     auto entry = (*reader)->Next();
//     if (absl::IsOutOfRange(entry.status())) break;  // or Refresh() and go on
//     if (!entry.ok()) return entry.status();
//     if (entry->kind == millrace::Entry::Kind::kLost) Report(entry->lost);
//     else Use(entry->record);
//   }
//
// Used by one thread at a time. What a live writer trims meanwhile is delivered as
// lost with LossCause::kTrimmed.
class LogReader {
 public:
  // Errors: NotFound (no directory, or no log in it); Unimplemented (written by a
  //   newer version); I/O errors.
  static absl::StatusOr<std::unique_ptr<LogReader>> Open(std::string directory,
                                                         const LogReaderOptions& options = {});

  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;
  ~LogReader();

  // What opening found; `lost` names each loss it met.
  const RecoveryReport& recovery() const;

  // The next record or loss. Does not wait. The entry's views are valid until the
  // next call on this reader.
  //
  // Errors: OutOfRange (at the end, as far as it was seen); I/O errors that are
  //   not damage (no file descriptor left).
  absl::StatusOr<Entry> Next();

  // Goes to the record `next`, or to the first one kept if that is later.
  absl::Status Seek(SequenceNumber next);

  // Looks for what was written since the last look. Cheap when that is little.
  absl::Status Refresh();

  SequenceNumber first_retained() const;
  SequenceNumber limit() const;  // the last record that Next may return
  SequenceNumber mark() const;   // the highest number known durable
  SequenceNumber next() const;   // what Next returns next, if it is there

  // The files of the directory, read anew at each call.
  absl::StatusOr<std::vector<SegmentInfo>> Segments();
  absl::StatusOr<std::vector<CursorInfo>> Cursors();

  // Copies the log, as Log::Backup, up to limit(). For a log that another process has open, or
  // none. Where another process trims or truncates meanwhile: the records that were trimmed are
  // named as lost, with LossCause::kTrimmed, and a truncation makes it begin anew.
  absl::StatusOr<BackupResult> Backup(const std::string& directory,
                                      const BackupOptions& options = {});

  // Walks all frames of one segment, whether or not they are part of the log.
  //
  // Errors: NotFound (no such file); FailedPrecondition (neither header nor frames
  //   say which segment it is); I/O errors.
  absl::Status WalkSegment(uint64_t number, absl::FunctionRef<void(const FrameInfo&)> visit);

 private:
  friend struct CopySource;
  struct State;
  explicit LogReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace millrace

#endif  // MILLRACE_LOG_READER_H_
