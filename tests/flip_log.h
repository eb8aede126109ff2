#ifndef MILLRACE_FLIP_LOG_H_
#define MILLRACE_FLIP_LOG_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/cursor.h"
#include "millrace/options.h"
#include "millrace/sequence.h"
#include "millrace/testing/sim_file_system.h"

namespace millrace {

// A small log of which every bit is known: what each byte of each file is for, and
// which records go with it. The layout is walked by the rules of FORMAT.md with the
// functions of wal/format.h alone, not by the readers that are to be tested with it.

inline constexpr char kFlipDirectory[] = "log";

// What a byte is for.
enum class FlipRegion : uint8_t {
  kRecords,  // header or body of a frame with records; all others hold none
  // The log's own frames.
  kGroup,
  kIdleMark,
  kFooter,
  kPaddingHeader,
  // Bytes of frames that no checksum covers, because nothing reads them.
  kPaddingBody,
  kAlignment,
  // What stands twice.
  kHeaderCopy,
  kSuperblockSlot,
  kCursorSlot,
  // Of no meaning.
  kBlockSlack,    // the rest of the block behind a header or a slot
  kBeyondEnd,     // behind the last frame of a segment
  kPreparedFill,  // of a file prepared for a segment to come
};
inline constexpr size_t kFlipRegions = 13;
std::string_view FlipRegionName(FlipRegion region);

// Bytes [begin, end) of one file.
struct FlipRange {
  FlipRegion region = FlipRegion::kBlockSlack;
  uint64_t begin = 0;
  uint64_t end = 0;
  SequenceNumber first = kNoSequence;  // kRecords: inclusive
  SequenceNumber last = kNoSequence;
};

struct FlipFile {
  std::string path;
  uint64_t segment = 0;           // 0: not one
  std::vector<FlipRange> ranges;  // all of it, ascending
};

// A record as it was appended.
struct FlipRecord {
  std::optional<std::string> key = {};
  std::vector<std::pair<std::string, std::string>> attributes = {};
  std::string payload = {};

  bool Equals(const Record& record) const;
};

// How the log came to its end. Whichever it was, every record is durable and the
// log says so.
enum class FlipEnding : uint8_t {
  kClosed,   // with a footer
  kCrashed,  // after an idle mark, with a segment prepared ahead
};

struct FlipLog {
  std::unique_ptr<SimFileSystem> disk;
  std::vector<FlipRecord> records;  // number 1 and following
  std::vector<FlipFile> files;

  SequenceNumber last() const { return records.size(); }
};

// `seed` makes it another log. With three segments, batches, keys and attributes, empty records,
// idle marks and a cursor.
FlipLog BuildFlipLog(FlipEnding ending, uint64_t seed = 11);

Options FlipOptions();

}  // namespace millrace

#endif  // MILLRACE_FLIP_LOG_H_
