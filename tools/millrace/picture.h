#ifndef MILLRACE_TOOLS_MILLRACE_PICTURE_H_
#define MILLRACE_TOOLS_MILLRACE_PICTURE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "nlohmann/json.hpp"

namespace millrace {

// A log as it stands, seen from outside.
struct Picture {
  std::string directory;
  RecoveryReport report;
  bool locked = false;  // a program has it open
  SequenceNumber first = 1;
  SequenceNumber last = kNoSequence;  // that can be read
  SequenceNumber mark = kNoSequence;
  std::vector<SegmentInfo> segments;
  std::vector<CursorInfo> cursors;

  uint64_t records() const { return last < first ? 0 : last - first + 1; }
  // Of the files that hold the log's records, and how many those are.
  uint64_t bytes() const;
  uint64_t files() const;
  // "open: a program appends to it".
  std::string_view state() const;
  // What stands behind the last record that can be read: "torn tail", or what a program writes now.
  std::string_view tail_name() const;
  // Durable records that the cursor has not consumed.
  uint64_t LagOf(const CursorInfo& cursor) const;
};

// True of a segment that holds records of the log.
bool HoldsRecords(const SegmentInfo& segment);
// "1..250", "-".
std::string RecordsOf(const SegmentInfo& segment);

// "80 bytes in segment 3 from byte 8192 on".
std::string TailText(const RecoveryReport& report);

// A reader of all that can be read.
absl::StatusOr<std::unique_ptr<LogReader>> OpenReader(const std::string& directory);
absl::StatusOr<Picture> LookAt(const std::string& directory, LogReader* reader);

// When record `sequence` was written, or the next one that is not lost; InfiniteFuture where there
// is none.
absl::StatusOr<absl::Time> TimeOf(SequenceNumber sequence, LogReader* reader);

std::string SegmentTable(const std::vector<SegmentInfo>& segments);
// The same, with the first and the last `at_each_end` of them only, and a line of totals for those
// between. All of them if that line would stand for fewer than two.
std::string ShortSegmentTable(const std::vector<SegmentInfo>& segments, size_t at_each_end);
std::string CursorTable(const Picture& picture);
nlohmann::ordered_json SegmentJson(const SegmentInfo& segment);
nlohmann::ordered_json CursorJson(const Picture& picture, const CursorInfo& cursor);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_PICTURE_H_
