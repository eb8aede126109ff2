#ifndef MILLRACE_TESTING_SIM_RULE_H_
#define MILLRACE_TESTING_SIM_RULE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/language.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_options.h"

namespace millrace {

enum class CrashMoment : uint8_t {
  kBefore,  // the call does nothing and fails
  kInside,  // the call takes effect, but its caller hears -EIO
  kAfter,   // the call succeeds, and is the last one that does
};

// Disturbs calls of one kind: by number, from `first` on, or by chance.
//
//   {.op = FileOp::kSync, .action = SimRule::Action::kLosePages, .error = EIO,
//    .name = "*.seg", .first = 3}
struct SimRule {
  enum class Action : uint8_t {
    kFail,         // returns -error, without effect; EINTR and EAGAIN are such errors too
    kShort,        // a read or write: moves at most `bytes`, which may be 0
    kLosePages,    // a file's sync: fails as SimOptions::failed_sync says. A directory's: as
                   // kFail
    kPretend,      // answers with success and does nothing: a disk that lies
    kLimit,        // a write, an allocation: what would reach beyond byte `bytes` of the file
                   // is left out; -error where nothing is left (ENOSPC, EDQUOT, EFBIG)
    kCorrupt,      // a read: flips `bits` bits of what it returns, not of what is stored
    kDelay,        // hands `delay` to the function given to SetDelay, and goes on; further
                   // rules may act on the same call
    kCrashBefore,  // cuts the power; see CrashMoment
    kCrashInside,
    kCrashAfter,
  };
  static constexpr uint64_t kForever = ~uint64_t{0};

  FileOp op = FileOp::kWrite;
  Action action = Action::kFail;
  int error = 0;
  uint64_t bytes = 0;
  std::string name = "*";  // a glob over FileCall::name
  uint64_t first = 1;      // the first matching call that it hits
  uint64_t count = 1;      // how many it hits from there on
  uint32_t one_in = 1;     // above 1: each of them with this chance only, up to `count` hits
  uint32_t bits = 1;
  uint64_t delay = 0;  // in whatever unit the function takes it for

  bool operator==(const SimRule&) const = default;
};
inline constexpr int kSimActions = static_cast<int>(SimRule::Action::kCrashAfter) + 1;

// What was disturbed so far.
struct FaultCounts {
  uint64_t failed = 0;        // by kFail
  uint64_t shortened = 0;     // by kShort, and fewer bytes moved than were asked for
  uint64_t lost_pages = 0;    // syncs that lost something by kLosePages
  uint64_t late_errors = 0;   // syncs that returned the error of one before
  uint64_t other_errors = 0;  // syncs that returned an error which another File had seen
  uint64_t journal_aborts = 0;
  uint64_t read_only = 0;  // calls refused after one
  uint64_t pretended = 0;
  uint64_t limited = 0;  // by kLimit
  uint64_t full = 0;     // by SetCapacity
  uint64_t corrupted_reads = 0;
  uint64_t flipped_bits = 0;
  uint64_t delays = 0;
  uint64_t crashes = 0;  // by rule, or by CrashAt
};

// All that a disk has of its own: with the same one and the same calls, the same happens.
//
// As text, one line each; what has its default is left out:
//
//   seed 7
//   sector-bytes 4096
//   entries prefix                    # or any-subset
//   new-entry synced-with-file        # or needs-directory-sync
//   failed-sync reverts-size          # or keeps-size, reports-late, aborts-journal,
//                                     # reverts-cache
//   torn-sectors off                  # so, too: garbage, stale-holes, powersafe-overwrite,
//                                     # overwrites-in-place
//   capacity 65536
//   on sync *.seg first=3 then lose-pages EIO
//   on write * count=forever one-in=100 then fail EINTR
//   on write * then short 17
//   on write *.seg count=forever then limit 12288 EDQUOT
//   on sync-directory . then pretend
//   on read * then corrupt 3
//   on sync * then delay 500
//   on rename LOG then crash-before   # or crash-inside, crash-after
//
// Operations are called as FileOpName calls them. White space in a glob is printed as '?'.
struct SimScript {
  SimOptions options;
  std::optional<uint64_t> capacity;
  std::vector<SimRule> rules;

  std::string ToString() const;
  // nullopt if `text` is none; `error` then says which line, and why.
  static std::optional<SimScript> Parse(std::string_view text, std::string* error);

  bool operator==(const SimScript&) const = default;
};

}  // namespace millrace

#endif  // MILLRACE_TESTING_SIM_RULE_H_
