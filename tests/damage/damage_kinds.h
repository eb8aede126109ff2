#ifndef MILLRACE_DAMAGE_KINDS_H_
#define MILLRACE_DAMAGE_KINDS_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "tests/damage/damaged_log.h"
#include "tests/flip_log.h"

namespace millrace {

using DamageVisitor = absl::FunctionRef<void(const Damage&)>;

// Each visits every case of its kind in every file of `log`. Cases that change nothing are
// left out.

// One byte before, at and behind each boundary between what bytes are for: one bit of it,
// 00, FF, all bits, any value.
void VisitBytes(const FlipLog& log, DamageVisitor visit);

// Each sector of 512 bytes: zeros, FF, random, another sector of the same file, that of
// another file; and stale: as before what begins inside it was written.
void VisitSectors(const FlipLog& log, DamageVisitor visit);

// The file ends at each byte around a boundary between what bytes are for, at every
// `stride`-th where something stands, and at some of the rest.
void VisitTruncations(const FlipLog& log, uint64_t stride, DamageVisitor visit);

// Zeros, garbage or old content behind the end.
void VisitExtensions(const FlipLog& log, DamageVisitor visit);

// Frames of a segment twice, left out, swapped, written over the next, taken from `other`.
void VisitFrames(const FlipLog& log, const FlipLog& other, DamageVisitor visit);

// A file that is gone, empty, zeros, garbage, of another name, or of `other`, another log.
void VisitFiles(const FlipLog& log, const FlipLog& other, DamageVisitor visit);

// `count` runs of garbage, zeros or moved bytes of any length at any place, up to three in a
// file.
void VisitRandom(const FlipLog& log, uint64_t seed, uint64_t count, DamageVisitor visit);

}  // namespace millrace

#endif  // MILLRACE_DAMAGE_KINDS_H_
