#ifndef MILLRACE_FLIP_CHECK_H_
#define MILLRACE_FLIP_CHECK_H_

#include <cstdint>
#include <string>

#include "millrace/testing/sim_file_system.h"
#include "tests/flip_log.h"

namespace millrace {

// One flipped bit of a FlipLog. What must come of it follows from the meaning of
// the byte alone: the records that it stands in are lost, or nothing is.
struct Flip {
  const FlipFile* file = nullptr;
  const FlipRange* range = nullptr;
  uint64_t offset = 0;
  int bit = 0;

  bool LosesRecords() const { return range->region == FlipRegion::kRecords; }
  std::string ToString() const;
};

// Each looks at `disk`, which holds `log` with that one bit flipped, and returns
// what is wrong; an empty string if all is as it must be.

// Read through LogReader: every record is there, byte for byte, but for those that
// the bit stands in, which are reported as acknowledged and lost, with first and
// last number, segment and place.
std::string ReadFlipped(const FlipLog& log, const Flip& flip, SimFileSystem& disk);

// The same for a log that is opened for writing with kSalvage, appended to, closed,
// and read once more.
std::string SalvageFlipped(const FlipLog& log, const Flip& flip, SimFileSystem& disk);

// kStrict refuses with DataLoss what has lost a record, without changing a byte,
// and opens all else.
std::string OpenFlippedStrictly(const Flip& flip, SimFileSystem& disk);

// kStopAtFirstLoss keeps exactly the records before the loss, and names the rest.
std::string StopAtFlipped(const FlipLog& log, const Flip& flip, SimFileSystem& disk);

}  // namespace millrace

#endif  // MILLRACE_FLIP_CHECK_H_
