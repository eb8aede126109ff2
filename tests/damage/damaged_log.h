#ifndef MILLRACE_DAMAGED_LOG_H_
#define MILLRACE_DAMAGED_LOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "millrace/sequence.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/flip_log.h"

namespace millrace {

// One file of a FlipLog as damage has left it.
struct Damage {
  std::string what;
  const FlipFile* file = nullptr;
  std::optional<std::string> bytes;  // nullopt: the file is gone
};

// What must come of a damaged FlipLog. It follows from FORMAT.md and from which bytes are
// still those that were written: a frame is intact if all of its bytes are, and else lost.
struct Verdict {
  // Indexed by sequence number - 1.
  std::vector<bool> read;
  std::vector<bool> lost;    // and reported
  SequenceNumber mark = 0;   // the highest number that is still vouched for
  bool newest_lost = false;  // a segment of which nobody knows what was in it

  SequenceNumber last_read() const;  // 0: none
  // kStrict refuses.
  bool Refused() const;
};

// All files of `log` but the damaged one are as they were.
Verdict JudgeDamage(const FlipLog& log, const Damage& damage);

// What is wrong with how `disk`, which holds `log` with the damage, is read from outside; an
// empty string if all is as `verdict` says.
std::string ReadDamaged(const FlipLog& log, const Damage& damage, const Verdict& verdict,
                        SimFileSystem& disk);

// The same for one that is opened for writing with kStrict, or else with kSalvage and read.
std::string OpenDamagedStrictly(const Damage& damage, const Verdict& verdict, SimFileSystem& disk);
std::string SalvageDamaged(const FlipLog& log, const Damage& damage, const Verdict& verdict,
                           SimFileSystem& disk);

}  // namespace millrace

#endif  // MILLRACE_DAMAGED_LOG_H_
