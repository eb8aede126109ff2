#ifndef MILLRACE_WAL_SALVAGE_SURVEY_H_
#define MILLRACE_WAL_SALVAGE_SURVEY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/sequence.h"
#include "wal/file_view.h"
#include "wal/format.h"

namespace millrace {

// Behind the names of what a salvage in place builds, until it takes its place.
inline constexpr std::string_view kBuiltSuffix = ".salvage";
inline constexpr std::string_view kAsideSuffix = ".aside";

// Which use of which segment of which log a file holds.
struct FileIdentity {
  LogId log_id = {};
  uint64_t number = 0;
  uint64_t incarnation = 0;
  SequenceNumber first = kNoSequence;  // kNoSequence: unknown

  bool SameUse(const FileIdentity& other) const {
    return log_id == other.log_id && number == other.number && incarnation == other.incarnation;
  }
};

// A file that may be a segment, by its content.
struct SurveyedFile {
  enum class Kind : uint8_t {
    kSegment,   // by a header
    kFrames,    // by its frames: both headers are lost
    kPrepared,  // by a header, and without records
    kZeros,     // or nothing at all
    kUnknown,   // anything else
  };
  std::string name;
  uint64_t bytes = 0;
  Kind kind = Kind::kUnknown;
  FileIdentity identity;     // kSegment, kFrames, kPrepared (without incarnation)
  int damaged_headers = 0;   // of two
  uint64_t predecessor = 0;  // kSegment: the number and incarnation that the header names
  uint64_t predecessor_incarnation = 0;

  bool IsSegment() const { return kind == Kind::kSegment || kind == Kind::kFrames; }
};

// What stands in a directory, whatever the names of its files say.
struct Survey {
  enum class Superblock : uint8_t { kOurs, kMissing, kDamaged, kForeign };

  LogId log_id = {};
  std::vector<SurveyedFile> files;  // in order of name
  Superblock superblock = Superblock::kMissing;
  std::vector<std::string> cursor_files;  // of this log, or damaged
  std::vector<std::string> foreign_cursor_files;
  bool shared_checkpoints = false;  // CURSORS is there
};

// Reads all headers, and of files without one every byte until a frame says what it is. Changes
// nothing.
//
// Errors: NotFound (nothing of a log is there, or nothing tells its id); Unimplemented (a newer
//   version's file); I/O errors.
absl::StatusOr<Survey> SurveyDirectory(Directory& directory);

// One intact frame of a segment's file.
struct SurveyedFrame {
  uint64_t offset = 0;
  FrameHeader header;
  int64_t time_ns = 0;     // of its group
  std::string_view frame;  // until the call returns
  std::string_view body() const { return frame.substr(kFrameHeaderBytes, header.body_bytes); }
};

// Where frames are damaged, or end before the file does: up to `end`.
struct DamagedPart {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Shows all intact frames of `file`, in order. Where the device fails the rest is passed over.
// Returns the parts between and behind them.
std::vector<DamagedPart> WalkFrames(File& file, uint64_t file_bytes, const FileIdentity& identity,
                                    absl::FunctionRef<void(const SurveyedFrame&)> visit);

// The directory as it would be with each segment of the log under its own name: of those that are
// there more than once the best, with what is damaged in it taken from the others.
//
// Errors: I/O errors.
absl::StatusOr<FileNames> ProperNames(Directory& directory, const Survey& survey);

}  // namespace millrace

#endif  // MILLRACE_WAL_SALVAGE_SURVEY_H_
