#ifndef MILLRACE_FUZZ_VALID_LOG_H_
#define MILLRACE_FUZZ_VALID_LOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "millrace/options.h"
#include "millrace/sequence.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/segment_supply.h"
#include "wal/wal_core.h"

namespace millrace {

inline constexpr char kFuzzedDirectory[] = "log";

// A log as the shipping code wrote it, all of it acknowledged, and what it holds.
struct ValidLog {
  std::unique_ptr<SimFileSystem> disk;
  std::map<std::string, std::string> files;  // its bytes, by name
  // Record first + i, in the form of tests/reader_lines.h.
  SequenceNumber first = 1;
  std::vector<std::string> lines;
  // The highest number that each file, as long as it is whole, says is durable.
  std::map<std::string, SequenceNumber> vouches;
  // Records were dropped. Without LOG they may be found again.
  bool truncated = false;

  SequenceNumber last() const { return first + lines.size() - 1; }
};

// Where a frame stands.
struct FramePlace {
  std::string file;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};
std::vector<FramePlace> FramesOf(const ValidLog& log);

enum class LogEnding : uint8_t {
  kClosed,       // in order
  kIdle,         // by a crash, after an idle mark
  kCursorFound,  // by a crash; a cursor has consumed everything
};

class ValidLogWriter {
 public:
  explicit ValidLogWriter(uint64_t seed);

  struct Content {
    std::string key = {};  // empty: none
    std::string attribute = {};
    std::string payload = {};
  };
  void Add(const Content& record);
  void AddBatch(const std::vector<Content>& records);
  // Makes what was added durable.
  void EndGroup();
  void Idle();
  void TrimBefore(SequenceNumber first_to_keep);
  // Does nothing if that is inside a batch.
  void TruncateAfter(SequenceNumber last_to_keep);
  SequenceNumber next() const { return next_; }
  // What stands in the segment's file now.
  std::string SegmentBytes(uint64_t number) const;

  // The last call.
  ValidLog Finish(LogEnding ending);

 private:
  void AddFrame(std::string body, FrameType type, uint8_t flags, uint16_t count);
  void Note(const Content& record);
  void WriteCursor();

  ValidLog log_;
  InlineSegmentSupply supply_;
  std::unique_ptr<WalCore> core_;
  SequenceNumber next_ = 1;
  int64_t now_ns_ = 1'700'000'000'000'000'000;
  std::vector<std::unique_ptr<std::string>> bodies_;  // of the group that gathers
};

// Records of all kinds and sizes in one to four segments; everything follows from `seed`.
ValidLog RandomValidLog(uint64_t seed);

Options FuzzedLogOptions();

// Opens the log on `disk` for writing.
absl::StatusOr<std::unique_ptr<WalCore>> OpenFuzzedLog(SimFileSystem& disk, RecoveryPolicy policy,
                                                       SegmentSupply* supply,
                                                       RecoveryReport* report);

}  // namespace millrace

#endif  // MILLRACE_FUZZ_VALID_LOG_H_
