#include "wal/recovery_table.h"

#include "wal/check.h"

namespace millrace {
namespace {

template <class Row, class Match>
const Row& Only(std::span<const Row> rows, Match match) {
  const Row* found = nullptr;
  for (const Row& row : rows) {
    if (!match(row)) continue;
    WAL_CHECK(found == nullptr);
    found = &row;
  }
  WAL_CHECK(found != nullptr);
  return *found;
}

template <class E>
bool In(uint32_t set, E value) {
  return (set & Bit(value)) != 0;
}

// clang-format off

namespace file {
using H = FileTable::Header;
using O = FileTable::Owner;
using C = FileTable::Content;
using K = FileTable::Kind;

constexpr uint32_t kNoHeader = Bit(H::kZero) | Bit(H::kDamaged);

constexpr FileTable::Row kRows[] = {
    {Bit(H::kNewer), kAny, kAny, K::kNewer,
     "an intact header of a version that this code cannot judge"},
    {Bit(H::kZero), kAny, Bit(C::kNothing), K::kUnused,
     "a crash between creating the file and preparing it"},
    {Bit(H::kDamaged), kAny, Bit(C::kNothing), K::kDamaged,
     "something was written where headers stand, and is not one"},
    {kNoHeader, kAny, Bit(C::kBytes), K::kDamaged,
     "content without a header is never taken for an unused file"},
    {kNoHeader, kAny, Bit(C::kOwnFrames), K::kHeaderLost,
     "frames repeat what the headers said"},
    {Bit(H::kPrepared), Bit(O::kThisName), kAny, K::kPrepared,
     "written after the fill was synced, before any record"},
    {Bit(H::kPrepared), Bit(O::kOtherName), kAny, K::kPrepared,
     "a prepared file, renamed when it was recycled"},
    {Bit(H::kActive), Bit(O::kThisName), kAny, K::kActive,
     "a header that is where it belongs"},
    {Bit(H::kActive), Bit(O::kOtherName), kAny, K::kMisnamed,
     "a crash while recycling, or a file that somebody renamed or copied"},
    {Bit(H::kPrepared) | Bit(H::kActive), Bit(O::kOtherLog), kAny, K::kForeign,
     "another log's file"},
};
}  // namespace file

namespace link {
using N = LinkTable::Names;
using F = LinkTable::File;
using S = LinkTable::Step;

constexpr LinkTable::Row kRows[] = {
    {Bit(N::kNone), kAny, S::kEnd, "the first segment of the log"},
    {Bit(N::kTrimmed), kAny, S::kEnd, "all it holds was given up; the file may be gone or reused"},
    {Bit(N::kRetained), Bit(F::kFound), S::kFollow,
     "number and incarnation are those that the header names"},
    {Bit(N::kRetained), Bit(F::kLost), S::kSearchBelow,
     "the segment is lost; what stands below it may not be"},
    {Bit(N::kUnknown), kAny, S::kSearchBelow,
     "the header that names the predecessor is lost"},
};
}  // namespace link

namespace gap {
using N = GapTable::Numbers;
using B = GapTable::Behind;
using K = GapTable::Known;
using T = GapTable::Boot;
using P = GapTable::Policy;
using A = GapTable::Action;

constexpr uint32_t kAcknowledged = Bit(N::kBelowMark) | Bit(N::kAcrossMark);

constexpr GapTable::Row kRows[] = {
    {Bit(N::kNone), kAny, kAny, kAny, kAny, A::kNote,
     "damage to the log's own bookkeeping costs no record"},
    {kAcknowledged | Bit(N::kAboveMark), kAny, Bit(K::kSettled), kAny, kAny, A::kReport,
     "an earlier open ended the log here on purpose and began a new epoch"},
    {kAcknowledged, kAny, Bit(K::kNew), kAny, Bit(P::kStrict), A::kRefuse,
     "acknowledged records are missing"},
    {kAcknowledged, kAny, Bit(K::kNew), kAny, Bit(P::kStopAtFirstLoss), A::kStop,
     "acknowledged records are missing, and later ones mean nothing without them"},
    {Bit(N::kBelowMark), kAny, Bit(K::kNew), kAny, Bit(P::kSalvage), A::kReport,
     "acknowledged records are missing; all else is kept"},
    {Bit(N::kAcrossMark), kAny, Bit(K::kNew), kAny, Bit(P::kSalvage), A::kReportAndCut,
     "above the mark only an unbroken run is kept, and this one is broken"},
    {Bit(N::kAboveMark), Bit(B::kNothing), Bit(K::kNew), kAny, kAny, A::kCutTail,
     "a write that was under way, and nobody had been told of"},
    {Bit(N::kAboveMark), Bit(B::kRecords), Bit(K::kNew), Bit(T::kOther), kAny, A::kCutUnknown,
     "a power cut lost writes that came before others; keeping those would break the order"},
    {Bit(N::kAboveMark), Bit(B::kRecords), Bit(K::kNew), Bit(T::kSame), Bit(P::kStrict), A::kRefuse,
     "without a power cut nothing written goes missing: written records are lost"},
    {Bit(N::kAboveMark), Bit(B::kRecords), Bit(K::kNew), Bit(T::kSame),
     Bit(P::kSalvage) | Bit(P::kStopAtFirstLoss), A::kCutWritten,
     "without a power cut nothing written goes missing: written records are lost"},
};
}  // namespace gap

namespace fate {
using K = FileTable::Kind;
using P = FileFateTable::Place;
using H = FileFateTable::Holds;
using F = FileFateTable::Fate;

constexpr uint32_t kEmpty = Bit(K::kUnused) | Bit(K::kPrepared);
constexpr uint32_t kSegment = Bit(K::kActive) | Bit(K::kHeaderLost);
constexpr uint32_t kNotOurs = Bit(K::kForeign) | Bit(K::kDamaged) | Bit(K::kNewer);
constexpr uint32_t kNotInChain = Bit(P::kTrimmed) | Bit(P::kStopped) | Bit(P::kOffChain);

constexpr FileFateTable::Row kRows[] = {
    // The chain can run through a file that says it is something else, if the
    // frames are those that the successor names.
    {kAny, Bit(P::kKept), kAny, F::kKeep, "records of the log are read from it"},
    {kNotOurs, kNotInChain, kAny, F::kIgnore, "never deleted: it may be all that is left of something"},
    {kEmpty, kNotInChain, Bit(H::kNothingNeeded), F::kRemove, "holds no record"},
    {kEmpty, kNotInChain, Bit(H::kSomething), F::kIgnore,
     "says that it is empty, and is named as a segment with records"},
    {Bit(K::kMisnamed), kNotInChain, Bit(H::kNothingNeeded), F::kRemove,
     "a crash while recycling: the segment in it had been trimmed"},
    {Bit(K::kMisnamed), kNotInChain, Bit(H::kSomething), F::kIgnore,
     "a copy of, or the remains of, a segment that is still needed"},
    {kSegment, Bit(P::kTrimmed), kAny, F::kRemove, "all its records were given up"},
    {kSegment, Bit(P::kOffChain), Bit(H::kNothingNeeded), F::kRemove, "begun, and nothing written"},
    {kSegment, Bit(P::kOffChain), Bit(H::kSomething), F::kSetAside,
     "cut off the log; neither intact records nor what may remain of lost ones are deleted for that"},
    {kSegment, Bit(P::kStopped), kAny, F::kSetAside, "readable, but behind the first loss"},
};
}  // namespace fate

// clang-format on

}  // namespace

std::span<const FileTable::Row> FileTable::Rows() { return file::kRows; }

FileTable::Kind FileTable::Decide(Header header, Owner owner, Content content) {
  return Only(Rows(),
              [&](const Row& row) {
                return In(row.header, header) && In(row.owner, owner) && In(row.content, content);
              })
      .kind;
}

std::span<const LinkTable::Row> LinkTable::Rows() { return link::kRows; }

LinkTable::Step LinkTable::Decide(Names names, File file) {
  return Only(Rows(), [&](const Row& row) { return In(row.names, names) && In(row.file, file); })
      .step;
}

std::span<const GapTable::Row> GapTable::Rows() { return gap::kRows; }

GapTable::Action GapTable::Decide(Numbers numbers, Behind behind, Known known, Boot boot,
                                  Policy policy) {
  return Only(Rows(),
              [&](const Row& row) {
                return In(row.numbers, numbers) && In(row.behind, behind) && In(row.known, known) &&
                       In(row.boot, boot) && In(row.policy, policy);
              })
      .action;
}

std::span<const FileFateTable::Row> FileFateTable::Rows() { return fate::kRows; }

FileFateTable::Fate FileFateTable::Decide(FileTable::Kind kind, Place place, Holds holds) {
  return Only(Rows(),
              [&](const Row& row) {
                return In(row.kind, kind) && In(row.place, place) && In(row.holds, holds);
              })
      .fate;
}

}  // namespace millrace
