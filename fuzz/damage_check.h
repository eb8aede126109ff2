#ifndef MILLRACE_FUZZ_DAMAGE_CHECK_H_
#define MILLRACE_FUZZ_DAMAGE_CHECK_H_

#include <map>
#include <string>

#include "fuzz/valid_log.h"

namespace millrace {

// Reads a damaged log in every way. `files` is what became of log.files by honest damage:
// anything but bytes made to bear a checksum. Ends the process unless
//
//   every number is either read, byte for byte as it was appended, or named as lost;
//   it is so up to the last number that a file which is still whole vouches for;
//   the report names what the reader meets, no more and no less;
//   a reader written from FORMAT.md alone says the same;
//   and looking again shows no more;
// and, one of them or all, as `opening` says (0 to 2; all others: all)
//   kStrict refuses if and only if something is named that surely was written, and then
//   changes nothing;
//   kSalvage opens, goes on behind the last number, and keeps all that was readable;
//   kStopAtFirstLoss keeps what stands before the first loss.
void CheckDamaged(const ValidLog& log, const std::map<std::string, std::string>& files,
                  int opening);

}  // namespace millrace

#endif  // MILLRACE_FUZZ_DAMAGE_CHECK_H_
