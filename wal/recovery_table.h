#ifndef MILLRACE_WAL_RECOVERY_TABLE_H_
#define MILLRACE_WAL_RECOVERY_TABLE_H_

#include <cstdint>
#include <span>

#include "millrace/options.h"

// What recovery decides, as four tables: for every combination of what can be
// found exactly one row applies, and it says what is done and why. Nothing here
// reads or writes; recovery_table_test walks all combinations.

namespace millrace {

// A set of values of one input, for rows that hold for several of them.
template <class E>
constexpr uint32_t Bit(E value) {
  return uint32_t{1} << static_cast<uint32_t>(value);
}
inline constexpr uint32_t kAny = ~uint32_t{0};

// --- What a file named like a segment is ------------------------------------------

struct FileTable {
  // Of the two copies: the better one.
  enum class Header : uint8_t { kZero, kDamaged, kNewer, kPrepared, kActive };
  // Whom a prepared or active header names; without one, kThisName.
  enum class Owner : uint8_t { kThisName, kOtherName, kOtherLog };
  // The rest of a file without a header.
  enum class Content : uint8_t {
    kNothing,    // zeros, or nothing at all
    kBytes,      // something
    kOwnFrames,  // frames that validate as this log's segment of this name
  };
  enum class Kind : uint8_t {
    kUnused,      // never written to
    kPrepared,    // made ready, holds no record
    kActive,      // a segment
    kHeaderLost,  // a segment whose identity its frames prove
    kMisnamed,    // a segment of this log under another one's name
    kForeign,     // another log's
    kDamaged,     // nothing proves what it is
    kNewer,       // a newer version's: nothing may be changed
  };
  struct Row {
    uint32_t header, owner, content;
    Kind kind;
    const char* reason;
  };
  static std::span<const Row> Rows();
  static Kind Decide(Header header, Owner owner, Content content);
  static constexpr int kHeaders = 5, kOwners = 3, kContents = 3;
};

// --- Where the chain goes from a header ---------------------------------------------

struct LinkTable {
  enum class Names : uint8_t { kNone, kTrimmed, kRetained, kUnknown };
  // The file of the segment it names.
  enum class File : uint8_t {
    kFound,  // its header says so; or none does, but frames validate as the segment named
    kLost,   // missing, or something else
  };
  enum class Step : uint8_t {
    kEnd,          // the chain ends here
    kFollow,       // the segment named is the next
    kSearchBelow,  // it is lost; the highest segment that may stand below it is the next
  };
  struct Row {
    uint32_t names, file;
    Step step;
    const char* reason;
  };
  static std::span<const Row> Rows();
  static Step Decide(Names names, File file);
  static constexpr int kNames = 4, kFiles = 2;
};

// --- What a gap in the numbers means ---------------------------------------------------

struct GapTable {
  // The missing numbers against the mark.
  enum class Numbers : uint8_t { kNone, kBelowMark, kAcrossMark, kAboveMark };
  // What stands behind them. Numbers that were in a file which is gone, or in bytes that cannot be
  // read, count as if records stood there: they are no torn write.
  enum class Behind : uint8_t { kNothing, kRecords };
  // Whether the segment's header already tells of it, under a new epoch.
  enum class Known : uint8_t { kNew, kSettled };
  enum class Boot : uint8_t { kSame, kOther };
  using Policy = RecoveryPolicy;

  enum class Action : uint8_t {
    kNote,          // bookkeeping damage; no record is missing
    kCutTail,       // a torn write: cut, counted, not a loss
    kReport,        // a loss: reported, and what stands behind it is kept
    kReportAndCut,  // what is at or below the mark is a loss; the rest is cut
    kCutWritten,    // cut, and reported: written in this boot, and gone
    kCutUnknown,    // cut, and reported: perhaps acknowledged
    kRefuse,        // DataLoss
    kStop,          // a loss: the log ends before it
  };
  struct Row {
    uint32_t numbers, behind, known, boot, policy;
    Action action;
    const char* reason;
  };
  static std::span<const Row> Rows();
  static Action Decide(Numbers numbers, Behind behind, Known known, Boot boot, Policy policy);
  static constexpr int kNumbers = 4, kBehinds = 2, kKnowns = 2, kBoots = 2, kPolicies = 3;
};

// --- What becomes of a file -------------------------------------------------------------

struct FileFateTable {
  enum class Place : uint8_t {
    kKept,      // part of the chain that is kept
    kTrimmed,   // below it: all records are below first_retained
    kStopped,   // of the chain, but behind the first loss (kStopAtFirstLoss)
    kOffChain,  // of no chain, or cut off it
  };
  // What of this log's the file's own header or name stands for.
  enum class Holds : uint8_t {
    kNothingNeeded,  // no record that is not dead
    kSomething,      // intact records, dead or not, or bytes that may remain of some
  };
  enum class Fate : uint8_t { kKeep, kRemove, kSetAside, kIgnore };
  struct Row {
    uint32_t kind, place, holds;
    Fate fate;
    const char* reason;
  };
  static std::span<const Row> Rows();
  static Fate Decide(FileTable::Kind kind, Place place, Holds holds);
  static constexpr int kKinds = 8, kPlaces = 4, kHolds = 2;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_RECOVERY_TABLE_H_
