#ifndef MILLRACE_WAL_CURSOR_LAG_H_
#define MILLRACE_WAL_CURSOR_LAG_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/sequence.h"
#include "millrace/stats.h"
#include "wal/cursor_context.h"
#include "wal/record_reader.h"

namespace millrace {

// How far a cursor is behind that has committed everything up to `committed`, at the time
// `now`. `from`: where record committed + 1 is found by reading on; may be unknown.
//
// Errors: of reading, I/O and Unimplemented.
absl::StatusOr<CursorLag> LagBehind(const CursorContext& context, SequenceNumber committed,
                                    const ReadPosition& from, absl::Time now);

// As Log::ListCursors. Reads no file.
std::vector<CursorStatus> ListCursors(const CursorRegistry& registry, const SegmentList& segments,
                                      const Watermark& watermark);

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_LAG_H_
